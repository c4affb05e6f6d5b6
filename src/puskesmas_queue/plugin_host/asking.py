"""Asks one plugin what it brings along, once in the life of a process."""

from typing import Any

import pluggy

from puskesmas_queue.extensions import Context
from puskesmas_queue.plugin_host.guard import Guard, NoAnswer

REGISTRATION_DEADLINE_S = 5.0


def ask_plugin(
    manager: pluggy.PluginManager,
    plugin: str,
    hook: str,
    ctx: Context,
    deadline_s: float = REGISTRATION_DEADLINE_S,
) -> Any:
    """
    Call one plugin's implementation of a registration hook.

    Returns:
        Its answer, None where it does not implement the hook.

    Raises:
        NoAnswer: It ran out of time.
        Raised: It raised.
    """
    caller: pluggy.HookCaller = getattr(manager.hook, hook)
    impl = next((one for one in caller.get_hookimpls() if one.plugin_name == plugin), None)
    if impl is None:
        return None
    chosen = [{"ctx": ctx}[name] for name in impl.argnames]
    guard = Guard()
    try:
        answer = guard.call(lambda: impl.function(*chosen), deadline_s)
    except NoAnswer:
        guard.end()
        raise
    except BaseException:
        guard.retire()
        raise
    guard.retire()
    return answer
