"""
Tells whether a thread takes or gives back a lock in Python's own code at this moment.

An exception that is raised there from outside comes between the lock and the `try` that would
give it back: the lock is nobody's then, and whoever logs, imports or waits for it next does so for
ever. A `with` on a plain lock has no such moment.
"""

import logging
import threading
from types import FrameType

_IMPORTS = "<frozen importlib._bootstrap>"
"""All of it: it keeps a lock for each module that is being imported."""
_FILES = (logging.__file__, threading.__file__)
_NAMES = {
    "__enter__",
    "__exit__",
    "_acquireLock",
    "_acquire_restore",
    "_releaseLock",
    "_release_save",
    "acquire",
    "release",
}


def is_handing_over(frame: FrameType | None) -> bool:
    """
    Say whether a thread must not be ended right now.

    Args:
        frame: Its innermost one; None for a thread that has none.
    """
    if frame is None:
        return False
    code = frame.f_code
    return code.co_filename == _IMPORTS or (code.co_filename in _FILES and code.co_name in _NAMES)
