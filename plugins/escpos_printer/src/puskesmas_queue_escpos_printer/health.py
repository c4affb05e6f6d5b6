"""What `doctor` and the page of the plugin look at."""

from collections.abc import Iterable
from datetime import timedelta

from puskesmas_queue.api import Context, Health, HealthCheck, PluginDataUnavailable
from puskesmas_queue_escpos_printer import jobs, printers, watch
from puskesmas_queue_escpos_printer.printers import Printer

JOB_HOURS = 24
NO_TABLES = "its tables cannot be reached: %(why)s"
TROUBLE = {
    "no_paper": "paper is out: %(names)s",
    "cover_open": "the cover is open: %(names)s",
    "error": "jammed or broken: %(names)s",
    "offline": "not ready: %(names)s",
    "away": "cannot be reached: %(names)s",
    "unknown": "does not say how it is: %(names)s",
}
"""By the state of the printers."""
MIXED = "several troubles, see the page of the printers: %(names)s"


def look_at_printers(ctx: Context) -> Health:
    """Ask every printer how it is, and name those that are the worst off."""
    try:
        watch.look_at_all(ctx, [one for one in printers.all_printers(ctx) if one.is_active])
        known = [one for one in printers.all_printers(ctx) if one.is_active]
    except PluginDataUnavailable as error:
        return Health("wrong", NO_TABLES, {"why": str(error)})
    if not known:
        return Health("note", "no printer is in use")
    troubled = [one for one in known if one.is_in_trouble]
    if troubled:
        states = {one.status.state for one in troubled}
        text = MIXED if len(states) > 1 else TROUBLE[states.pop()]
        return Health("wrong", text, _names(troubled))
    nearly_out = [one for one in known if one.status.is_near_end]
    if nearly_out:
        return Health("note", "paper is nearly out: %(names)s", _names(nearly_out))
    return Health("ok", "no trouble: %(names)s", _names(known))


def look_at_jobs(ctx: Context) -> Health:
    """Count the jobs of a day that nobody saw to."""
    try:
        count = jobs.count_in_trouble(ctx, ctx.now - timedelta(hours=JOB_HOURS))
    except PluginDataUnavailable as error:
        return Health("wrong", NO_TABLES, {"why": str(error)})
    hours = {"hours": JOB_HOURS}
    if not count:
        return Health("ok", "every job of the last %(hours)s h is printed or seen to", hours)
    counts = {"count": count, **hours}
    return Health("note", "jobs of the last %(hours)s h that nobody saw to: %(count)s", counts)


CHECKS = [HealthCheck("printers", look_at_printers), HealthCheck("jobs", look_at_jobs)]


def _names(some: Iterable[Printer]) -> dict[str, str]:
    return {"names": ", ".join(one.name for one in some)}
