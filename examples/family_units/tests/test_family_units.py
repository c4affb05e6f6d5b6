"""The example plugin, beside the contract that every plugin keeps."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from puskesmas_queue.api import Fact, Role, TicketFact, hookimpl
from puskesmas_queue.testing import ClinicUnderTest, PluginContract
from puskesmas_queue_family_units import plugin
from puskesmas_queue_family_units.settings import read_letters
from puskesmas_queue_family_units.simulator import Webhook

NAME = "family_units"
SECRET = "kunci-rahasia"


class TestContract(PluginContract):
    """What the server asks of every plugin."""

    name = NAME
    plugin = plugin
    online = MappingProxyType({"address": "https://webhook.example.org/calls", "secret": SECRET})


@pytest.fixture
def receiver(tmp_path) -> Iterator[Webhook]:
    """A webhook on this machine."""
    webhook = Webhook(tmp_path, 0)
    yield webhook
    webhook.stop()


@pytest.fixture
def clinic(puskesmas_clinics, receiver) -> ClinicUnderTest:
    """A clinic that reports its calls to the receiver."""
    return reporting(puskesmas_clinics(family_units=plugin), receiver)


def reporting(clinic: ClinicUnderTest, receiver: Webhook) -> ClinicUnderTest:
    """Let a clinic report its calls."""
    clinic.configure(NAME, address=receiver.url, secret=SECRET, allow_private="on")
    return clinic


class Beside:
    """Another plugin, which keeps what was told of calls."""

    def __init__(self) -> None:
        self.told: list[tuple[Fact, TicketFact]] = []

    @hookimpl
    def ticket_called(self, fact: Fact, ticket: TicketFact) -> None:
        """Keep it."""
        self.told.append((fact, ticket))


def test_numbers_begin_with_the_letters_of_the_unit(clinic):
    """A unit that the table leaves out keeps the clinic's letter."""
    numbers = [clinic.issue(unit).number for unit in ("umum", "gigi", "kia", "imunisasi", "umum")]
    assert numbers == ["UMUM-001", "GIGI-001", "KIA-001", "D-001", "UMUM-002"]


@pytest.mark.parametrize(
    "text", ["A", "A=a", "A=ABCDEF", "P=X", "A=P", "A=X, B=X", "A=B", "A=X, A=Y", "=X", "A="]
)
def test_a_table_that_would_confuse_is_refused(text):
    """No two units get the same letters, and P stays with priority."""
    with pytest.raises(ValueError, match=r"Huruf|Tulis"):
        read_letters(text)


def test_a_call_is_posted_signed_and_tells_nobody_who_it_is(clinic, receiver):
    """The receiver can check who wrote, and learns a number and a counter."""
    clinic.issue("kia")
    clinic.call_next()
    clinic.deliver()
    (told,) = receiver.received
    signature = told.pop("signature")
    right = hmac.new(SECRET.encode(), json.dumps(told).encode(), hashlib.sha256).hexdigest()
    assert signature == f"sha256={right}"
    assert told.keys() == {"id", "number", "counter", "unit", "at"}
    assert (told["number"], told["counter"], told["unit"]) == ("KIA-001", 1, "kia")


def test_a_call_that_was_refused_is_posted_again(clinic, receiver):
    """It comes through as soon as the receiver takes it, once."""
    receiver.refusals = 2
    clinic.issue()
    clinic.call_next()
    outcomes = []
    for _ in range(4):
        outcomes += clinic.deliver()
        clinic.advance(6)
    assert [outcome.is_good for outcome in outcomes] == [False, False, True]
    assert outcomes[0].detail.startswith("NotTaken: answer 503 (webhook.py:")
    assert len(receiver.received) == 1


def test_a_call_that_is_told_again_is_not_posted_again(puskesmas_clinics, receiver):
    """The server tells a fact once or more often; by its id it is the same."""
    beside = Beside()
    clinic = reporting(puskesmas_clinics(family_units=plugin, beside=beside), receiver)
    clinic.issue()
    clinic.call_next()
    clinic.deliver()
    (told,) = beside.told
    plugin.ticket_called(*told, clinic.context(NAME))
    assert len(receiver.received) == 1


def test_a_private_address_must_be_allowed(clinic, receiver):
    """A form that somebody filled in carelessly reaches nothing inside the clinic."""
    clinic.configure(NAME, allow_private="")
    clinic.issue()
    clinic.call_next()
    (outcome,) = clinic.deliver()
    assert "private network" in outcome.detail
    assert receiver.received == []


def test_nobody_there_is_told_again(clinic, receiver):
    """A receiver that is switched off costs nothing but the report."""
    receiver.stop()
    clinic.issue()
    clinic.call_next()
    (outcome,) = clinic.deliver()
    assert outcome.detail.startswith("NotTaken: no answer: ConnectError (webhook.py:")
    assert clinic.issue().number == "UMUM-002"


def test_panel_page_and_command_tell_what_was_reported(clinic):
    """The counter, the office and the terminal read the same table."""
    ticket = clinic.issue()
    clinic.call_next()
    address = f"/x/{NAME}/panels/webhook?ticket={ticket.id}"
    assert "Belum dilaporkan" in clinic.get(address, Role.PETUGAS_LOKET).text
    assert "Belum ada panggilan" in clinic.get(f"/x/{NAME}/", Role.KEPALA).text
    clinic.deliver()
    assert "Dilaporkan pukul 07:30" in clinic.get(address, Role.PETUGAS_LOKET).text
    page = clinic.get(f"/x/{NAME}/", Role.KEPALA).text
    assert "UMUM-001" in page
    assert "Reported calls" in clinic.get(f"/x/{NAME}/?lang=en", Role.KEPALA).text
    assert clinic.get(address, Role.KEPALA).status_code == 403
    assert clinic.get(f"/x/{NAME}/", Role.AUDITOR).status_code == 403
    printed = CliRunner().invoke(plugin.commands, ["calls"], obj=clinic.context(NAME)).output
    assert printed.endswith("UMUM-001  counter 1\n")


def test_the_check_says_how_it_stands(clinic, puskesmas_clinics):
    """An address that is missing is worth knowing; nothing is wrong."""
    assert plugin.look(clinic.context(NAME)).state == "ok"
    assert plugin.look(puskesmas_clinics(family_units=plugin).context(NAME)).state == "note"
