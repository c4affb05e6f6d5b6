"""Priority tickets always first."""

from puskesmas_queue.domain.line import LaneChoice, LineHeads, choose_full
from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl


@hookimpl(trylast=True)
def choose_lane(heads: LineHeads, ctx: Context) -> LaneChoice | None:
    """Take priority first where the clinic's setting is `full`."""
    return choose_full(heads) if heads.ratio.policy == "full" else None
