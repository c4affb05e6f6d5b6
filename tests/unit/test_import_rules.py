"""Who may import whom."""

import sys

from importlinter import cli


def test_import_rules_hold(monkeypatch, request):
    """Every contract of pyproject.toml is kept."""
    monkeypatch.chdir(request.config.rootpath)
    # It puts this folder there, for good.
    monkeypatch.setattr(sys, "path", sys.path[:])
    # It would silence every logger that is there, for all tests that come after.
    monkeypatch.setattr(cli, "_configure_logging", lambda verbose: None)

    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS
