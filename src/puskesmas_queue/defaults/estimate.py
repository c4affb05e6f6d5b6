"""The wait: people ahead × median service time ÷ open counters."""

from collections.abc import Sequence
from datetime import timedelta

from puskesmas_queue.domain import line
from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl


@hookimpl(trylast=True)
def estimate_wait(
    people_ahead: int, service_s: Sequence[float], open_counters: int, ctx: Context
) -> timedelta:
    """Estimate from the latest service times."""
    return line.estimate_wait(people_ahead, service_s, open_counters)
