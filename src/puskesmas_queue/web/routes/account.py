"""Login, one's own sessions and password, the locked screen, and the language."""

from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import RedirectResponse, Response

from puskesmas_queue.domain.access import Permission, Principal, Role, may
from puskesmas_queue.domain.devices import DeviceKind
from puskesmas_queue.domain.errors import (
    Conflict,
    LoginDelayed,
    LoginFailed,
    NotFound,
    WeakPassword,
)
from puskesmas_queue.domain.passwords import MIN_LENGTH, PASSPHRASE_LENGTH
from puskesmas_queue.services import accounts, counters, sessions, tokens
from puskesmas_queue.web.cookies import clear_session_cookie, set_session_cookie
from puskesmas_queue.web.page import DEFAULT_LANGUAGE, Page, local_path, whole_number
from puskesmas_queue.web.routing import route

Errors = list[tuple[str, str]]

BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
OWN_PATHS = ("/login", "/logout", "/unlock", "/lock")
"""No place to go to after a login."""


def login(page: Page) -> Response:
    """Ask for name and password."""
    if page.principal is not None:
        return page.redirect("/unlock" if page.principal.is_locked else home_of(page.principal))
    return _login_form(page, [])


def log_in(page: Page) -> Response:
    """Begin a session."""
    username, password = page.form.get("username", ""), page.form.get("password", "")
    errors: Errors = []
    if not username.strip():
        errors.append(("username", page.gettext("Tulis nama pengguna Anda.")))
    if not password:
        errors.append(("password", page.gettext("Tulis kata sandi Anda.")))
    if errors:
        return _login_form(page, errors, status=422)
    old_token = page.facts.session_token
    try:
        done = sessions.login(page.clinic, username, password, page.actor, old_token=old_token)
    except LoginFailed:
        wrong = page.gettext("Nama pengguna atau kata sandi salah. Periksa lalu coba lagi.")
        return _login_form(page, [("password", wrong)], status=401)
    except LoginDelayed as error:
        return _delayed(_login_form(page, [("password", _wait(page, error))], status=429), error)
    page.principal = done.principal
    page.lang = done.principal.language
    here = _open_own_counter(page, done.principal)
    response = page.redirect(_next(page) or here or home_of(done.principal))
    set_session_cookie(response, page.facts, done.token)
    return response


def logout(page: Page) -> Response:
    """End the session, and the counter's work with it."""
    assert page.principal is not None
    sessions.logout(page.clinic, page.principal, page.actor)
    response = page.redirect("/login", full=True, done="logout")
    clear_session_cookie(response, page.facts)
    return response


def me(page: Page) -> Response:
    """Show one's own sessions, password form and language."""
    return _me(page, [])


def end_session(page: Page) -> Response:
    """End one of one's own sessions, or all the others."""
    assert page.principal is not None
    handle = page.form.get("session", "")
    if handle == "others":
        sessions.end_other_sessions(page.clinic, page.principal, page.actor)
        return page.redirect("/me", done="sessions")
    if handle == page.principal.session_hash[: sessions.HANDLE_LENGTH]:
        return logout(page)
    try:
        sessions.end_own_session(page.clinic, page.principal, handle, page.actor)
    except NotFound:
        return page.redirect("/me", done="gone")
    return page.redirect("/me", done="session")


def end_program(page: Page) -> Response:
    """Log one of one's own programs out."""
    assert page.principal is not None
    try:
        family = whole_number(page.form.get("program", ""))
        tokens.end_own_program(page.clinic, page.principal, family, page.actor)
    except NotFound:
        return page.redirect("/me", done="gone")
    return page.redirect("/me", done="program")


def change_password(page: Page) -> Response:
    """Change one's own password."""
    assert page.principal is not None
    old, new = page.form.get("old", ""), page.form.get("new", "")
    errors: Errors = []
    if not old:
        errors.append(("old", page.gettext("Tulis kata sandi Anda yang sekarang.")))
    errors += _new_password_errors(page)
    if errors:
        return _me(page, errors, status=422)
    try:
        accounts.change_password(page.clinic, page.principal, old, new, page.actor)
    except WeakPassword as error:
        return _me(page, [("new", _weakness(page, error))], status=422)
    except LoginFailed:
        wrong = page.gettext("Kata sandi yang sekarang salah. Periksa lalu coba lagi.")
        return _me(page, [("old", wrong)], status=422)
    except LoginDelayed as error:
        return _delayed(_me(page, [("old", _wait(page, error))], status=429), error)
    return page.redirect("/me", done="password")


def change_language(page: Page) -> Response:
    """Keep the user's language, or go on in another one."""
    known = [code for code, _ in page.rendering.languages]
    wanted = page.form.get("lang", "")
    if wanted not in known:
        wanted = DEFAULT_LANGUAGE
    target = urlsplit(local_path(page.form.get("next")) or "/")
    query = [(key, value) for key, value in parse_qsl(target.query) if key != "lang"]
    if page.principal is not None:
        accounts.set_language(page.clinic, page.principal, wanted, page.actor)
    elif wanted != DEFAULT_LANGUAGE:
        query.append(("lang", wanted))
    return RedirectResponse(target.path + (f"?{urlencode(query)}" if query else ""), 303)


def reset(page: Page) -> Response:
    """Ask for a new password, for whoever holds a good link."""
    return _reset_form(page, [])


def use_reset(page: Page) -> Response:
    """Set the new password; the link is used up."""
    errors = _new_password_errors(page)
    if errors:
        return _reset_form(page, errors, status=422)
    try:
        accounts.use_reset_link(page.clinic, page.path["token"], page.form["new"], page.actor)
    except WeakPassword as error:
        return _reset_form(page, [("new", _weakness(page, error))], status=422)
    except NotFound:
        return _reset_form(page, [])
    return page.redirect("/login", done="reset")


def unlock(page: Page) -> Response:
    """Show the locked screen."""
    assert page.principal is not None
    if not page.principal.is_locked:
        return page.redirect(_next(page) or home_of(page.principal))
    return _unlock_form(page, [])


def do_unlock(page: Page) -> Response:
    """Unlock the screen with the password."""
    assert page.principal is not None
    password = page.form.get("password", "")
    if not password:
        empty = page.gettext("Tulis kata sandi Anda.")
        return _unlock_form(page, [("password", empty)], status=422)
    try:
        sessions.unlock(page.clinic, page.principal, password, page.actor)
    except LoginFailed:
        wrong = page.gettext("Kata sandi salah. Periksa lalu coba lagi.")
        return _unlock_form(page, [("password", wrong)], status=401)
    except LoginDelayed as error:
        return _delayed(_unlock_form(page, [("password", _wait(page, error))], status=429), error)
    return page.redirect(_next(page) or home_of(page.principal))


def lock(page: Page) -> Response:
    """Lock the screen until the password is typed again."""
    assert page.principal is not None
    sessions.lock(page.clinic, page.principal, page.actor)
    return page.redirect("/unlock", full=True, next=_next(page))


def _open_own_counter(page: Page, principal: Principal) -> str | None:
    """Open the counter that this computer is, and return its page; None on any other computer."""
    page.machine = page.paired(DeviceKind.COUNTER)
    if page.machine is None or page.machine.counter is None or not page.may(Permission.CALL):
        return None
    number = page.machine.counter
    # Where somebody else works there, the page that asks for the counter says who.
    with suppress(Conflict, NotFound):
        counters.open_counter(
            page.clinic,
            number,
            principal.session_hash,
            page.actor,
            fixed=number,
            hold=sessions.hold_session,
        )
    return "/loket"


def home_of(principal: Principal) -> str:
    """Say where a user's work is."""
    if principal.role is Role.PETUGAS_LOKET:
        return "/loket"
    return "/dashboard" if may(principal, Permission.DAY_VIEW) else "/me"


def describe_browser(page: Page, user_agent: str | None) -> str:
    """Turn a user agent into words such as "Chrome di Windows"."""
    agent = user_agent or ""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    if browser and system:
        return page.gettext("%(browser)s di %(system)s", browser=browser, system=system)
    return browser or system or page.gettext("Perangkat tidak dikenal")


def _next(page: Page) -> str | None:
    wanted = local_path(page.form.get("next") or page.query.get("next"))
    if wanted is None or urlsplit(wanted).path.rstrip("/") in OWN_PATHS:
        return None
    return wanted


def _login_form(page: Page, errors: Errors, *, status: int = 200) -> Response:
    return page.render(
        "account/login.html",
        status=status,
        errors=errors,
        next=_next(page),
        username=page.form.get("username", ""),
        done=page.query.get("done") if not errors else None,
    )


def _me(page: Page, errors: Errors, *, status: int = 200) -> Response:
    assert page.principal is not None
    views = [
        (view, describe_browser(page, view.user_agent))
        for view in sessions.list_sessions(page.clinic, page.principal)
    ]
    return page.render(
        "account/me.html",
        status=status,
        errors=errors,
        sessions=views,
        programs=tokens.list_programs(page.clinic, page.principal),
        home=home_of(page.principal),
        done=page.query.get("done") if not errors else None,
        lengths=(MIN_LENGTH, PASSPHRASE_LENGTH),
    )


def _reset_form(page: Page, errors: Errors, *, status: int = 200) -> Response:
    try:
        owner = accounts.link_owner(page.clinic, page.path["token"])
    except NotFound:
        return page.render("account/reset.html", status=404, owner=None, errors=[])
    return page.render(
        "account/reset.html",
        status=status,
        owner=owner,
        errors=errors,
        lengths=(MIN_LENGTH, PASSPHRASE_LENGTH),
    )


def _unlock_form(page: Page, errors: Errors, *, status: int = 200) -> Response:
    return page.render("account/unlock.html", status=status, errors=errors, next=_next(page))


def _new_password_errors(page: Page) -> Errors:
    new, again = page.form.get("new", ""), page.form.get("again", "")
    if not new:
        return [("new", page.gettext("Tulis kata sandi baru."))]
    if new != again:
        return [("again", page.gettext("Kedua kata sandi baru tidak sama. Tulis ulang keduanya."))]
    return []


def _weakness(page: Page, error: WeakPassword) -> str:
    texts = {
        "too_short": page.gettext(
            "Kata sandi baru terlalu pendek: paling sedikit %(n)s karakter.", n=MIN_LENGTH
        ),
        "needs_kinds": page.gettext(
            "Kata sandi baru perlu huruf, angka, dan simbol. Atau pakai kalimat paling sedikit "
            "%(n)s karakter.",
            n=PASSPHRASE_LENGTH,
        ),
        "common": page.gettext("Kata sandi baru terlalu mudah ditebak. Pilih yang lain."),
        "contains_name": page.gettext(
            "Kata sandi baru memuat nama pengguna, nama klinik, atau kata puskesmas. "
            "Pilih yang lain."
        ),
    }
    return texts.get(error.rule, texts["common"])


def _wait(page: Page, error: LoginDelayed) -> str:
    return page.gettext(
        "Terlalu banyak percobaan yang salah. Coba lagi dalam %(n)s detik.", n=error.wait_s
    )


def _delayed(response: Response, error: LoginDelayed) -> Response:
    response.headers["Retry-After"] = str(error.wait_s)
    return response


_POST: Sequence[str] = ("POST",)
routes = [
    route("/login", login, permission=Permission.PUBLIC),
    route("/login", log_in, methods=_POST, permission=Permission.PUBLIC),
    route("/logout", logout, methods=_POST, permission=Permission.SESSION),
    route("/me", me, permission=Permission.SELF),
    route("/me/sessions/end", end_session, methods=_POST, permission=Permission.SELF),
    route("/me/programs/end", end_program, methods=_POST, permission=Permission.SELF),
    route("/me/password", change_password, methods=_POST, permission=Permission.SELF),
    route("/lang", change_language, methods=_POST, permission=Permission.PUBLIC),
    route("/reset/{token}", reset, permission=Permission.PUBLIC),
    route("/reset/{token}", use_reset, methods=_POST, permission=Permission.PUBLIC),
    route("/unlock", unlock, permission=Permission.SESSION),
    route("/unlock", do_unlock, methods=_POST, permission=Permission.SESSION),
    route("/lock", lock, methods=_POST, permission=Permission.SESSION),
]
