"""Priority and general tickets take turns `a:b`."""

from puskesmas_queue.domain.line import LaneChoice, LineHeads, choose_by_ratio
from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl


@hookimpl(trylast=True)
def choose_lane(heads: LineHeads, ctx: Context) -> LaneChoice | None:
    """Take turns where the clinic's setting is a ratio."""
    return choose_by_ratio(heads) if heads.ratio.policy == "ratio" else None
