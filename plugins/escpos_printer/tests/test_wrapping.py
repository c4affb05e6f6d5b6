"""Lines are broken between words, and letters are those that a printer has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puskesmas_queue_escpos_printer.paper import CODE_PAGES, PaperProfile, printable
from puskesmas_queue_escpos_printer.wrapping import row, wrap

COLUMNS = st.sampled_from([10, 16, 24, 32, 48])
WORDS = st.text(st.characters(categories=("L", "N"), include_characters="-./&"), min_size=1)
NAMES = st.lists(WORDS, min_size=1, max_size=9).map(" ".join)


@given(NAMES, COLUMNS)
def test_no_line_is_too_long_and_no_word_is_lost(name: str, columns: int) -> None:
    lines = wrap(name, columns)

    assert max(map(len, lines)) <= columns
    pieces = " ".join(lines).replace("- ", "-").replace("-", "")
    assert pieces.replace(" ", "") == name.replace("-", "").replace(" ", "")


@given(NAMES, COLUMNS)
def test_a_word_that_fits_a_line_is_never_broken(name: str, columns: int) -> None:
    words = [one for line in wrap(name, columns) for one in line.split()]

    for word in name.split():
        if len(word) <= columns:
            assert word in words


@pytest.mark.parametrize(
    ("name", "columns", "lines"),
    [
        ("Puskesmas Gladak Pakem", 16, ["Puskesmas", "Gladak Pakem"]),
        ("Poli KIA/KB", 16, ["Poli KIA/KB"]),
        ("Kesehatan Ibu, Anak dan Lansia", 16, ["Kesehatan Ibu,", "Anak dan Lansia"]),
        ("Laboratoriummikrobiologis", 16, ["Laboratoriummik-", "robiologis"]),
        ("Sungai-Raya-Kepulauan-Satu", 16, ["Sungai-Raya-", "Kepulauan-Satu"]),
        ("abcdefghijklmnopq", 16, ["abcdefghijklmno-", "pq"]),
        ("satu\ndua", 16, ["satu", "dua"]),
        ("", 16, []),
    ],
)
def test_names_as_a_clinic_has_them(name: str, columns: int, lines: list[str]) -> None:
    assert wrap(name, columns) == lines


def test_a_label_and_its_value_share_a_line_where_they_fit() -> None:
    assert row("Perkiraan", "± 15 menit", 24) == ["Perkiraan     ± 15 menit"]
    assert row("Perkiraan", "± 15 menit", 16) == ["Perkiraan", "      ± 15 menit"]
    assert row("", "± 15 menit", 16) == ["      ± 15 menit"]


def test_a_line_needs_room_for_a_hyphen() -> None:
    with pytest.raises(ValueError, match="two columns"):
        wrap("abc", 1)


@given(st.text(), st.sampled_from(CODE_PAGES))
def test_only_letters_of_the_code_page_are_sent(text: str, code_page: str) -> None:
    """Whatever a clinic types, and nothing in it that steers a printer."""
    sent = printable(text, code_page).encode(code_page)

    assert all(one >= 32 and one != 127 for one in sent)


@pytest.mark.parametrize(
    ("text", "code_page", "said"),
    [
        ("07.30 – 12.00", "cp437", "07.30 - 12.00"),
        ("± 15 menit", "cp437", "± 15 menit"),
        ("± 15 menit", "ascii", "+/- 15 menit"),
        ("Café “Mawar” …", "ascii", 'Cafe "Mawar" ...'),
        ("e\u0301", "cp437", "é"),
        ("Ő ű ẹ", "cp437", "O u e"),
        ("10 € ½", "cp437", "10 EUR ½"),
        ("10 €", "cp858", "10 €"),
        ("a\N{ZERO WIDTH SPACE}b\x1b@\x07", "cp437", "ab @ "),
        ("病院 ⭐", "cp437", "?? ?"),
    ],
)
def test_letters_that_a_printer_lacks_become_similar_ones(
    text: str, code_page: str, said: str
) -> None:
    assert printable(text, code_page) == said


def test_paper_has_its_columns_and_dots() -> None:
    wide, narrow = PaperProfile(80), PaperProfile(58)
    assert (wide.columns, wide.dots) == (48, 576)
    assert (narrow.columns, narrow.dots) == (32, 384)
