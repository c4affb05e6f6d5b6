"""Printers to test with; none is left when a test ends."""

from collections.abc import Callable, Iterator

import pytest
from fake_printer import FakePrinter, PtyPrinter, TcpPrinter
from sqlalchemy import Connection, delete

from puskesmas_queue.testing import ClinicUnderTest
from puskesmas_queue_escpos_printer import plugin
from puskesmas_queue_escpos_printer.tables import METADATA

NAME = "escpos_printer"


@pytest.fixture
def switched_on() -> Iterator[Callable[[FakePrinter], FakePrinter]]:
    """Look after printers that a test switches on itself."""
    running: list[FakePrinter] = []

    def keep(printer: FakePrinter) -> FakePrinter:
        running.append(printer)
        return printer

    yield keep
    for printer in running:
        printer.stop()


@pytest.fixture
def tcp(switched_on) -> TcpPrinter:
    """A printer in the network."""
    return switched_on(TcpPrinter())


@pytest.fixture
def pty(switched_on) -> PtyPrinter:
    """A printer at a cable."""
    return switched_on(PtyPrinter())


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Iterator[ClinicUnderTest]:
    """A clinic with the plugin, for all tests of a module: to make one takes a second."""
    with ClinicUnderTest(tmp_path_factory.mktemp("clinic"), [(NAME, plugin)]) as clinic:
        yield clinic


@pytest.fixture
def quiet(opened) -> ClinicUnderTest:
    """The same without a printer or a job, and with nobody who looks by himself."""
    ctx = opened.context(NAME)
    watch = plugin.WATCHES.pop(ctx.clinic_id, None)
    if watch is not None:
        watch.stop(10)

    def clear(connection: Connection) -> None:
        for table in METADATA.tables.values():
            connection.execute(delete(table))

    ctx.data.write(clear)
    return opened
