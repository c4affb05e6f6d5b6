"""`python -m puskesmas_queue` is `puskesmas-queue`, where no script stands on the path."""

from puskesmas_queue.cli import main

main(prog_name="puskesmas-queue")
