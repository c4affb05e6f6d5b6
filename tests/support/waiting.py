"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable

LOOK_S = 0.002
"""Between two looks: what is there for a moment only is seen."""


def until(condition: Callable[[], object], patience_s: float = 120) -> None:
    """Wait until something holds; long, since a busy machine is no fault."""
    ends = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < ends, f"not within {patience_s:.0f} s"
        time.sleep(LOOK_S)
