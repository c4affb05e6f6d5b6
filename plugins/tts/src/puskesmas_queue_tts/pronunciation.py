"""
How words are pronounced that voices read wrong: abbreviations, titles, units of a clinic.

The plugin brings a table for each language; a clinic adds to it, and may say otherwise.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, func, select

from puskesmas_queue.api import Context
from puskesmas_queue.plugin_tables import own_data
from puskesmas_queue_tts.tables import LONGEST_RESPELLED, LONGEST_WRITTEN, WORDS, put

LANGUAGES = ("id", "en")
ENGINES = ("", "piper", "espeak", "clips")
"""For which voice an entry counts; empty: for all that have none of their own."""
MOST_OWN = 300
"""Entries that a clinic may add; one pattern looks for all of them."""

_OF_ALL: Mapping[str, Mapping[str, str]] = {
    "id": {
        "UGD": "U G D", "IGD": "I G D", "KIA": "K I A", "MTBS": "M T B S", "UKM": "U K M",
        "UKP": "U K P", "ANC": "A N C", "ASI": "asi", "PIN": "pin", "WIB": "waktu Indonesia barat",
        "WITA": "waktu Indonesia tengah", "WIT": "waktu Indonesia timur", "NIK": "nik",
        "SIM": "sim", "JKN": "J K N", "KIS": "kis", "ILP": "I L P", "USG": "U S G",
        "RSUD": "R S U D", "RSU": "R S U", "RI": "R I",
        "dr.": "dokter", "drg.": "dokter gigi", "Ny.": "nyonya", "Tn.": "tuan", "Nn.": "nona",
        "By.": "bayi", "An.": "anak", "Sdr.": "saudara", "Sdri.": "saudari", "Bpk.": "bapak",
        "Hj.": "hajah", "no.": "nomor", "No.": "nomor", "jl.": "jalan",
        "tel.": "telepon", "telp.": "telepon", "tgl.": "tanggal", "s.d.": "sampai dengan",
        "s/d": "sampai dengan", "dll.": "dan lain-lain", "dsb.": "dan sebagainya", "yg": "yang",
        "Covid": "kovid", "check-up": "cek ap", "HIV": "H I V", "km": "kilometer",
    },
    "en": {
        "UGD": "U G D", "IGD": "I G D", "KIA": "K I A", "NIK": "N I K", "dr.": "doctor",
        "drg.": "dentist", "Ny.": "missus", "Tn.": "mister", "By.": "baby", "An.": "child",
        "No.": "number", "WIB": "Western Indonesia Time",
        "WITA": "Central Indonesia Time", "WIT": "Eastern Indonesia Time",
    },
}  # fmt: skip
# The rules of eSpeak drop a vowel of it. Piper's voices learned what such sounds stand for.
_OF_ENGINE: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "espeak": {"id": {"pasien": "pasiyen"}, "en": {}},
}
_CAPITALS = {letter: letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
# The rules of eSpeak, from which Piper's sounds come as well, call a lone capital letter by its
# name, and better than they read "pe" or "be". Only these lose their sound behind another letter.
_BY_RULES_LETTERS = {
    "id": {**_CAPITALS, "F": "ef", "S": "es", "X": "eks"},
    "en": _CAPITALS,
}
_LETTERS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "piper": _BY_RULES_LETTERS,
    "espeak": _BY_RULES_LETTERS,
    "clips": {"id": _CAPITALS, "en": _CAPITALS},
}
Wrong = Literal["written", "spoken", "language", "engine", "many"]


@dataclass(frozen=True, slots=True)
class Entry:
    """
    How a word is pronounced.

    Args:
        language: `id` or `en`.
        engine: For which voice; empty for all.
        written: The word, of which capital letters count; its first one may always be one.
        spoken: What is spoken in its place; empty: it is read as it stands.
        is_own: Whether the clinic said so, or the plugin brings it.
        brought: What the plugin brings for it; None where it knows nothing of the word.
    """

    language: str
    engine: str
    written: str
    spoken: str
    is_own: bool
    brought: str | None


@dataclass(frozen=True, slots=True)
class Pronunciation:
    """
    The whole table of a clinic.

    Args:
        own: What the clinic added or changed: what is spoken by language, engine and word.
    """

    own: Mapping[tuple[str, str, str], str]

    def entries(self, language: str, engine: str) -> dict[str, str]:
        """Return what counts for a voice: its own entries before those of all."""
        found = dict(_OF_ALL[language])
        for of in ("", engine) if engine else ("",):
            found.update(_brought(language, of) if of else {})
            found.update(
                (written, spoken)
                for (one, other, written), spoken in self.own.items()
                if one == language and other == of
            )
        return {written: spoken for written, spoken in found.items() if spoken}

    def listed(self, language: str) -> list[Entry]:
        """Return the table of a language as the page shows it, by word."""
        brought = {
            (engine, written): spoken
            for engine in ENGINES
            for written, spoken in _brought(language, engine).items()
        }
        own = {key[1:]: spoken for key, spoken in self.own.items() if key[0] == language}
        keys = sorted({*brought, *own}, key=lambda key: (key[1].lower(), key))
        return [
            Entry(
                language,
                engine,
                written,
                own.get((engine, written), brought.get((engine, written), "")),
                (engine, written) in own,
                brought.get((engine, written)),
            )
            for engine, written in keys
        ]


def letters(language: str, engine: str) -> Mapping[str, str]:
    """Return how a voice has to be given letters, so that it calls them by their names."""
    return _LETTERS.get(engine, {}).get(language, {})


def load(ctx: Context) -> Pronunciation:
    """
    Read what the clinic said.

    Raises:
        PluginDataUnavailable: The tables cannot be reached.
    """
    columns = WORDS.c.language, WORDS.c.engine, WORDS.c.written, WORDS.c.spoken
    query = select(*columns).where(WORDS.c.clinic_id == ctx.clinic_id)

    def run(connection: Connection) -> Pronunciation:
        rows = connection.execute(query)
        return Pronunciation({(row[0], row[1], row[2]): row[3] for row in rows})

    return own_data(ctx).read(run)


def say(ctx: Context, language: str, engine: str, written: str, spoken: str) -> Wrong | None:
    """
    Say how a word is pronounced.

    Returns:
        What is wrong with it, None where it was stored.
    """
    if language not in LANGUAGES:
        return "language"
    if engine not in ENGINES:
        return "engine"
    written, spoken = (unicodedata.normalize("NFKC", one).strip() for one in (written, spoken))
    if not is_word(written, LONGEST_WRITTEN):
        return "written"
    if spoken and not is_word(spoken, LONGEST_RESPELLED):
        return "spoken"
    key = {"language": language, "engine": engine, "written": written}
    mine = WORDS.c.clinic_id == ctx.clinic_id

    def run(connection: Connection) -> Wrong | None:
        is_new = connection.execute(select(WORDS.c.spoken).where(mine).filter_by(**key)).first()
        count = connection.scalar(select(func.count()).select_from(WORDS).where(mine)) or 0
        if is_new is None and count >= MOST_OWN:
            return "many"
        row = {"clinic_id": ctx.clinic_id, **key, "spoken": spoken}
        put(connection, WORDS, row, "spoken")
        return None

    return own_data(ctx).write(run)


def forget(ctx: Context, language: str, engine: str, written: str) -> None:
    """Take back what the clinic said of a word; what the plugin brings counts again."""
    statement = delete(WORDS).where(
        WORDS.c.clinic_id == ctx.clinic_id,
        WORDS.c.language == language,
        WORDS.c.engine == engine,
        WORDS.c.written == written,
    )
    own_data(ctx).write(lambda connection: connection.execute(statement).rowcount)


def _brought(language: str, engine: str) -> Mapping[str, str]:
    return _OF_ENGINE.get(engine, {}).get(language, {}) if engine else _OF_ALL[language]


def is_word(text: str, longest: int) -> bool:
    """Say whether a text is short, plain and pronounceable."""
    has_sound = any(char.isalnum() for char in text)
    has_blank_first = text[:1].isspace()
    is_plain = text.isprintable() and not set(text) & set("<>[]{}\\&")
    return 1 <= len(text) <= longest and has_sound and is_plain and not has_blank_first
