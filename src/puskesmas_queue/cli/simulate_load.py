"""`simulate load`: kiosks and counters of a demo at a rate."""

from contextlib import nullcontext

import click

from puskesmas_queue.cli.context import json_option, print_json
from puskesmas_queue.cli.own_demo import local_url, own_demo

OWN_COUNTERS = 3
KINDS = ("issue", "call")


@click.command()
@click.option(
    "--url",
    callback=local_url,
    metavar="URL",
    help="A demo that runs on this machine; else one of its own in a scratch folder.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 5000),
    metavar="N",
    help="Tickets a second, and as many calls; else as fast as it goes.",
)
@click.option(
    "--clients", type=click.IntRange(1, 64), default=8, show_default=True, help="Kiosks at once."
)
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=10, show_default=True)
@click.option(
    "--mix",
    default=",".join(KINDS),
    show_default=True,
    callback=lambda ctx, param, value: _kinds(value),
    help="What is asked for: issue, call or both.",
)
@json_option
def load(
    url: str | None,
    rate: float | None,
    clients: int,
    seconds: float,
    mix: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Load a demo on this machine with kiosks that issue and counters that call.

    Exit 1 if a request was refused or lost, or a number given twice or missing afterwards.
    """
    from puskesmas_queue.simulators.hall_load import LoadWishes, as_document, as_text, press

    wishes = LoadWishes(clients, rate, seconds, mix)
    with nullcontext(url) if url else own_demo(OWN_COUNTERS) as demo:
        report = press(demo, wishes)
    if as_json:
        print_json(as_document(report))
    else:
        click.echo(as_text(report))
    if not report.is_right:
        raise SystemExit(1)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(word.strip() for word in text.split(","))
    if not kinds or any(kind not in KINDS for kind in kinds):
        raise click.BadParameter(f"expected {' or '.join(KINDS)}, or both with a comma")
    return kinds
