"""What the doctor tells about a clinic's rows."""

from zoneinfo import ZoneInfo

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.storage import faults
from puskesmas_queue.storage.faults import FaultRow


def plugin_faults(clinic: Clinic) -> list[FaultRow]:
    """Return what went wrong in hooks of plugins, latest first."""
    return clinic.db.read(faults.load)


def fault_line(row: FaultRow, zone: ZoneInfo) -> str:
    """Say in one line what went wrong, how often and when for the last time."""
    times = "once" if row.count == 1 else f"{row.count} times"
    last = row.last_at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    off = "; its decisions are switched off" if row.is_switched_off else ""
    return f"{row.hook} {row.kind} {times}, last {last}: {row.detail}{off}"
