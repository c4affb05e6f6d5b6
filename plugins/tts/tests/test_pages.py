"""The administrator's pages of the voice, as a browser without JavaScript meets them."""

import re
import string
import time
from html import unescape
from pathlib import Path

import pytest

from puskesmas_queue.api import Role
from puskesmas_queue.services.plugin_settings import InvalidForm
from puskesmas_queue_tts import plugin, pronunciation, wav, zones
from puskesmas_queue_tts.clinic_voice import VOICES
from puskesmas_queue_tts.engine import EngineFailed
from puskesmas_queue_tts.settings import Settings
from puskesmas_queue_tts.zones import ZoneVoice

NAME = "tts"
HOME = "/x/tts/"
PACKAGE = Path(plugin.__file__).parent
ADMIN = Role.ADMIN


@pytest.fixture
def clinic(puskesmas_clinics, tmp_path):
    """A clinic that speaks by recordings only: no process is begun."""
    made = puskesmas_clinics(tts=plugin)
    made.configure(NAME, engines="clips")
    folder = made.context(NAME).folder / "clips/id"
    folder.mkdir(parents=True)
    words = [*map(str, range(21)), *string.ascii_lowercase]
    for unit in (*words, "nomor-antrean", "silakan-menuju-loket", "ruang", "prioritas"):
        (folder / f"{unit}.wav").write_bytes(wav.chime("soft", 8_000))
    return made


def text_of(answer) -> str:
    """What people read of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_the_page_says_which_voices_work(clinic):
    """And why the others do not."""
    page = text_of(clinic.get(HOME, ADMIN))
    assert "1. Rekaman klinik Bisa Belum bisa belum ada rekaman di" in page
    assert page.count("Tidak dipakai") == 4
    assert "id : kurang 1 rekaman" in page
    assert "0 potongan suara, 0 MB dari 200 MB" in page


def test_a_text_is_read_and_heard(clinic):
    """In words first; then its sound, which is kept."""
    page = clinic.get(f"{HOME}?text=Nomor+antrean+A-012&language=id", ADMIN)
    assert "Nomor antrean a, nol satu dua" in text_of(page)
    (address,) = re.findall(r'<audio[^>]+src="([^"]+)"', page.text)

    answer = clinic.get(unescape(address), ADMIN)

    assert answer.headers["content-type"] == "audio/wav"
    assert wav.read(answer.content).seconds > 3
    assert "1 potongan suara" in wait_for_kept(clinic, 1)


def wait_for_kept(clinic, count: int) -> str:
    """The page, once so much was stored behind."""
    done = VOICES["uji"].background
    ready = []
    done.soon(lambda: ready.append(True))
    for _ in range(6000):
        if ready and VOICES["uji"].sounds.state().count >= count:
            break
        time.sleep(0.01)
    return text_of(clinic.get(HOME, ADMIN))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Tulis teksnya dulu."),
        ("...", "Tidak ada yang bisa diucapkan"),
        ("%3Cspeak%3Ea%3C/speak%3E", "Jangan pakai kode atau tanda kurung siku."),
        ("a%E2%80%AEb", "Ada tanda yang tidak bisa dibaca"),
        ("a" * 601, "Teksnya terlalu panjang. Paling banyak 600 huruf"),
        ("777+" * 100, "Teksnya terlalu panjang."),
    ],
)
def test_what_is_not_spoken_is_said_at_the_field(clinic, text, words):
    """With what was typed, and no sound of it."""
    page = clinic.get(f"{HOME}?text={text}&language=id", ADMIN)
    assert page.status_code == 422
    assert text_of(page).count(words) == 2
    assert "<title>Kesalahan:" in page.text
    assert "<audio" not in page.text
    assert clinic.get(f"{HOME}sounds/id?text={text}", ADMIN).status_code == 422


def test_a_voice_that_cannot_says_so(clinic):
    """A word that was not recorded; an engine that is not used; a language without recordings."""
    for query in ("id?text=Selamat+pagi", "id?text=satu&engine=piper", "en?text=one"):
        assert clinic.get(f"{HOME}sounds/{query}", ADMIN).status_code == 503
    assert clinic.get(f"{HOME}sounds/jv?text=satu", ADMIN).status_code == 404


def test_what_is_kept_can_be_deleted(clinic):
    """By a button that is there only while something is kept."""
    assert "Kosongkan" not in clinic.get(HOME, ADMIN).text
    clinic.get(f"{HOME}sounds/id?text=satu", ADMIN)
    assert "Kosongkan" in wait_for_kept(clinic, 1)
    answer = clinic.post(f"{HOME}empty", {}, ADMIN)
    assert answer.status_code == 303
    page = text_of(clinic.get(answer.headers["location"], ADMIN))
    assert "Simpanan suara sudah dikosongkan." in page
    assert "0 potongan suara" in page


# Halls


def test_a_hall_is_set_and_heard(clinic):
    """Its chime and repeats are in what is played, and counts for its TV at once."""
    clinic.issue()
    ticket = clinic.call_next()
    plain = clinic.speak(ticket, "tts")
    assert (len(plain.sound), plain.has_chime) == (2, False)
    before = clinic.get(f"{HOME}zones/main/sound.wav?number=A-001&counter=1", ADMIN)

    answer = clinic.post(
        f"{HOME}zones/main/save", {"speed": "90", "chime": "three", "repeats": "2"}, ADMIN
    )

    assert answer.headers["location"] == f"{HOME}zones/main?done=saved"
    page = text_of(clinic.get(answer.headers["location"], ADMIN))
    assert "Sudah disimpan." in page
    assert "Nomor antrean, P, nol nol tiga. Silakan menuju loket satu." in page
    after = clinic.get(f"{HOME}zones/main/sound.wav?number=A-001&counter=1", ADMIN)
    once = wav.read(before.content).seconds
    assert wav.read(after.content).seconds == pytest.approx(2 * once + 1.8 + 0.7, abs=0.05)
    spoken = clinic.speak(ticket, "tts")
    assert (len(spoken.sound), spoken.has_chime) == (6, True)


def test_a_hall_says_when_its_tv_spoke_and_what_stands_in_the_way(clinic):
    """Never; not this voice; switched off; at half past seven."""
    address = f"{HOME}zones/main"
    page = text_of(clinic.get(address, ADMIN))
    assert "TV belum pernah memakai suara ini" in page
    assert 'display.announcers "tts, browser"' in page
    clinic.issue()
    clinic.speak(clinic.call_next(), "tts")
    wait_for_kept(clinic, 2)
    page = text_of(clinic.get(address, ADMIN))
    assert "TV terakhir bersuara 07:30 WIB, Kamis, 26 Februari 2026" in page
    assert "belum memakai suara ini" not in page
    clinic.set("display.voice", "false")
    assert "Suara TV sedang dimatikan" in text_of(clinic.get(address, ADMIN))


def test_a_hall_takes_no_nonsense(clinic):
    """Neither values that are on no list nor a hall that is not there."""
    for form in ({}, {"speed": "1", "chime": "tv", "repeats": "1"}, {"speed": "x", "chime": "y"}):
        answer = clinic.post(f"{HOME}zones/main/save", form, ADMIN)
        assert answer.status_code == 422
        assert "Pilih kecepatan, bel dan pengulangan" in answer.text
    for path in ("zones/gone", "zones/%3Cb%3E"):
        assert clinic.get(HOME + path, ADMIN).headers["location"] == HOME
        assert clinic.get(f"{HOME}{path}/sound.wav", ADMIN).status_code == 404
        assert clinic.post(f"{HOME}{path}/save", {}, ADMIN).headers["location"] == HOME
    page = clinic.get(f"{HOME}zones/main?number=%3Cscript%3E&counter=999", ADMIN)
    assert "P, nol nol tiga. Silakan menuju loket satu." in page.text
    assert zones.load(clinic.context(NAME)) == []


def test_other_halls_are_listed_once_they_are_heard_of(clinic):
    """By the numbers that are taken there."""
    clinic.issue()
    clinic.deliver()
    assert zones.load(clinic.context(NAME)) == [ZoneVoice("main")]
    zones.note_there(clinic.context(NAME), "lantai 2")
    page = clinic.get(HOME, ADMIN).text
    assert f'href="{HOME}zones/lantai%202"' in page
    assert "Suara di ruang lantai 2" in clinic.get(f"{HOME}zones/lantai%202", ADMIN).text


# Words


def test_a_word_is_corrected_and_heard(clinic):
    """Added, changed and taken back by plain forms."""
    words = f"{HOME}words"
    form = {"language": "id", "engine": "", "written": "Kaliwates", "spoken": "ruang satu"}
    answer = clinic.post(f"{words}/save", form, ADMIN)
    assert answer.headers["location"] == f"{words}?language=id&done=saved"
    page = clinic.get(answer.headers["location"], ADMIN)
    assert "Kaliwates Klinik ruang satu Ubah" in text_of(page)
    assert clinic.get(f"{HOME}sounds/id?text=Kaliwates", ADMIN).status_code == 200
    (link,) = re.findall(r'href="([^"]+written=Kaliwates[^"]*)"', page.text)
    chosen = clinic.get(unescape(link), ADMIN)
    assert 'value="ruang satu"' in chosen.text
    assert "Ubah Kaliwates" in text_of(chosen)

    clinic.post(f"{words}/save", {**form, "spoken": "ruang dua", "known": "1"}, ADMIN)
    assert "ruang dua" in clinic.get(words, ADMIN).text
    answer = clinic.post(f"{words}/forget", form, ADMIN)
    assert answer.headers["location"] == f"{words}?language=id&done=forgotten"
    assert "Kaliwates" not in clinic.get(words, ADMIN).text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Tulis kata yang mau diperbaiki"),
        ({"written": "UGD", "spoken": "<b>"}, "Tulis bunyinya dengan huruf biasa"),
        ({"written": "UGD", "spoken": "x", "engine": "y"}, "Pilih suara dari daftar."),
    ],
)
def test_a_word_that_cannot_be_is_told_at_the_field(clinic, form, words):
    """What was typed is there still."""
    answer = clinic.post(f"{HOME}words/save", {"language": "id", **form}, ADMIN)
    assert answer.status_code == 422
    assert text_of(answer).count(words) == 2
    for typed in form.values():
        assert f'value="{typed.replace("<", "&lt;").replace(">", "&gt;")}"' in answer.text or (
            typed == "y"
        )
    assert pronunciation.load(clinic.context(NAME)).own == {}


def test_both_languages_have_their_table(clinic):
    """One leads to the other."""
    page = clinic.get(f"{HOME}words?language=en", ADMIN).text
    assert "missus" in page
    assert "nyonya" not in page
    assert "nyonya" in clinic.get(f"{HOME}words?language=xx", ADMIN).text


# All


def test_only_who_sets_the_clinic_up_sees_them(clinic):
    """Nobody else, and nobody who is not logged in."""
    for path in ("", "words", "zones/main", "sounds/id?text=satu", "zones/main/sound.wav"):
        assert clinic.get(HOME + path, Role.PETUGAS_LOKET).status_code == 403
        assert clinic.get(HOME + path).status_code in {303, 401, 403}
    for path in ("empty", "words/save", "words/forget", "zones/main/save"):
        assert clinic.post(HOME + path, {}, Role.PETUGAS_LOKET).status_code == 403
    assert f'href="{HOME}"' in clinic.get("/admin/plugins", ADMIN).text


def test_what_engines_lack_is_said_in_the_readers_language(clinic):
    """Here, where there is no recording yet."""
    page = text_of(clinic.get(HOME, ADMIN))
    assert "belum ada rekaman di" in page
    assert "no recordings in" not in page
    assert "no recordings in" in text_of(clinic.get(f"{HOME}?lang=en", ADMIN))


def test_every_problem_has_its_indonesian():
    """What is said in English by the commands, the pages say in their readers' language."""
    said = {"announcer"}
    for file in PACKAGE.glob("*.py"):
        text = file.read_text("utf-8")
        said |= set(re.findall(r'Problem\(\s*"([^"]+)"', text))
        said |= set(re.findall(r'Health\("\w+", "([^"]+)"', text))
    catalogue = (PACKAGE / "locale/id/LC_MESSAGES/messages.po").read_text("utf-8")
    assert said == set(re.findall(r'^msgid "(.+)"$', catalogue, re.MULTILINE))
    assert re.findall(r'^msgstr ""$', catalogue, re.MULTILINE) == ['msgstr ""']


def test_every_text_is_there_in_english(clinic):
    """The catalogue holds what templates, link and settings say, and nothing else."""
    said = {"Suara"}
    for field in Settings.model_fields.values():
        said |= {field.title, field.description}
    source = (PACKAGE / "settings.py").read_text("utf-8")
    said |= set(re.findall(r'ValueError\("(.+)"\)', source))
    for template in (PACKAGE / "templates").glob("*.html"):
        found = re.findall(r"_\((?:\"([^\"]+)\"|'([^']+)')", template.read_text("utf-8"))
        said |= {one or other for one, other in found}
    catalogue = (PACKAGE / "locale/en/LC_MESSAGES/messages.po").read_text("utf-8")
    assert said == set(re.findall(r'^msgid "(.+)"$', catalogue, re.MULTILINE))
    assert re.findall(r'^msgstr ""$', catalogue, re.MULTILINE) == ['msgstr ""']
    for path, words in (("", "Kept sounds"), ("words", "Add a word"), ("zones/main", "Repeat")):
        page = text_of(clinic.get(f"{HOME}{path}?lang=en", ADMIN))
        assert words in page or "Chime before a call" in page


def test_without_its_tables_or_engines_a_call_goes_on(clinic):
    """The browser's voice speaks in its place."""
    clinic.issue()
    ticket = clinic.call_next()
    for path in (clinic.context(NAME).folder / "clips/id").iterdir():
        path.unlink()
    speech = clinic.speak(ticket, "tts", "browser")
    assert speech.sound == ()


def test_what_is_likely_is_spoken_before_it_is_called(clinic, monkeypatch):
    """The number that was taken, the next one and where to go: no voice is asked at the calls."""
    voice = VOICES["uji"]
    clinic.issue_emergency()
    clinic.deliver()
    assert voice.background.waiting == 0
    clinic.issue()
    clinic.deliver()
    for _ in range(6000):
        if voice.sounds.state().count >= 6:
            break
        time.sleep(0.01)
    (engine,) = voice.speaker(clinic.context(NAME)).voice.engines

    def asked(*_: object) -> bytes:
        raise EngineFailed("it was asked")

    monkeypatch.setattr(engine, "synthesise", asked)
    first = clinic.call_next(counter=2)
    clinic.issue()
    second = clinic.call_next(counter=1)
    for ticket in (first, second):
        assert len(clinic.speak(ticket, "tts", "browser").sound) == 2


def test_nothing_of_yesterday_is_spoken_in_advance(clinic):
    """The day ends, and with it what was likely."""
    background = VOICES["uji"].background
    background.stop()
    clinic.issue()
    clinic.deliver()
    assert background.waiting > 0
    clinic.end_day()
    clinic.deliver()
    assert background.waiting == 0


@pytest.mark.parametrize("folder", ["../id", "/etc", "a/b", "id*"])
def test_recordings_are_looked_for_in_their_folder_only(clinic, folder):
    """No setting leads out of it."""
    with pytest.raises(InvalidForm):
        clinic.configure(NAME, recorded_language=folder)
    clinic.configure(NAME, recorded_language="jv")
    assert "belum ada rekaman di" in text_of(clinic.get(HOME, ADMIN))
