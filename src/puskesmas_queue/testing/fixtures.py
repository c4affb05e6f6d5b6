"""The pytest plugin: fixtures in every environment that has the server. Imports nothing heavy."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from puskesmas_queue.testing.clinic import ClinicUnderTest

ClinicMaker = Callable[..., "ClinicUnderTest"]


@pytest.fixture
def puskesmas_clinics(tmp_path: Path) -> Iterator[ClinicMaker]:
    """Makes clinics with plugins: `puskesmas_clinics(my_plugin=plugin)`; closes them afterwards."""
    from puskesmas_queue.testing.clinic import ClinicUnderTest

    with ExitStack() as opened:
        count = 0

        def make(**plugins: object) -> ClinicUnderTest:
            nonlocal count
            count += 1
            clinic = ClinicUnderTest(tmp_path / f"clinic-{count}", plugins.items())
            return opened.enter_context(clinic)

        yield make


@pytest.fixture
def puskesmas_clinic(puskesmas_clinics: ClinicMaker) -> "ClinicUnderTest":
    """A clinic without any plugin."""
    return puskesmas_clinics()
