"""One request as a screen's handler sees it: who asks, in which language, and how to answer."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from puskesmas_queue.domain.access import (
    DEVICE_PERMISSIONS,
    OF_DEVICES,
    Actor,
    Permission,
    Principal,
    may,
)
from puskesmas_queue.domain.devices import Device, DeviceKind
from puskesmas_queue.domain.errors import Forbidden, InvalidRequest
from puskesmas_queue.plugin_pages import PluginFile
from puskesmas_queue.services import devices, sessions
from puskesmas_queue.web.cookies import set_machine_cookie
from puskesmas_queue.web.security import Facts, facts_of

if TYPE_CHECKING:
    from puskesmas_queue.clinic import Clinic
    from puskesmas_queue.web.limits import Limits
    from puskesmas_queue.web.refusals import Refusals
    from puskesmas_queue.web.rendering import Rendering

DEFAULT_LANGUAGE = "id"
MAX_NEXT = 500
MAX_FIGURES = 18
"""What a 64-bit column takes whatever the figures are."""

_UNWANTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Page:
    """
    A request, parsed.

    Args:
        request: As Starlette has it.
        form: Fields of the form that was sent, the last of each name; {} where there was none.
        principal: Whose session this is, if a session was looked up and is valid.
        json: The JSON object that was sent instead of a form; its plain values are in `form`
            as well.
        files: That were sent with the form, where the route takes any.

    Raises:
        InvalidRequest: A field or path holds characters that no text has.
    """

    def __init__(
        self,
        request: Request,
        form: Mapping[str, str] | None = None,
        principal: Principal | None = None,
        json: Mapping[str, Any] | None = None,
        files: Mapping[str, PluginFile] | None = None,
    ) -> None:
        self.request = request
        self.facts: Facts = facts_of(request)
        self.principal = principal
        self.machine: Device | None = None
        """The paired machine that asks, where it matters to the route."""
        self.form = _texts(form or {})
        self.query = _texts(request.query_params)
        self.path = _texts({key: str(value) for key, value in request.path_params.items()})
        self.json = dict(json or {})
        self.files = dict(files or {})
        _texts({key: f"{one.name} {one.media_type}" for key, one in self.files.items()})
        self.lang = self._language()

    @property
    def clinic(self) -> "Clinic":
        """The clinic that this app serves."""
        clinic: Clinic = self.request.app.state.clinic
        return clinic

    @property
    def rendering(self) -> "Rendering":
        """Templates and texts."""
        rendering: Rendering = self.request.app.state.rendering
        return rendering

    @property
    def limits(self) -> "Limits":
        """How often whoever asks may do something."""
        limits: Limits = self.request.app.state.limits
        return limits

    @property
    def refusals(self) -> "Refusals":
        """What kiosks were refused lately, to be read aloud."""
        refusals: Refusals = self.request.app.state.refusals
        return refusals

    @property
    def is_kiosk(self) -> bool:
        """Whether it is one of the kiosk's addresses."""
        return self.request.url.path.startswith("/kiosk")

    @property
    def is_demo(self) -> bool:
        """Whether this server is a demo."""
        return bool(getattr(self.request.app.state, "is_demo", False))

    @property
    def is_htmx(self) -> bool:
        """Whether htmx asks, which wants a fragment."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def device(self) -> str:
        """Random id of this browser."""
        return self.facts.device

    @property
    def actor(self) -> Actor:
        """Who acts: the user of the session, else the machine, else the browser."""
        who, machine, facts = self.principal, self.machine, self.facts
        name = "" if machine is None else machine.name
        return Actor(
            kind="device" if who is None else "user",
            id=None if who is None else who.user_id,
            name=name if who is None else who.name,
            device=facts.device if machine is None else machine.mark,
            address=facts.address,
            user_agent=facts.user_agent,
            role=None if who is None else who.role,
        )

    @property
    def who(self) -> dict[str, object]:
        """Ids of who asks, for the log: of a user or a paired machine, no name."""
        if self.principal is not None:
            return {"user": self.principal.user_id}
        return {} if self.machine is None else {"device": self.machine.mark}

    @property
    def zone(self) -> str | None:
        """The hall that the address names, else the one that the machine stands in."""
        return self.query.get("zone") or (None if self.machine is None else self.machine.zone)

    def keep_paired(self, response: Response) -> Response:
        """Begin the machine's cookie anew, since browsers forget it after 400 days."""
        if self.machine is not None:
            token = self.facts.machine_tokens[self.machine.kind]
            set_machine_cookie(response, self.facts, self.machine.kind, token)
        return response

    def paired(self, kind: DeviceKind) -> Device | None:
        """Return the machine of a kind that this browser was paired as, if it still is one."""
        token = self.facts.machine_tokens.get(kind)
        device = None if token is None else devices.device_of(self.clinic, token)
        if device is None or device.kind is not kind:
            return None
        devices.saw_device(self.clinic, device, self.facts.address)
        return device

    def machine_for(self, permission: Permission) -> Device | None:
        """
        Return the paired machine that this browser is where something is asked for.

        For what a user does that is the counter's, since it says where they work.
        """
        if permission not in OF_DEVICES:
            return self.paired(DeviceKind.COUNTER)
        kinds = (kind for kind, granted in DEVICE_PERMISSIONS.items() if permission in granted)
        return next((found for kind in kinds if (found := self.paired(kind)) is not None), None)

    def gettext(self, message: str, **values: object) -> str:
        """Return a text in the page's language, with `%(name)s` filled in."""
        text = self.rendering.gettext(self.lang, message)
        return text % values if values else text

    def render(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Answer with a whole page."""
        return HTMLResponse(self.rendering.render(template, self, **context), status)

    def fragment(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Answer with a piece of a page, for htmx."""
        return self.render(template, status=status, **context)

    def redirect(self, path: str, *, full: bool = False, **query: object) -> Response:
        """
        Answer with another page of this server, in the same language.

        Args:
            path: Local, with or without a query of its own.
            full: Let htmx load the whole page instead of putting it into the present one.
            query: Added to the path; None values are left out.
        """
        values = {key: str(value) for key, value in query.items() if value is not None}
        own = DEFAULT_LANGUAGE if self.principal is None else self.principal.language
        if self.lang != own:
            values.setdefault("lang", self.lang)
        if values:
            path += ("&" if "?" in path else "?") + urlencode(values)
        if full and self.is_htmx:
            return Response(status_code=204, headers={"HX-Redirect": path})
        return RedirectResponse(path, 303)

    def require(self, permission: Permission) -> None:
        """
        Ask for more than the route does, say for one of its actions.

        Raises:
            Forbidden: The principal may not.
        """
        if not self.may(permission):
            raise Forbidden(permission.value)

    def may(self, permission: Permission) -> bool:
        """Say whether whoever asks may: for kiosk and TV the machine, else the user."""
        who = self.machine_for(permission) if permission in OF_DEVICES else self.principal
        return may(who, permission, is_demo=self.is_demo)

    def is_still_allowed(self, permission: Permission) -> bool:
        """
        Look again, for streams that outlive their session. Reads the database.

        Who reads is there, so the machine is noted as seen.
        """
        self.machine_for(permission)
        if permission in OF_DEVICES or self.principal is None:
            return self.may(permission)
        now = sessions.principal_of(self.clinic, self.principal.session_hash)
        return may(now, permission, is_demo=self.is_demo)

    def _language(self) -> str:
        known = [code for code, _ in self.rendering.languages]
        asked = self.query.get("lang", "")
        if asked in known:
            return asked
        if self.principal is not None and self.principal.language in known:
            return self.principal.language
        return DEFAULT_LANGUAGE


def local_path(text: str | None) -> str | None:
    r"""
    Take a path of this server from a request, None for anything else.

    What browsers would read as another host (`//host`, `/\host`, control characters) is
    nothing of ours.
    """
    if not text or len(text) > MAX_NEXT or not text.startswith("/"):
        return None
    is_foreign = text.startswith("//") or "\\" in text or " " in text
    return None if is_foreign or not text.isprintable() else text


def whole_number(text: str, figures: int = MAX_FIGURES) -> int:
    """
    Read a number that names something.

    Raises:
        InvalidRequest: It holds anything but figures, or more of them than any such number has.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= figures):
        raise InvalidRequest("a number has figures only")
    return int(text)


def _texts(values: Mapping[str, str]) -> dict[str, str]:
    for key, value in values.items():
        if _UNWANTED.search(key) or _UNWANTED.search(value):
            raise InvalidRequest("control characters in the request")
    return dict(values)
