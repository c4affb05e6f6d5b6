"""Machines that stand in the clinic: kiosk, TV, speaker and counter."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

CODE_LIFETIME = timedelta(minutes=15)
"""A pairing code is typed at once, or made anew."""
CODE_LENGTH = 8
MAX_NAME = 60
HERE_FOR = timedelta(minutes=3)
"""A machine that was not heard of for so long is not there: it asks at least once a minute."""


class DeviceKind(StrEnum):
    """What a paired machine is for; each kind has a scope of its own (`domain.access`)."""

    KIOSK = "kiosk"
    DISPLAY = "display"
    SPEAKER = "speaker"
    COUNTER = "counter"


class DeviceState(StrEnum):
    """How a machine stands."""

    WAITING = "waiting"
    """Its code was not typed yet."""
    LATE = "late"
    """Its code was not typed in time."""
    PAIRED = "paired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Device:
    """
    A machine that was or will be paired.

    Args:
        zone: The hall that it stands in.
        counter: The number of the counter that it is fixed to, for kind `counter`.
        code_expires_at: Until when its code is good, None once it was used.
        seen_at: When it last asked for anything, to the minute.
    """

    id: int
    kind: DeviceKind
    name: str
    zone: str
    counter: int | None
    code_expires_at: datetime | None
    paired_at: datetime | None
    seen_at: datetime | None
    seen_address: str | None
    revoked_at: datetime | None

    @property
    def mark(self) -> str:
        """What events, the audit and idempotency keys know it by."""
        return f"device-{self.id}"

    def is_here(self, now: datetime) -> bool:
        """Say whether it was heard of lately."""
        return self.seen_at is not None and abs(now - self.seen_at) < HERE_FOR

    def state(self, now: datetime) -> DeviceState:
        """Say how it stands at a moment."""
        if self.revoked_at is not None:
            return DeviceState.REVOKED
        if self.code_expires_at is not None and now < self.code_expires_at:
            return DeviceState.WAITING
        return DeviceState.LATE if self.paired_at is None else DeviceState.PAIRED
