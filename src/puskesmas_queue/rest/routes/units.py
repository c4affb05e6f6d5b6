"""Units: what can be asked for today, and changing one."""

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Permission
from puskesmas_queue.domain.errors import NotFound, UnknownName
from puskesmas_queue.rest.call import Call, reply
from puskesmas_queue.rest.endpoint import Endpoint
from puskesmas_queue.rest.schemas import Unit, UnitChange, Units
from puskesmas_queue.services import masters
from puskesmas_queue.services.answers import Reply
from puskesmas_queue.services.line import UnitToday, units_today

SUBJECT = "units"


def list_units(call: Call) -> Reply:
    """Read the units with their places of today."""
    return reply(200, Units(items=[_document(one) for one in units_today(call.clinic)]))


def change_unit(call: Call) -> Reply:
    """Change a unit."""
    asked, code = call.body(UnitChange), call.path["code"]
    given = asked.model_fields_set
    try:
        masters.change_unit(
            call.clinic,
            code,
            call.actor,
            quota_per_day=(asked.quota_per_day if "quota_per_day" in given else masters.UNCHANGED),
            room=asked.room if "room" in given else None,
            is_active=asked.is_active if "is_active" in given else None,
        )
    except UnknownName:
        raise NotFound(f"no unit {code}") from None
    return reply(200, _document(_unit(call.clinic, code)))


def _unit(clinic: Clinic, code: str) -> UnitToday:
    return next(one for one in units_today(clinic) if one.unit.code == code)


def _document(today: UnitToday) -> Unit:
    unit = today.unit
    return Unit(
        code=unit.code,
        name=unit.name,
        prefix=unit.queue_prefix,
        remaining=today.remaining,
        open=today.is_open,
        zone=unit.zone,
        room=unit.room,
        quota_per_day=unit.quota_per_day,
        is_active=unit.is_active,
        is_emergency=unit.is_emergency,
    )


endpoints = (
    Endpoint(
        "GET",
        "/units",
        list_units,
        Permission.UNIT_VIEW,
        SUBJECT,
        summary="Read the units with their places of today",
        answers={200: Units},
    ),
    Endpoint(
        "PATCH",
        "/units/{code}",
        change_unit,
        Permission.MANAGE_SETTINGS,
        SUBJECT,
        summary="Change a unit",
        answers={200: Unit},
        refusals=(NotFound,),
        body=UnitChange,
        more="What is not named stays.",
        example={"quota_per_day": 40, "room": "Room 2"},
    ),
)
