"""The clinic's table of pronunciations, on both databases."""

import pytest

from puskesmas_queue_tts import plugin, pronunciation, zones
from puskesmas_queue_tts.pronunciation import LANGUAGES, MOST_OWN, Pronunciation
from puskesmas_queue_tts.zones import ZoneVoice

NAME = "tts"


@pytest.fixture
def ctx(puskesmas_clinics):
    """A clinic with the plugin."""
    return puskesmas_clinics(tts=plugin).context(NAME)


def test_what_the_clinic_says_counts(ctx):
    """Added, changed, switched off; and taken back."""
    before = pronunciation.load(ctx).entries("id", "")
    assert before["UGD"] == "U G D"
    for written, spoken in (("UGD", "unit gawat darurat"), ("Posyandu", "pos yandu"), ("KIA", "")):
        assert pronunciation.say(ctx, "id", "", written, spoken) is None

    after = pronunciation.load(ctx).entries("id", "")

    assert after["UGD"] == "unit gawat darurat"
    assert after["Posyandu"] == "pos yandu"
    assert "KIA" not in after
    assert pronunciation.load(ctx).entries("en", "") == Pronunciation({}).entries("en", "")
    for written in ("UGD", "Posyandu", "KIA", "tidak ada"):
        pronunciation.forget(ctx, "id", "", written)
    assert pronunciation.load(ctx).entries("id", "") == before


def test_a_voice_may_have_a_pronunciation_of_its_own(ctx):
    """It comes before that of all voices, whoever said it."""
    pronunciation.say(ctx, "id", "", "Kaliwates", "kali wates")
    pronunciation.say(ctx, "id", "espeak", "Kaliwates", "kaliwatés")
    pronunciation.say(ctx, "id", "", "pasien", "pasi en")
    table = pronunciation.load(ctx)
    assert table.entries("id", "piper")["Kaliwates"] == "kali wates"
    assert table.entries("id", "espeak")["Kaliwates"] == "kaliwatés"
    assert table.entries("id", "clips")["pasien"] == "pasi en"


def test_the_list_says_where_an_entry_is_from(ctx):
    """By word; a changed one with what the plugin brings."""
    pronunciation.say(ctx, "id", "", "UGD", "gawat darurat")
    pronunciation.say(ctx, "id", "piper", "Aan", "a-an")
    listed = pronunciation.load(ctx).listed("id")
    by_key = {(one.engine, one.written): one for one in listed}
    assert [one.written.lower() for one in listed] == sorted(one.written.lower() for one in listed)
    assert len(by_key) == len(listed)
    ugd, aan, kia = by_key["", "UGD"], by_key["piper", "Aan"], by_key["", "KIA"]
    assert (ugd.spoken, ugd.is_own, ugd.brought) == ("gawat darurat", True, "U G D")
    assert (aan.is_own, aan.brought) == (True, None)
    assert (kia.is_own, kia.brought) == (False, "K I A")


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        (("jv", "", "UGD", "x"), "language"),
        (("id", "festival", "UGD", "x"), "engine"),
        (("id", "", "", "x"), "written"),
        (("id", "", "...", "x"), "written"),
        (("id", "", "a" * 41, "x"), "written"),
        (("id", "", "<b>", "x"), "written"),
        (("id", "", "a\0b", "x"), "written"),
        (("id", "", "UGD", "x" * 121), "spoken"),
        (("id", "", "UGD", "[[x]]"), "spoken"),
        (("id", "", "UGD", "?!"), "spoken"),
        (("id", "", "UGD", "a\nb"), "spoken"),
    ],
)
def test_what_no_voice_could_speak_is_refused(ctx, key, wrong):
    """Nothing of it is stored."""
    assert pronunciation.say(ctx, *key) == wrong
    assert pronunciation.load(ctx) == Pronunciation({})


def test_the_table_has_an_end(ctx, monkeypatch):
    """What is there may still be changed."""
    assert MOST_OWN == 300
    monkeypatch.setattr(pronunciation, "MOST_OWN", 2)
    assert pronunciation.say(ctx, "id", "", "Satu", "x") is None
    assert pronunciation.say(ctx, "id", "", "Dua", "x") is None
    assert pronunciation.say(ctx, "id", "", "Tiga", "x") == "many"
    assert pronunciation.say(ctx, "id", "", "Dua", "y") is None
    assert pronunciation.load(ctx).own == {("id", "", "Satu"): "x", ("id", "", "Dua"): "y"}


def test_what_the_plugin_brings_could_be_stored_too():
    """No entry breaks the rules of the page."""
    for language in LANGUAGES:
        for one in Pronunciation({}).listed(language):
            assert pronunciation.is_word(one.written, 40), one
            assert pronunciation.is_word(one.spoken, 120), one


def test_halls_keep_what_was_set(ctx):
    """A hall that is heard of again keeps it; what is on no list is refused."""
    assert zones.load(ctx) == []
    zones.note_there(ctx, "main")
    assert zones.load(ctx) == [ZoneVoice("main")]
    assert zones.save(ctx, ZoneVoice("main", 80, "three", 2))
    zones.note_there(ctx, "main")
    zones.note_heard(ctx, "main")
    assert zones.load(ctx) == [ZoneVoice("main", 80, "three", 2, ctx.now)]
    for wrong in (
        ZoneVoice("main", 5, "tv", 1), ZoneVoice("main", 100, "gong", 1),
        ZoneVoice("main", 100, "tv", 9), ZoneVoice("", 100, "tv", 1), ZoneVoice("z" * 41),
    ):  # fmt: skip
        assert not zones.save(ctx, wrong)
    assert [one.zone for one in zones.load(ctx)] == ["main"]
