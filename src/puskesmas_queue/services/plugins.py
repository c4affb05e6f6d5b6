"""What an administrator does about plugins."""

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.access import Actor
from puskesmas_queue.storage import faults
from puskesmas_queue.storage.transaction import Tx


def switch_on(clinic: Clinic, plugin: str, actor: Actor) -> bool:
    """
    Let a plugin decide again after it was switched off for running out of time.

    Other processes follow at their next start. What went wrong stays counted.

    Returns:
        Whether it was switched off.
    """

    def run(tx: Tx) -> bool:
        was_off = faults.switch_on(tx, plugin)
        if was_off:
            tx.audit("switch_on_plugin", actor=actor, table="hook_faults", record=plugin)
        return was_off

    was_off = clinic.db.write(run)
    clinic.hooks.switched_off.discard(plugin)
    return was_off
