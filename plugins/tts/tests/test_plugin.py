"""The plugin as the server meets it: settings, engines, checks, and what a hall hears."""

import io
import os
import signal
import time
import wave
from pathlib import Path
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from puskesmas_queue.api import Health, Role, Utterance
from puskesmas_queue.services import providers
from puskesmas_queue.testing import ClinicUnderTest, PluginContract
from puskesmas_queue_tts import health
from puskesmas_queue_tts import plugin as the_plugin
from puskesmas_queue_tts import process as processes
from puskesmas_queue_tts.clinic_voice import VOICES
from puskesmas_queue_tts.health import health_checks
from puskesmas_queue_tts.running import Running
from puskesmas_queue_tts.settings import Settings

NAME = "tts"
PATIENT_S = 60.0
SURROUNDINGS_S = 0.1
"""What surrounds the engines: tables, words, the chime."""


class TestContract(PluginContract):
    """It keeps to what every plugin keeps to."""

    name = NAME
    plugin = the_plugin
    settings = MappingProxyType({"engines": "espeak, clips", "cache_mb": "50"})


@pytest.fixture
def open_clinic(tmp_path, monkeypatch):
    """Opens a clinic with the voice, whose engines are ready; each is closed afterwards."""
    monkeypatch.setattr(health, "TRIAL_S", PATIENT_S)
    opened = []

    def one(**settings: str) -> ClinicUnderTest:
        clinic = ClinicUnderTest(tmp_path, [(NAME, the_plugin)], settings={NAME: settings})
        opened.append(clinic)
        ctx = clinic.context(NAME)
        for engine in VOICES[ctx.clinic_id].running.engines(Settings.of(ctx).order):
            if engine.name != "clips" and engine.problem("id") is None:
                assert engine.wait_ready("id", PATIENT_S)
        return clinic

    yield one
    for clinic in opened:
        clinic.close()


def running(clinic: ClinicUnderTest) -> Running:
    return VOICES[clinic.context(NAME).clinic_id].running


def looked(clinic: ClinicUnderTest) -> dict[str, Health]:
    ctx = clinic.context(NAME)
    return {check.name: check.check(ctx) for check in health_checks()}


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def children() -> set[str]:
    """The numbers of all processes that this one began and that are there."""
    threads = Path("/proc/self/task").glob("*/children")
    return {pid for thread in threads for pid in thread.read_text().split()}


# Settings


@pytest.mark.parametrize(
    ("typed", "order"),
    [
        ("piper, espeak, clips", ("piper", "espeak", "clips")),
        ("Clips,PIPER", ("clips", "piper")),
        (" espeak ,", ("espeak",)),
    ],
)
def test_the_order_is_what_was_typed(typed, order):
    assert Settings(engines=typed).order == order


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("piper, google", "Ada yang tidak dikenal. Pilih dari piper, espeak, clips."),
        (" , ", "Tulis paling sedikit satu dari piper, espeak, clips."),
        ("piper, espeak, piper", "Tulis setiap suara satu kali saja."),
    ],
)
def test_an_order_that_cannot_be_is_refused_in_the_clinics_language(open_clinic, typed, words):
    clinic = open_clinic(engines="espeak")

    page = clinic.post(f"/admin/plugins/{NAME}", {"engines": typed, "cache_mb": "50"}, Role.ADMIN)

    assert page.status_code == 422
    assert f"“Urutan suara”: {words}" in page.text
    assert Settings.of(clinic.context(NAME)).order == ("espeak",)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("google", "One of them is not known."),
        (",", "Write at least one of piper, espeak, clips."),
        ("piper, piper", "Write each voice once only."),
    ],
)
def test_an_order_that_cannot_be_is_refused_in_english(open_clinic, typed, words):
    """Where that is the reader's language; the catalogue is held complete by the pages' tests."""
    clinic = open_clinic(engines="espeak")

    page = clinic.post(
        f"/admin/plugins/{NAME}?lang=en", {"engines": typed, "cache_mb": "50"}, Role.ADMIN
    )

    assert page.status_code == 422
    assert f"“Order of voices”: {words}" in page.text


# Engines of a clinic


def test_engines_begin_with_the_server_and_end_with_it(open_clinic):
    clinic = open_clinic(engines="espeak")
    (engine,) = running(clinic).engines(("espeak",))
    pid = engine.pid("id")
    assert is_there(pid)

    clinic.close()

    assert not is_there(pid)
    assert VOICES == {}


def test_starting_blocks_nobody(tmp_path, put_voice):
    """Voices load while the hall works already."""
    put_voice(tmp_path / "voices/id")
    began = time.monotonic()
    made = Running(tmp_path)
    try:
        made.engines(("piper", "espeak", "clips"))
        assert time.monotonic() - began < 3
    finally:
        made.stop()


def test_another_order_begins_and_ends_engines(open_clinic):
    """At the next announcement, without a new start of the server."""
    clinic = open_clinic(engines="clips")
    assert [one.name for one in running(clinic).engines(("clips",))] == ["clips"]

    clips, espeak = running(clinic).engines(("clips", "espeak"))
    assert espeak.wait_ready("id", PATIENT_S)
    assert running(clinic).engines(("espeak", "clips")) == (espeak, clips)
    pid = espeak.pid("id")
    running(clinic).engines(("clips",))
    assert not is_there(pid)
    running(clinic).stop()
    assert running(clinic).engines(("clips",)) == ()


# What a hall hears


def test_a_call_is_heard(open_clinic):
    clinic = open_clinic(engines="espeak")
    clinic.issue("umum")
    speech = clinic.speak(clinic.call_next(2), NAME)

    assert len(speech.sound) >= 2
    for sound in speech.sound:
        with wave.open(io.BytesIO(sound)) as file:
            assert file.getnframes() / file.getframerate() > 0.5
    assert clinic.faults() == []


def test_without_any_voice_the_page_speaks_itself(open_clinic):
    """Nothing is wrong with a clinic that recorded no clips yet: no fault is counted."""
    clinic = open_clinic(engines="clips")
    clinic.issue("umum")

    assert clinic.speak(clinic.call_next(), NAME).sound == ()
    assert clinic.faults() == []


def test_the_voice_is_killed_between_two_calls_and_the_hall_hears_both(open_clinic):
    clinic = open_clinic(engines="espeak")
    (engine,) = running(clinic).engines(("espeak",))
    clinic.issue("umum")
    assert clinic.speak(clinic.call_next(), NAME).sound
    pid = engine.pid("id")
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENT_S
    while engine.pid("id") in (None, pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert engine.wait_ready("id", PATIENT_S)

    clinic.issue("gigi")
    assert clinic.speak(clinic.call_next(2), NAME).sound


# Checks


def test_each_engine_says_how_it_is(open_clinic, put_voice):
    clinic = open_clinic(engines="piper, espeak")

    found = looked(clinic)
    missing = "there is no voice for id: puskesmas-queue tts download-voice"
    assert (found["piper"].state, found["piper"].line()) == ("note", missing)
    assert found["espeak"].state == "ok"
    assert found["espeak"].line().startswith("speaks id: ")
    assert "en: " in found["espeak"].line()
    assert found["clips"] == Health("note", "not in the setting engines: it is not asked")

    put_voice(clinic.context(NAME).folder / "voices/id")
    found = looked(clinic)
    assert found["piper"].state == "ok"
    assert "en: " not in found["piper"].line()


def test_a_voice_that_is_still_being_loaded_needs_nobody(open_clinic, put_voice, monkeypatch):
    """A small computer takes longer for it than a check may take."""
    monkeypatch.setattr(health, "TRIAL_S", 0.01)
    clinic = open_clinic(engines="piper")
    put_voice(clinic.context(NAME).folder / "voices/id")

    found = looked(clinic)["piper"]

    assert (found.state, found.line()) == (
        "note", "the voice is being loaded, look again in a minute"
    )  # fmt: skip


def test_a_spoilt_voice_is_what_is_wrong(open_clinic, put_voice):
    clinic = open_clinic(engines="piper")
    model = put_voice(clinic.context(NAME).folder / "voices/id")
    model.with_name(f"{model.name}.json").write_text("{}")

    found = looked(clinic)["piper"]
    assert found.state == "wrong"
    assert "does not describe a voice of Piper" in found.line()


def test_a_hall_that_does_not_use_the_voice_is_told_how(open_clinic):
    clinic = open_clinic(engines="clips")
    found = looked(clinic)["announcer"]
    assert found.state == "note"
    assert 'settings set display.announcers "tts, browser"' in found.line()
    clinic.set("display.announcers", "tts, browser")
    assert looked(clinic)["announcer"].state == "ok"


def test_a_check_tries_what_the_hall_hears(open_clinic, monkeypatch):
    """The server's own process, and no second one; what ails it is told."""
    monkeypatch.setattr(processes, "FIRST_PAUSE_S", PATIENT_S)
    clinic = open_clinic(engines="espeak")
    before = children()
    assert looked(clinic)["espeak"].state == "ok"
    assert children() == before

    (engine,) = running(clinic).engines(("espeak",))
    os.kill(engine.pid("id"), signal.SIGKILL)
    deadline = time.monotonic() + PATIENT_S
    while engine.pid("id") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert looked(clinic)["espeak"] == Health("wrong", "id: it ended with code -9")


def test_doctor_beside_the_server_leaves_no_process(open_clinic):
    """Another program has no part in the server's: it begins its own and ends them."""
    clinic = open_clinic(engines="espeak")
    ctx = clinic.context(NAME)
    the_plugin.shutdown(ctx)
    before = children()

    assert looked(clinic)["espeak"].state == "ok"

    assert children() == before


def test_the_commands_are_those_of_voices():
    result = CliRunner().invoke(the_plugin.register_commands(), ["--help"])

    for name in ("clips", "download-voice", "use"):
        assert f"\n  {name} " in result.output


def test_a_clinic_that_was_not_begun_has_no_voice(open_clinic):
    """An announcement while the server ends: nothing is begun that nobody would end."""
    clinic = open_clinic(engines="espeak")
    ctx = clinic.context(NAME)
    the_plugin.shutdown(ctx)

    utterance = Utterance(("Nol.",), "id", "main", "page")
    assert the_plugin.speak(utterance, ctx).sound == ()


def test_every_engine_has_its_turn_within_the_servers_time():
    """Else the server gives the call up before the last one was asked."""
    assert the_plugin.BUDGET_S <= providers.SPEAK_DEADLINE_S - SURROUNDINGS_S
    assert the_plugin.PAGE_BUDGET_S <= providers.READ_DEADLINE_S - SURROUNDINGS_S
