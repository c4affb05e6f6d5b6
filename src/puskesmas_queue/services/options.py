"""Settings: reading and changing them, with their history."""

from dataclasses import dataclass

from puskesmas_queue.clinic import SETTINGS_TOPIC, Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.domain.options import OPTIONS, option, parse_option
from puskesmas_queue.services.line import all_zones
from puskesmas_queue.services.topics import line_topic, speech_topic
from puskesmas_queue.storage import options as rows
from puskesmas_queue.storage.options import Change
from puskesmas_queue.storage.transaction import Tx


@dataclass(frozen=True, slots=True)
class OptionValue:
    """A setting as it stands; `is_default` says that it was never changed."""

    key: str
    value: str
    is_default: bool
    description: str
    expected: str


def list_options(clinic: Clinic) -> list[OptionValue]:
    """Return every setting with its value."""
    stored = clinic.db.read(rows.load)
    return [
        OptionValue(
            key, stored.get(key, one.default), key not in stored, one.description, one.expected
        )
        for key, one in OPTIONS.items()
    ]


def get_option(clinic: Clinic, key: str) -> OptionValue:
    """
    Return one setting.

    Raises:
        UnknownName: There is none of that name.
    """
    option(key)
    return next(value for value in list_options(clinic) if value.key == key)


def set_option(clinic: Clinic, key: str, value: str, actor: Actor) -> None:
    """
    Change a setting; the old value stays in its history.

    Raises:
        UnknownName, InvalidSetting: See there.
    """
    parse_option(key, value)
    zones = [zone.code for zone in all_zones(clinic)]

    def run(tx: Tx) -> None:
        old = rows.store(tx, key, value, actor.id)
        tx.audit(
            "change_setting",
            actor=actor,
            table="settings",
            record=key,
            old=None if old is None else {key: old},
            new={key: value},
        )
        tx.touch(SETTINGS_TOPIC)
        for zone in zones:
            tx.touch(line_topic(zone), speech_topic(zone))

    clinic.db.write(run)


def option_history(clinic: Clinic, key: str) -> list[Change]:
    """
    Return a setting's changes, newest first.

    Raises:
        UnknownName: There is none of that name.
    """
    option(key)
    return clinic.db.read(lambda tx: rows.history(tx, key))
