"""How the plugins stand, and what could not be delivered to them, for the administrator's pages."""

from dataclasses import dataclass

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import NotFound, PluginSettingsInvalid
from puskesmas_queue.plugin_host.registry import PluginStatus
from puskesmas_queue.services.doctoring import plugin_faults
from puskesmas_queue.services.facts import delivery_counts
from puskesmas_queue.services.letters import can_redeliver, dead_letters
from puskesmas_queue.storage import tickets
from puskesmas_queue.storage.faults import FaultRow
from puskesmas_queue.storage.letters import DeadLetter

PAGE = 50
"""Letters on one page."""


@dataclass(frozen=True, slots=True)
class PluginView:
    """
    One plugin as the administrator sees it.

    Args:
        status: Whether it is used, and why not.
        hooks: What it implements.
        faults: What went wrong in it, latest first.
        waiting: Deliveries that are still tried.
        lost: Deliveries that were given up.
        has_settings: Whether there is a form for it.
        settings_problem: Why it has no settings to work with, if so.
    """

    status: PluginStatus
    hooks: tuple[str, ...]
    faults: tuple[FaultRow, ...]
    waiting: int
    lost: int
    has_settings: bool
    settings_problem: str | None

    @property
    def is_switched_off(self) -> bool:
        """Whether its decisions are not asked for any more."""
        return any(row.is_switched_off for row in self.faults)

    @property
    def fault_count(self) -> int:
        """How often something went wrong in it."""
        return sum(row.count for row in self.faults)

    @property
    def is_well(self) -> bool:
        """Whether nobody needs to look after it."""
        return not (self.status.is_broken or self.is_switched_off or self.settings_problem)


@dataclass(frozen=True, slots=True)
class LetterView:
    """
    A delivery that was given up.

    `number` is the ticket's, None where it is about none.
    """

    letter: DeadLetter
    number: str | None
    can_redeliver: bool


@dataclass(frozen=True, slots=True)
class PluginLetters:
    """How many deliveries of a plugin wait and were given up; whether it still hears of any."""

    plugin: str
    waiting: int
    lost: int
    is_listening: bool


def plugin_views(clinic: Clinic) -> list[PluginView]:
    """Return every plugin that is installed or wanted: those that need somebody first."""
    faults = plugin_faults(clinic)
    counts = delivery_counts(clinic)
    views = [_view(clinic, status, faults, counts) for status in clinic.plugins.statuses]
    rank = {"active": 1, "available": 2}
    views.sort(key=lambda view: 0 if not view.is_well else rank.get(view.status.state, 0))
    return views


def plugin_view(clinic: Clinic, name: str) -> PluginView:
    """
    Return one plugin.

    Raises:
        NotFound: Nobody knows it.
    """
    status = clinic.plugins.status(name)
    if status is None:
        raise NotFound(f"no plugin {name}")
    return _view(clinic, status, plugin_faults(clinic), delivery_counts(clinic))


def letter_views(clinic: Clinic, before: int | None = None) -> tuple[list[LetterView], int | None]:
    """
    Return a page of deliveries that were given up, latest first.

    Args:
        clinic: Whose.
        before: The id of the last one of the page before; None for the first page.

    Returns:
        Them, and what the next page begins before, None where there is none.
    """
    found = dead_letters(clinic, PAGE + 1, before)
    shown = found[:PAGE]
    ids = [letter.ticket_id for letter in shown if letter.ticket_id is not None]
    numbers = clinic.db.read(lambda tx: tickets.numbers(tx, ids)) if ids else {}
    views = [
        LetterView(
            letter,
            None if letter.ticket_id is None else numbers.get(letter.ticket_id),
            can_redeliver(clinic, letter),
        )
        for letter in shown
    ]
    return views, shown[-1].id if len(found) > PAGE else None


def plugin_letters(clinic: Clinic) -> list[PluginLetters]:
    """Return plugins of which something was given up, or waits though nobody hears of it."""
    counts = delivery_counts(clinic)
    listening = clinic.plugins.listeners()
    found = [
        PluginLetters(
            name,
            counts.get((name, "open"), 0),
            counts.get((name, "dead"), 0) + counts.get((name, "expired"), 0),
            name in listening,
        )
        for name in sorted({name for name, _ in counts})
    ]
    return [one for one in found if one.lost or not one.is_listening]


def lost_count(clinic: Clinic) -> int:
    """Count deliveries that were given up."""
    counts = delivery_counts(clinic)
    return sum(times for (_, state), times in counts.items() if state != "open")


def _view(
    clinic: Clinic,
    status: PluginStatus,
    faults: list[FaultRow],
    counts: dict[tuple[str, str], int],
) -> PluginView:
    has_settings, problem = False, None
    if status.state == "active":
        try:
            has_settings = clinic.configs.form(status.name) is not None
            clinic.configs.get(status.name)
        except PluginSettingsInvalid as error:
            problem = error.reason
    name = status.name
    return PluginView(
        status=status,
        hooks=clinic.plugins.hooks(name),
        faults=tuple(row for row in faults if row.plugin == name),
        waiting=counts.get((name, "open"), 0),
        lost=counts.get((name, "dead"), 0) + counts.get((name, "expired"), 0),
        has_settings=has_settings,
        settings_problem=problem,
    )
