"""The plugin tts of a puskesmas-queue clinic."""
