"""Facts for plugins: made of stored events when they are delivered."""

from datetime import date, datetime, timedelta

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import Conflict, NotFound
from puskesmas_queue.domain.events import LIFETIMES, DayFact, Fact, lifetime
from puskesmas_queue.domain.tickets import TicketState
from puskesmas_queue.plugin_host.dispatch import Outcome
from puskesmas_queue.services.plugin_screens import as_fact
from puskesmas_queue.storage import outbox as rows
from puskesmas_queue.storage import tickets
from puskesmas_queue.storage.outbox import DeadLetter, Delivery
from puskesmas_queue.storage.transaction import Tx

KEPT = timedelta(days=7)
TOPIC = "outbox"
"""Has a new version when somebody wants facts to be tried again."""


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


def dead_letters(clinic: Clinic, limit: int = 200) -> list[DeadLetter]:
    """Return deliveries that were given up, latest first."""
    return clinic.db.read(lambda tx: rows.letters(tx, limit))


def delivery_counts(clinic: Clinic) -> dict[tuple[str, str], int]:
    """Count deliveries that are open, dead or expired, by plugin and state."""
    return clinic.db.read(rows.counts)


def redeliver(clinic: Clinic, delivery_id: int, actor: Actor) -> None:
    """
    Try a dead letter again by hand.

    Raises:
        NotFound: There is no such dead letter.
        Conflict: It is about a call that is too old to be heard.
    """

    def run(tx: Tx) -> None:
        letter = rows.letter(tx, delivery_id)
        if letter is None:
            raise NotFound(f"no dead letter {delivery_id}")
        if is_stale(letter, tx.now):
            raise Conflict(f"{letter.kind} is too old to be delivered")
        rows.reopen(tx, delivery_id, tx.now + lifetime(letter.kind))
        tx.audit("redeliver", actor=actor, table="deliveries", record=delivery_id)
        tx.touch(TOPIC)

    clinic.db.write(run)


def is_stale(letter: DeadLetter, now: datetime) -> bool:
    """Say whether a dead letter is of a kind that must be heard at once, and is too old for it."""
    return letter.kind in LIFETIMES and now - letter.created_at >= LIFETIMES[letter.kind]


def forget_delivered(clinic: Clinic) -> None:
    """Forget what was delivered over a week ago; dead letters stay."""
    clinic.db.write(lambda tx: rows.forget(tx, tx.now - KEPT))


def _day_fact(delivery: Delivery) -> DayFact:
    data = delivery.data
    return DayFact(
        service_date=date.fromisoformat(data["service_date"]),
        issued=data["issued"],
        completed=data["completed"],
        cancelled=data["cancelled"],
        expired=data["expired"],
    )
