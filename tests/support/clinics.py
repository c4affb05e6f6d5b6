"""Clinics to test with: furnished, on a clock that can be moved."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from puskesmas_queue.clinic import Clinic, open_clinic
from puskesmas_queue.clock import ShiftedClock, SystemClock
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
