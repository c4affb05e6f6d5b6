"""How each hall is spoken to: the speed, the chime, and how often."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from puskesmas_queue.api import Context
from puskesmas_queue.plugin_tables import own_data
from puskesmas_queue_tts.tables import LONGEST_ZONE, ZONES, put

SPEEDS = (70, 80, 90, 100, 110, 120, 130)
"""Percent of the voice's own."""
CHIMES = ("tv", "ding-dong", "three", "soft", "clips", "none")
"""`tv`: the TV's own; `clips`: the one that the clinic recorded."""
REPEATS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class ZoneVoice:
    """
    How a hall is spoken to.

    Args:
        zone: Its code.
        speed_percent: Of the voice's own speed.
        chime: One of `CHIMES`.
        repeats: How often each call is spoken.
        heard_at: When its TV last asked for a sound, in UTC; None: never.
    """

    zone: str
    speed_percent: int = 100
    chime: str = "tv"
    repeats: int = 1
    heard_at: datetime | None = None

    @property
    def speed(self) -> float:
        """1.0 is the voice's own."""
        return self.speed_percent / 100


def load(ctx: Context) -> list[ZoneVoice]:
    """
    Return every hall that was spoken to or set, by its code.

    Raises:
        PluginDataUnavailable: The tables cannot be reached.
    """
    columns = [ZONES.c[name] for name in ("zone", "speed_percent", "chime", "repeats", "heard_at")]
    query = select(*columns).where(ZONES.c.clinic_id == ctx.clinic_id).order_by(ZONES.c.zone)

    def run(connection: Connection) -> list[ZoneVoice]:
        return [ZoneVoice(*row) for row in connection.execute(query)]

    return own_data(ctx).read(run)


def save(ctx: Context, wanted: ZoneVoice) -> bool:
    """Store how a hall is spoken to; False where something of it cannot be."""
    is_known = wanted.speed_percent in SPEEDS and wanted.chime in CHIMES
    if not is_known or wanted.repeats not in REPEATS or not 1 <= len(wanted.zone) <= LONGEST_ZONE:
        return False
    own_data(ctx).write(
        lambda connection: put(
            connection, ZONES, _row(ctx, wanted), "speed_percent", "chime", "repeats"
        )
    )
    return True


def note_heard(ctx: Context, zone: str) -> None:
    """Note that a hall's TV asked for a sound just now."""
    heard = ZoneVoice(zone[:LONGEST_ZONE], heard_at=ctx.now)
    own_data(ctx).write(lambda connection: put(connection, ZONES, _row(ctx, heard), "heard_at"))


def note_there(ctx: Context, zone: str) -> None:
    """Note that there is a hall."""
    row = _row(ctx, ZoneVoice(zone[:LONGEST_ZONE]))
    own_data(ctx).write(lambda connection: put(connection, ZONES, row))


def _row(ctx: Context, one: ZoneVoice) -> dict[str, object]:
    return {
        "clinic_id": ctx.clinic_id,
        "zone": one.zone,
        "speed_percent": one.speed_percent,
        "chime": one.chime,
        "repeats": one.repeats,
        "heard_at": one.heard_at,
    }
