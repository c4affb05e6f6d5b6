"""What an administrator does about plugins."""

from puskesmas_queue.clinic import PLUGINS_TOPIC, Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.storage import faults
from puskesmas_queue.storage.transaction import Tx


def switch_on(clinic: Clinic, plugin: str, actor: Actor) -> bool:
    """
    Let a plugin decide again after it ran out of time, and forget what went wrong in it.

    Other processes follow at once. What went wrong stands in the log and the audit.

    Returns:
        Whether anything had gone wrong.
    """

    def run(tx: Tx) -> bool:
        hooks = faults.clear(tx, plugin)
        tx.touch(PLUGINS_TOPIC)
        if hooks:
            forgotten = {"faults": sorted(hooks)}
            tx.audit(
                "switch_on_plugin", actor=actor, table="hook_faults", record=plugin, old=forgotten
            )
        return bool(hooks)

    had_faults = clinic.db.write(run)
    clinic.hooks.switch_on(plugin)
    return had_faults
