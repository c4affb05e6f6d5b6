"""Figures, letters and free text become the words that people would say."""

import contextlib
import importlib.util
import time
from pathlib import Path

import pytest

from puskesmas_queue_tts import pronunciation
from puskesmas_queue_tts.engine import LONGEST_TEXT
from puskesmas_queue_tts.numbers import LARGEST, letter_name, say_digits, say_number
from puskesmas_queue_tts.refusal import Unspeakable, plain
from puskesmas_queue_tts.words import sentences, speak

_spec = importlib.util.spec_from_file_location(
    "numbers_reference", Path(__file__).with_name("numbers_reference.py")
)
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

HAND_ID = {
    0: "nol", 1: "satu", 9: "sembilan", 10: "sepuluh", 11: "sebelas", 12: "dua belas",
    19: "sembilan belas", 20: "dua puluh", 21: "dua puluh satu", 99: "sembilan puluh sembilan",
    100: "seratus", 101: "seratus satu", 110: "seratus sepuluh", 111: "seratus sebelas",
    112: "seratus dua belas", 200: "dua ratus", 211: "dua ratus sebelas",
    999: "sembilan ratus sembilan puluh sembilan", 1000: "seribu", 1001: "seribu satu",
    1010: "seribu sepuluh", 1011: "seribu sebelas", 1100: "seribu seratus",
    1111: "seribu seratus sebelas", 2000: "dua ribu", 2026: "dua ribu dua puluh enam",
    8110: "delapan ribu seratus sepuluh",
    9999: "sembilan ribu sembilan ratus sembilan puluh sembilan",
    10_000: "sepuluh ribu", 11_000: "sebelas ribu", 100_000: "seratus ribu",
    101_000: "seratus satu ribu", 1_000_000: "satu juta", 1_001_000: "satu juta seribu",
}  # fmt: skip
HAND_EN = {
    0: "zero", 1: "one", 10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen", 20: "twenty",
    21: "twenty-one", 40: "forty", 99: "ninety-nine", 100: "one hundred",
    101: "one hundred one", 111: "one hundred eleven", 1000: "one thousand",
    1001: "one thousand one", 1100: "one thousand one hundred",
    9999: "nine thousand nine hundred ninety-nine", 1_000_000: "one million",
}  # fmt: skip
LETTERS = {
    "id": {
        "A": "a", "B": "be", "C": "ce", "D": "de", "E": "e", "F": "ef", "G": "ge", "H": "ha",
        "I": "i", "J": "je", "K": "ka", "L": "el", "M": "em", "N": "en", "O": "o", "P": "pe",
        "Q": "ki", "R": "er", "S": "es", "T": "te", "U": "u", "V": "ve", "W": "we", "X": "eks",
        "Y": "ye", "Z": "zet",
    },
    "en": {
        "A": "ay", "B": "bee", "C": "see", "D": "dee", "E": "ee", "F": "ef", "G": "jee",
        "H": "aitch", "I": "eye", "J": "jay", "K": "kay", "L": "el", "M": "em", "N": "en",
        "O": "oh", "P": "pee", "Q": "cue", "R": "ar", "S": "ess", "T": "tee", "U": "you",
        "V": "vee", "W": "double-you", "X": "ex", "Y": "why", "Z": "zed",
    },
}  # fmt: skip
TABLE = {language: pronunciation.Pronunciation({}).entries(language, "") for language in LETTERS}


def test_numbers_to_9999_are_right():
    """Against a second reference, which builds them from their digits."""
    for number in range(10_000):
        assert say_number(number, "id") == reference.indonesian(number)
        assert say_number(number, "en") == reference.english(number)


@pytest.mark.parametrize(("language", "table"), [("id", HAND_ID), ("en", HAND_EN)])
def test_numbers_at_the_edges_are_right(language, table):
    """Against words that a person wrote down."""
    assert {number: say_number(number, language) for number in table} == table


def test_numbers_that_no_text_has_are_refused():
    """Nobody gets a wrong word for them."""
    for number in (-1, LARGEST + 1):
        with pytest.raises(ValueError, match="is not 0 to"):
            say_number(number, "id")


@pytest.mark.parametrize("language", ["id", "en"])
def test_letters_have_their_names(language):
    """All 26, alone in a text too."""
    table = LETTERS[language]
    assert {letter: letter_name(letter, language) for letter in table} == table
    for letter, name in table.items():
        said = speak(f"Nomor antrean, {letter}, nol nol tiga.", language, "call", {})
        assert said == f"Nomor antrean, {name}, nol nol tiga."
        digits = say_digits("012", language)
        assert speak(f"{letter}-012", language, "call", {}) == f"{name}, {digits}"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Silakan menuju loket 1.", "Silakan menuju loket satu."),
        ("Loket 11 dan 12", "Loket sebelas dan dua belas"),
        ("Nomor A007.", "Nomor a, nol nol tujuh."),
        ("PA-1000", "pe a, satu nol nol nol"),
        ("Poli KIA/KB", "Poli ka i a, ka be"),
        ("Ke UGD, temui dr. Ani, Drg. Budi", "Ke u ge de, temui dokter Ani, dokter gigi Budi"),
        ("By. Ny. Siti, dr.Ani", "bayi nyonya Siti, dokter Ani"),
        ("UGDX, KIAN dan dr", "UGDX, KIAN dan dr"),
        ("Kode QR-nya, ke-2, 3-nya", "Kode ki er nya, ke dua, tiga nya"),
        ("Siapkan KTP dan kartu BPJS", "Siapkan ka te pe dan kartu be pe je es"),
        ("RT 03 RW 12", "er te nol tiga er we dua belas"),
        ("Pukul 07:30–12.00 WIB", "Pukul tujuh lewat tiga puluh sampai dua belas waktu Indonesia "
         "barat"),
        ("pukul 08:00 dan 08:05", "pukul delapan dan delapan lewat lima"),
        ("Rp 25.000,- atau Rp5000", "dua puluh lima ribu rupiah atau lima ribu rupiah"),
        ("1.234 orang, 1,5 jam, 37,5°", "seribu dua ratus tiga puluh empat orang, satu koma lima "
         "jam, tiga puluh tujuh koma lima derajat"),
        ("Telepon 0331-123456", "Telepon nol tiga tiga satu, satu dua tiga empat lima enam"),
        ("± 15 menit, 10% & 3-5 orang", "kurang lebih lima belas menit, sepuluh persen dan tiga "
         "sampai lima orang"),
        ("Kode 12345678901", "Kode satu dua tiga empat lima enam tujuh delapan sembilan nol satu"),
        ("Loket ３ dan ٤", "Loket tiga dan empat"),
        ("Selamat  pagi!\nDuduk *dulu* 😀", "Selamat pagi! Duduk dulu"),
    ],
)  # fmt: skip
def test_free_text_in_indonesian(written, spoken):
    """Running text, the clinic's own formats, pages of the kiosk."""
    assert speak(written, "id", "page", TABLE["id"]) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Please go to counter 12.", "Please go to counter twelve."),
        ("A nurse and I wait, room A.", "A nurse and I wait, room ay."),
        ("Open 7:30 to 8:05, not 12:00", "Open seven thirty to eight oh five, not twelve o'clock"),
        ("1,234 people, 1.5 hours, Rp25.000", "one thousand two hundred thirty-four people, "
         "one point five hours, twenty-five thousand rupiah"),
        ("Call +62 812-345", "Call plus six two, eight one two, three four five"),
        ("dr. Ani at UGD, No. 4", "doctor Ani at you jee dee, number four"),
    ],
)  # fmt: skip
def test_free_text_in_english(written, spoken):
    """The same in English."""
    assert speak(written, "en", "page", TABLE["en"]) == spoken


def test_what_an_entry_says_is_not_read_again():
    """Two words may be exchanged for one another, and the longest counts."""
    entries = {"poli": "klinik", "klinik": "poli", "Poli Gigi": "ruang gigi"}
    said = speak("poli klinik, Poli Gigi, Poli Umum", "id", "page", entries)
    assert said == "klinik poli, ruang gigi, klinik Umum"


def test_voices_are_given_letters_as_they_read_them_right():
    """The rules of eSpeak call a lone capital letter by its name."""
    entries = pronunciation.Pronunciation({}).entries("id", "espeak")
    letters = pronunciation.letters("id", "espeak")
    said = speak("Pasien UGD: kartu BPJS, P-003", "id", "page", entries, letters)
    assert said == "pasiyen U G D: kartu B P J es, P, nol nol tiga"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\t\u00a0", "empty"),
        (".,!?", "silent"),
        ("😀 — …", "silent"),
        ("Nomor\0antrean", "control"),
        ("Nomor\x1b[31m", "control"),
        ("Nomor \ud800", "control"),
        ("Nomor \u202e321", "control"),
        ("Nomor \u200b3", "control"),
        ("Nomor \ue000", "control"),
        ("a" + "\u0335" * 3, "control"),
        ("<speak>Nomor</speak>", "markup"),
        ("<break time='9s'/> a", "markup"),
        ("＜speak＞a", "markup"),
        ("[[n'omOr]]", "markup"),
        ("a &lt;b", "markup"),
        ("{{ 7*7 }}", "markup"),
        ("a\\b", "markup"),
        ("a" * 201, "long"),
        ("1" * 200, "long"),
        ("\ufdfa" * 20, "long"),
        (" " * 100_000 + "a", "long"),
    ],
)
def test_what_is_not_spoken(text, reason):
    """Each is refused for what it is, before any voice is asked."""
    with pytest.raises(Unspeakable) as refused:
        speak(text, "id", "call", TABLE["id"])
    assert refused.value.reason == reason
    assert str(refused.value).startswith("the text ")


def test_a_page_may_be_longer_than_a_call():
    """200 characters are a half, 600 a page; each sentence is short enough for a voice."""
    half, page = "ab " * 66 + "ab", "ab " * 199 + "abc"
    assert plain(half, "call") == half
    assert plain(page, "page") == page
    for text, kind in ((half + "a", "call"), (page + "a", "page")):
        with pytest.raises(Unspeakable, match="too long"):
            plain(text, kind)
    with pytest.raises(Unspeakable, match="too long"):
        speak("777 " * 50, "id", "page", {})
    assert len(speak(half, "id", "call", {})) <= LONGEST_TEXT


def test_sentences_are_parted_where_they_end():
    """Not behind an abbreviation."""
    text = "Temui dr. Ani di Poli Umum. Sisa: 12! ... Lalu duduk"
    assert sentences(text, TABLE["id"]) == [
        "Temui dr. Ani di Poli Umum.",
        "Sisa: 12!",
        "Lalu duduk",
    ]


def test_hostile_texts_take_no_time():
    """Figures, signs and letters that could be read in many ways: under 0.1 s each."""
    entries = {f"kata{place}.": "x" * 100 for place in range(300)}
    for piece in ("1.", "1-", "0-", "+0 ", "A-1", "Rp", "Rp1.", "a'", "BB ", "katakata", "1,000,"):
        begin = time.perf_counter()
        with contextlib.suppress(Unspeakable):
            speak((piece * 600)[:600], "id", "page", entries)
        assert time.perf_counter() - begin < 0.1, piece
