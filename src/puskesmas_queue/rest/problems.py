"""
What a refusal looks like to a program: RFC 9457, in the language that it asked for.

The words are those of the screens (`web.errors`), so that each rule is explained in one place.
"""

import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import (
    CounterBusy,
    CounterTaken,
    KeyReused,
    KeyTaken,
    KioskClosed,
    LoginDelayed,
    QueueError,
    QuotaFull,
    SetupError,
    TokenRefused,
    TooEarly,
    TooOften,
)
from puskesmas_queue.logs import REQUEST_ID
from puskesmas_queue.web.errors import crash_text, error_text, status_of
from puskesmas_queue.web.rendering import DEFAULT_LANGUAGE, LANGUAGES, Rendering

MEDIA_TYPE = "application/problem+json"
TYPES = "/api/docs#problem-"
"""A relative address: the reading page of the same server explains the kind."""
RETRY_S = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says things in the language that a program asked for."""

    clinic: Clinic
    rendering: Rendering
    lang: str

    def gettext(self, message: str, **values: object) -> str:
        """Return a text with `%(name)s` filled in."""
        text = self.rendering.gettext(self.lang, message)
        return text % values if values else text


class Refused(Exception):
    """
    A request that is refused before any use case was asked.

    Args:
        kind: One of `KINDS`.
        errors: What is wrong with its parts, if that is why.
        headers: Added to the answer.
    """

    def __init__(
        self,
        kind: str,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


KINDS: Mapping[str, int] = {
    "malformed": 400,
    "unauthorized": 401,
    "not-found": 404,
    "method-not-allowed": 405,
    "not-acceptable": 406,
    "too-large": 413,
    "unsupported-media-type": 415,
    "invalid": 422,
    "crashed": 500,
}
"""Kinds of refusals that are the API's own, with their status."""


def speaker_of(request: Request) -> Speaker:
    """Read which language a request asks for: `Accept-Language`, else Indonesian."""
    state = request.app.state
    return Speaker(state.clinic, state.rendering, _language(request.headers.get("accept-language")))


def kind_of(error: type[QueueError]) -> str:
    """Name the kind of refusal that an error is: `QuotaFull` is `quota-full`."""
    if issubclass(error, KeyReused):
        error = KeyTaken
    elif issubclass(error, SetupError):
        error = SetupError
    return re.sub(r"(?<!^)(?=[A-Z])", "-", error.__name__).lower()


def refuse(speaker: Speaker, error: QueueError) -> Response:
    """Answer with the reason why a use case refused."""
    status = status_of(error)
    title, detail = error_text(speaker, error)
    more = _more(speaker, error)
    headers = {}
    if status == 401:
        headers["www-authenticate"] = challenge(speaker, isinstance(error, TokenRefused))
    if status == 503:
        more.setdefault("retry_after_s", RETRY_S)
        log.warning("answered 503: %s", error)
    if "retry_after_s" in more:
        headers["retry-after"] = str(more["retry_after_s"])
    return problem(kind_of(type(error)), status, title, detail, more, headers)


def refuse_early(speaker: Speaker, refused: Refused) -> Response:
    """Answer a request that no use case was asked about."""
    title, detail = own_text(speaker, refused.kind)
    more = {"errors": list(refused.errors)} if refused.errors else {}
    headers = refused.headers
    if refused.kind == "unauthorized":
        headers = {**headers, "www-authenticate": challenge(speaker, False)}
    return problem(refused.kind, KINDS[refused.kind], title, detail, more, headers)


def problem(
    kind: str,
    status: int,
    title: str,
    detail: str,
    more: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Write a problem document."""
    number = REQUEST_ID.get() or secrets.token_hex(8)
    if status >= 500:
        log.warning("problem %s: %s %s", number, status, kind)
    document = {
        "type": TYPES + kind,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:problem:{number}",
        **(more or {}),
    }
    text = json.dumps(document, ensure_ascii=False)
    return Response(text, status, dict(headers or {}), MEDIA_TYPE)


def challenge(speaker: Speaker, is_wrong: bool) -> str:
    """Write how to log in, RFC 6750; a token that came and is not good is said to be so."""
    realm = f'Bearer realm="{speaker.clinic.id}"'
    return f'{realm}, error="invalid_token"' if is_wrong else realm


def field_errors(speaker: Speaker, error: ValidationError, prefix: str) -> list[dict[str, str]]:
    """
    Say what is wrong with each part of a request; nothing that was sent is repeated.

    Args:
        speaker: The language.
        error: What pydantic found.
        prefix: `/` for a body, empty for parameters.
    """
    return [
        {
            "pointer": prefix + "/".join(str(part) for part in one["loc"]),
            "kind": one["type"],
            "detail": _fault(speaker, one["type"], one.get("ctx", {})),
        }
        for one in error.errors(include_url=False, include_input=False)
    ]


def own_text(speaker: Speaker, kind: str) -> tuple[str, str]:
    """Return what happened and what to do for a kind of the API's own."""
    _ = speaker.gettext
    texts = {
        "malformed": (
            _("Isi permintaan tidak terbaca"),
            _("Kirim satu objek JSON yang sah dalam UTF-8."),
        ),
        "unauthorized": (
            _("Belum masuk"),
            _("Minta token di /api/v1/token, lalu kirim di tajuk Authorization: Bearer."),
        ),
        "not-found": (_("Tidak ada"), _("Alamat ini tidak ada. Lihat /api/docs.")),
        "method-not-allowed": (
            _("Cara ini tidak ada di sini"),
            _("Lihat tajuk Allow untuk cara yang ada di alamat ini."),
        ),
        "not-acceptable": (
            _("Bentuk jawaban tidak ada"),
            _("Jawaban hanya ada dalam bentuk yang tertulis di /api/docs."),
        ),
        "too-large": (
            _("Kiriman terlalu besar"),
            _("Tidak ada yang disimpan. Kirim isi paling besar 1 MB."),
        ),
        "unsupported-media-type": (
            _("Bentuk kiriman tidak dikenal"),
            _("Kirim isi dengan tajuk Content-Type: application/json."),
        ),
        "invalid": (
            _("Permintaan tidak sesuai"),
            _("Perbaiki bagian yang disebut di errors, lalu kirim lagi."),
        ),
        "crashed": crash_text(speaker),
    }
    return texts[kind]


def _more(speaker: Speaker, error: QueueError) -> dict[str, Any]:
    """Return what else a program can go by."""
    more: dict[str, Any] = {}
    match error:
        case QuotaFull():
            more["alternatives"] = list(error.alternatives)
        case KioskClosed():
            more["opens_at"] = _local(speaker, error.opens_at)
        case CounterBusy():
            more |= {"counter": error.counter, "number": error.number}
        case CounterTaken():
            more["counter"] = error.counter
        case LoginDelayed() | TooOften():
            more["retry_after_s"] = error.wait_s
        case TooEarly() if error.wait_s:
            more["retry_after_s"] = error.wait_s
    return more


def _local(speaker: Speaker, at: datetime) -> str:
    return at.astimezone(speaker.clinic.timezone).isoformat()


def _fault(speaker: Speaker, kind: str, limits: Mapping[str, Any]) -> str:
    _ = speaker.gettext
    texts: Mapping[str, Callable[[], str]] = {
        "missing": lambda: _("Bagian ini harus ada."),
        "extra_forbidden": lambda: _("Bagian ini tidak dikenal."),
        "enum": lambda: _("Pilih salah satu: %(choices)s.", choices=limits.get("expected", "")),
        "string_too_long": lambda: _(
            "Paling banyak %(n)s karakter.", n=limits.get("max_length", "")
        ),
        "greater_than_equal": lambda: _("Paling sedikit %(n)s.", n=limits.get("ge", "")),
        "less_than_equal": lambda: _("Paling banyak %(n)s.", n=limits.get("le", "")),
        "string_type": lambda: _("Harus berupa teks."),
        "int_type": lambda: _("Harus berupa bilangan bulat."),
        "int_parsing": lambda: _("Harus berupa bilangan bulat."),
        "bool_type": lambda: _("Harus true atau false."),
        "model_type": lambda: _("Harus berupa objek JSON."),
    }
    return texts[kind]() if kind in texts else _("Nilai ini tidak sesuai.")


def _language(header: str | None) -> str:
    known = dict(LANGUAGES)
    wanted: list[tuple[float, str]] = []
    for part in (header or "").split(",")[:20]:
        name, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        wanted.append((-quality, name.partition("-")[0].lower()))
    # Sorted by weight alone: of equal ones the first that was named counts.
    wanted.sort(key=lambda one: one[0])
    return next((name for weight, name in wanted if weight and name in known), DEFAULT_LANGUAGE)
