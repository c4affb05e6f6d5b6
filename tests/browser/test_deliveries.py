"""The page of what plugins did not hear: sent again and dismissed by hand, by the rules of axe."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.axe import Audit
from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import Role
from puskesmas_queue.services import accounts, letters
from puskesmas_queue.services.tickets import issue_ticket
from puskesmas_queue.settings import Config, load_config
from support.chromium import Pages
from support.clinics import zone_without_midnight
from support.desk import KIOSK, STAFF, general, open_all
from support.distributions import shelf_on_path
from support.office import leave
from support.server import Server, run_command, running

pytestmark = pytest.mark.browser

PASSWORD = "tikus7&abuabu"
CODE = """
from puskesmas_queue.hookspecs import hookimpl


@hookimpl
def ticket_completed(fact):
    raise ConnectionError("no route to host")
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """A clinic with a plugin whose receiver is down, and the letters of one that is gone."""
    shelf_folder = tmp_path / "shelf"
    shelf_folder.mkdir()
    made = json.loads(
        run_command("init", tmp_path / "clinic", "--zone", zone_without_midnight(), "--json").stdout
    )
    path = Path(made["config"])
    for key, value in (("reset_time", "00:00"), ("operating_start", "00:00"),
                       ("operating_end", "23:59")):  # fmt: skip
        run_command("settings", "set", f"queue.{key}", value, "--config", path)
    with shelf_on_path(shelf_folder) as shelf:
        shelf.install("webhook", CODE)
        monkeypatch.setenv("PYTHONPATH", str(shelf.folder), prepend=os.pathsep)
        with path.open("a") as file:
            file.write('\n[plugins]\nactive = ["webhook"]\n')
        config = load_config(path, {})
        with closing(open_clinic(config)) as clinic:
            accounts.add_user(clinic, "ani", STAFF, role=Role.ADMIN, name="Ani", password=PASSWORD)
            open_all(clinic, 1)
            ticket = issue_ticket(clinic, general(), KIOSK).id
            leave(clinic, ticket, [("old_mail", "ticket_issued", "open")] * 4)
            leave(clinic, ticket, [("old_mail", "ticket_called", "expired")] * 3)
            leave(clinic, ticket, [("webhook", "ticket_completed", "dead")] * 60)
        yield config


@pytest.fixture
def office(config: Config, tmp_path: Path, pages: Pages) -> Iterator[tuple[Server, Page]]:
    """The administrator's browser, on the page."""
    with running("serve", "--config", config.path, "--port", 0, folder=tmp_path) as server:
        page = pages.open(f"{server.url}/login?next=/admin/deliveries", width=1366, height=768)
        page.fill("[name=username]", "ani")
        page.fill("[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{server.url}/admin/deliveries")
        yield server, page


def test_failed_deliveries_are_tidied_up(office, config):
    """Dismissed one by one and by plugin, each after a question; sent again by plugin."""
    server, page = office
    audit = Audit()
    for lang in ("id", "en"):
        page.goto(f"{server.url}/me")
        page.check(f"#lang-{lang}")
        page.locator(".account-save").click()
        expect(page.locator("html")).to_have_attribute("lang", lang)
        page.goto(f"{server.url}/admin/deliveries")
        audit.look(page, "list", lang)
        page.locator('a[href*="?before="]').click()
        audit.look(page, "older", lang)
        page.locator('a[href$="/dismiss"]').first.click()
        audit.look(page, "question", lang)
        with page.expect_navigation():
            page.locator("main form button").click()
        audit.look(page, "dismissed", lang)
    assert audit.found == {}

    expect(page.locator("main .of-count")).to_have_text("61")
    page.locator('a[href="/admin/deliveries/of/old_mail/dismiss"]').click()
    with page.expect_navigation():
        page.locator("main form button").click()
    expect(page.locator("[role=status]")).to_be_visible()
    assert page.locator('a[href*="/of/old_mail/"]').count() == 0
    with page.expect_navigation():
        page.locator('form[action="/admin/deliveries/of/webhook/redeliver"] button').click()
    expect(page.locator("[role=status]")).to_be_visible()
    with closing(open_clinic(config)) as clinic:
        assert len(letters.dead_letters(clinic)) == 0
