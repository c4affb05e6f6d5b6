"""Cursors: opaque to whoever uses them, so that they can change."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from puskesmas_queue.domain.errors import InvalidRequest

MARK = "t1"
LARGEST = 2**53 - 1


def write_cursor(last_id: int) -> str:
    """Write the cursor that goes on after an id."""
    return urlsafe_b64encode(f"{MARK}:{last_id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> int:
    """
    Read the id that a cursor goes on after.

    Raises:
        InvalidRequest: It was not written here.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        mark, _, figures = urlsafe_b64decode(padded).decode("ascii").partition(":")
    except ValueError:
        raise InvalidRequest("this is no cursor") from None
    last_id = int(figures) if figures.isdigit() and len(figures) <= 16 else LARGEST + 1
    if mark != MARK or last_id > LARGEST or write_cursor(last_id) != text:
        raise InvalidRequest("this is no cursor")
    return last_id
