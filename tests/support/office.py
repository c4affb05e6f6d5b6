"""The office: an administrator's browser, and what plugins did not hear."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, insert, select
from starlette.testclient import TestClient

from puskesmas_queue.app import make_app
from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import SYSTEM, Role
from puskesmas_queue.domain.events import lifetime, order_key
from puskesmas_queue.services import accounts, sessions
from puskesmas_queue.storage import tables
from puskesmas_queue.storage.transaction import Tx

OWN = {"sec-fetch-site": "same-origin"}


def open_browser(clinic: Clinic, role: Role) -> TestClient:
    """Return the browser of somebody who is logged in."""
    password = accounts.add_user(clinic, role.value, SYSTEM, role=role)
    token = sessions.login(clinic, role.value, password, SYSTEM).token
    return TestClient(
        make_app(clinic),
        base_url="http://127.0.0.1",
        client=("127.0.0.1", 1),
        headers=OWN,
        cookies={"pq_session": token},
    )


def leave(
    clinic: Clinic,
    ticket: int,
    facts: Sequence[tuple[str, str, str]],
    age: timedelta = timedelta(0),
) -> list[int]:
    """
    Store deliveries as if they had happened; return their ids.

    Args:
        clinic: Whose.
        ticket: The id of the ticket that they are about.
        facts: The plugin, kind and state of each.
        age: How long ago they happened and were settled.
    """

    def run(tx: Tx) -> list[int]:
        newest = [select(func.max(one.c.id)) for one in (tables.events, tables.deliveries)]
        tops = [tx.conn.execute(question).scalar_one() or 0 for question in newest]
        at, ids = tx.now - age, []
        for place, (plugin, kind, state) in enumerate(facts, 1):
            event = {"clinic_id": clinic.id, "occurred_at": at, "kind": kind, "ticket_id": ticket}
            event_id, own_id = (top + place for top in tops)
            tx.conn.execute(insert(tables.events).values(id=event_id, data={}, **event))
            row = {
                "clinic_id": clinic.id, "id": own_id, "event_id": event_id, "plugin": plugin,
                "order_key": order_key(kind, ticket), "state": state, "created_at": at,
                "next_at": at, "expires_at": at + lifetime(kind),
            }  # fmt: skip
            if state != "open":
                error = "ConnectionError: <b>no route</b>"
                row.update(attempts=9, settled_at=at, last_error=error)
            tx.conn.execute(insert(tables.deliveries).values(row))
            ids.append(own_id)
        return ids

    return clinic.db.write(run)
