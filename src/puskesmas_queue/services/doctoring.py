"""What the doctor tells about a clinic's rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.devices import Device, DeviceState
from puskesmas_queue.domain.printers import PrinterAlert
from puskesmas_queue.services.devices import all_devices
from puskesmas_queue.services.line import opens_at
from puskesmas_queue.storage import checkup, faults, outbox
from puskesmas_queue.storage.checkup import DatabaseState
from puskesmas_queue.storage.faults import FaultRow

SILENT_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class OutboxState:
    """
    What one plugin was not told.

    Args:
        open: Facts that it will be told.
        dead: Facts that it refused for good.
        expired: Facts that came too late for it.
        waits_s: How long the oldest open one waits, None where there is none.
    """

    plugin: str
    open: int
    dead: int
    expired: int
    waits_s: float | None


def database_state(clinic: Clinic) -> DatabaseState:
    """Look the clinic's database over; on a large file that takes seconds."""
    return clinic.db.read(lambda tx: checkup.look(tx, clinic.config.database.file))


def devices_in_use(clinic: Clinic) -> list[Device]:
    """Return the machines that are paired."""
    now = clinic.clock.now()
    return [one for one in all_devices(clinic) if one.state(now) is DeviceState.PAIRED]


def silent_devices(clinic: Clinic, paired: Iterable[Device]) -> list[Device]:
    """Return those that were not heard of lately; while the clinic is closed none has to be."""
    if opens_at(clinic) is not None:
        return []
    before = clinic.clock.now() - SILENT_AFTER
    return [one for one in paired if one.seen_at is None or one.seen_at < before]


def outbox_state(clinic: Clinic) -> list[OutboxState]:
    """Return what each plugin was not told."""
    counts, oldest = clinic.db.read(lambda tx: (outbox.counts(tx), outbox.oldest_open(tx)))
    now = clinic.clock.now()
    return [
        OutboxState(
            plugin=name,
            open=counts.get((name, "open"), 0),
            dead=counts.get((name, "dead"), 0),
            expired=counts.get((name, "expired"), 0),
            waits_s=(now - oldest[name]).total_seconds() if name in oldest else None,
        )
        for name in sorted({plugin for plugin, _ in counts})
    ]


def plugin_faults(clinic: Clinic) -> list[FaultRow]:
    """Return what went wrong in hooks of plugins, latest first."""
    return clinic.db.read(faults.load)


def fault_line(row: FaultRow, zone: ZoneInfo) -> str:
    """Say in one line what went wrong, how often and when for the last time."""
    times = "once" if row.count == 1 else f"{row.count} times"
    last = row.last_at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    off = "; its decisions are switched off" if row.is_switched_off else ""
    return f"{row.hook} {row.kind} {times}, last {last}: {row.detail}{off}"


def printer_line(alert: PrinterAlert, zone: ZoneInfo) -> str:
    """Say in one line how a printer fares, since when and whose slip met it last."""
    fared = {"failed": "does not print", "unsure": "is not sure", "printed": "prints, but"}
    since = alert.since.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    why = alert.detail or ("its plugin is not active" if not alert.plugin else "no reason given")
    return f"{fared[alert.state]} since {since}, last for {alert.number}: {why}"
