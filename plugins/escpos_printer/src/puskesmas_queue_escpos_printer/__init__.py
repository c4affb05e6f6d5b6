"""The plugin escpos_printer of a puskesmas-queue clinic."""
