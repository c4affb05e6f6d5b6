"""Every text of every screen has its English."""

from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

PACKAGE = Path(__file__).resolve().parents[2] / "src/puskesmas_queue"
CATALOGUE = PACKAGE / "web/locale/en/LC_MESSAGES/messages.po"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "N_": None,
}
METHODS = [("web/templates/**.html", "jinja2"), ("**.py", "python")]
TRIMMED = {"web/templates/**.html": {"trimmed": "true", "silent": "false"}}


def texts() -> set[tuple[str, ...]]:
    """Return every text in templates and code; a plural one as its two forms."""
    found = set()
    rows = extract_from_dir(PACKAGE, METHODS, TRIMMED, KEYWORDS)
    for _file, _line, message, _comments, _context in rows:
        forms = (message,) if isinstance(message, str) else tuple(message)
        if forms[0]:
            found.add(forms)
    return found


@pytest.fixture(scope="module")
def catalogue():
    """The English catalogue."""
    return read_po(BytesIO(CATALOGUE.read_bytes()), locale="en")


def test_something_is_translated():
    assert ("Ambil nomor",) in texts()


def test_every_text_has_its_english(catalogue):
    lacking = []
    for forms in sorted(texts()):
        message = catalogue.get(forms[0])
        strings = () if message is None else message.string
        strings = (strings,) if isinstance(strings, str) else tuple(strings)
        if len(strings) < len(forms) or not all(strings):
            lacking.append(forms)
    assert lacking == []


def test_nothing_is_translated_that_is_nowhere(catalogue):
    known = {forms[0] for forms in texts()}

    assert [
        message.id for message in catalogue if message.id and _first(message) not in known
    ] == []


def test_placeholders_agree(catalogue):
    for message in catalogue:
        if message.id:
            errors = list(message.check(catalogue))
            assert errors == [], message.id


def test_no_text_is_fuzzy(catalogue):
    assert [message.id for message in catalogue if message.id and message.fuzzy] == []


def _first(message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]
