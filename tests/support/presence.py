"""What a machine may lack: reported as not run, and a failure where CI=true."""

import os
from typing import NoReturn

import pytest


def not_run(what: str, how: str) -> NoReturn:
    """Say that these tests did not run and how to get what they need."""
    reason = f"NOT RUN: {what}: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true, so this is a failure)", pytrace=False)
    pytest.skip(reason)
