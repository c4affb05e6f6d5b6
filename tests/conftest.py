"""
What every test may ask for.

`database_url` runs a test on both databases; `clinic` is an open clinic on it. `server` is the real
demo in its own process, `pages` a browser that sees this machine only.
"""

import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.clock import ShiftedClock
from puskesmas_queue.plugin_host import loading
from puskesmas_queue.storage import migrate
from support import chromium, postgres, sockets
from support.clinics import MORNING, make_clinic, make_config
from support.presence import not_run
from support.server import Server, running

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", PATIENT)
# The same examples in each run: ever new ones are for those who have the time to look into them.
settings.register_profile("shared-machine", PATIENT, derandomize=True)
settings.load_profile("shared-machine")

OFFICIAL = ("puskesmas-queue-escpos-printer", "puskesmas-queue-tts")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the soak tests at full length")


def pytest_configure(config: pytest.Config) -> None:
    sockets.block_outside_network()
    if config.getoption("--soak"):
        settings.load_profile("soak")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own shell reaches a test."""
    for name in list(os.environ):
        if name == "PUSKESMAS_CONFIG" or name.startswith("PUSKESMAS__"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _usual_collections() -> Iterator[None]:
    """A server lets garbage lie; the tests after it do not."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)


@pytest.fixture
def no_official_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides the plugins of `plugins/`, which are installed wherever the tests run."""

    def others(**wanted: str) -> list[Distribution]:
        return [one for one in distributions(**wanted) if one.name not in OFFICIAL]

    monkeypatch.setattr(loading, "distributions", others)


@pytest.fixture(scope="session")
def is_soak(request: pytest.FixtureRequest) -> bool:
    """Whether soak tests run at full length."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture(autouse=True)
def _no_outside_network() -> Iterator[None]:
    """A test that reached for another machine fails, even if the code bore it."""
    yield
    reached, sockets.REACHED[:] = list(sockets.REACHED), []
    assert reached == []


# Databases


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """One private PostgreSQL server for this process."""
    server = None
    with suppress(postgres.NoPostgres):
        server = postgres.start()
    if server is None:
        not_run("PostgreSQL tests", postgres.HOW)
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: postgres.Postgres) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def empty_postgres_url(postgres_server: postgres.Postgres) -> Iterator[str]:
    """A PostgreSQL database without any table."""
    url = postgres_server.create(is_empty=True)
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate.upgrade(f"sqlite:///{path.as_posix()}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """A migrated SQLite file of the test's own."""
    path = tmp_path / "puskesmas.db"
    shutil.copy(_sqlite_template, path)
    return f"sqlite:///{path.as_posix()}"


@pytest.fixture(
    params=[
        pytest.param("sqlite_url", id="sqlite"),
        pytest.param("postgres_url", id="postgresql", marks=pytest.mark.postgres),
    ]
)
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database; the test runs once on each kind."""
    url: str = request.getfixturevalue(request.param)
    return url


# Clinic


@pytest.fixture
def clock() -> ShiftedClock:
    """A clock that goes on from 26 February 2026, 07:30 WIB, and can be moved."""
    return ShiftedClock(MORNING)


@pytest.fixture
def clinic(database_url: str, clock: ShiftedClock, tmp_path: Path) -> Iterator[Clinic]:
    """An open, furnished clinic (preset klasik); the test runs once on each kind of database."""
    opened = make_clinic(make_config(database_url, tmp_path), clock)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_clinic(sqlite_url: str, clock: ShiftedClock, tmp_path: Path) -> Iterator[Clinic]:
    """The same on SQLite only, for tests that are not about storage."""
    opened = make_clinic(make_config(sqlite_url, tmp_path), clock)
    yield opened
    opened.close()


# Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The real demo, in a process of its own; `server.pages` and `server.login(role)`."""
    folder = tmp_path / "demo"
    with running(
        "demo", "--no-plugins", "--port", 0, "--json", "--dir", folder, folder=tmp_path
    ) as started:
        yield started


# Browser


@pytest.fixture(scope="module")
def browser() -> Iterator["chromium.Browser"]:
    """Chromium, for the tests of one file."""
    program = chromium.find_chromium()
    if program is None:
        not_run("browser tests", chromium.HOW)
    with chromium.launched(program) as running:
        yield running


@pytest.fixture
def pages(browser: "chromium.Browser") -> Iterator[chromium.Pages]:
    """Opens pages; afterwards none may have asked for another machine or broken the policy."""
    opened = chromium.Pages(browser)
    yield opened
    opened.close()
    assert opened.outside == []
    assert opened.faults == []


@pytest.fixture
def page(pages: chromium.Pages) -> "chromium.Page":
    """One empty page at desktop size."""
    return pages.open()
