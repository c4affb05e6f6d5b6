"""
The password rule, passwords that the server makes up, and how long a wrong one must wait.

Source: security rules, "Passwords".
"""

import secrets
import unicodedata
from collections.abc import Iterable, Iterator

from puskesmas_queue.domain.errors import WeakPassword

MIN_LENGTH = 8
PASSPHRASE_LENGTH = 15
MIN_DIFFERENT = 5
MIN_CONTEXT_WORD = 4
FREE_TRIES = 2
LONGEST_DELAY_S = 60

COMMON = (
    "password", "passwd", "katasandi", "sandi", "rahasia", "qwertyuiop", "qwerty", "qwert",
    "asdfghjkl", "asdfgh", "asdf", "zxcvbnm", "zxcvb", "zxcv", "1q2w3e4r", "1q2w3e", "1qaz2wsx",
    "abcdefgh", "abcdef", "abcd", "0987654321", "987654321", "87654321", "654321", "1234567890",
    "123456789", "12345678", "1234567", "123456", "12345", "1234", "123", "admin",
    "administrator", "welcome", "selamatdatang", "letmein", "iloveyou", "sayangku", "sayang",
    "bismillah", "alhamdulillah", "indonesia", "merdeka", "garuda", "jakarta", "surabaya",
    "jember", "persib", "persija", "monkey", "dragon", "master", "football", "baseball",
    "superman", "batman", "sunshine", "princess", "samsung", "internet", "computer", "komputer",
    "login", "guest", "user", "test", "coba-coba", "cobacoba", "default", "changeme", "ganti1",
    "loket", "antrean", "antrian", "petugas", "klinik", "dokter", "perawat", "bidan", "poli",
    "pasien", "bpjs", "kesehatan",
)  # fmt: skip
"""Pieces of the passwords that are guessed first; what is left of one must hold by itself."""

CONTEXT = ("puskesmas",)

_LEET = (
    str.maketrans("01345789@$!+", "oieastbgasit"),
    str.maketrans("01345789@$!+", "oleastbgaslt"),
)
_CONSONANTS = "bdfghjklmnprstvw"
_VOWELS = "aeiou"


def normalize_password(password: str) -> str:
    """Give the same letters the same code points, however the keyboard composed them."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, context: Iterable[str] = ()) -> None:
    """
    Hold a new password against the rule.

    At least 8 characters with a letter, a digit and a symbol, or a passphrase of at least 15
    without that. Common and context words count for nothing: what is left without them must
    still obey.

    Args:
        context: Names that everybody here knows: username, person, clinic.

    Raises:
        WeakPassword: With the rule that says no.
    """
    password = normalize_password(password)
    fault = _fault(password)
    if fault is not None:
        raise WeakPassword(fault)
    if len(set(password.casefold())) < MIN_DIFFERENT:
        raise WeakPassword("common")
    words = [word for text in (*CONTEXT, *context) for word in _words(text)]
    if _fault(_without(password, words)) is not None:
        raise WeakPassword("contains_name")
    if _fault(_without(password, COMMON)) is not None:
        raise WeakPassword("common")


def generate_password() -> str:
    """Make up a password of 56 bits that can be read out, such as `bavo-kuti-rami-tela-47`."""
    groups = ["".join(_syllable() for _ in range(2)) for _ in range(4)]
    return "-".join([*groups, f"{secrets.randbelow(90) + 10}"])


def retry_delay_s(failures: int) -> int:
    """Say how long a name rests after so many wrong tries: 1, 2, 4 … 60 s from the third on."""
    over = failures - FREE_TRIES
    return 0 if over <= 0 else min(LONGEST_DELAY_S, int(2 ** min(over - 1, 6)))


def _syllable() -> str:
    return secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS)


def _fault(password: str) -> str | None:
    if len(password) >= PASSPHRASE_LENGTH:
        return None
    if len(password) < MIN_LENGTH:
        return "too_short"
    kinds = (
        any(character.isalpha() for character in password),
        any(character.isdecimal() for character in password),
        any(not character.isalnum() for character in password),
    )
    return None if all(kinds) else "needs_kinds"


def _words(text: str) -> Iterator[str]:
    """Yield a name's words, and the name written in one, as they could stand in a password."""
    parts = normalize_password(text).casefold().split()
    for word in {*parts, "".join(parts)}:
        if len(word) >= MIN_CONTEXT_WORD:
            yield word


def _without(password: str, words: Iterable[str]) -> str:
    """Cut words out of a password, however they are cased or spelt in digits and signs."""
    # Letter by letter, since a few become two letters and every place must stay where it is.
    lower = "".join(one.lower() if len(one.lower()) == 1 else one for one in password)
    spellings = {lower, *(lower.translate(table) for table in _LEET)}
    taken: set[int] = set()
    for word in words:
        for spelling in spellings:
            start = spelling.find(word)
            while start != -1:
                taken.update(range(start, start + len(word)))
                start = spelling.find(word, start + 1)
    return "".join(character for place, character in enumerate(password) if place not in taken)
