"""What plugins say of themselves when somebody looks: their health checks."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.extensions import Health, HealthCheck
from puskesmas_queue.plugin_host.describing import UNSTORABLE, describe
from puskesmas_queue.plugin_host.outcomes import Fault, PluginFailed

CHECK_DEADLINE_S = 5.0
LONGEST_TEXT = 300
STATES = ("ok", "note", "wrong")


@dataclass(frozen=True, slots=True)
class PluginHealth:
    """What one check of a plugin found."""

    plugin: str
    name: str
    health: Health


def plugin_health(clinic: Clinic, plugin: str) -> list[PluginHealth]:
    """Run the checks of a plugin; one that fails is itself what is wrong."""
    checks = clinic.contributions.health_checks(plugin)
    return [PluginHealth(plugin, check.name, _look(clinic, plugin, check)) for check in checks]


def _look(clinic: Clinic, plugin: str, check: HealthCheck) -> Health:
    hook, context = f"check {check.name}", clinic.plugin_context(plugin)
    try:
        found = clinic.hooks.run(plugin, hook, partial(check.check, context), CHECK_DEADLINE_S)
    except PluginFailed as error:
        return Health("wrong", str(error))
    if not _is_sound(found):
        detail = f"answered {describe(found)}"
        clinic.hooks.report(Fault(plugin, hook, "nonsense", detail))
        return Health("wrong", detail)
    return Health(
        found.state,
        UNSTORABLE.sub(" ", found.text)[:LONGEST_TEXT],
        {
            name: UNSTORABLE.sub(" ", value)[:LONGEST_TEXT] if isinstance(value, str) else value
            for name, value in found.values.items()
        },
    )


def _is_sound(found: Any) -> bool:
    """Annotations bind no plugin: look at what would be shown."""
    if type(found) is not Health or found.state not in STATES:
        return False
    if type(found.text) is not str or type(found.values) is not dict:
        return False
    if not all(type(value) in {str, int, float} for value in found.values.values()):
        return False
    try:
        found.line()
    except (KeyError, TypeError, ValueError):
        return False
    return True
