"""A patient's phone at the plain port: its page is whole and live, beside staff on TLS."""

import json

import httpx2 as httpx
import pytest
from playwright.sync_api import expect

from puskesmas_queue.cli.config_file import with_server
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import SYSTEM
from puskesmas_queue.domain.tickets import Lane, TicketRequest
from puskesmas_queue.services.tickets import cancel_own, issue_ticket
from puskesmas_queue.settings import load_config
from support.clinics import zone_without_midnight
from support.server import run_command, running
from support.sockets import free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def clinic_with_phones(tmp_path):
    """A clinic with a certificate and a port for phones; its configuration and that address."""
    config = tmp_path / "clinic/puskesmas.toml"
    for words in (
        ("init", tmp_path / "clinic", "--zone", zone_without_midnight()),
        ("tls", "create", "--config", config),
    ):
        done = run_command(*words, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    text = config.read_text().replace("[server]\n", f"[server]\npublic_port = {port}\n")
    config.write_text(with_server(text, {"public_url": url}))
    return config, url


def test_a_ticket_on_the_phone(pages, clinic_with_phones, tmp_path):
    config, url = clinic_with_phones
    clinic = open_clinic(load_config(config))
    try:
        first, second = (
            issue_ticket(clinic, TicketRequest("umum", Lane.GENERAL), SYSTEM) for _ in range(2)
        )
        with running("serve", "--config", config, "--port", 0, folder=tmp_path):
            phone = pages.open(f"{url}/t/{second.code}", width=360, height=740)
            expect(phone.locator(".p-ticket-number")).to_have_text(second.number)
            ahead = phone.locator("[data-ahead]")
            expect(ahead).to_have_text("1")
            expect(phone.locator("[data-live-mark]")).to_be_visible()

            cancel_own(clinic, first.code, SYSTEM)

            expect(ahead).to_have_text("0")
            assert phone.context.cookies() == []
            phone.goto(url)
            phone.get_by_label("Kode di kertas nomor").fill(second.code.lower())
            phone.get_by_role("button", name="Lihat").click()
            expect(phone.locator(".p-ticket-number")).to_have_text(second.number)
            assert httpx.get(f"{url}/loket", timeout=30).status_code == 404
    finally:
        clinic.close()
