"""
How the server and a process that speaks talk over its pipes: a kind, a length, so many bytes.

    server:   Q  a question: JSON with `text`, `language`, `speed`
    process:  R  ready, once, after it loaded
              S  the sound of a question
              F  why there is none, in one line

Standard library only: both sides use it, and the other side must import nothing of the server.
"""

import struct
from typing import IO

QUESTION = b"Q"
READY = b"R"
SOUND = b"S"
FAILURE = b"F"
MOST_BYTES = 16_000_000
"""Of one frame; half a minute of speech is 1.5 million."""
_HEAD = struct.Struct(">cI")


class BadFrame(Exception):
    """The other side does not speak this language."""


def write_frame(stream: IO[bytes], kind: bytes, content: bytes = b"") -> None:
    """
    Send one frame.

    Raises:
        OSError: The other side ended.
    """
    stream.write(_HEAD.pack(kind, len(content)) + content)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """
    Wait for a frame; return its kind and content, None where the other side ended.

    Raises:
        BadFrame: Its length cannot be.
    """
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, length = _HEAD.unpack(head)
    if length > MOST_BYTES:
        raise BadFrame(f"a frame of {length} bytes")
    content = stream.read(length)
    return (kind, content) if len(content) == length else None
