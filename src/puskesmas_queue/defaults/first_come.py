"""Whoever came first, whatever the lane."""

from puskesmas_queue.domain.line import LaneChoice, LineHeads, choose_first_come
from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl


@hookimpl(trylast=True)
def choose_lane(heads: LineHeads, ctx: Context) -> LaneChoice | None:
    """Take the oldest ticket where the clinic's setting is `first_come`."""
    return choose_first_come(heads) if heads.ratio.policy == "first_come" else None
