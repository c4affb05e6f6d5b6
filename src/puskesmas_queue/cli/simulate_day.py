"""`simulate day`: a whole morning in a running demo, faster than time."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from puskesmas_queue.cli.context import json_option, print_json
from puskesmas_queue.cli.own_demo import local_url, own_demo

if TYPE_CHECKING:
    from puskesmas_queue.simulators.report import Report

OWN_COUNTERS = 3
SHARE = click.FloatRange(0, 1)


@click.command()
@click.option(
    "--url",
    callback=local_url,
    metavar="URL",
    help="A demo that runs on this machine; else one of its own in a scratch folder.",
)
@click.option(
    "--patients", type=click.IntRange(0, 5000), default=300, show_default=True, metavar="N"
)
@click.option(
    "--counters",
    type=click.IntRange(1, 20),
    metavar="N",
    help=f"How many counters work; else all of the demo, {OWN_COUNTERS} in one of its own.",
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="The same seed, the same people."
)
@click.option("--priority-share", type=SHARE, help="Of all patients.  [default: 0.3]")
@click.option("--no-show-share", type=SHARE, help="Not there at the first call.  [default: 0.08]")
@click.option(
    "--speed",
    type=click.FloatRange(1, 3600),
    metavar="N",
    help="Clinic seconds per second, to look on; else as fast as the server answers.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep report.txt, report.json and chart.svg there.",
)
@json_option
def day(
    url: str | None,
    patients: int,
    counters: int | None,
    seed: int,
    priority_share: float | None,
    no_show_share: float | None,
    speed: float | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """
    Play a morning: people come, counters call, and the waits are told.

    Exit 1 if the server did anything that a real morning would not forgive.
    """
    from puskesmas_queue.simulators.driver import Wishes, play_day
    from puskesmas_queue.simulators.http_hall import Pace
    from puskesmas_queue.simulators.morning import Customs
    from puskesmas_queue.simulators.report import as_document, as_text, make_report

    usual = Customs()
    customs = Customs(
        priority_share=usual.priority_share if priority_share is None else priority_share,
        no_show_share=usual.no_show_share if no_show_share is None else no_show_share,
    )
    wishes = Wishes(
        patients=patients,
        seed=seed,
        counters=counters,
        customs=customs,
        pace=None if speed is None else Pace(speed),
    )
    with nullcontext(url) if url else own_demo(counters or OWN_COUNTERS) as demo:
        played = play_day(demo, wishes)
    report = make_report(
        played.day,
        played.tickets,
        played.events,
        seconds_by_kind=played.meter.seconds,
        seconds=played.seconds,
        problems=played.problems,
    )
    if output is not None:
        keep(report, output)
    if as_json:
        print_json(as_document(report))
    else:
        click.echo(as_text(report))
    if report.problems:
        raise SystemExit(1)


def keep(report: "Report", folder: Path) -> None:
    """Write a report for people, for programs and as a picture."""
    from puskesmas_queue.simulators.chart import draw
    from puskesmas_queue.simulators.report import as_document, as_text, heading

    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(as_document(report), indent=2)
    (folder / "report.json").write_text(document + "\n", encoding="utf-8")
    (folder / "report.txt").write_text(as_text(report) + "\n", encoding="utf-8")
    (folder / "chart.svg").write_text(draw(report, heading(report)), encoding="utf-8")
