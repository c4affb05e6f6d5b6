"""Clinics to test with: furnished, on a clock that can be moved."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.clock import ShiftedClock, SystemClock
from puskesmas_queue.domain.days import ZONES
from puskesmas_queue.services.presets import apply_preset
from puskesmas_queue.settings import ClinicConfig, Config, DatabaseConfig, ServerConfig

MORNING = datetime(2026, 2, 26, 0, 30, tzinfo=UTC)
"""Thursday 26 February 2026, 07:30 WIB: kiosk and counters are open."""


def make_config(url: str, folder: Path, *, zone: str = "Asia/Jakarta", **server: Any) -> Config:
    """Return a configuration that nobody wrote down."""
    return Config(
        path=folder / "puskesmas.toml",
        clinic=ClinicConfig("uji", "Puskesmas Uji", zone),
        server=replace(ServerConfig(), **server),
        database=DatabaseConfig(url),
    )


def zone_without_midnight() -> str:
    """
    Return a zone in which the day neither ends nor began just now.

    A clinic on this machine's own clock can then be open: no ticket is of yesterday before its
    test is over, and the last minute, which no setting of hours includes, is far.
    """
    for zone in ZONES:
        if time(0, 10) < datetime.now(ZoneInfo(zone)).time() < time(23, 30):
            return zone
    raise AssertionError("zones that are an hour apart are never all at midnight")


def make_clinic(
    config: Config,
    clock: SystemClock | None = None,
    *,
    preset: str = "klasik",
    plugins: Iterable[tuple[str, object]] = (),
) -> Clinic:
    """Open a clinic on a migrated database and furnish it; the caller closes it."""
    clinic = open_clinic(config, clock or ShiftedClock(MORNING), plugins)
    apply_preset(clinic, preset)
    return clinic
