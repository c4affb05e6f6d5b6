"""The core's own answers, as plugins on the same hooks that others use."""
