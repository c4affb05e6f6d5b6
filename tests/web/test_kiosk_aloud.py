"""The kiosk's pages as they are read aloud: which words, by whom, how often."""

import base64
import re
import threading
from types import SimpleNamespace

import pytest

from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.errors import UnknownName
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_ports import Announcer, Speech
from puskesmas_queue.services import providers
from puskesmas_queue.services.options import set_option
from puskesmas_queue.testing import FakeAnnouncer
from puskesmas_queue.web.limits import MOST_READERS
from puskesmas_queue.web.refusals import MOST_KEPT, Refusals
from puskesmas_queue.web.routes import kiosk
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

    hall.get(f"/kiosk/unit/aloud?{ANSWERS}&error=full&refused=none")
    assert "Layanan itu sudah penuh hari ini. Poli Umum." in voice.spoken[-1].parts[0]
    hall.get(f"/kiosk/ticket/{hall.issue().code}/aloud?already=1")
    assert (
        voice.spoken[-1]
        .parts[0]
        .startswith("Anda sudah mengambil nomor A, nol nol satu. Nomor itu tetap berlaku.")
    )


OBJECTION = "Poli KIA hari ini hanya untuk imunisasi"


def objecting(objection: str = OBJECTION) -> SimpleNamespace:
    """Make a plugin that lets nobody have a number."""
    return SimpleNamespace(check_ticket_request=hookimpl(lambda request: objection))


def ask_number(hall, lang: str = "id", f: str = F):
    form = {"f": f, "lane": "general", "payment": "bpjs", "unit": "umum"}
    return hall.post(f"/kiosk/tickets?lang={lang}", form)


@pytest.fixture
def strict(puskesmas_clinics, voice):
    """A hall whose plugin objects to every number."""
    made = puskesmas_clinics(fake=voice, strict=objecting())
    set_option(made.clinic, "display.announcers", "fake, browser", SYSTEM)
    return made


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("id", f"Nomor tidak bisa diambil. {OBJECTION}. Silakan ke petugas."),
        ("en", f"No number can be taken. {OBJECTION}. Please ask the staff."),
    ],
)
def test_what_a_plugin_objects_is_read_as_it_is_shown(strict, voice, lang, words):
    page = ask_number(strict, lang)
    assert page.status_code == 409
    (other,) = set(re.findall(r'hreflang="(?:id|en)" href="([^"]+)"', page.text)) - {
        f"/kiosk?lang={lang}"
    }
    assert strict.get(other).status_code == 200

    answer = strict.get(where_aloud(page.text))

    assert answer.json()["sound"] == [base64.b64encode(b"RIFF").decode()]
    (said,) = voice.spoken
    assert (said.kind, said.language, said.zone, said.parts) == ("page", lang, "main", (words,))
    assert f'data-aloud="{words}"' in page.text


def test_other_refusals_of_a_kiosk_are_read_too(hall, voice):
    """How long to wait is on the screen only: it is over once it was heard."""
    assert hall.get(where_aloud(hall.get("/kiosk/ticket/none").text)).status_code == 200
    assert voice.spoken[-1].parts[0].startswith("Halaman tidak ditemukan. Alamat atau kode ini")

    far_kiosk(hall)
    pages = [ask_number(hall, f=f"{n:020d}") for n in range(31)]
    hall.get(where_aloud(pages[-1].text))

    assert (pages[-2].status_code, pages[-1].status_code) == (303, 429)
    assert "detik lagi" in pages[-1].text
    assert voice.spoken[-1].parts == ("Terlalu banyak percobaan. Silakan ke petugas.",)


def test_a_refusal_that_names_what_was_asked_for_is_not_spoken(hall, monkeypatch):
    """Only the browser reads it, which speaks to whoever wrote it."""

    def refuse(clinic, code):
        raise UnknownName("zone", code)

    monkeypatch.setattr(kiosk, "known_zone", refuse)
    page = hall.get("/kiosk/help?zone=bebas+bicara").text

    assert 'data-aloud="Tidak dikenal: bebas bicara. Pilihan itu' in page
    assert 'data-aloud-at=""' in page


def test_nobody_guesses_or_makes_a_refusal(strict, voice):
    name = where_aloud(ask_number(strict).text).split("/")[3]

    for other in ("none", name[:-1], name.upper(), f"{name}0", OBJECTION):
        assert strict.get(f"/kiosk/refused/{other}/aloud").json()["sound"] == []

    assert (len(name), voice.spoken) == (32, [])


def test_refusals_are_kept_bounded_and_none_drives_another_out():
    refusals = Refusals()
    names = [refusals.keep(f"Nomor {n} ditolak.") for n in range(MOST_KEPT)]
    for _ in range(10 * MOST_KEPT):
        assert refusals.keep("Nomor 0 ditolak.") == names[0]
    assert all(refusals.words(name) for name in names)

    refusals.keep("Satu lagi.")

    assert refusals.words(names[1]) == ""
    assert refusals.words(names[0]) == "Nomor 0 ditolak."
    assert Refusals().keep("Nomor 0 ditolak.") != names[0]


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


def far_kiosk(hall):
    """Return a kiosk that is not the server's own machine, so that what it takes is counted."""
    browser = hall._browser(None)
    browser._transport.client = ("192.168.1.30", 1)
    browser.base_url = "https://antrean.local"
    browser.cookies.update(hall_cookies(hall.clinic, is_https=True))
    return browser


def test_readings_of_one_kiosk(hall, voice):
    browser = far_kiosk(hall)

    answers = [browser.get("/kiosk/aloud").status_code for _ in range(61)]

    assert answers == [200] * 60 + [429]
    assert len(voice.spoken) == 60
    assert browser.get("/kiosk").status_code == 200


class Slow:
    """Speaks once it is let go."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.go_on = threading.Event()

    def speak(self, utterance, ctx):
        self.asked.release()
        self.go_on.wait(120)
        return Speech((b"RIFF",))

    @hookimpl
    def register_announcers(self):
        return [Announcer("slow", self.speak)]


def test_readings_leave_threads_to_printers_and_the_hall(puskesmas_clinics, monkeypatch):
    monkeypatch.setattr(providers, "READ_DEADLINE_S", 120.0)
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
        assert slow.asked.acquire(timeout=30)

    refused = hall.get("/kiosk/aloud")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    slow.go_on.set()
    for one in asking:
        one.join()
    assert answers == [200] * MOST_READERS
    assert hall.get("/kiosk/aloud").status_code == 200
