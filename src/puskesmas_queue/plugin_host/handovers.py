"""
Tells whether a thread takes or gives back a lock at this moment, or is in the middle of an import.

An exception that is raised there from outside comes between the lock and the `try` that would
give it back: the lock is nobody's then, and whoever logs, imports or waits for it next does so for
ever. A `with` on a plain lock has no such moment. A compiled module whose import was broken off
cannot be imported again.
"""

import logging
import os
import threading
from pathlib import Path
from traceback import walk_stack
from types import CodeType, FrameType

from puskesmas_queue.plugin_host.describing import INSTALLED, is_foreign

OWN_S = 3.0
"""So long a thread has to come out of an import, or of a plugin's function that names locks."""
OTHERS_S = 60.0
"""And out of such a function of a library: the server may use it too."""

_IMPORTS = "<frozen importlib._bootstrap>"
"""It keeps a lock for each module that is being imported."""
_PYTHONS = (logging.__file__, threading.__file__)
_NAMES = frozenset(
    {
        "__enter__",
        "__exit__",
        "_acquireLock",
        "_acquire_restore",
        "_releaseLock",
        "_release_save",
        "acquire",
        "release",
    }
)
_WAIT = threading.Condition.wait.__code__
"""It gives back what it took, wherever it is ended while it waits."""


def is_handing_over(frame: FrameType | None) -> bool:
    """
    Say whether a thread must not be ended now: a lock that the whole server needs would be lost.

    Args:
        frame: Its innermost one; None for a thread that has none.
    """
    if frame is None:
        return False
    code = frame.f_code
    return code.co_filename == _IMPORTS or (code.co_filename in _PYTHONS and code.co_name in _NAMES)


def is_delicate(frame: FrameType | None, since_s: float) -> bool:
    """
    Say whether a thread had better not be ended now: it may handle a lock, or imports.

    Args:
        frame: As above.
        since_s: How long it ought to have ended, seconds: nothing is waited for without an end.
    """
    if frame is None:
        return False
    files = [one.f_code.co_filename for one, _ in walk_stack(frame)]
    if since_s < OWN_S and _IMPORTS in files:
        return True
    return _handles_locks(frame.f_code) and since_s < (OWN_S if _is_own(files) else OTHERS_S)


def _handles_locks(code: CodeType) -> bool:
    return code is not _WAIT and not _NAMES.isdisjoint((code.co_name, *code.co_names))


def _is_own(files: list[str]) -> bool:
    """Say whether a thread is in the plugin itself, the outermost foreign code, and no library."""
    plugin = next((file for file in reversed(files) if is_foreign(file)), "")
    home = str(Path(plugin).parent)
    return files[0] == plugin or (home not in INSTALLED and files[0].startswith(home + os.sep))
