"""
What the kiosk refused lately, so that the clinic's announcers can read it as they read its pages.

A page that refuses is the answer to a form and cannot be made again, and a plugin's objection
stands in no template. What is read of it is kept in this process under a name that only that page
knows, so that no request carries a text.

Source: docs/decisions/0036-what-is-read-and-heard.md
"""

import secrets
import threading
from collections import OrderedDict
from hashlib import blake2b

MOST_KEPT = 200
KEY_BYTES, NAME_BYTES = 32, 16


class Refusals:
    """The words of the latest refusals. Thread-safe."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(KEY_BYTES)
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, words: str) -> str:
        """Keep what a page says; return its name, the same for the same words."""
        # Who asks for one page again and again drives no other kiosk's words out.
        name = blake2b(words.encode(), key=self._key, digest_size=NAME_BYTES).hexdigest()
        with self._lock:
            self._kept[name] = words
            self._kept.move_to_end(name)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return name

    def words(self, name: str) -> str:
        """Return what is kept under a name; empty where nothing is, any more."""
        with self._lock:
            return self._kept.get(name, "")


def as_sentences(*told: str) -> str:
    """Join what a page says, each part with its end: a voice pauses there."""
    parts = [one.strip() for one in told]
    return " ".join(one if one.endswith((".", "!", "?")) else f"{one}." for one in parts)
