"""
Lines of the log: for people, or one JSON object each for programs.

What a line says of a request is its id, its route as it is declared, and ids of who asked: no
path, no code, no name. What an exception says is shortened, since it may repeat what was typed.
"""

import json
import logging
import re
import sys
import traceback
from contextvars import ContextVar
from copy import copy
from datetime import UTC, datetime
from typing import Any, TextIO

REQUEST_ID: ContextVar[str] = ContextVar("puskesmas_queue_request_id", default="")
"""Of the request that this runs for, also in the threads that work for it; empty for none."""
FORMATS = ("text", "json")
FIELDS = "fields"
"""Name of a record's attribute with more members of its JSON object."""

_FIGURES = re.compile(r"\d{8,}")
"""NIK, card and phone numbers."""
_SECRETS = re.compile(r"[A-Za-z0-9_-]{20,}")
"""Tokens and keys."""
_NOISE = ("Invalid HTTP request received.", "Unsupported upgrade request.")


def scrubbed(text: str) -> str:
    """Leave out what looks like somebody's number or a token."""
    return _SECRETS.sub("…", _FIGURES.sub("…", text))


class JsonLines(logging.Formatter):
    """Writes a record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write it."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": scrubbed(record.getMessage()),
        }
        if REQUEST_ID.get():
            line["request_id"] = REQUEST_ID.get()
        line.update(getattr(record, FIELDS, {}))
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = exception_lines(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


class Lines(logging.StreamHandler[TextIO]):
    """
    Writes each line; its text is made before the lock is taken that all who log share.

    What a plugin logs is made of its own values: while one of them takes its time to say what it
    is, the hall goes on.

    Args:
        form: Makes the text.
        stream: Where to.
    """

    def __init__(self, form: logging.Formatter, stream: TextIO) -> None:
        super().__init__(stream)
        self._form = form

    def handle(self, record: logging.LogRecord) -> bool:
        """Write it."""
        try:
            text = self._form.format(record)
        except Exception:  # noqa: BLE001  # as logging's own handlers do
            self.handleError(record)
            return False
        told = copy(record)
        told.msg, told.args = text, None
        told.exc_info = told.exc_text = told.stack_info = None
        return super().handle(told)


def exception_lines(error: BaseException) -> list[str]:
    """Name an exception and where it came from: files, lines, functions, none of their values."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    lines.append(f"{type(error).__name__}: {scrubbed(str(error))[:300]}")
    cause = error.__cause__
    return lines if cause is None else [*exception_lines(cause), *lines]


def set_up(kind: str, stream: TextIO | None = None) -> None:
    """
    Let this process log.

    Args:
        kind: `text`, which tells what went wrong, or `json`, which also tells of each change.
        stream: Where to; else standard error.
    """
    logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)
    root, own = logging.getLogger(), logging.getLogger(__package__)
    stream = stream or sys.stderr
    if kind == "json":
        lines = Lines(JsonLines(), stream)
        root.handlers[:] = [lines]
        root.setLevel(logging.WARNING)
        logging.getLogger("puskesmas_queue.requests").setLevel(logging.INFO)
    else:
        lines = Lines(logging.Formatter(), stream)
        lines.setLevel(logging.WARNING)
        if not root.handlers:
            root.addHandler(lines)
    # What a plugin adds to the root, to send lines over the network say, keeps no number waiting.
    own.handlers[:] = [lines]
    own.propagate = False


def speak_again() -> None:
    """
    Let the core log, whatever foreign code did to the log.

    Python's own way to set it up anew silences every logger that it is not told of.
    """
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.split(".", 1)[0] == __package__ and isinstance(logger, logging.Logger):
            logger.disabled = False


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Whoever sends garbage fills no disk with it; the metrics count it."""
    return record.getMessage() not in _NOISE
