"""What the hall hears."""

import pytest

from puskesmas_queue.domain.announcements import Call, say_counter, spell_digits, word_call


@pytest.mark.parametrize(
    ("number", "language", "spoken"),
    [
        ("P-003", "id", "P, nol nol tiga"),
        ("A-1000", "id", "A, satu nol nol nol"),
        ("B-987", "id", "B, sembilan delapan tujuh"),
        ("C-456", "en", "C, four five six"),
        ("X1-07", "id", "X satu, nol tujuh"),
    ],
)
def test_numbers_are_read_digit_by_digit(number, language, spoken):
    """As patients compare them with their slip."""
    assert spell_digits(number, language) == spoken


@pytest.mark.parametrize(
    ("counter", "indonesian", "english"),
    [
        (1, "satu", "one"),
        (9, "sembilan", "nine"),
        (10, "sepuluh", "ten"),
        (11, "sebelas", "eleven"),
        (12, "dua belas", "twelve"),
        (19, "sembilan belas", "nineteen"),
        (20, "dua puluh", "twenty"),
        (21, "dua puluh satu", "twenty one"),
        (99, "sembilan puluh sembilan", "ninety nine"),
    ],
)
def test_counters_are_words(counter, indonesian, english):
    """One to ninety-nine."""
    assert say_counter(counter, "id") == indonesian
    assert say_counter(counter, "en") == english


def test_a_call_has_two_halves():
    """So that a voice can keep each of them."""
    words = word_call(Call("P-003", "P", 3, 1, "id"))
    assert words.number_text == "Nomor antrean, P, nol nol tiga."
    assert words.direction_text == "Silakan menuju loket satu."
    english = word_call(Call("P-003", "P", 3, 12, "en"))
    assert english.direction_text == "Please go to counter twelve."
