"""
What the hall hears.

Source: domain rules, section 8.
"""

from dataclasses import dataclass
from datetime import timedelta

SPEAKING_LIMIT = timedelta(seconds=25)
"""The next announcement begins then, whether or not the speaker reported the end."""
STALE_AFTER = timedelta(seconds=90)
"""An older call is shown and not spoken."""
SPEAKER_LOST_AFTER = timedelta(seconds=15)
"""A speaker not heard of for so long hands over to another screen."""

_DIGITS = {
    "id": ("nol", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan"),
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}
_TENS_EN = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TEENS_EN = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """
    A ticket that was called.

    Args:
        number: As patients see it.
        prefix: Its letter.
        sequence: Its count within the letter.
        counter: The counter's number, where to go.
        language: `id` or `en`.
    """

    number: str
    prefix: str
    sequence: int
    counter: int
    language: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """
    The two halves of a spoken call, so that a voice can keep each of them.

    Args:
        number_text: Who is called, 1 to 200 characters.
        direction_text: Where to go, 1 to 200 characters.
    """

    number_text: str
    direction_text: str


def spell_digits(number: str, language: str) -> str:
    """
    Read a number character by character, as patients compare it with their slip.

    >>> spell_digits("P-003", "id")
    'P, nol nol tiga'
    """
    words = _DIGITS[language]
    groups = []
    for part in number.split("-"):
        spoken = [words[int(char)] if char in "0123456789" else char for char in part]
        groups.append(" ".join(spoken))
    return ", ".join(group for group in groups if group)


def say_counter(counter: int, language: str) -> str:
    """Read a counter's number as a word, 0 to 99."""
    words = _DIGITS[language]
    if counter < 10:
        return words[counter]
    tens, ones = divmod(counter, 10)
    if language == "en":
        if tens == 1:
            return _TEENS_EN[ones]
        return _TENS_EN[tens] + (f" {words[ones]}" if ones else "")
    if tens == 1:
        return ("sepuluh", "sebelas")[ones] if ones < 2 else f"{words[ones]} belas"
    return f"{words[tens]} puluh" + (f" {words[ones]}" if ones else "")


def word_call(call: Call) -> Announcement:
    """Word a call the core's way."""
    spelled = spell_digits(call.number, call.language)
    counter = say_counter(call.counter, call.language)
    if call.language == "en":
        return Announcement(f"Queue number, {spelled}.", f"Please go to counter {counter}.")
    return Announcement(f"Nomor antrean, {spelled}.", f"Silakan menuju loket {counter}.")
