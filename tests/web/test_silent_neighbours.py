"""A printer or a voice that does not answer: numbers are given and pages shown all the same."""

import secrets
import threading
from contextlib import contextmanager

import pytest

from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_ports import Announcer, Printed, Printer, Speech
from puskesmas_queue.services import providers
from puskesmas_queue.services.options import set_option
from puskesmas_queue.storage import tables
from puskesmas_queue.web import threads
from support.desk import rows_of


class Silent:
    """Prints and speaks when it is let go."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.go_on = threading.Event()

    def _wait(self) -> None:
        self.asked.release()
        self.go_on.wait(120)

    def print_slip(self, slip, ctx):
        self._wait()
        return Printed("printed")

    def speak(self, utterance, ctx):
        self._wait()
        return Speech()

    @hookimpl
    def register_printers(self):
        return [Printer("silent", self.print_slip)]

    @hookimpl
    def register_announcers(self):
        return [Announcer("silent", self.speak)]


@pytest.fixture
def silent():
    silent = Silent()
    yield silent
    silent.go_on.set()


@pytest.fixture
def hall(puskesmas_clinics, silent):
    hall = puskesmas_clinics(silent=silent)
    for setting in ("kiosk.printers", "display.announcers"):
        set_option(hall.clinic, setting, "silent", SYSTEM)
    return hall


def test_silent_printers_do_not_stop_the_kiosk(hall, silent, monkeypatch):
    """More slips than threads wait for paper, and the next patient has a number."""
    monkeypatch.setattr(providers, "PRINT_DEADLINE_S", 120.0)
    ticket = hall.issue()
    answers = []

    def ask() -> None:
        answers.append(hall.post(f"/kiosk/ticket/{ticket.code}/print"))

    with asking(ask):
        # It is given up after a few that do not answer: these are asked at least.
        assert all(silent.asked.acquire(timeout=30) for _ in range(3))

        location = hall.post("/kiosk/tickets", answers_of_a_patient()).headers["location"]

        assert location.startswith("/kiosk/ticket/")
        assert answers == []
        silent.go_on.set()
    assert {answer.status_code for answer in answers} == {200}


def test_silent_voices_do_not_stop_the_pages(hall, silent, monkeypatch):
    monkeypatch.setattr(providers, "SPEAK_DEADLINE_S", 120.0)
    hall.issue()
    hall.open_counter()
    hall.call_next()
    (announcement,) = rows_of(hall.clinic, tables.announcements)
    answers = []

    def ask() -> None:
        answers.append(hall.get(f"/display/sound/{announcement.id}"))

    with asking(ask):
        assert all(silent.asked.acquire(timeout=30) for _ in range(3))

        assert hall.get("/display?zone=main").status_code == 200

        silent.go_on.set()
    assert {answer.status_code for answer in answers} == {200}


def answers_of_a_patient():
    return {"f": secrets.token_urlsafe(15), "lane": "general", "payment": "bpjs", "unit": "umum"}


@contextmanager
def asking(ask):
    """Ask at once, more often than there are threads."""
    asking = [threading.Thread(target=ask) for _ in range(threads.MOST + 4)]
    for one in asking:
        one.start()
    yield
    for one in asking:
        one.join()
