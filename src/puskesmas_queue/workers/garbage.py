"""
Takes away what a rendered page leaves behind.

A template's context and its macros point at each other, so each page is garbage that only a
collection finds. The server lets young garbage pile up for long, since thousands of open streams
make each look costly, and looks at the old never: here it is done at chosen moments.

Source: docs/decisions/0027-garbage.md
"""

import gc
from datetime import date

YOUNG = 1
"""Everything that has lived through one collection at most."""


class Sweeper:
    """Collects the young garbage of this process, and once a service day all of it."""

    def __init__(self) -> None:
        self._day: date | None = None

    def sweep(self, day: date) -> None:
        """
        Collect.

        Args:
            day: The clinic's service date; the first sweep of a new one, at night, is thorough.
        """
        is_new_day = self._day is not None and day != self._day
        self._day = day
        if is_new_day:
            gc.collect()
        else:
            gc.collect(YOUNG)
