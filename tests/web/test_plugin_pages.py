"""Pages, links and panels of plugins, as browsers see them."""

import importlib
import sys
import threading
import time

import pytest
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.domain.access import SYSTEM, Permission, Role
from puskesmas_queue.services import accounts, sessions
from puskesmas_queue.web import plugin_screens, threads
from puskesmas_queue.web.connections import Connections
from puskesmas_queue.web.routing import declared_routes
from support.clinics import make_clinic, make_config
from support.desk import take
from support.wire import connect, serving

OWN = {"sec-fetch-site": "same-origin"}
HTMX = {**OWN, "hx-request": "true"}
CODE = """
import threading

from puskesmas_queue.domain.access import Permission as P
from puskesmas_queue.plugin_pages import (
    NavItem, Panel, PluginRoute, RedirectAnswer, TemplateAnswer, TextAnswer
)
from puskesmas_queue.hookspecs import hookimpl

go_on, hanging = threading.Event(), threading.Event()
answers = {}
seen = []


def show(request, ctx):
    seen.append(request)
    return TemplateAnswer("rooms.html", {"name": request.values.get("name", "<b>Umum</b>")})


def store(request, ctx):
    seen.append(request)
    return RedirectAnswer("/x/rooms/panels/room?ticket=" + request.form["ticket"])


def answer(request, ctx):
    seen.append(request)
    return answers["now"]


def hang(request, ctx):
    hanging.set()
    go_on.wait(120)


def fail(request, ctx):
    raise RuntimeError("secret of the code")


def panel(request, ctx):
    seen.append(request)
    if "panel" in answers:
        return answers["panel"]
    return TemplateAnswer("panel.html", {"ticket": request.ticket or {"number": ""}})


@hookimpl
def register_routes():
    return [
        PluginRoute("/", show, P.DAY_VIEW),
        PluginRoute("/rooms/{name}", show, P.CALL),
        PluginRoute("/store", store, P.CALL, ("POST",)),
        PluginRoute("/admin", show, P.MANAGE_SETTINGS, ("GET", "POST")),
        PluginRoute("/answer", answer, P.PUBLIC),
        PluginRoute("/fail", fail, P.CALL),
        PluginRoute("/hang", hang, P.CALL),
        PluginRoute("/logo", answer, P.MANAGE_SETTINGS, ("POST",), 50_000),
        PluginRoute("/photos", answer, P.MANAGE_SETTINGS, ("POST",), 2_500_000),
        PluginRoute("/nobody", show, None),
        PluginRoute("/got", answer, P.CALL, max_upload_bytes=1),
        PluginRoute("/huge", answer, P.CALL, ("POST",), 10_000_001),
        PluginRoute("/text", answer, P.CALL, ("POST",), "9"),
        PluginRoute("/twice/{a}/{a}", show, P.CALL),
        PluginRoute("/../loket", show, P.PUBLIC),
        PluginRoute("/static/css", show, P.PUBLIC),
        PluginRoute("/panels/room", show, P.PUBLIC),
    ]


@hookimpl
def register_nav():
    return [NavItem("Ruang", "/", P.DAY_VIEW), NavItem("Atur ruang", "/admin", P.MANAGE_SETTINGS)]


@hookimpl
def register_panels():
    return [
        Panel("counter.ticket", "room", "Ruang pasien", panel),
        Panel("dashboard", "figures", "Ruang terpakai", panel),
    ]
"""
FILES = {
    "__init__.py": CODE,
    "templates/rooms.html": """{% extends "plugin/page.html" %}
{% block title %}{{ _("Ruang") }}{% endblock %}
{% block content %}<h1>{{ _("Ruang") }} {{ name }}</h1><p>{{ _("Keluar") }}</p>
<img src="{{ plugin_static("room.svg") }}" alt="">{% endblock %}""",
    "templates/panel.html": """<p>{{ _("Ruang") }} {{ ticket.number or "semua" }}</p>""",
    "static/style.css": ".room { color: var(--brand); }",
    "static/room.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "static/.secret": "hidden",
    "locale/en/LC_MESSAGES/messages.po": 'msgid "Ruang"\nmsgstr "Room"\n',
}


@pytest.fixture
def brought() -> dict[str, str]:
    """What the plugin's package holds; a test may change it before it asks for the clinic."""
    return dict(FILES)


@pytest.fixture
def plugin(brought, tmp_path, monkeypatch):
    """The plugin, a package in a folder of its own."""
    for name, text in brought.items():
        file = tmp_path / "packages" / "rooms_plugin" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    importlib.invalidate_caches()
    module = importlib.import_module("rooms_plugin")
    yield module
    module.go_on.set()
    sys.modules.pop("rooms_plugin")


@pytest.fixture
def clinic(plugin, sqlite_url, tmp_path, clock):
    opened = make_clinic(make_config(sqlite_url, tmp_path), clock, plugins=[("rooms", plugin)])
    yield opened
    opened.close()


@pytest.fixture
def app(clinic):
    return make_app(clinic)


@pytest.fixture
def browse(clinic, app):
    """Open the browser of somebody of a role, of nobody for None."""

    def open_browser(role: Role | None, **more) -> TestClient:
        cookies = {}
        if role is not None:
            password = accounts.add_user(clinic, role.value, SYSTEM, role=role)
            cookies["pq_session"] = sessions.login(clinic, role.value, password, SYSTEM).token
        return TestClient(
            app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), headers=OWN,
            cookies=cookies, follow_redirects=False, **more,
        )  # fmt: skip

    return open_browser


@pytest.fixture
def reported(clinic, monkeypatch) -> list:
    """Every fault from now on."""
    faults = []
    monkeypatch.setattr(clinic.hooks, "_on_fault", faults.append)
    return faults


# Pages


def test_each_page_asks_for_what_it_declared(app, browse):
    allowed = {
        "/x/rooms/": {Role.ADMIN, Role.PETUGAS_LOKET, Role.PETUGAS_RM, Role.KEPALA},
        "/x/rooms/rooms/3": {Role.ADMIN, Role.PETUGAS_LOKET},
        "/x/rooms/admin": {Role.ADMIN},
    }
    wrong = []
    for role in (None, *Role):
        browser = browse(role)
        for path, roles in allowed.items():
            status = browser.get(path).status_code
            expected = 200 if role in roles else 303 if role is None else 403
            if status != expected:
                wrong.append((path, role, status))
    assert wrong == []


def test_hook_register_routes(app):
    found = {one.path: one for one in declared_routes(app) if one.path.startswith("/x/")}

    assert {path: one.permission for path, one in found.items()} == {
        "/x/rooms/": Permission.DAY_VIEW,
        "/x/rooms/rooms/{name}": Permission.CALL,
        "/x/rooms/store": Permission.CALL,
        "/x/rooms/admin": Permission.MANAGE_SETTINGS,
        "/x/rooms/answer": Permission.PUBLIC,
        "/x/rooms/fail": Permission.CALL,
        "/x/rooms/hang": Permission.CALL,
        "/x/rooms/logo": Permission.MANAGE_SETTINGS,
        "/x/rooms/photos": Permission.MANAGE_SETTINGS,
        "/x/rooms/panels/room": Permission.CALL,
        "/x/rooms/panels/figures": Permission.DAY_VIEW,
        "/x/rooms/static": Permission.PUBLIC,
    }
    assert found["/x/rooms/admin"].methods == ("GET", "HEAD", "POST")
    assert found["/x/rooms/store"].methods == ("POST",)


@pytest.mark.parametrize(
    "path", ["nobody", "twice/1/2", "none", "static/css", "got", "huge", "text"]
)
def test_what_was_not_declared_well_is_not_there(browse, path):
    assert browse(Role.ADMIN).get(f"/x/rooms/{path}").status_code == 404


def test_a_page_without_permission_is_a_fault(clinic, reported):
    make_app(clinic)

    told = [fault.detail for fault in reported if fault.hook == "register_routes"]
    assert any(detail.startswith("/nobody: ") for detail in told)
    assert any(detail.startswith("/twice/{a}/{a}: ") for detail in told)


def test_a_handler_sees_the_request_and_no_more(browse, plugin):
    browse(Role.PETUGAS_LOKET).get("/x/rooms/rooms/3?q=a&q=b&lang=en")

    request = plugin.seen[-1]
    assert (request.method, request.path, request.values) == ("GET", "/rooms/3", {"name": "3"})
    assert request.query == {"q": "b", "lang": "en"}
    assert (request.form, request.language, request.ticket) == ({}, "en", None)
    assert request.user.role is Role.PETUGAS_LOKET


def test_a_template_extends_the_core_and_is_escaped(browse):
    answer = browse(Role.ADMIN).get("/x/rooms/")

    assert "<h1>Ruang &lt;b&gt;Umum&lt;/b&gt;</h1>" in answer.text
    assert "<title>Ruang</title>" in answer.text
    assert "Puskesmas Uji" in answer.text
    assert "/x/rooms/static/style.css?v=" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


def test_english_is_of_the_plugin_first_and_then_of_the_core(browse):
    text = browse(Role.ADMIN).get("/x/rooms/?lang=en").text

    assert "<h1>Room " in text
    assert "<p>Log out</p>" in text or "<p>Sign out</p>" in text
    assert '<a href="/x/rooms/" aria-current="page">Room</a>' in text


SETTINGS = """
from pydantic import BaseModel, Field, field_validator


class Settings(BaseModel):
    colour: str = Field("biru", title="Warna", description="Di pintu ruang.")

    @field_validator("colour")
    @classmethod
    def _known(cls, value):
        if value == "kuning":
            raise ValueError("Kuning tidak ada.")
        return value


@hookimpl
def register_settings():
    return Settings
"""


class TestSettings:
    @pytest.fixture
    def brought(self):
        texts = {"Warna": "Colour", "Di pintu ruang.": "On the door.", "Kuning tidak ada.": "No."}
        entries = "\n".join(f'msgid "{one}"\nmsgstr "{other}"\n' for one, other in texts.items())
        return {
            **FILES,
            "__init__.py": CODE + SETTINGS,
            "locale/en/LC_MESSAGES/messages.po": entries,
        }

    def test_the_form_is_in_the_readers_language(self, browse):
        """Label, hint, and what its validator says, from the plugin's own catalogue."""
        admin = browse(Role.ADMIN)
        assert "Warna" in admin.get("/admin/plugins/rooms").text
        shown = admin.get("/admin/plugins/rooms?lang=en").text
        assert ">Colour<" in shown or "Colour " in shown
        assert "On the door." in shown
        assert "Warna" not in shown

        refused = admin.post("/admin/plugins/rooms?lang=en", data={"colour": "kuning"})
        assert refused.status_code == 422
        assert "“Colour”: No." in refused.text


class TestBrokenCatalogue:
    @pytest.fixture
    def brought(self):
        return {**FILES, "locale/en/LC_MESSAGES/messages.po": 'msgid "Ruang"\n<<<<<<< HEAD\n'}

    def test_the_core_texts_are_used(self, clinic, reported, browse):
        assert "<p>Log out</p>" in browse(Role.ADMIN).get("/x/rooms/?lang=en").text

        assert any(fault.detail.startswith("catalogue en: ") for fault in reported)


def test_hook_register_nav(browse):
    for role, is_admin in [(Role.ADMIN, True), (Role.PETUGAS_LOKET, False), (Role.KEPALA, False)]:
        text = browse(role).get("/dashboard").text

        assert '<a href="/x/rooms/">Ruang</a>' in text
        assert ('<a href="/x/rooms/admin">Atur ruang</a>' in text) == is_admin


def test_the_page_shown_is_the_current_one(browse):
    text = browse(Role.ADMIN).get("/x/rooms/admin").text

    assert '<a href="/x/rooms/admin" aria-current="page">' in text
    assert text.count("aria-current") == 1


# Files


def test_files_are_kept_by_their_hash(browse):
    browser = browse(None)
    path = browse(Role.ADMIN).get("/x/rooms/").text.partition('<img src="')[2].partition('"')[0]

    answer = browser.get(path)

    assert path.startswith("/x/rooms/static/room.svg?v=")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        ".secret", "../__init__.py", "%2e%2e/__init__.py", "..%2f__init__.py", "link.txt", "",
        "%2e%2e%5c__init__.py", "none.css",
    ],
)  # fmt: skip
def test_nothing_else_is_served(browse, tmp_path, path):
    link = tmp_path / "packages/rooms_plugin/static/link.txt"
    link.symlink_to(tmp_path / "puskesmas.db")

    assert browse(None).get(f"/x/rooms/static/{path}").status_code == 404


# Answers that are not sent


@pytest.mark.parametrize(
    "path",
    [
        "https://example.id/", "//example.id", "/\\example.id", "/logout", "/x/other/", "/x/roomsy",
        "/x/rooms/../../logout", "/x/rooms/%2e%2e/other", "", "loket", "/loket\n", 7,
        "/x/rooms\\..",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(browse, plugin, reported, path):
    plugin.answers["now"] = plugin.RedirectAnswer(path)

    answer = browse(None).get("/x/rooms/answer")

    assert answer.status_code == 503
    assert [(fault.hook, fault.kind) for fault in reported] == [("page /answer", "nonsense")]


@pytest.mark.parametrize(
    "path", ["/loket", "/x/rooms/", "/x/rooms/rooms/3?a=1", "/dashboard?z=/.."]
)
def test_to_own_and_known_pages_it_may_send(browse, plugin, path):
    plugin.answers["now"] = plugin.RedirectAnswer(path)

    answer = browse(None).get("/x/rooms/answer")

    assert (answer.status_code, answer.headers["location"]) == (303, path)


def nonsense(plugin) -> list:
    template, text = plugin.TemplateAnswer, plugin.TextAnswer
    return [
        None, "a text", 7, (200, "x"), template("none.html"), template("loket/index.html"),
        template("../__init__.py"), template(7), template("rooms.html", 7),
        template("rooms.html", {7: "x"}), template("rooms.html", {}, 99),
        template("rooms.html", {}, 600), template("rooms.html", {}, True),
        text("x", status="200"), text(7), text("x", "text/html\r\nx-a: b"), text("x", "y"),
        text("x", "a/" + "b" * 200), text("x", None),
    ]  # fmt: skip


def test_nonsense_is_a_page_that_says_so(browse, plugin, reported):
    browser = browse(None)
    for count, answer in enumerate(nonsense(plugin), 1):
        plugin.answers["now"] = answer

        shown = browser.get("/x/rooms/answer")

        assert (shown.status_code, len(reported)) == (503, count), answer
        assert reported[-1].kind == "nonsense", answer
        assert "Halaman plugin rooms sedang bermasalah" in shown.text


def test_text_comes_as_it_was_answered(browse, plugin):
    browser = browse(None)
    plugin.answers["now"] = plugin.TextAnswer('{"a": 1}', "application/json", 201)
    answer = browser.get("/x/rooms/answer")
    assert (answer.status_code, answer.json()) == (201, {"a": 1})
    assert answer.headers["content-type"] == "application/json"

    plugin.answers["now"] = plugin.TextAnswer(b"a;b", "text/csv; charset=utf-8")
    assert browser.get("/x/rooms/answer").headers["content-type"] == "text/csv; charset=utf-8"

    plugin.answers["now"] = plugin.TextAnswer("x", status=204)
    assert browser.get("/x/rooms/answer").content == b""


def test_a_page_that_raises_shows_nothing_of_it(browse, reported):
    browser = browse(Role.PETUGAS_LOKET)

    answer = browser.get("/x/rooms/fail")

    assert answer.status_code == 503
    assert "secret of the code" not in answer.text
    assert "Traceback" not in answer.text
    assert "Antrean dan loket tetap jalan." in answer.text
    assert [(fault.hook, fault.kind) for fault in reported] == [("page /fail", "raised")]
    assert browser.get("/loket").status_code == 200


class TestBrokenTemplate:
    @pytest.fixture
    def brought(self):
        return {**FILES, "templates/rooms.html": "{{ nothing.here }}"}

    def test_it_is_the_page_that_fails(self, browse, reported):
        assert browse(Role.ADMIN).get("/x/rooms/").status_code == 503
        assert [(fault.hook, fault.kind) for fault in reported] == [("page /", "raised")]


def test_pages_that_hang_leave_the_counter_alone(browse, plugin, monkeypatch):
    monkeypatch.setattr(plugin_screens, "PAGE_DEADLINE_S", 120.0)
    browser = browse(Role.PETUGAS_LOKET)
    answers = []
    asking = [
        threading.Thread(target=lambda: answers.append(browser.get("/x/rooms/hang")))
        for _ in range(threads.MOST + 4)
    ]
    for one in asking:
        one.start()
    assert plugin.hanging.wait(30)

    assert browser.get("/loket").status_code == 200

    assert answers == []
    plugin.go_on.set()
    for one in asking:
        one.join()
    assert {answer.status_code for answer in answers} == {503}


def test_a_page_has_so_much_time_and_no_more(browse, reported, monkeypatch):
    monkeypatch.setattr(plugin_screens, "PAGE_DEADLINE_S", 0.2)

    answer = browse(Role.PETUGAS_LOKET).get("/x/rooms/hang")

    assert answer.status_code == 503
    assert [(fault.hook, fault.kind) for fault in reported] == [("page /hang", "overran")]


def test_behind_a_locked_screen_is_nobody(browse, plugin):
    plugin.answers["now"] = plugin.TextAnswer("x")
    browser = browse(Role.PETUGAS_LOKET)
    browser.get("/x/rooms/answer")
    assert plugin.seen[-1].user.name == "petugas_loket"
    browser.post("/lock")

    browser.get("/x/rooms/answer")

    assert plugin.seen[-1].user is None
    assert browser.get("/x/rooms/").headers["location"].startswith("/unlock")


# Forms


def test_forms_of_other_sites_are_refused(browse, plugin):
    browser = browse(Role.ADMIN)
    ask = {"data": {"ticket": "1"}, "headers": {"sec-fetch-site": "cross-site"}}

    assert browser.post("/x/rooms/store", **ask).status_code == 403
    assert plugin.seen == []
    assert browser.post("/x/rooms/store", data={"ticket": "1"}).status_code == 303
    assert (plugin.seen[0].method, plugin.seen[0].form) == ("POST", {"ticket": "1"})


# Files


@pytest.fixture
def send(browse, plugin):
    """Send a form with files, as somebody who may; return the answer and what was handled."""
    browser = browse(Role.ADMIN)
    plugin.answers["now"] = plugin.TextAnswer("taken")

    def post(path, files, **more):
        plugin.seen.clear()
        data = {"name": "depan"} if files else None
        answer = browser.post(f"/x/rooms/{path}", data=data, files=files, **more)
        return answer, (plugin.seen[-1] if plugin.seen else None)

    return post


def test_a_handler_gets_the_files_of_a_form(send):
    content = bytes(range(256)) * 150

    answer, request = send("logo", [
        ("logo", ("first.png", b"x", "image/png")),
        ("logo", ("C:\\fakepath\\logo klinik.png", content, "image/png")),
        ("untyped", ("../../notes", b"", "")),
    ])  # fmt: skip

    assert answer.status_code == 200
    assert request.form == {"name": "depan"}
    assert sorted(request.files) == ["logo", "untyped"]
    logo, untyped = request.files["logo"], request.files["untyped"]
    assert (logo.name, logo.media_type, logo.content) == ("logo klinik.png", "image/png", content)
    assert (untyped.name, untyped.media_type) == ("notes", "application/octet-stream")


@pytest.mark.parametrize(
    ("path", "sizes", "is_taken"),
    [
        ("logo", (50_000,), True),
        ("logo", (50_001,), False),
        ("logo", (25_000, 25_000), True),
        ("logo", (25_000, 25_001), False),
        ("logo", (1_060_000,), False),
        ("photos", (2_500_000,), True),
        ("photos", (2_500_001,), False),
        ("photos", (4_000_000,), False),
    ],
)
def test_files_are_taken_up_to_what_the_route_says(send, path, sizes, is_taken):
    files = [(f"file{n}", ("a.png", b"x" * size, "image/png")) for n, size in enumerate(sizes)]

    answer, request = send(path, files)

    if is_taken:
        assert (answer.status_code, len(request.files)) == (200, len(sizes))
    else:
        assert (answer.status_code, request) == (413, None)
        assert "Berkas terlalu besar" in answer.text
        limit = 50 if path == "logo" else 2500
        assert f"Paling besar {limit} kB, dan tidak ada yang tersimpan." in answer.text


def test_whoever_sends_too_large_a_file_reads_why(app, browse):
    """A browser shows a page only if the connection is open while it still sends."""
    session = browse(Role.ADMIN).cookies["pq_session"]
    body = raw_form(b"a.png", b"x" * 8_000_000)["content"]
    head = (
        "POST /x/rooms/logo HTTP/1.1\r\nhost: x\r\nsec-fetch-site: same-origin\r\n"
        f"cookie: pq_session={session}\r\ncontent-length: {len(body)}\r\n"
        "content-type: multipart/form-data; boundary=X\r\n\r\n"
    )
    with serving(app, Connections()) as port, connect(port) as one:
        one.sendall(head.encode())
        for begin in range(0, len(body), 100_000):
            one.sendall(body[begin : begin + 100_000])
            time.sleep(0.002)

        assert one.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_files_of_one_name_count_all_of_them(send):
    files = [("logo", (f"{n}.png", b"x" * 30_000, "image/png")) for n in range(2)]

    assert send("logo", files)[0].status_code == 413


def test_a_route_that_takes_no_files_gets_none(send, browse, plugin):
    small = {"file": ("a.png", b"x", "image/png")}
    assert send("store", small)[0].status_code == 400
    large = {"file": ("a.png", b"x" * 1_100_000, "image/png")}
    assert send("store", large)[0].status_code in {400, 413}
    assert plugin.seen == []
    assert browse(None).post("/loket/call-next", data={"a": "x" * 1_100_000}).status_code == 413


def test_a_field_is_no_way_round_the_size(send):
    content = b"name=" + b"x" * 1_100_000
    kind = "application/x-www-form-urlencoded"

    answer, request = send("photos", None, content=content, headers={"content-type": kind})

    assert (answer.status_code, request) == (413, None)


@pytest.mark.parametrize("role", [None, Role.PETUGAS_LOKET])
def test_files_are_not_even_read_of_whoever_may_not(browse, role, monkeypatch):
    read = []
    monkeypatch.setattr(
        "puskesmas_queue.web.routing.read_body", lambda request, most=0: read.append(request)
    )

    answer = browse(role).post("/x/rooms/logo", files={"file": ("a.png", b"x", "image/png")})

    assert answer.status_code == (303 if role is None else 403)
    assert read == []


def test_files_of_other_sites_are_refused(send):
    answer, request = send(
        "logo",
        {"logo": ("a.png", b"x", "image/png")},
        headers={"sec-fetch-site": "cross-site"},
    )

    assert (answer.status_code, request) == (403, None)


def raw_form(filename: bytes, content: bytes) -> dict:
    head = b'--X\r\nContent-Disposition: form-data; name="logo"; filename="' + filename
    body = head + b'"\r\nContent-Type: image/png\r\n\r\n' + content + b"\r\n--X--\r\n"
    return {"content": body, "headers": {"content-type": "multipart/form-data; boundary=X"}}


def test_where_nobody_chose_a_file_there_is_none(send):
    answer, request = send("logo", None, **raw_form(b"", b""))

    assert (answer.status_code, request.files) == (200, {})


def test_a_name_with_control_characters_is_none(send):
    answer, request = send("logo", None, **raw_form(b"a\x01.png", b"x"))

    assert (answer.status_code, request) == (422, None)


def test_too_many_files_are_refused(send):
    files = [(f"file{n}", (f"{n}.png", b"x", "image/png")) for n in range(11)]

    answer, request = send("logo", files)

    assert (answer.status_code, request) == (400, None)


# Panels


@pytest.fixture
def called(clinic):
    """The ticket that the browser of the counter has before it."""

    def call(browser: TestClient) -> int:
        assert browser.post("/loket/open", data={"counter": "1"}).status_code == 303
        ticket = take(clinic, "A")[0]
        assert browser.post("/loket/call-next").status_code == 303
        return ticket.id

    return call


def test_hook_register_panels(browse, called):
    browser = browse(Role.PETUGAS_LOKET)
    assert "plugin-panel" not in browser.get("/loket").text
    ticket = called(browser)

    text = browser.get("/loket").text

    assert f'id="panel-rooms-room-{ticket}" aria-labelledby' in text
    assert f'hx-get="/x/rooms/panels/room?ticket={ticket}" hx-trigger="load, again"' in text
    assert "Ruang pasien</h2>" in text
    assert "Ruang terpakai" not in text
    assert "/static/js/panels.js" in text


def test_a_panel_is_told_the_ticket(browse, called, plugin):
    browser = browse(Role.PETUGAS_LOKET)
    ticket = called(browser)

    answer = browser.get(f"/x/rooms/panels/room?ticket={ticket}", headers=HTMX)

    assert (answer.status_code, answer.text) == (200, "<p>Ruang A-001</p>")
    fact = plugin.seen[-1].ticket
    assert (fact.id, fact.number, fact.state.value, fact.calls) == (ticket, "A-001", "called", 1)


def test_a_panel_is_for_whoever_its_place_is_for(browse, called):
    ticket = called(browse(Role.PETUGAS_LOKET))
    path = f"/x/rooms/panels/room?ticket={ticket}"

    assert browse(Role.KEPALA).get(path, headers=HTMX).status_code == 403
    assert browse(None).get(path, headers=HTMX).status_code == 401


@pytest.mark.parametrize("ticket", ["", "?ticket=999999", "?ticket=", "?ticket=x"])
def test_a_panel_of_the_counter_is_about_a_ticket_that_is_there(browse, ticket):
    answer = browse(Role.PETUGAS_LOKET).get(f"/x/rooms/panels/room{ticket}")

    assert answer.status_code in {404, 422}


def test_without_scripts_a_panel_is_a_page(browse, called):
    browser = browse(Role.PETUGAS_LOKET)
    ticket = called(browser)

    text = browser.get(f"/x/rooms/panels/room?ticket={ticket}").text

    assert "<h1>Ruang pasien</h1>" in text
    assert "<p>Ruang A-001</p>" in text
    assert "Keluar" in text


def test_a_form_in_a_panel_leads_back_to_it(browse, called):
    browser = browse(Role.PETUGAS_LOKET)
    ticket = called(browser)

    answer = browser.post(
        "/x/rooms/store", data={"ticket": str(ticket)}, headers=HTMX, follow_redirects=True
    )

    assert (answer.status_code, answer.text) == (200, "<p>Ruang A-001</p>")


def test_the_day_has_its_panel(browse):
    browser = browse(Role.KEPALA)

    text = browser.get("/dashboard").text

    assert 'hx-get="/x/rooms/panels/figures" hx-trigger="load, again"' in text
    assert "/static/vendor/htmx.min.js" in text
    assert browser.get("/x/rooms/panels/figures", headers=HTMX).text == "<p>Ruang semua</p>"


def test_a_panel_that_fails_says_so_in_its_place(browse, plugin, reported):
    browser = browse(Role.KEPALA)
    wrong = [
        7, plugin.RedirectAnswer("/loket"), plugin.TextAnswer("x"),
        plugin.TextAnswer("<!doctype html>", "text/html"),
        plugin.TemplateAnswer("rooms.html", {"name": ""}), plugin.TextAnswer(b"\xff", "text/html"),
    ]  # fmt: skip
    for count, answer in enumerate(wrong, 1):
        plugin.answers["panel"] = answer

        shown = browser.get("/x/rooms/panels/figures", headers=HTMX)

        assert (shown.status_code, len(reported)) == (200, count), answer
        assert "Panel plugin rooms sedang bermasalah." in shown.text
        assert "<html" not in shown.text
    assert "sedang bermasalah." in browser.get("/x/rooms/panels/figures").text


def test_a_clinic_without_plugins_has_none_of_it(sqlite_clinic):
    app = make_app(sqlite_clinic)

    assert not [one for one in declared_routes(app) if one.path.startswith("/x/")]
