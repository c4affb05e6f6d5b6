"""What a call is: declared once, for the route, the check before it, and the document."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from starlette.responses import Response

from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import QueueError
from puskesmas_queue.rest.schemas import In, Out
from puskesmas_queue.services.answers import Reply

if TYPE_CHECKING:
    from puskesmas_queue.rest.call import Call

PREFIX = "/api/v1"

Handler = Callable[["Call"], Reply]
LiveHandler = Callable[["Call"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    One call.

    Args:
        method: GET, POST or PATCH.
        path: Below `/api/v1`, with its parameters in braces.
        handler: Answers it; sync, in the thread pool.
        permission: What it asks for.
        subject: The part of the document that it stands in.
        summary: What it does, in a line.
        answers: What comes back by status; None for an answer without a body.
        refusals: Which use cases' refusals it may answer, besides those that every call has.
        body: What is sent; `is_body_needed` says whether it may be left out.
        query: What may stand behind the question mark.
        takes_key: How `Idempotency-Key` is honoured: `ticket` and `answer` carry a request out
            once, `none` reads it and lets it be.
        media: The form of its answer.
        more: A sentence or two for the reading page.
    """

    method: str
    path: str
    handler: Handler | LiveHandler
    permission: Permission
    subject: str
    summary: str
    answers: Mapping[int, type[Out] | None]
    refusals: tuple[type[QueueError], ...] = ()
    body: type[In] | None = None
    is_body_needed: bool = True
    query: type[BaseModel] | None = None
    takes_key: str = "none"
    media: str = "application/json"
    more: str = ""
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name the call in the document, `call_next`."""
        return self.handler.__name__

    @property
    def is_public(self) -> bool:
        """Whether it may be called without a token."""
        return self.permission is Permission.PUBLIC
