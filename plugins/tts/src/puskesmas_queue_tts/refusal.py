"""Texts that no voice is asked to speak: nothing, too much, or what is no plain text."""

import re
import unicodedata
from typing import Literal

from puskesmas_queue_tts.engine import LONGEST_TEXT

LONGEST = {"call": 200, "page": 600}
"""
Characters of a text by what it is for.

A half of a call has the 200 that the server gives it. A page of the kiosk that is read aloud has
600: the list of a clinic's units with what is left of each, in half a minute of speech. It is
spoken sentence by sentence.
"""
LONGEST_SPOKEN = LONGEST_TEXT
"""Characters of a half or a sentence once its figures became words."""
MOST_MARKS = 2
"""Accents on one letter; more are no writing but a way to break what reads it."""

Reason = Literal["empty", "long", "control", "markup", "silent"]
_REASONS: dict[Reason, str] = {
    "empty": "the text is empty",
    "long": "the text is too long",
    "control": "the text has control characters or broken ones",
    "markup": "the text has markup",
    "silent": "the text has neither letters nor figures",
}
_BLANKS = re.compile(r"[ \t\n\r\u00a0]+")
# What engines read as instructions: SSML and HTML, entities, phonemes of eSpeak and Piper.
_MARKUP = re.compile(r"[<>]|\[\[|\]\]|\{\{|\}\}|&(?:#?\w{1,31});|\\")
_UNSPEAKABLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})


class Unspeakable(ValueError):
    """
    A text that is not spoken.

    Args:
        reason: Which kind of text it is; pages word it for people.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(_REASONS[reason])
        self.reason: Reason = reason


def plain(text: str, kind: Literal["call", "page"]) -> str:
    """
    Return a text with single blanks, each letter and figure in its usual form.

    Raises:
        Unspeakable: It is empty, too long, or no plain text.
    """
    # Before anything else looks at it: what is endless is not even taken apart.
    if len(text) > 2 * LONGEST[kind]:
        raise Unspeakable("long")
    found = _BLANKS.sub(" ", text).strip()
    if not found:
        raise Unspeakable("empty")
    if any(unicodedata.category(char) in _UNSPEAKABLE for char in found):
        raise Unspeakable("control")
    # One form of each letter and figure: full-width ones and the figures of other scripts too.
    found = unicodedata.normalize("NFKC", found)
    found = "".join(str(unicodedata.decimal(char, char)) for char in found)
    if len(found) > LONGEST[kind]:
        raise Unspeakable("long")
    if _MARKUP.search(found):
        raise Unspeakable("markup")
    if _has_towers(found):
        raise Unspeakable("control")
    if not any(char.isalnum() for char in found):
        raise Unspeakable("silent")
    return found


def _has_towers(text: str) -> bool:
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks > MOST_MARKS:
            return True
    return False
