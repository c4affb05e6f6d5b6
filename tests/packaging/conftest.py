"""The core's wheel, built once."""

from pathlib import Path

import pytest

from support.wheels import ROOT, build


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core's wheel, built from this folder."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"))
