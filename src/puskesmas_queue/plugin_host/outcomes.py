"""How it went when something of a plugin's was asked or told."""

from dataclasses import dataclass
from typing import Literal

from puskesmas_queue.plugin_host.describing import Place

FaultKind = Literal["raised", "overran", "nonsense"]


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One failure of one implementation.

    Args:
        plugin: Whose.
        hook: Which hook, or what else of the plugin.
        kind: What it did.
        detail: One line about it.
        is_switched_off: Whether it is not asked again.
        places: Where an exception went through the plugin, innermost last.
    """

    plugin: str
    hook: str
    kind: FaultKind
    detail: str
    is_switched_off: bool = False
    places: tuple[Place, ...] = ()

    def in_words(self) -> str:
        """Say it as the log does: a line, and one more for each place."""
        off = "; its decisions are switched off" if self.is_switched_off else ""
        steps = [f'\n  File "{file}", line {line}, in {name}' for file, line, name in self.places]
        line = f"plugin {self.plugin}, hook {self.hook} {self.kind}: {self.detail}{off}"
        return line + "".join(steps)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one delivery of a fact went; `detail` says why it failed."""

    is_good: bool
    detail: str = ""


class PluginFailed(Exception):
    """Something of a plugin's that is no decision and no fact failed; the fault was reported."""
