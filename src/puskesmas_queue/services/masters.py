"""Master data: units."""

from puskesmas_queue.clinic import SETTINGS_TOPIC, Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.errors import InvalidRequest, UnknownName
from puskesmas_queue.services.topics import line_topic
from puskesmas_queue.storage import units as rows
from puskesmas_queue.storage.transaction import Tx

UNCHANGED = object()


def change_unit(
    clinic: Clinic,
    code: str,
    actor: Actor,
    *,
    quota_per_day: object = UNCHANGED,
    room: str | None = None,
    is_active: bool | None = None,
) -> None:
    """
    Change a unit.

    Args:
        quota_per_day: Places per day, None for unlimited; left alone where not given.
        room: Where it is.
        is_active: Whether it takes patients.

    Raises:
        UnknownName: No such unit.
        InvalidRequest: The quota is negative.
    """
    values: dict[str, object] = {}
    if quota_per_day is not UNCHANGED:
        if quota_per_day is not None and (not isinstance(quota_per_day, int) or quota_per_day < 0):
            raise InvalidRequest("a quota is a whole number of at least 0, or none")
        values["quota_per_day"] = quota_per_day
    if room is not None:
        values["room"] = room.strip()[:50]
    if is_active is not None:
        values["is_active"] = is_active

    def run(tx: Tx) -> None:
        unit = next((unit for unit in rows.load(tx) if unit.code == code), None)
        if unit is None:
            raise UnknownName("unit", code)
        if not values:
            return
        rows.change(tx, code, values)
        tx.audit(
            "change_unit",
            actor=actor,
            table="units",
            record=code,
            old={name: getattr(unit, name) for name in values},
            new=values,
        )
        tx.touch(SETTINGS_TOPIC, line_topic(unit.zone))

    clinic.db.write(run)
