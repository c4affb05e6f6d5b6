"""One request as a call's handler sees it: who asks, what was sent, and how to answer."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor, Principal
from puskesmas_queue.domain.devices import Device
from puskesmas_queue.domain.errors import Forbidden, TokenRefused
from puskesmas_queue.rest.endpoint import Endpoint
from puskesmas_queue.rest.problems import Speaker
from puskesmas_queue.rest.schemas import Out
from puskesmas_queue.services.answers import Reply, answer_once
from puskesmas_queue.services.devices import device_of, saw_device
from puskesmas_queue.services.tokens import program_of
from puskesmas_queue.web.security import Facts, facts_of

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class Call:
    """
    A request, checked and parsed.

    Args:
        request: As Starlette has it.
        speaker: The language of the answer.
        endpoint: What was called.
        caller: A program's user or a paired machine; None for a public call.
        path: Parameters of the address.
        sent: What was sent, as it came.
        body: The same, read; None for an empty one.
        query: What stood behind the question mark, read.
        key: The idempotency key.
    """

    def __init__(
        self,
        request: Request,
        speaker: Speaker,
        endpoint: Endpoint,
        caller: Principal | Device | None,
        *,
        path: Mapping[str, Any],
        sent: bytes = b"",
        body: BaseModel | None = None,
        query: BaseModel | None = None,
        key: str | None = None,
    ) -> None:
        self.request = request
        self.speaker = speaker
        self.clinic: Clinic = speaker.clinic
        self.caller = caller
        self.path = path
        self.key = key
        self._endpoint = endpoint
        self._sent = sent
        self._body = body
        self._query = query

    @property
    def facts(self) -> Facts:
        """What is known of the connection."""
        return facts_of(self.request)

    @property
    def actor(self) -> Actor:
        """Who acts: the program's user, the machine, or nobody known."""
        return actor_of(self.caller, self.facts)

    @property
    def family(self) -> int:
        """
        The program's login.

        Raises:
            Forbidden: A machine asks, which works at no counter by itself.
        """
        if not isinstance(self.caller, Principal) or self.caller.family is None:
            raise Forbidden(self._endpoint.permission.value)
        return self.caller.family

    @property
    def is_staff(self) -> bool:
        """Whether a user asks: they may see why a ticket is priority."""
        return isinstance(self.caller, Principal)

    def body(self, kind: type[M]) -> M:
        """Return what was sent; an empty one where nothing was and nothing had to be."""
        return self._body if isinstance(self._body, kind) else kind()

    def query(self, kind: type[M]) -> M:
        """Return what stood behind the question mark."""
        return self._query if isinstance(self._query, kind) else kind()

    def once(
        self,
        act: Callable[[Clinic], T],
        answer: Callable[[T], Reply],
        tell: Callable[[T], Reply] | None = None,
    ) -> Reply:
        """
        Carry the request out, once for its idempotency key.

        Args:
            act: The use case: it changes something in one transaction of the clinic it is given.
            answer: Makes the answer of what came of it, without asking the database.
            tell: Makes a fuller one for the first time, if asking the database adds to it.

        Raises:
            KeyTaken: The key came with another request.
        """
        if self.key is None:
            return (tell or answer)(act(self.clinic))
        actor = self.actor
        holder = f"user:{actor.id}" if actor.kind == "user" else f"device:{actor.device}"
        asked = f"{self.request.method} {self.request.url.path}\n".encode() + self._sent
        return answer_once(self.clinic, holder, self.key, asked, act, answer, tell)


def reply(status: int, document: Out | None = None, location: str = "") -> Reply:
    """Answer with a document; `location` is where to read what was made, below `/api/v1`."""
    return Reply(status, "" if document is None else document.model_dump_json(), location)


def caller_of(clinic: Clinic, facts: Facts, header: str | None) -> Principal | Device | None:
    """
    Find out who asks by the bearer token; cookies are never looked at.

    Raises:
        TokenRefused: The token is not good, or not any more.
    """
    scheme, _, token = (header or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return None
    if "." in token:
        return program_of(clinic, token)
    device = device_of(clinic, token)
    if device is None:
        raise TokenRefused("no device has this token")
    saw_device(clinic, device, facts.address)
    return device


def actor_of(caller: Principal | Device | None, facts: Facts) -> Actor:
    """Name who acts, for events and the audit."""
    nobody = Actor("device", address=facts.address, user_agent=facts.user_agent)
    match caller:
        case Principal():
            return replace(
                nobody, kind="user", id=caller.user_id, name=caller.name, role=caller.role
            )
        case Device():
            return replace(nobody, name=caller.name, device=caller.mark)
    return nobody
