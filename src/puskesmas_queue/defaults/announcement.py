"""The words of a call, in Indonesian or English."""

from puskesmas_queue.domain.announcements import Announcement, Call, word_call
from puskesmas_queue.extensions import Context
from puskesmas_queue.hookspecs import hookimpl


@hookimpl(trylast=True)
def format_announcement(call: Call, ctx: Context) -> Announcement:
    """Spell the number and name the counter."""
    return word_call(call)
