"""The page of a day, and the form for a note about it."""

import secrets
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Literal

from puskesmas_queue.api import (
    Answer,
    Context,
    PluginRequest,
    RedirectAnswer,
    TemplateAnswer,
)
from puskesmas_queue_day_journal import journal

Problem = Literal["empty", "long", "closed"]


def show(request: PluginRequest, ctx: Context) -> Answer:
    """Show a day, today where the address names none."""
    return _page(ctx, _day(request.query, ctx))


def add_note(request: PluginRequest, ctx: Context) -> Answer:
    """Take a note from the form, and show the day again."""
    assert request.user is not None
    day, text = _day(request.form, ctx), request.form.get("text", "").strip()
    problem = _problem(ctx, day, text)
    if problem is not None:
        return _page(ctx, day, text, problem)
    note_id = request.form.get("note_id", "")[:40] or secrets.token_urlsafe(16)
    journal.add_note(ctx, note_id, day, request.user.name[:80], text)
    return RedirectAnswer(f"/x/day_journal/?day={day}#notes-title")


def _day(values: Mapping[str, str], ctx: Context) -> date:
    try:
        return date.fromisoformat(values.get("day", ""))
    except ValueError:
        return ctx.local_now.date()


def _problem(ctx: Context, day: date, text: str) -> Problem | None:
    if not text:
        return "empty"
    if len(text) > journal.LONGEST_NOTE:
        return "long"
    if journal.read_day(ctx, day).closed is not None:
        return "closed"
    return None


def _page(ctx: Context, day: date, text: str = "", problem: Problem | None = None) -> Answer:
    today = ctx.local_now.date()
    found = journal.read_day(ctx, day)
    values = {
        "day": day,
        "noon": _noon(day, ctx),
        "found": found,
        "others": [
            (one, _noon(one, ctx)) for one in (today, *journal.latest_days(ctx)) if one != day
        ],
        "text": text,
        "problem": problem,
        "longest": journal.LONGEST_NOTE,
        # Sent twice by an impatient hand, it is one note.
        "note_id": secrets.token_urlsafe(16),
    }
    return TemplateAnswer("journal.html", values, 200 if problem is None else 422)


def _noon(day: date, ctx: Context) -> datetime:
    """The templates' dates are moments: noon is on the day in every clinic's zone."""
    return datetime.combine(day, time(12), ctx.zone)
