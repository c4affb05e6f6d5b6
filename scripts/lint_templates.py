"""
Reads every template for what the content security policy or a translator would trip over.

No `|safe`, no script, style or handler inside a page, nothing from another host, and no words
that did not pass through gettext.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent.parent / "src/puskesmas_queue/web/templates"

FORBIDDEN = {
    r"\|\s*safe\b": "|safe switches escaping off",
    r"{%-?\s*autoescape\b": "autoescape stays on",
    r"<script(?![^>]*\bsrc=)[^>]*>": "script inside the page",
    r"<style\b": "style inside the page",
    r"\sstyle\s*=": "style attribute",
    r"\son[a-z]+\s*=": "event handler attribute",
    r"\shx-on": "event handler attribute",
    r"javascript:": "script in an address",
    r"\s(?:src|href|action)\s*=\s*[\"'](?:https?:)?//": "address of another host",
}
SPOKEN = r"\s(?:alt|aria-label|placeholder|title|data-text)\s*=\s*\"([^\"]*)\""
EXPRESSION = re.compile(r"{{.*?}}|{%.*?%}|{#.*?#}", re.DOTALL)
TRANSLATED = re.compile(r"{%-?\s*trans\b.*?{%-?\s*endtrans\s*-?%}", re.DOTALL)
SILENT = re.compile(r"{#.*?#}|<!--.*?-->|<(script|svg)\b.*?</\1>", re.DOTALL)
INSIDE_TAG = re.compile(r"{%-?\s*block \w+_(?:class|attrs)\b.*?{%-?\s*endblock\b.*?%}", re.DOTALL)
"""Blocks that fill a place inside a tag of the base page."""
ADDRESS = re.compile(r"[/?&][\w/?&=-]*")
WORD = re.compile(r"[^\W\d_]{2,}")
SAME_EVERYWHERE = {"PDF", "QR", "BPJS", "WIB", "WITA", "WIT", "UGD", "KIA", "KB", "NIK"}
"""Words that are names: the same in every language."""


def blank(match: re.Match[str]) -> str:
    """Replace by nothing but the line breaks, so that line numbers stay."""
    return "\n" * match[0].count("\n") + " "


def lint(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and complaint for everything wrong in one template."""
    code = SILENT.sub(lambda match: match[0] if match[1] == "script" else blank(match), text)
    for pattern, complaint in FORBIDDEN.items():
        for match in re.finditer(pattern, code, re.IGNORECASE):
            yield code.count("\n", 0, match.start()) + 1, complaint
    visible = strip(text, SILENT, TRANSLATED, EXPRESSION)
    for match in re.finditer(SPOKEN, visible):
        yield from foreign(match[1], visible.count("\n", 0, match.start()) + 1)
    visible = strip(text, SILENT, INSIDE_TAG, TRANSLATED, EXPRESSION)
    for number, line in enumerate(re.sub(r"<[^>]*>", blank, visible).split("\n"), 1):
        yield from foreign(line, number)


def strip(text: str, *patterns: re.Pattern[str]) -> str:
    """Blank out everything that one of the patterns covers, in their order."""
    for pattern in patterns:
        text = pattern.sub(blank, text)
    return text


def foreign(text: str, line: int) -> Iterator[tuple[int, str]]:
    """Yield a complaint where `text` holds words of a language."""
    words = [word for word in WORD.findall(ADDRESS.sub(" ", text)) if word not in SAME_EVERYWHERE]
    if words:
        yield line, f'words outside gettext: "{" ".join(words)[:60]}"'


def main() -> int:
    """Lint every template; print `file:line: complaint`."""
    found = 0
    for path in sorted(TEMPLATES.rglob("*.html")):
        for line, complaint in sorted(lint(path.read_text(encoding="utf-8"))):
            print(f"{path.relative_to(TEMPLATES)}:{line}: {complaint}")
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
