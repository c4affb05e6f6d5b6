"""The kiosk's pages as they are read aloud: which words, by whom, how often."""

import base64
import re
import threading

import pytest

from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_ports import Announcer, Speech
from puskesmas_queue.services import providers
from puskesmas_queue.services.options import set_option
from puskesmas_queue.testing import FakeAnnouncer
from puskesmas_queue.web.limits import MOST_READERS
from puskesmas_queue.web.routes.kiosk_aloud import READ
from support.machines import hall_cookies

F = "abcdefghijklmnopqrst"
ANSWERS = f"f={F}&lane=priority&reason=bumil&payment=bpjs"


@pytest.fixture
def voice():
    return FakeAnnouncer()


@pytest.fixture
def hall(puskesmas_clinics, voice):
    made = puskesmas_clinics(fake=voice)
    set_option(made.clinic, "display.announcers", "fake, browser", SYSTEM)
    return made


def where_aloud(text: str) -> str:
    """Return where a page says that its sound is."""
    found = re.search(r'data-aloud-at="([^"]+)"', text)
    assert found is not None
    return found[1].replace("&amp;", "&")


@pytest.mark.parametrize("lang", ["id", "en"])
@pytest.mark.parametrize("path", READ)
def test_what_a_page_shows_is_what_is_read(hall, voice, path, lang):
    shown_at = path.replace("{code}", hall.issue().code)
    page = hall.get(f"{shown_at}?{ANSWERS}&lang={lang}").text

    answer = hall.get(where_aloud(page))

    assert answer.json() == {
        "media_type": "audio/wav",
        "sound": [base64.b64encode(b"RIFF").decode()],
        "has_chime": False,
    }
    (said,) = voice.spoken
    assert (said.kind, said.language, said.zone) == ("page", lang, "main")
    (words,) = said.parts
    assert 20 < len(words) <= providers.LONGEST_PAGE
    heading = re.sub(r"<[^>]+>", " ", re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)[1])
    first = re.split(r"[A-Z]-\d", " ".join(heading.split()))[0].strip()
    assert words.startswith(first.removesuffix("?"))
    assert not re.search(r"[<>{}%·±]|&\w+;|None|[.?][^\s”]", words)


def test_a_number_is_spelled_and_nothing_private_is_said(hall, voice):
    ticket = hall.issue("kia")

    hall.get(f"/kiosk/ticket/{ticket.code}/aloud")

    assert voice.spoken[0].parts == (
        "Nomor antrean Anda: C, nol nol satu. Poli KIA/KB, Ruang 3. Orang di depan Anda: 0. "
        "Silakan duduk dan perhatikan layar. Nomor tidak harus urut.",
    )


def test_the_words_stay_while_the_line_grows(hall, voice):
    """What is spoken once is kept by whoever speaks: nothing in it changes with each ticket."""
    for path in ("/kiosk/aloud", f"/kiosk/unit/aloud?{ANSWERS}"):
        hall.get(path)
        hall.issue()
        hall.get(path)

        first, second = voice.spoken
        assert first == second
        voice.spoken.clear()


def test_what_was_refused_is_read(hall, voice):
    for error, words in [("full", "sudah penuh hari ini."), ("closed", "tidak melayani hari ini.")]:
        hall.get(f"/kiosk/unit/aloud?{ANSWERS}&error={error}&refused=kia")

        assert f"Ke mana tujuannya? Poli KIA/KB {words} Poli Umum." in voice.spoken[-1].parts[0]


@pytest.mark.parametrize("name", ["words", "text", "aloud", "f", "zone", "refused", "reason"])
def test_nobody_lets_the_server_say_anything(hall, voice, name):
    query = f"{ANSWERS}&{name}=bebas+bicara"

    for path in ("/kiosk", "/kiosk/category", "/kiosk/unit", "/kiosk/help"):
        hall.get(f"{path}/aloud?{query}")

    assert "bebas" not in str(voice.spoken)


def test_a_page_that_is_not_shown_is_not_read(hall, voice):
    assert hall.get("/kiosk/unit/aloud").json()["sound"] == []
    assert hall.get("/kiosk/ticket/none/aloud").status_code == 404
    assert voice.spoken == []


def test_where_the_browser_speaks_nobody_is_asked(hall):
    set_option(hall.clinic, "display.announcers", "browser, fake", SYSTEM)

    page = hall.get("/kiosk").text

    assert "data-aloud-at" not in page
    assert "Selamat datang. Sentuh layar untuk memilih." in page


def test_a_voice_that_fails_leaves_it_to_the_browser(hall, voice):
    voice.failure = RuntimeError("no voice")

    assert hall.get("/kiosk/aloud").json()["sound"] == []


def test_a_long_page_is_cut_at_the_end_of_a_sentence(hall, voice):
    providers.page_speech(hall.clinic, "Poli umum. " * 100, "id", "main")
    providers.page_speech(hall.clinic, "a" * 1000, "id", "main")

    sentences, letters = (one.parts[0] for one in voice.spoken)
    assert (len(sentences), sentences[-10:]) == (593, "Poli umum.")
    assert letters == "a" * 600


def test_a_page_may_take_longer_than_a_call(hall, voice, monkeypatch):
    deadlines = []
    run = hall.clinic.hooks.run
    monkeypatch.setattr(
        hall.clinic.hooks,
        "run",
        lambda *call: deadlines.append(call[3]) or run(*call),
    )

    hall.get("/kiosk/aloud")

    assert deadlines == [providers.READ_DEADLINE_S]


def test_readings_of_one_kiosk(hall, voice):
    kiosk = hall._browser(None)
    kiosk._transport.client = ("192.168.1.30", 1)
    kiosk.base_url = "https://antrean.local"
    kiosk.cookies.update(hall_cookies(hall.clinic, is_https=True))

    answers = [kiosk.get("/kiosk/aloud").status_code for _ in range(61)]

    assert answers == [200] * 60 + [429]
    assert len(voice.spoken) == 60
    assert kiosk.get("/kiosk").status_code == 200


class Slow:
    """Speaks once it is let go."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.go_on = threading.Event()

    def speak(self, utterance, ctx):
        self.asked.release()
        self.go_on.wait(20)
        return Speech((b"RIFF",))

    @hookimpl
    def register_announcers(self):
        return [Announcer("slow", self.speak)]


def test_readings_leave_threads_to_printers_and_the_hall(puskesmas_clinics):
    slow = Slow()
    hall = puskesmas_clinics(slow=slow)
    set_option(hall.clinic, "display.announcers", "slow", SYSTEM)
    answers = []
    asking = [
        threading.Thread(target=lambda: answers.append(hall.get("/kiosk/aloud").status_code))
        for _ in range(MOST_READERS)
    ]
    for one in asking:
        one.start()
    for _ in asking:
        assert slow.asked.acquire(timeout=10)

    refused = hall.get("/kiosk/aloud")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    slow.go_on.set()
    for one in asking:
        one.join()
    assert answers == [200] * MOST_READERS
    assert hall.get("/kiosk/aloud").status_code == 200
