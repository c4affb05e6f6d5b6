"""What a plugin's handler answered, looked at before anything of it is sent."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from puskesmas_queue.plugin_host.describing import describe
from puskesmas_queue.plugin_pages import RedirectAnswer, TemplateAnswer, TextAnswer
from puskesmas_queue.web.page import local_path

CORE_PAGES = frozenset(
    {
        "/",
        "/kiosk",
        "/display",
        "/loket",
        "/dashboard",
        "/me",
        "/admin/plugins",
        "/admin/deliveries",
    }
)
"""Where a plugin may send to, besides its own pages."""
HTML = "text/html; charset=utf-8"
MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,80}(?:; ?[\w-]{1,30}=[\w.+-]{1,60})?", re.ASCII)
STATUSES = range(200, 600)
WITHOUT_BODY = frozenset({204, 205, 304})
_DOCUMENT = re.compile(rb"\s*(?:<!doctype|<html)", re.IGNORECASE)

Fill = Callable[[TemplateAnswer], str | None]
"""Fills in a template of the plugin; None where it has no such template."""


@dataclass(frozen=True, slots=True)
class Made:
    """What is sent: content, or the path of another page."""

    content: bytes = b""
    media_type: str = HTML
    status: int = 200
    redirect: str | None = None


@dataclass(frozen=True, slots=True)
class Nonsense:
    """Why an answer is not sent."""

    detail: str


def make(plugin: str, answer: object, fill: Fill) -> Made | Nonsense:
    """Look at an answer and fill it in. Runs foreign code: call it on a guard thread only."""
    if type(answer) is RedirectAnswer:
        return _redirect(plugin, answer.path)
    if type(answer) is not TemplateAnswer and type(answer) is not TextAnswer:
        if inspect.iscoroutine(answer):
            answer.close()
        return Nonsense(f"answered {describe(answer)}")
    status: object = answer.status
    if type(status) is not int or status not in STATUSES:
        return Nonsense(f"status {describe(status)}")
    made = _template(answer, fill) if isinstance(answer, TemplateAnswer) else _text(answer)
    if isinstance(made, Made) and status in WITHOUT_BODY:
        return Made(b"", made.media_type, status)
    return made


def make_panel(plugin: str, answer: object, fill: Fill) -> Made | Nonsense:
    """Look at what a panel answered, which is a piece of HTML."""
    made = make(plugin, answer, fill)
    if isinstance(made, Nonsense):
        return made
    if made.redirect is not None:
        return Nonsense("a panel leads nowhere else")
    if made.media_type.partition(";")[0].lower() != "text/html":
        return Nonsense(f"a panel is HTML and not {made.media_type}")
    if _DOCUMENT.match(made.content):
        return Nonsense("a panel is a piece of HTML and not a whole page")
    try:
        made.content.decode()
    except UnicodeDecodeError:
        return Nonsense("a panel is in UTF-8")
    return made


def _template(answer: TemplateAnswer, fill: Fill) -> Made | Nonsense:
    name: object = answer.template
    values: object = answer.values
    if type(name) is not str:
        return Nonsense(f"template {describe(name)}")
    if not isinstance(values, Mapping) or not all(type(key) is str for key in values):
        return Nonsense(f"values {describe(values)}")
    text = fill(answer)
    if text is None:
        return Nonsense(f"it has no template {describe(name)}")
    return Made(text.encode(), HTML, answer.status)


def _text(answer: TextAnswer) -> Made | Nonsense:
    content: object = answer.content
    media_type: object = answer.media_type
    if type(media_type) is not str or MEDIA_TYPE.fullmatch(media_type) is None:
        return Nonsense(f"media type {describe(media_type)}")
    if type(content) is str:
        content = content.encode()
    if type(content) is not bytes:
        return Nonsense(f"content {describe(content)}")
    return Made(content, media_type, answer.status)


def _redirect(plugin: str, path: object) -> Made | Nonsense:
    if type(path) is not str or local_path(path) is None:
        return Nonsense(f"redirect to {describe(path)}")
    page = unquote(re.split(r"[?#]", path, maxsplit=1)[0])
    own = f"/x/{plugin}"
    is_own = page == own or page.startswith(own + "/")
    is_plain = "\\" not in page and not {".", ".."} & set(page.split("/"))
    if not is_plain or not (is_own or page in CORE_PAGES):
        return Nonsense(f"redirect to {describe(path)}")
    return Made(redirect=path)
