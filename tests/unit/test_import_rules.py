"""Who may import whom."""

from importlinter import cli


def test_import_rules_hold(monkeypatch, request):
    """Every contract of pyproject.toml is kept."""
    monkeypatch.chdir(request.config.rootpath)

    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS
