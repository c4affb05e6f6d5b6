"""What answers of plugins are of use: annotations bind nobody, so each is looked at."""

import re
from datetime import timedelta

from puskesmas_queue.domain.announcements import Announcement
from puskesmas_queue.domain.line import LaneChoice, LineHeads, RatioState
from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.plugin_host.describing import UNSTORABLE

NUMBER_PATTERN = re.compile(r"[A-Z0-9](?:[A-Z0-9-]{0,10}[A-Z0-9])?")
LONGEST_WAIT = timedelta(hours=24)
LONGEST_TEXT = 200
LONGEST_ROUND = 1_000


def is_number(answer: object) -> bool:
    """Whether it can be printed as a ticket's number."""
    return isinstance(answer, str) and NUMBER_PATTERN.fullmatch(answer) is not None


def is_choice(answer: object, heads: LineHeads) -> bool:
    """Whether it chooses a lane in which somebody waits, and a state that can be stored."""
    if not isinstance(answer, LaneChoice):
        return False
    state: object = answer.state
    lane: object = answer.lane
    if not isinstance(state, RatioState) or not isinstance(lane, Lane):
        return False
    taken: tuple[object, ...] = (state.priority_taken, state.general_taken)
    if not all(type(n) is int and 0 <= n < LONGEST_ROUND for n in taken):
        return False
    head = {Lane.PRIORITY: heads.priority, Lane.GENERAL: heads.general}
    return head.get(lane) is not None


def is_wait(answer: object) -> bool:
    """Whether it is a time that somebody might wait."""
    return isinstance(answer, timedelta) and timedelta() <= answer <= LONGEST_WAIT


def is_announcement(answer: object) -> bool:
    """Whether both of its halves can be said."""
    if not isinstance(answer, Announcement):
        return False
    halves: tuple[object, ...] = (answer.number_text, answer.direction_text)
    return all(_is_text(half) for half in halves)


def is_objection(answer: object) -> bool:
    """Whether it can be told to whoever is refused a ticket."""
    return _is_text(answer)


def _is_text(answer: object) -> bool:
    return (
        isinstance(answer, str)
        and answer.strip() != ""
        and len(answer) <= LONGEST_TEXT
        and UNSTORABLE.search(answer) is None
    )
