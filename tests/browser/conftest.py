"""A hall with a running demo."""

import pytest

from browser.hall import Hall
from support.chromium import Pages
from support.server import Server


@pytest.fixture
def hall(server: Server, pages: Pages) -> Hall:
    """The demo's hall at 07:30."""
    return Hall(server, pages)
