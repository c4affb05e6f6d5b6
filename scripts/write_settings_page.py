"""Writes docs/settings.md from the registry of settings; a test compares the two."""

from pathlib import Path

from puskesmas_queue.domain.options import OPTIONS

PAGE = Path(__file__).resolve().parent.parent / "docs/settings.md"
HEAD = """\
# Settings

What a clinic changes from day to day. It is kept in the database with its history, and a running
server follows at once:

```bash
puskesmas-queue settings set queue.priority_ratio 3:1
```

What a process needs to start stands in `puskesmas.toml`: see
[install](install.md#settings-of-the-file).

| Setting | Preset | Takes | What it does |
|---|---|---|---|
"""


def page() -> str:
    """Return the whole page."""
    rows = [
        f"| `{option.key}` | {f'`{option.default}`' if option.default else ''} "
        f"| {option.expected} | {option.description} |\n"
        for option in OPTIONS.values()
    ]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
