"""Which words of the other language are left on a page."""

import re
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.pofile import read_po
from playwright.sync_api import Page

import puskesmas_queue

CATALOGUE = Path(puskesmas_queue.__file__).parent / "web/locale/en/LC_MESSAGES/messages.po"
WORD = re.compile(r"[^\W\d_]{3,}")
MARKUP = re.compile(r"<[^>]*>|%\([a-z_]+\)s")
DRAWN = re.compile(r"\b(?:[a-z]{4}-){4}\d\d\b|\b(?=[A-Z]*\d)[A-Z\d]{8}\b")
"""Generated passwords and ticket codes: whatever words are in them are chance."""
GIVEN = (
    # What the clinic itself wrote is in the clinic's language, and people have names.
    "Puskesmas Gladak Pakem", "Kepala Puskesmas", "Admin Demo", "Siti", "Budi", "Rina",
    "Melayani Sepenuh Hati", "Siapkan KTP dan kartu BPJS Anda. Perhatikan nomor di layar.",
    "Poli Umum", "Poli Gigi", "Poli KIA/KB", "Poli Imunisasi", "Pintu UGD", "Ruang",
    "petugas_loket", "petugas_rm", "kepala", "admin", "auditor",
)  # fmt: skip
TEXTS = """lang => {
    const texts = [document.title];
    const isOther = element => (element.closest("[lang]")?.lang || lang) !== lang;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const parent = node.parentElement;
        if (!parent.closest("script, style, noscript") && !isOther(parent))
            texts.push(node.textContent);
    }
    const names = ["aria-label", "title", "alt", "placeholder", "data-text-pause",
        "data-text-play", "data-text-emergency", "data-text-failed", "data-text-failed-detail",
        "data-text-not-now", "data-say", "data-soon", "data-no-counter", "data-minutes",
        "data-counter-word", "data-called-title", "data-countdown", "data-share-text"];
    for (const name of names)
        for (const element of document.querySelectorAll(`body[${name}], body [${name}]`))
            if (!isOther(element)) texts.push(element.getAttribute(name));
    return texts.map(text => text.replace(/\\s+/g, " ").trim()).filter(Boolean);
}"""


def _words(texts: Iterable[str]) -> set[str]:
    return {word.lower() for text in texts for word in WORD.findall(MARKUP.sub(" ", text))}


@cache
def indonesian() -> tuple[frozenset[str], frozenset[str]]:
    """Return the texts that English pages have other words for, and words that only those use."""
    catalogue = read_po(BytesIO(CATALOGUE.read_bytes()), locale="en")
    texts, english = set(), set()
    for message in catalogue:
        ids = (message.id,) if isinstance(message.id, str) else message.id
        strings = (message.string,) if isinstance(message.string, str) else message.string
        texts.update(one for one in ids if one and one not in strings)
        english.update(strings)
    return frozenset(texts), frozenset(_words(texts) - _words(english))


def indonesian_left(page: Page) -> list[str]:
    """Return every text of an English page, seen or spoken, that is Indonesian."""
    texts, words = indonesian()
    found = []
    for text in page.evaluate(TEXTS, "en"):
        own = DRAWN.sub(" ", text)
        for given in GIVEN:
            own = re.sub(re.escape(given), " ", own, flags=re.IGNORECASE)
        left = sorted(_words([own]) & words)
        if left or own in texts:
            found.append(f"Indonesian: {text[:80]!r} {left}")
    return found
