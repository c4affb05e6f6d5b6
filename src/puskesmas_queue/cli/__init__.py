"""Command line: `puskesmas-queue`, one module per group of commands."""

from puskesmas_queue.cli.root import main

__all__ = ["main"]
