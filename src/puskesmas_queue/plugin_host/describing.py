"""Shows what foreign code answered or raised, in one line that can be logged and stored."""

import os
import re
import sysconfig
import traceback
from collections import deque
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from types import FrameType, TracebackType

UNSTORABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and halves of characters that no database takes."""
MOST_PLACES = 12
OURS = str(Path(__file__).parents[1]) + os.sep
PYTHON = sysconfig.get_path("stdlib")
INSTALLED = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))

Place = tuple[str, int, str]
"""File, line and function."""


def describe(answer: object) -> str:
    """Show an answer; that of a foreign class by its name only, since its repr is foreign code."""
    if type(answer) in (str, int, float, bool, bytes, date, datetime, timedelta):
        return repr(answer)[:200]
    return f"a {type(answer).__name__}"


def describe_error(error: BaseException) -> str:
    """Show an exception of a plugin, with the place in the plugin's own code where it came from."""
    suffix = where(places(error.__traceback__))
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except Exception:
        return f"{name} without a text{suffix}"
    line = f"{name}: {text}" if text else name
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", line[: 500 - len(suffix)]) + suffix


def places(trace: TracebackType | None) -> tuple[Place, ...]:
    """Return where an exception went through foreign code, innermost last, without our own part."""
    return _foreign(traceback.walk_tb(trace))


def places_of(frame: FrameType) -> tuple[Place, ...]:
    """Return where a thread is in foreign code, innermost last, as `places` does."""
    return _foreign(reversed(list(traceback.walk_stack(frame))))


def where(steps: tuple[Place, ...]) -> str:
    """Show the place in the plugin's own code, in parentheses after a blank; "" for none."""
    place = _own_place(steps)
    return "" if place is None else f" ({Path(place[0]).name}:{place[1]})"


def _foreign(frames: Iterable[tuple[FrameType, int]]) -> tuple[Place, ...]:
    steps = ((frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in frames)
    return tuple(deque((step for step in steps if is_foreign(step[0])), MOST_PLACES))


def is_foreign(file: str) -> bool:
    """Say whether a source file is neither ours nor Python's."""
    if file.startswith(INSTALLED):
        return not file.startswith(OURS)
    return not file.startswith((OURS, PYTHON, "<frozen "))


def _own_place(steps: tuple[Place, ...]) -> Place | None:
    """Return the innermost place in the folder of the outermost: below it are the libraries."""
    if not steps:
        return None
    # The core fills templates in for a plugin: all but their own lines are the library's.
    line_of_template = next((one for one in reversed(steps) if one[0].endswith(".html")), None)
    if line_of_template is not None:
        return line_of_template
    home = str(Path(steps[0][0]).parent)
    # Made code ("<string>") and compiled code (a relative name) have no folder.
    return next((step for step in reversed(steps) if step[0].startswith(home)), steps[-1])
