"""The rules of axe-core, run inside a page."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from browser.words import indonesian_left

AXE = Path(__file__).resolve().parents[1] / "support" / "axe.min.js"
RUN = """enhanced => axe.run(document, {
    resultTypes: ["violations"],
    rules: {
        "target-size": {enabled: true},
        "color-contrast-enhanced": {enabled: enhanced},
    },
})"""
SETTLE = """() => document.getAnimations()
    .filter(one => one instanceof CSSTransition).forEach(one => one.finish())"""


@cache
def script() -> str:
    """Return axe-core, as something that a page evaluates to nothing."""
    return AXE.read_text(encoding="utf-8") + "\n;undefined"


def violations(page: Page, *, enhanced: bool = False) -> list[str]:
    """
    Return what axe finds on a page as it stands, each as its rule and where.

    Args:
        page: As it stands: what fades is faded, so that it has the colours that stay.
        enhanced: Ask for contrast 7:1 (kiosk and TV) instead of 4.5:1.
    """
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(script())
    page.emulate_media(reduced_motion="reduce")  # nor does anything begin to fade meanwhile
    page.evaluate(SETTLE)
    found: dict[str, Any] = page.evaluate(RUN, enhanced)
    page.emulate_media(reduced_motion="null")
    assert found["passes"], "axe looked at nothing"
    return [
        f"{rule['id']}: {node['target']} {node['any'][0]['message'] if node['any'] else ''}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@dataclass
class Audit:
    """Gathers what was found over many states, so that one run tells everything."""

    enhanced: bool = False
    seen: list[str] = field(default_factory=list)
    found: dict[str, list[str]] = field(default_factory=dict)

    def look(self, page: Page, state: str, lang: str) -> None:
        """Look at a page in one state; its words have to be in the language that it says."""
        name = f"{state} ({lang})"
        self.seen.append(name)
        page.wait_for_load_state("load")  # before its styles came, everything is too small
        told = page.evaluate("document.documentElement.lang")
        wrong = [] if told == lang else [f"html lang is {told!r}"]
        wrong += violations(page, enhanced=self.enhanced)
        if lang == "en":
            wrong += indonesian_left(page)
        if wrong:
            self.found[name] = wrong
