"""What could not be delivered to plugins: listed, sent again by hand, dismissed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import Conflict, NotFound
from puskesmas_queue.domain.events import LIFETIMES, lifetime
from puskesmas_queue.storage import letters as rows
from puskesmas_queue.storage.letters import DeadLetter
from puskesmas_queue.storage.transaction import Reading, Tx

TOPIC = "outbox"
"""Has a new version when somebody wants facts to be tried again."""
KEPT = timedelta(days=90)
PORTION = 200
"""So many rows are changed at once, so that the hall need not wait for all."""


def dead_letters(clinic: Clinic, limit: int = 200, before: int | None = None) -> list[DeadLetter]:
    """Return deliveries that were given up, latest first; `before` is the id of the last seen."""
    return clinic.db.read(lambda tx: rows.latest(tx, limit, before))


def dead_letter(clinic: Clinic, delivery_id: int) -> DeadLetter:
    """
    Return one delivery that was given up.

    Raises:
        NotFound: There is no such dead letter.
    """
    return clinic.db.read(lambda tx: _letter(tx, delivery_id))


def newest_letter(clinic: Clinic, plugin: str) -> int | None:
    """Return the id of a plugin's latest dead letter, None where it has none."""
    return clinic.db.read(lambda tx: rows.newest(tx, plugin))


def can_redeliver(clinic: Clinic, letter: DeadLetter) -> bool:
    """Say whether a dead letter can be sent again: somebody hears it, and it is not too old."""
    is_heard = clinic.plugins.listens(letter.plugin, letter.kind)
    return is_heard and not is_stale(letter, clinic.clock.now())


def is_stale(letter: DeadLetter, now: datetime) -> bool:
    """Say whether a dead letter is of a kind that must be heard at once, and is too old for it."""
    return letter.kind in LIFETIMES and now - letter.created_at >= LIFETIMES[letter.kind]


def redeliver(clinic: Clinic, delivery_id: int, actor: Actor) -> None:
    """
    Try a dead letter again by hand.

    Raises:
        NotFound: There is no such dead letter.
        Conflict: Its plugin does not hear of this any more, or a call is too old to be heard.
    """

    def run(tx: Tx) -> None:
        letter = _letter(tx, delivery_id)
        if not clinic.plugins.listens(letter.plugin, letter.kind):
            raise Conflict(f"plugin {letter.plugin} does not listen to {letter.kind}")
        if is_stale(letter, tx.now):
            raise Conflict(f"{letter.kind} is too old to be delivered")
        rows.reopen(tx, [delivery_id], _expiry(letter, tx.now))
        tx.audit("redeliver", actor=actor, table="deliveries", record=delivery_id)
        tx.touch(TOPIC)

    clinic.db.write(run)


def redeliver_all(clinic: Clinic, plugin: str, actor: Actor) -> int:
    """
    Try a plugin's dead letters again, oldest first; return how many.

    What it does not hear of any more and calls that are too old stay where they are.

    Raises:
        Conflict: The plugin does not listen.
    """
    if plugin not in clinic.plugins.listeners():
        raise Conflict(f"plugin {plugin} does not listen")

    def change(tx: Tx, found: Sequence[DeadLetter]) -> int:
        expiry = partial(_expiry, now=tx.now)
        fit = sorted((one for one in found if can_redeliver(clinic, one)), key=expiry)
        for expires_at, alike in groupby(fit, key=expiry):
            rows.reopen(tx, [letter.id for letter in alike], expires_at)
        if fit:
            new = {"plugin": plugin, "count": len(fit)}
            tx.audit("redeliver_all", actor=actor, table="deliveries", new=new)
            tx.touch(TOPIC)
        return len(fit)

    return _in_portions(clinic, plugin, newest_letter(clinic, plugin) or 0, change)


def dismiss(clinic: Clinic, delivery_id: int, actor: Actor) -> None:
    """
    Take a dead letter off the list for good.

    Raises:
        NotFound: There is no such dead letter.
    """

    def run(tx: Tx) -> None:
        letter = _letter(tx, delivery_id)
        rows.remove(tx, [delivery_id])
        old = {"plugin": letter.plugin, "kind": letter.kind, "ticket_id": letter.ticket_id}
        tx.audit("dismiss", actor=actor, table="deliveries", record=delivery_id, old=old)

    clinic.db.write(run)


def dismiss_all(clinic: Clinic, plugin: str, until: int, actor: Actor) -> int:
    """
    Take a plugin's dead letters off the list for good; return how many.

    Args:
        clinic: Whose.
        plugin: Any, also one that is gone.
        until: The id of the last one that whoever asks for it has heard of.
        actor: Who asks.
    """

    def change(tx: Tx, found: Sequence[DeadLetter]) -> int:
        rows.remove(tx, [letter.id for letter in found])
        old = {"plugin": plugin, "count": len(found)}
        tx.audit("dismiss_all", actor=actor, table="deliveries", old=old)
        return len(found)

    return _in_portions(clinic, plugin, until, change)


def _in_portions(
    clinic: Clinic, plugin: str, until: int, change: Callable[[Tx, Sequence[DeadLetter]], int]
) -> int:
    """Change a plugin's dead letters, each portion in a transaction of its own; return how many."""

    def run(tx: Tx, after: int) -> tuple[int, int | None]:
        found = rows.of_plugin(tx, plugin, after, until, PORTION)
        return (change(tx, found), found[-1].id) if found else (0, None)

    total, last = 0, None
    while (step := clinic.db.write(partial(run, after=last or 0)))[1] is not None:
        total, last = total + step[0], step[1]
    return total


def _expiry(letter: DeadLetter, now: datetime) -> datetime:
    """Say until when a letter that is sent again is told: a call grows no younger by it."""
    begins = letter.created_at if letter.kind in LIFETIMES else now
    return begins + lifetime(letter.kind)


def _letter(tx: Reading, delivery_id: int) -> DeadLetter:
    letter = rows.one(tx, delivery_id)
    if letter is None:
        raise NotFound(f"no dead letter {delivery_id}")
    return letter
