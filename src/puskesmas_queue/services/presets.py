"""What a new clinic begins with; all of it is data that the clinic changes."""

from collections.abc import Mapping, Sequence

from puskesmas_queue.clinic import SETTINGS_TOPIC, Clinic
from puskesmas_queue.domain.errors import SetupError, UnknownName
from puskesmas_queue.storage import units as rows
from puskesmas_queue.storage.transaction import Tx
from puskesmas_queue.storage.units import Unit, Zone

COUNTERS = 2


def _unit(
    place: int, prefix: str, code: str, name: str, name_en: str, icon: str, room: str
) -> Unit:
    return Unit(
        code=code,
        name=name,
        name_en=name_en,
        icon=icon,
        zone="main",
        queue_prefix=prefix,
        room=room,
        quota_per_day=None,
        sort_order=place,
        is_active=True,
        is_emergency=icon == "alert",
    )


PRESETS: Mapping[str, Sequence[Unit]] = {
    "klasik": (
        _unit(1, "A", "umum", "Poli Umum", "General clinic", "stethoscope", "Ruang 1"),
        _unit(2, "B", "gigi", "Poli Gigi", "Dental clinic", "tooth", "Ruang 2"),
        _unit(
            3, "C", "kia", "Poli KIA/KB", "Mother, child and family planning", "mother", "Ruang 3"
        ),
        _unit(4, "D", "imunisasi", "Poli Imunisasi", "Immunisation", "syringe", "Ruang 4"),
        _unit(5, "E", "ugd", "UGD", "Emergency", "alert", "Pintu UGD"),
    ),
    "ilp": (
        _unit(
            1,
            "A",
            "ibu-anak",
            "Klaster 2: Ibu dan Anak",
            "Mothers and children",
            "mother",
            "Ruang 1",
        ),
        _unit(
            2,
            "B",
            "dewasa",
            "Klaster 3: Dewasa dan Lansia",
            "Adults and elderly",
            "stethoscope",
            "Ruang 2",
        ),
        _unit(
            3,
            "C",
            "menular",
            "Klaster 4: Penyakit Menular",
            "Infectious diseases",
            "syringe",
            "Ruang 3",
        ),
        _unit(4, "D", "gigi", "Lintas Klaster: Gigi", "Dental", "tooth", "Ruang 4"),
        _unit(5, "E", "ugd", "UGD", "Emergency", "alert", "Pintu UGD"),
    ),
}
"""Presets by name: five classic units A to E, or the clusters of PMK 19/2024."""


def apply_preset(clinic: Clinic, name: str, counters: int = COUNTERS) -> None:
    """
    Furnish a new clinic with one zone, its units and counters 1 to `counters`.

    Raises:
        UnknownName: There is no such preset.
        SetupError: The clinic has units already.
    """
    if name not in PRESETS:
        raise UnknownName("preset", name)

    def run(tx: Tx) -> None:
        if rows.is_furnished(tx):
            raise SetupError("the clinic has units already")
        rows.furnish(tx, Zone("main", "Ruang tunggu"), PRESETS[name], range(1, counters + 1))
        tx.touch(SETTINGS_TOPIC)

    clinic.db.write(run)
