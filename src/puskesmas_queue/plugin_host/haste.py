"""
Lets the hall have its turns sooner while foreign code computes.

The threads of one process take turns: whoever computes gives way after Python's switch interval.
The steps of one number change threads about twenty times, and each time may wait for so long. A
short interval costs everybody a little, so it holds only while it is needed.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HASTE_S = 0.00002
"""The interval in haste: about what it takes to change threads; shorter gains nothing more."""


class Haste:
    """Counts who computes, and sets the interval of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._usual_s = 0.0

    @contextmanager
    def while_computing(self) -> Iterator[None]:
        """Give way sooner inside."""
        with self._lock:
            if self._count == 0:
                self._usual_s = sys.getswitchinterval()
                sys.setswitchinterval(HASTE_S)
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if self._count == 0:
                    sys.setswitchinterval(self._usual_s)


haste = Haste()
"""Of this process, as the interval is."""
