"""A plugin's pages and panels as a browser asks for them, and who may."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from puskesmas_queue.domain.access import EVERYBODY, OF_DEVICES, Permission, Principal, Role, may
from puskesmas_queue.domain.errors import TicketObjected
from puskesmas_queue.plugin_pages import SLOTS
from puskesmas_queue.testing.clinic import ClinicUnderTest

if TYPE_CHECKING:
    from httpx2 import Response

LOGIN = ("/login", "/unlock")
ANYTHING = "1"
"""What stands in place of a path's braces."""


@dataclass(frozen=True, slots=True)
class Screen:
    """
    A page or panel.

    Args:
        method: `GET` or `POST`.
        path: Its address.
        permission: What it asks for.
        is_open_ended: Whether its path has braces, so that what is asked for may not be there.
    """

    method: str
    path: str
    permission: Permission
    is_open_ended: bool = False

    @property
    def is_guarded(self) -> bool:
        """Whether it asks for somebody who is logged in."""
        return self.permission not in EVERYBODY | OF_DEVICES

    def ask(self, clinic: ClinicUnderTest, role: Role | None = None) -> "Response":
        """Ask for it without any field, as nobody or as somebody of a role."""
        return (clinic.post if self.method == "POST" else clinic.get)(self.path, role=role)

    def role(self, *, is_allowed: bool) -> Role | None:
        """Return a role that may or may not; the administrator first."""
        for role in Role:
            principal = Principal(1, role.value, role.value, role, "")
            if may(principal, self.permission) is is_allowed:
                return role
        return None


def screens(opened: ClinicUnderTest, plugin: str) -> Iterator[Screen]:
    """Return every page and panel of a plugin, in each way that it can be asked for."""
    brought, base = opened.clinic.contributions, f"/x/{plugin}"
    for route in brought.routes(plugin):
        path = re.sub(r"\{\w+\}", ANYTHING, route.path)
        for method in route.methods:
            yield Screen(method, base + path, route.permission, path != route.path)
    with suppress(TicketObjected):
        opened.issue()
    ticket = opened.call_next() or opened.issue_emergency()
    for panel in brought.panels(plugin):
        about = f"?ticket={ticket.id}" if panel.slot == "counter.ticket" else ""
        yield Screen("GET", f"{base}/panels/{panel.name}{about}", SLOTS[panel.slot])


def is_refused(answer: "Response") -> bool:
    """Say whether somebody was turned away."""
    asked_for = answer.headers.get("location", "").partition("?")[0]
    return answer.status_code in (401, 403) or (answer.is_redirect and asked_for in LOGIN)
