"""The administrator's pages of plugins, as a browser sees them."""

import re
from typing import Literal

import pytest
from pydantic import BaseModel, Field, HttpUrl, SecretStr

from puskesmas_queue.domain.access import Role
from puskesmas_queue.extensions import Health, HealthCheck
from puskesmas_queue.hookspecs import hookimpl
from puskesmas_queue.plugin_host.outcomes import Fault
from puskesmas_queue.plugin_host.registry import PluginStatus
from puskesmas_queue.services.plugin_settings import read
from puskesmas_queue.storage import faults
from puskesmas_queue.storage.crypto import make_key_file
from support.clinics import make_clinic, make_config
from support.desk import take
from support.office import leave, open_browser

pytestmark = pytest.mark.usefixtures("no_official_plugins")


class Hook(BaseModel):
    """One field of each kind."""

    url: HttpUrl = Field(
        HttpUrl("https://example.id/hook"), title="Alamat tujuan", description="Ke mana dikirim."
    )
    tries: int = Field(5, ge=1, le=20, title="Percobaan")
    is_on: bool = Field(True, title="Kirim panggilan", description="Saat nomor dipanggil.")
    width: Literal[58, 80] = Field(58, title="Lebar kertas")
    city: Literal["A", "B", "C", "D", "E"] = Field("A", title="Kota")
    note: str = Field("", max_length=20, title="Catatan")
    token: SecretStr | None = Field(None, title="Token")


class Strict(BaseModel):
    device: str = Field(title="Nama perangkat")


class Webhook:
    @hookimpl
    def register_settings(self):
        return Hook

    @hookimpl
    def ticket_called(self, ticket):
        raise ConnectionError("no route to host")


class Printer:
    @hookimpl
    def register_settings(self):
        return Strict


class Quiet:
    @hookimpl
    def ticket_issued(self, ticket):
        pass


class Bad:
    @hookimpl
    def register_settings(self):
        return 7


@pytest.fixture
def furnished(sqlite_url, tmp_path, clock):
    """A clinic with plugins in every state, faults and a dead letter."""
    make_key_file(tmp_path / "secret.key")
    plugins = [("webhook", Webhook()), ("thermal", Printer()), ("quiet", Quiet()), ("bad", Bad())]
    clinic = make_clinic(make_config(sqlite_url, tmp_path), clock, plugins=plugins)
    clinic.plugins.statuses = (
        *clinic.plugins.statuses,
        PluginStatus("lama", "puskesmas-queue-lama", "0.1", "disabled", "it needs <core> 9"),
        PluginStatus("hilang", "", "", "missing", "it is not installed"),
        PluginStatus("siap", "puskesmas-queue-siap", "1.2", "available"),
    )
    seen = [
        Fault("webhook", "ticket_called", "raised", "ConnectionError: <no route>"),
        Fault("quiet", "choose_lane", "overran", "no answer within 100 ms", True),
    ]
    clinic.db.write(lambda tx: faults.count(tx, seen))
    clinic.hooks.switched_off.add("quiet")
    ticket = take(clinic, "A")[0]
    leave(clinic, ticket.id, [("webhook", "ticket_issued", "dead")])
    yield clinic
    clinic.close()


@pytest.fixture
def office(furnished):
    """An administrator's browser."""
    return open_browser(furnished, Role.ADMIN)


def form(**changes: str) -> dict[str, str]:
    """What a browser sends for the webhook's settings as they stand by default."""
    return {
        "url": "https://example.id/hook", "tries": "5", "is_on": "on", "width": "58", "city": "A",
        "note": "", "token": "", **changes,
    }  # fmt: skip


def section(text: str, name: str) -> str:
    """Return the part of the page that is about one plugin."""
    return next(
        part for part in text.split('<section class="card of-plugin"') if f">{name}</h2>" in part
    )


def test_every_plugin_has_its_state_and_reason(office):
    text = office.get("/admin/plugins").text

    def fault(hook: str, kind: str) -> str:
        return f'<th scope="row"><code>{hook}</code></th><td>{kind}<'

    for name, words in {
        "webhook": [
            "Dipakai",
            fault("ticket_called", "Gagal"),
            "ConnectionError: &lt;no route&gt;",
            "1 gagal",
        ],
        "thermal": ["Perlu diatur", "device: required"],
        "quiet": [
            "Keputusan dimatikan",
            fault("choose_lane", "Terlalu lama"),
            "no answer within 100 ms",
            "/quiet/switch-on",
        ],
        "bad": ["Perlu diatur", "not a pydantic model"],
        "lama": ["Tidak bisa dipakai", "it needs &lt;core&gt; 9", "puskesmas-queue-lama 0.1"],
        "hilang": ["Tidak terpasang", "puskesmas-queue plugin disable hilang"],
        "siap": ["Tidak dipakai", "puskesmas-queue plugin enable siap"],
    }.items():
        part = section(text, name)
        assert [word for word in words if word not in part] == []
    names = re.findall(r"<h2 id=\"plugin-\d+\">(\w+)</h2>", text)
    assert names[-2:] == ["webhook", "siap"]


def test_no_plugin_says_what_to_do(sqlite_clinic):
    office = open_browser(sqlite_clinic, Role.ADMIN)

    assert "Belum ada plugin terpasang" in office.get("/admin/plugins").text


def test_the_link_is_there_for_administrators_only(office, furnished):
    assert 'href="/admin/plugins"' in office.get("/dashboard").text

    desk = open_browser(furnished, Role.PETUGAS_LOKET)
    assert 'href="/admin/plugins"' not in desk.get("/dashboard").text


def test_the_form_is_made_of_the_model(office):
    text = office.get("/admin/plugins/webhook").text

    assert '<label for="f-url">Alamat tujuan</label>' in text
    assert 'value="https://example.id/hook" aria-describedby="f-url-hint"' in text
    assert "Dari 1 sampai 20." in text
    assert 'type="number"' not in text
    assert 'name="is_on" value="on" checked' in text
    assert text.count('type="radio"') == 2
    assert "<option selected>A</option>" in text
    assert 'type="password"' in text
    assert "Belum diisi." in text
    assert 'name="clear-token"' not in text


def test_saving_changes_what_the_plugin_sees(office, furnished):
    answer = office.post("/admin/plugins/webhook", data=form(tries="7", token="rahasia-1"))

    assert answer.url.query == b"done=saved"
    assert "Pengaturan tersimpan" in answer.text
    assert (read(furnished, "webhook").tries, read(furnished, "webhook").token) == (
        7,
        SecretStr("rahasia-1"),
    )
    assert "rahasia-1" not in answer.text
    assert "Tersimpan dan tidak diperlihatkan lagi." in answer.text
    assert 'name="clear-token"' in answer.text
    again = office.post("/admin/plugins/webhook", data=form(tries="7"))
    assert "Tidak ada yang berubah." in again.text


def test_errors_stand_on_top_and_at_their_field(office, furnished):
    sent = form(tries="99", url="bukan", note="x" * 30, token="rahasia-1", width="80")
    answer = office.post("/admin/plugins/webhook", data=sent)

    assert answer.status_code == 422
    assert "<title>Kesalahan: webhook · " in answer.text
    summary = answer.text[answer.text.index("error-summary") :].partition("</div>")[0]
    for key, words in {
        "url": "“Alamat tujuan” harus alamat lengkap",
        "tries": "“Percobaan” paling banyak 20.",
        "note": "“Catatan” paling banyak 20 karakter.",
    }.items():
        assert f'href="#f-{key}"' in summary
        assert words in summary
        assert f'id="f-{key}-error"' in answer.text
        assert f'id="f-{key}"' in answer.text
    assert 'value="bukan"' in answer.text
    assert 'name="width" value="80" checked' in answer.text
    assert "rahasia-1" not in answer.text
    assert "Bila tadi diisi, ketik lagi." in answer.text
    assert read(furnished, "webhook") == Hook()


def test_errors_speak_the_language_of_the_page(office):
    answer = office.post("/admin/plugins/webhook?lang=en", data=form(tries=""))

    # The plugin has no catalogue; the core knows the word.
    assert "Fill in “Tries”." in answer.text


def test_what_cannot_be_set_says_why(office):
    for name, words in {
        "quiet": "Plugin ini tidak punya pengaturan.",
        "bad": "Formulir tidak bisa dibuat.",
        "lama": "Pengaturan terlihat setelah plugin ini dipakai.",
    }.items():
        answer = office.get(f"/admin/plugins/{name}")
        assert answer.status_code == 200
        assert words in answer.text
    assert office.post("/admin/plugins/bad", data=form()).status_code == 409
    assert office.post("/admin/plugins/quiet", data=form()).status_code == 404
    for name in ("nobody", "default-ratio", "%2e%2e"):
        assert office.get(f"/admin/plugins/{name}").status_code == 404
        assert office.post(f"/admin/plugins/{name}", data=form()).status_code == 404


def test_decisions_are_switched_on_again(office, furnished):
    answer = office.post("/admin/plugins/quiet/switch-on")

    assert "Keputusan plugin itu dipakai lagi." in answer.text
    assert "quiet" not in furnished.hooks.switched_off
    assert "Keputusan dimatikan" not in answer.text


def test_checks_of_a_plugin_are_shown(puskesmas_clinics):
    """Its page says how it stands, in words and not by colour alone."""

    class Cable:
        @hookimpl
        def register_health_checks(self):
            return [
                HealthCheck("kabel", lambda ctx: Health("wrong", "lepas <b>")),
                HealthCheck("kertas", lambda ctx: Health("ok", "ada")),
            ]

    hall = puskesmas_clinics(cable=Cable())
    page = hall.get("/admin/plugins/cable", Role.ADMIN).text
    assert "Pemeriksaan" in page
    assert "Perlu dilihat</span> lepas &lt;b&gt;" in page
    assert "Baik</span> ada" in page
    assert "Need a look" in hall.get("/admin/plugins/cable?lang=en", Role.ADMIN).text
