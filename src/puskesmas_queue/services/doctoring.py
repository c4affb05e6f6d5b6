"""What the doctor tells about a clinic's rows."""

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.storage import faults
from puskesmas_queue.storage.faults import FaultRow


def plugin_faults(clinic: Clinic) -> list[FaultRow]:
    """Return what went wrong in hooks of plugins, latest first."""
    return clinic.db.read(faults.load)
