"""What is really heard: the sounds that the rules of eSpeak, and so Piper, make of words."""

import json
import subprocess
import sys

import pytest

from puskesmas_queue_tts import pronunciation
from puskesmas_queue_tts.numbers import say_number
from puskesmas_queue_tts.pronunciation import Pronunciation
from puskesmas_queue_tts.words import speak

# In a process of its own, as the engine is: its code is under the GPL.
SOUNDS = """
import ctypes, json, sys
import espeakng_loader
library = ctypes.CDLL(espeakng_loader.get_library_path())
library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
library.espeak_TextToPhonemes.restype = ctypes.c_char_p
language, *texts = json.load(sys.stdin)
library.espeak_SetVoiceByName(language.encode())
told = []
for text in texts:
    rest, clauses = ctypes.c_char_p(text.encode()), []
    while rest.value:
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), 1, 2).decode())
    told.append(clauses)
json.dump(told, sys.stdout)
"""
LETTERS = {
    "id": {
        "A": "a", "B": "be", "C": "tʃe", "D": "de", "E": "e", "F": "ɛf", "G": "ɡe", "H": "ha",
        "I": "i", "J": "dʒe", "K": "ka", "L": "ɛl", "M": "ɛm", "N": "ɛn", "O": "o", "P": "pe",
        "Q": "ki", "R": "ɛr", "S": "es", "T": "te", "U": "u", "V": "fe", "W": "we", "X": "ɛks",
        "Y": "je", "Z": "zɛt",
    },
    "en": {
        "A": "eɪ", "B": "biː", "C": "siː", "D": "diː", "E": "iː", "F": "ɛf", "G": "dʒiː",
        "H": "eɪtʃ", "I": "aɪ", "J": "dʒeɪ", "K": "keɪ", "L": "ɛl", "M": "ɛm", "N": "ɛn",
        "O": "əʊ", "P": "piː", "Q": "kjuː", "R": "ɑː", "S": "ɛs", "T": "tiː", "U": "juː",
        "V": "viː", "W": "dʌbəljuː", "X": "ɛks", "Y": "waɪ", "Z": "zɛd",
    },
}  # fmt: skip


def heard(language: str, *texts: str) -> list[list[str]]:
    """The sounds of texts, clause by clause, without their stress."""
    given = [
        speak(
            text, language, "call", Pronunciation({}).entries(language, "espeak"),
            pronunciation.letters(language, "espeak"),
        )
        for text in texts
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SOUNDS],
        input=json.dumps([language, *given]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [
        [clause.replace("ˈ", "").replace("ˌ", "").strip() for clause in clauses]
        for clauses in json.loads(done.stdout)
    ]


@pytest.mark.parametrize("language", ["id", "en"])
def test_every_letter_is_heard_by_its_name(language):
    """Where it stands in a call."""
    said = heard(language, *(f"Nomor antrean, {letter}, tiga." for letter in LETTERS[language]))
    assert {
        letter: clauses[1].removesuffix("ɹ")
        for letter, clauses in zip(LETTERS[language], said, strict=True)
    } == LETTERS[language]


def test_abbreviations_are_heard_as_people_say_them():
    """Each against what was written down by ear; what the rules alone say is wrong."""
    table = {
        "UGD": "u ɡe de", "KIA": "ka i a", "BPJS": "be pe dʒe es", "KTP": "ka te pe",
        "dr.": "doktər", "Ny.": "ɲoɲa", "pasien": "pasijən", "MTBS": "ɛm te be es",
        "HIV": "ha i fe", "USG": "u es ɡe",
    }  # fmt: skip
    said = heard("id", *(f"Nomor, {word}" for word in table))
    assert {word: clauses[1] for word, clauses in zip(table, said, strict=True)} == table


def test_numbers_are_heard():
    """The words of numbers are words of the language: none is spelled or read in English."""
    # "Empat" and "enam" have an open e here, where most people have a weak one: it is
    # understood, and no spelling without other faults is read better.
    numbers = [*range(21), 100, 101, 111, 999, 1000, 1001, 1100, 1111, 9999]
    sounds = {
        "nol": "nol", "satu": "satu", "dua": "dua", "tiga": "tiɡa", "empat": "ɛmpat",
        "lima": "lima", "enam": "ɛnam", "tujuh": "tudʒuh", "delapan": "dəlapan",
        "sembilan": "səmbilan", "sepuluh": "səpuluh", "sebelas": "səbɛlas", "belas": "bɛlas",
        "puluh": "puluh", "seratus": "səratus", "ratus": "ratus", "seribu": "səribu",
        "ribu": "ribu",
    }  # fmt: skip
    said = heard("id", *map(str, numbers))
    expected = [
        [" ".join(sounds[word] for word in say_number(number, "id").split())] for number in numbers
    ]
    assert said == expected
