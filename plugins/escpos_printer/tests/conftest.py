"""Printers to test with; none is left when a test ends."""

from collections.abc import Callable, Iterator

import pytest
from fake_printer import FakePrinter, PtyPrinter, TcpPrinter


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
