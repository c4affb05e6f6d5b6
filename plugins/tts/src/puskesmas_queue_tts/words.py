"""
Free text as it is spoken: figures, times, money, ticket numbers and abbreviations become words.

The core words its calls already; what is left are the clinic's own formats and the kiosk's pages.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal

from puskesmas_queue_tts.numbers import LARGEST, letter_name, say_digits, say_number
from puskesmas_queue_tts.refusal import LONGEST_SPOKEN, Unspeakable, plain

Entries = Mapping[str, str]
"""How words are pronounced: what is written, and what is spoken in its place."""

_WORDS = {
    "id": {
        "%": "persen", "&": "dan", "+": "plus", "±": "kurang lebih", "°": "derajat",
        "to": "sampai", "point": "koma", "money": "rupiah", "past": "lewat",
    },
    "en": {
        "%": "percent", "&": "and", "+": "plus", "±": "about", "°": "degrees",
        "to": "to", "point": "point", "money": "rupiah", "past": "",
    },
}  # fmt: skip
_GROUPED = {"id": r"\d{1,3}(?:\.\d{3}){1,2}", "en": r"\d{1,3}(?:,\d{3}){1,2}"}
_RUPIAH = r"Rp\.? ?\d{1,3}(?:(?:[.,]\d{3}){1,2}|\d{0,6})(?:,-)?"
_TELEPHONE = r"(?:(?:\+\d{1,9}|0\d{2,9})(?:[- ]\d{3,})+|\d{3,4}(?:-\d{3,})+)"
_FRACTION = {"id": r"\d{1,9},\d{1,6}", "en": r"\d{1,9}\.\d{1,6}"}
_CLOCK = {"id": r"[.:]", "en": ":"}
_AFTER_FIGURE = r"(?![\d])(?![.,:]\d)"
_PAUSES = str.maketrans({"/": ",", "|": ",", "•": ",", "·": ",", "–": ",", "—": ",", "…": "."})
_ENDS = re.compile(r"(?<=[.!?;]) ")
_LONE = re.compile(r"(?<!\w)[A-Z](?!\w)")
_SILENT = re.compile(r"[^\w\s.,?!;:'()-]|_")
_TIDY = (
    (re.compile(r"\s+"), " "),
    (re.compile(r" (?=[.,?!;:)])"), ""),
    (re.compile(r" -(?=\w)|(?<=\w)- "), " "),
    (re.compile(r"(?<=[,;:])(?=\w)"), " "),
    (re.compile(r"([.,?!;:])(?:[.,;:])+"), r"\1"),
    (re.compile(r"^[\s.,?!;:'-]+"), ""),
)


def speak(
    text: str,
    language: str,
    kind: Literal["call", "page"],
    entries: Entries,
    letters: Mapping[str, str] | None = None,
) -> str:
    """
    Return a text in words only, as a voice is asked to speak it.

    Args:
        text: What was written.
        language: `id` or `en`.
        kind: What it is for, which bounds its length.
        entries: How words are pronounced.
        letters: How a voice has to be given the letters A to Z, so that it calls them by their
            names; those that are not there it is given by their names.

    Raises:
        Unspeakable: It cannot be spoken, or there is nothing to say.

    >>> speak("Poli KIA: A-012, pukul 07:30", "id", "page", {"KIA": "K I A"})
    'Poli ka i a: a, nol satu dua, pukul tujuh lewat tiga puluh'
    """
    found = plain(text, kind)
    spoken = _Reader(language, entries, letters or {}).read(found)
    spoken = _SILENT.sub(" ", spoken.translate(_PAUSES))
    for pattern, instead in _TIDY:
        spoken = pattern.sub(instead, spoken)
    spoken = spoken.strip()
    if not any(char.isalpha() for char in spoken):
        raise Unspeakable("silent")
    if len(spoken) > LONGEST_SPOKEN:
        raise Unspeakable("long")
    return spoken


def sentences(text: str, entries: Entries) -> list[str]:
    """
    Part a plain text after each sentence; the dot of an abbreviation ends none.

    >>> sentences("Temui dr. Ani. Lalu duduk.", {"dr.": "dokter"})
    ['Temui dr. Ani.', 'Lalu duduk.']
    """
    short = tuple(written for written in entries if written.endswith("."))
    parts: list[str] = []
    for piece in _ENDS.split(text):
        if parts and parts[-1].split(" ")[-1].endswith(short):
            parts[-1] += f" {piece}"
        else:
            parts.append(piece)
    return [part for part in parts if any(char.isalnum() for char in part)]


class _Reader:
    """Reads in one pass: what an entry says is not read a second time."""

    def __init__(self, language: str, entries: Entries, letters: Mapping[str, str]) -> None:
        self._language = language
        self._entries = entries
        self._letters = letters
        self._words = _WORDS[language]
        rules = self._rules()
        self._read_by = {f"r{place}": read for place, (_, read) in enumerate(rules)}
        patterns = [f"(?P<r{place}>{pattern})" for place, (pattern, _) in enumerate(rules)]
        self._pattern = re.compile("|".join(filter(None, [self._entry_pattern(), *patterns])))

    def read(self, text: str) -> str:
        """Return the text in words."""
        return self._pattern.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        name = match.lastgroup
        assert name is not None
        read = self._entry if name == "entry" else self._read_by[name]
        return f" {read(match[0])} "

    def _rules(self) -> list[tuple[str, Callable[[str], str]]]:
        """Return what is read as what, the first that fits; each pattern has no named group."""
        start, clock = r"(?<![\w])", _CLOCK[self._language]
        grouped, fraction = _GROUPED[self._language], _FRACTION[self._language]
        rules: list[tuple[str, Callable[[str], str]]] = [
            (rf"{start}{_RUPIAH}{_AFTER_FIGURE}", self._money),
            (rf"{start}(?:[01]?\d|2[0-3]){clock}[0-5]\d{_AFTER_FIGURE}", self._clock),
            (rf"{start}{_TELEPHONE}(?!\w)", self._telephone),
            (rf"{start}[A-Z]{{1,3}}-?\d{{1,6}}(?!\w)", self._ticket),
            (rf"{start}{grouped}{_AFTER_FIGURE}", self._grouped),
            (rf"{start}{fraction}{_AFTER_FIGURE}", self._fraction),
            (r"[0-9]+", self._figure),
            (r"(?<=\d) ?[-–—] ?(?=\d)", lambda _: self._words["to"]),
            (r"[%&+±°]", self._words.__getitem__),
            (rf"{start}[B-DF-HJ-NP-TV-XZ]{{2,5}}(?!\w)", self._spelled),
        ]
        # "A nurse" and "I" are no letters that are spelled; a letter before a pause is one.
        lone = r"[A-Z](?!\w)" if self._language == "id" else r"(?:[B-HJ-Z]|[AI](?! ?\w))(?!\w)"
        return [*rules, (start + lone, self._spelled)]

    # Entries

    def _entry_pattern(self) -> str:
        """Match whole words only, the longest first."""
        written = sorted(self._entries, key=len, reverse=True)
        if not written:
            return ""
        return rf"(?<!\w)(?P<entry>{'|'.join(map(_whole_word, written))})"

    def _entry(self, found: str) -> str:
        spoken = self._entries.get(found) or self._entries[found[0].lower() + found[1:]]
        return _LONE.sub(lambda match: self._spelled(match[0]), spoken)

    # Figures

    def _money(self, found: str) -> str:
        figure = re.sub(r"[^0-9]", "", found)
        return f"{self._figure(figure)} {self._words['money']}"

    def _clock(self, found: str) -> str:
        hour, minute = (int(part) for part in re.split(r"[.:]", found))
        said = say_number(hour, self._language)
        if self._language == "en":
            if minute == 0:
                return f"{said} o'clock"
            return f"{said} {'oh ' if minute < 10 else ''}{say_number(minute, 'en')}"
        if minute == 0:
            return said
        return f"{said} {self._words['past']} {say_number(minute, 'id')}"

    def _telephone(self, found: str) -> str:
        groups = re.split(r"[- ]", found.removeprefix("+"))
        said = ", ".join(say_digits(group, self._language) for group in groups)
        return f"{self._words['+']} {said}" if found.startswith("+") else said

    def _ticket(self, found: str) -> str:
        prefix = found.rstrip("0123456789")
        digits = say_digits(found[len(prefix) :], self._language)
        return f"{self._spelled(prefix.rstrip('-'))}, {digits}"

    def _grouped(self, found: str) -> str:
        return self._figure(re.sub(r"[.,]", "", found))

    def _fraction(self, found: str) -> str:
        whole, part = re.split(r"[.,]", found)
        digits = say_digits(part, self._language)
        return f"{self._figure(whole)} {self._words['point']} {digits}"

    def _figure(self, found: str) -> str:
        is_code = found.startswith("0") and found != "0"
        if is_code or int(found) > LARGEST or len(found) > 9:
            return say_digits(found, self._language)
        return say_number(int(found), self._language)

    # Letters

    def _spelled(self, found: str) -> str:
        return " ".join(
            self._letters.get(letter, letter_name(letter, self._language)) for letter in found
        )


def _whole_word(written: str) -> str:
    """Match an entry as it is written; its first letter may be a capital one."""
    first = written[0]
    head = f"[{first}{first.upper()}]" if first.isalpha() and first.islower() else re.escape(first)
    tail = r"(?!\w)" if written[-1].isalnum() else ""
    return f"{head}{re.escape(written[1:])}{tail}"
