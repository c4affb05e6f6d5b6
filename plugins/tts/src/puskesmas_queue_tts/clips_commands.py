"""The command `puskesmas-queue tts clips`."""

import json
from pathlib import Path

import click

from puskesmas_queue.api import Context
from puskesmas_queue_tts.clips import FOLDER, UNITS
from puskesmas_queue_tts.clips_check import check, languages


@click.group("clips")
def clips() -> None:
    """Recordings of a person, played as the clinic's voice."""


@clips.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def check_clips(ctx: Context, folder: Path | None, as_json: bool) -> None:
    """
    Say what is missing in FOLDER, and what does not fit the others; exit code 1 then.

    Without FOLDER the clinic's own recordings are looked at.
    """
    if folder is None:
        assert ctx.folder is not None
        folder = ctx.folder / FOLDER
    findings = check(folder)
    if as_json:
        click.echo(json.dumps([one.as_dict() for one in findings], ensure_ascii=False))
    else:
        for one in findings:
            click.echo(f"{'/'.join(filter(None, (one.language, one.unit)))}: {one.detail}")
        if not findings:
            known = ", ".join(languages(folder))
            click.echo(f"{known}: all {len(UNITS)} recordings are there and fit together")
    if findings:
        raise click.exceptions.Exit(1)


@clips.command("list")
def list_clips() -> None:
    """Name the files that are recorded for each language."""
    for unit in UNITS:
        click.echo(f"{unit}.wav")
