"""Facts for plugins: made of stored events when they are delivered."""

from datetime import date, timedelta
from functools import partial

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.events import DayFact, DayShare, Fact
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.plugin_host.outcomes import Outcome
from puskesmas_queue.services import letters
from puskesmas_queue.services.plugin_screens import as_fact
from puskesmas_queue.storage import outbox as rows
from puskesmas_queue.storage import tickets
from puskesmas_queue.storage.outbox import Delivery

KEPT = timedelta(days=7)
PORTION = 200
"""So many rows are changed at once, so that the hall need not wait for all."""


def deliver(clinic: Clinic, plugin: str, delivery: Delivery) -> Outcome:
    """Call one plugin's implementation of one fact; never raises what the plugin raises."""
    fact = Fact(
        id=f"{clinic.id}-{delivery.event_id}",
        kind=delivery.kind,
        at=delivery.occurred_at,
        zone=delivery.zone,
        counter=delivery.counter,
        reason=delivery.reason,
        attempt=delivery.attempts + 1,
    )
    now = clinic.clock.now()
    if delivery.ticket_id is None:
        return clinic.hooks.tell(plugin, fact, {"day": _day_fact(delivery)}, now)
    ticket_id = delivery.ticket_id
    ticket = clinic.db.read(lambda tx: tickets.by_id(tx, ticket_id))
    if ticket is None:
        return Outcome(is_good=False, detail=f"ticket {ticket_id} is gone")
    led_to = delivery.data.get("to")
    state = TicketState.WAITING if led_to is None else TicketState(led_to)
    return clinic.hooks.tell(plugin, fact, {"ticket": as_fact(clinic, ticket, state)}, now)


def delivery_counts(clinic: Clinic) -> dict[tuple[str, str], int]:
    """Count deliveries that are open, dead or expired, by plugin and state."""
    return clinic.db.read(rows.counts)


def expire_late(clinic: Clinic) -> None:
    """Give up what is too late to be told, a portion of each plugin, also of one that is gone."""
    for plugin in clinic.db.read(rows.waiting_plugins):
        ids = clinic.db.read(partial(rows.late, plugin=plugin, limit=PORTION))
        if ids:
            clinic.db.write(partial(rows.expire, ids=ids))


def forget_old(clinic: Clinic) -> None:
    """Forget what was delivered over a week ago, and dead letters of three months ago."""
    clinic.db.write(lambda tx: rows.forget(tx, tx.now - KEPT, tx.now - letters.KEPT))


def _day_fact(delivery: Delivery) -> DayFact:
    data = delivery.data
    return DayFact(
        service_date=date.fromisoformat(data["service_date"]),
        issued=data["issued"],
        completed=data["completed"],
        cancelled=data["cancelled"],
        expired=data["expired"],
        # A day that ended before the server counted them has none.
        lanes=tuple(DayShare(*one) for one in data.get("lanes", ())),
        units=tuple(DayShare(*one) for one in data.get("units", ())),
    )
