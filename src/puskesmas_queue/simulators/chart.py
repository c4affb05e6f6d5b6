"""A morning as a picture: who stood in the line when, and how long each one waited. SVG."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from math import ceil, floor, log10

from puskesmas_queue.domain.tickets import Lane
from puskesmas_queue.simulators.report import LANES, Report, Wait

# The screens' own colours; lanes differ in line and mark too, never in colour alone.
INK, MUTED, PAPER, GRID = "#10231f", "#4a5f5a", "#f6faf8", "#d5e2dd"
COLOURS = {Lane.PRIORITY: "#8a5a00", Lane.GENERAL: "#0a5c4f"}
DASHES = {Lane.PRIORITY: ' stroke-dasharray="7 4"', Lane.GENERAL: ""}
NAMES = {Lane.PRIORITY: "Priority", Lane.GENERAL: "General"}
FONT = "'Atkinson Hyperlegible Next', 'Segoe UI', 'DejaVu Sans', sans-serif"
WIDTH, HEIGHT = 960, 680
LEFT, RIGHT = 64, 24
PANEL_HEIGHT = 210
TOPS = (128, 412)
MOST_TICKS = 5


@dataclass(frozen=True, slots=True)
class _Panel:
    """One plot: its top edge, its scale upwards and what the scale ends at."""

    top: float
    most: float
    step: float

    def y(self, value: float) -> float:
        """Return the height of a value."""
        return self.top + PANEL_HEIGHT * (1 - value / self.most)


def draw(report: Report, title: str) -> str:
    """
    Draw a morning.

    Args:
        report: What came of it.
        title: The heading, plain text.

    Returns:
        An SVG document that needs nothing beside it.
    """
    begins, ends = _hours(report)
    x = _across(begins, ends)
    longest = max((one.longest_queue for one in report.lanes.values()), default=0)
    slowest = max((one.minutes for one in report.waits), default=0.0)
    queue, waits = (_panel(top, most) for top, most in zip(TOPS, (longest, slowest), strict=True))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title desc" '
        f'font-family="{FONT}" font-size="14" fill="{INK}">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(describe(report))}</desc>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        f'<text x="{LEFT - 40}" y="42" font-size="22" font-weight="700">{escape(title)}</text>',
        *_legend(report),
        *_frame(queue, begins, ends, x, "Waiting in the line"),
        *(_queue_line(lane, report, queue, x, ends) for lane in LANES),
        *_frame(waits, begins, ends, x, "Minutes from the number to the first call"),
        *_opening(report, (queue, waits), x),
        *(_mark(wait, x(wait.issued_at), waits.y(wait.minutes)) for wait in report.waits),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def describe(report: Report) -> str:
    """Say in words what the picture shows."""
    lanes = "; ".join(
        f"{NAMES[lane].lower()}: {one.waits.count} called, mean wait {one.waits.mean:.0f} minutes, "
        f"90 percent at most {one.waits.p90:.0f}, longest queue {one.longest_queue}"
        for lane, one in report.lanes.items()
    )
    return (
        "Above, the length of the line of each lane over the morning. Below, the wait of each "
        f"ticket by the time at which it was issued. {lanes}."
    )


def _hours(report: Report) -> tuple[datetime, datetime]:
    """Return the full hours around everything that is drawn."""
    moments = [one.issued_at for one in report.waits]
    moments += [one.issued_at + timedelta(minutes=one.minutes) for one in report.waits]
    if not moments:
        noon = datetime.combine(report.day, datetime.min.time())
        return noon, noon + timedelta(hours=1)
    begins = min(moments).replace(minute=0, second=0, microsecond=0)
    ends = max(moments)
    hours = max(1, ceil((ends - begins).total_seconds() / 3600))
    return begins, begins + timedelta(hours=hours)


def _across(begins: datetime, ends: datetime) -> Callable[[datetime], float]:
    span_s = (ends - begins).total_seconds()
    return lambda at: LEFT + (WIDTH - LEFT - RIGHT) * (at - begins).total_seconds() / span_s


def _panel(top: float, most: float) -> _Panel:
    """Choose steps of 1, 2 or 5 times a power of ten, at most five of them."""
    rough = max(most, 1) / MOST_TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    step = max(step, 1.0)
    return _Panel(top, step * max(1, ceil(max(most, 1) / step)), step)


def _frame(
    panel: _Panel,
    begins: datetime,
    ends: datetime,
    x: Callable[[datetime], float],
    heading: str,
) -> Iterable[str]:
    right, bottom = WIDTH - RIGHT, panel.top + PANEL_HEIGHT
    yield (
        f'<text x="{LEFT - 40}" y="{panel.top - 16:g}" font-weight="700">{escape(heading)}</text>'
    )
    for number in range(round(panel.most / panel.step) + 1):
        value = number * panel.step
        y = panel.y(value)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{GRID}" fill="none"/>'
        yield (
            f'<text x="{LEFT - 10}" y="{y + 5:.1f}" text-anchor="end" fill="{MUTED}">'
            f"{value:g}</text>"
        )
    hours = round((ends - begins).total_seconds() / 3600)
    for hour in range(hours + 1):
        at = begins + timedelta(hours=hour)
        anchor = "end" if hour == hours else "middle"
        yield (
            f'<path d="M{x(at):.1f} {bottom:g}v6" stroke="{MUTED}" fill="none"/>'
            f'<text x="{x(at):.1f}" y="{bottom + 22:g}" text-anchor="{anchor}" fill="{MUTED}">'
            f"{at:%H:%M}</text>"
        )


def _legend(report: Report) -> Iterable[str]:
    left = LEFT - 40
    for lane in LANES:
        one = report.lanes[lane].waits
        yield (
            f'<path d="M{left} 72h36" stroke="{COLOURS[lane]}" stroke-width="2.5" fill="none"'
            f"{DASHES[lane]}/>{_shape(lane, left + 18, 72, 5)}"
            f'<text x="{left + 46}" y="77">{NAMES[lane]}: mean {one.mean:.0f} min, '
            f"median {one.p50:.0f}, 90 % at most {one.p90:.0f}</text>"
        )
        left += 400


def _opening(
    report: Report, panels: Sequence[_Panel], x: Callable[[datetime], float]
) -> Iterable[str]:
    """Mark when the counters opened, before the marks that may lie on it."""
    if report.opens_at is None or not report.waits:
        return
    at = x(report.opens_at)
    for panel in panels:
        yield (
            f'<path d="M{at:.1f} {panel.top:g}v{PANEL_HEIGHT}" stroke="{MUTED}" '
            'stroke-dasharray="2 4" fill="none"/>'
            f'<text x="{at + 6:.1f}" y="{panel.top + 16:g}" fill="{MUTED}">'
            f"counters open {report.opens_at:%H:%M}</text>"
        )


def _queue_line(
    lane: Lane,
    report: Report,
    panel: _Panel,
    x: Callable[[datetime], float],
    ends: datetime,
) -> str:
    shown = [(at, count) for at, count in report.lanes[lane].queue if at <= ends]
    if not shown:
        return ""
    steps = _steps(shown, panel, x)
    return (
        f'<path d="{steps}" stroke="{COLOURS[lane]}" stroke-width="2.5" fill="none" '
        f'stroke-linejoin="round"{DASHES[lane]}/>'
    )


def _steps(
    shown: Sequence[tuple[datetime, int]], panel: _Panel, x: Callable[[datetime], float]
) -> str:
    first_at, _ = shown[0]
    path = [f"M{x(first_at):.1f} {panel.y(0):.1f}"]
    path += [f"H{x(at):.1f}V{panel.y(count):.1f}" for at, count in shown]
    return "".join(path)


def _mark(wait: Wait, x: float, y: float) -> str:
    return _shape(wait.lane, x, y, 3.5)


def _shape(lane: Lane, x: float, y: float, size: float) -> str:
    """Draw a lane's mark: a diamond for priority, a ring for general."""
    colour = COLOURS[lane]
    if lane is Lane.PRIORITY:
        reach = size * 1.35
        return (
            f'<path d="M{x:.1f} {y - reach:.1f}l{reach:.1f} {reach:.1f}l-{reach:.1f} {reach:.1f}'
            f'l-{reach:.1f} -{reach:.1f}z" fill="{colour}" stroke="{PAPER}"/>'
        )
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" fill="{PAPER}" stroke="{colour}" '
        'stroke-width="1.8"/>'
    )
