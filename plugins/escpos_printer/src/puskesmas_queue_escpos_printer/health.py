"""What `doctor` looks at."""

from collections import Counter
from datetime import timedelta

from puskesmas_queue.api import Context, Health, HealthCheck, PluginDataUnavailable
from puskesmas_queue_escpos_printer import jobs, printers, watch
from puskesmas_queue_escpos_printer.printers import Printer

JOB_HOURS = 24


def look_at_printers(ctx: Context) -> Health:
    """Ask every printer how it is, and say it of each."""
    try:
        watch.look_at_all(ctx, [one for one in printers.all_printers(ctx) if one.is_active])
        known = printers.all_printers(ctx)
    except PluginDataUnavailable as error:
        return Health("wrong", str(error))
    if not known:
        return Health("note", "no printer is set up")
    text = "; ".join(f"{one.name}: {_words(one)}" for one in known)
    if any(one.is_in_trouble for one in known):
        return Health("wrong", text)
    is_near_end = any(one.is_active and one.status.is_near_end for one in known)
    return Health("note" if is_near_end else "ok", text)


def look_at_jobs(ctx: Context) -> Health:
    """Count the jobs of a day that nobody saw to."""
    try:
        found = jobs.in_trouble(ctx, ctx.now - timedelta(hours=JOB_HOURS), limit=1000)
    except PluginDataUnavailable as error:
        return Health("wrong", str(error))
    if not found:
        return Health("ok", f"every job of the last {JOB_HOURS} h is printed or seen to")
    counts = Counter(one.state for one in found)
    text = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return Health("note", f"nobody saw to {text} of the last {JOB_HOURS} h")


CHECKS = [HealthCheck("printers", look_at_printers), HealthCheck("jobs", look_at_jobs)]


def _words(printer: Printer) -> str:
    if not printer.is_active:
        return "switched off"
    if not printer.seen_ms:
        return "not seen yet"
    status = printer.status
    words = status.state.replace("_", " ")
    if status.state in ("away", "unknown") and status.reason is not None:
        words = status.reason.words
    return f"{words}, paper nearly out" if status.is_near_end else words
