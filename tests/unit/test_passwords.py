"""The password rule, made-up passwords and the growing delay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puskesmas_queue.domain.errors import WeakPassword
from puskesmas_queue.domain.passwords import (
    check_password,
    generate_password,
    normalize_password,
    retry_delay_s,
)

CONTEXT = ("budi", "Budi Santoso", "Puskesmas Gladak Pakem")


@pytest.mark.parametrize(
    "password",
    [
        "tikus7&ab",
        "Rx9!mnKp",
        "kuda lari di sawah",
        "correct horse battery staple",
        "saya kerja di puskesmas sejak 1999",
        "ñandú7¡ok",
        "rx9 mnkp long",
    ],
)
def test_taken(password):
    check_password(password, CONTEXT)


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("", "too_short"),
        ("a1!", "too_short"),
        ("rx9!mnk", "too_short"),
        ("rxmnkpqz", "needs_kinds"),
        ("rx9mnkpq", "needs_kinds"),
        ("rx!mnkpq", "needs_kinds"),
        ("94!72058", "needs_kinds"),
        ("aaaaaaaaaaaaaaaa", "common"),
        ("1212121212121212", "common"),
        ("123456789012345", "common"),
        ("qwertyuiop12345!", "common"),
        ("Password1!", "common"),
        ("P@ssw0rd123!", "common"),
        ("Rahasia123!", "common"),
        ("Admin123!", "common"),
        ("Puskesmas1!", "contains_name"),
        ("Pu5k3smas2024!", "contains_name"),
        ("Budi1234!", "contains_name"),
        ("budisantoso-1!", "contains_name"),
        ("GladakPakem24!", "contains_name"),
        ("xx-GLADAK-1!", "contains_name"),
        ("İPUSKESMAS1!", "contains_name"),
        ("puskesmas gladak pakem", "contains_name"),
    ],
)
def test_refused(password, rule):
    with pytest.raises(WeakPassword) as caught:
        check_password(password, CONTEXT)
    assert caught.value.rule == rule


def test_short_names_do_not_forbid_letters():
    """A user called Al does not forbid every word with "al" in it."""
    check_password("kalimat7!x", ("al", "Al", "A B"))


def test_same_letters_composed_otherwise_are_one_password():
    assert normalize_password("cafe\u0301-7x") == normalize_password("caf\u00e9-7x")


def test_made_up_passwords_obey_the_rule_and_differ():
    made = {generate_password() for _ in range(500)}

    assert len(made) == 500
    for password in made:
        check_password(password, CONTEXT)
        assert password.isascii()


@given(st.text(max_size=60))
def test_any_text_gets_a_clear_answer(password):
    assert rule_against(password) in {None, "too_short", "needs_kinds", "common", "contains_name"}


def rule_against(password: str) -> str | None:
    try:
        check_password(password, CONTEXT)
    except WeakPassword as error:
        return error.rule
    return None


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 4), (8, 32), (9, 60), (10, 60), (10_000, 60)],
)
def test_delay_grows_and_stops_growing(failures, seconds):
    assert retry_delay_s(failures) == seconds
