"""`puskesmas-queue tts …`."""

import time
from pathlib import Path

import click

from puskesmas_queue.api import Context
from puskesmas_queue_tts import wav
from puskesmas_queue_tts.clips_commands import clips
from puskesmas_queue_tts.download import INDONESIAN, DownloadFailed, Progress, download_voice
from puskesmas_queue_tts.engine import EngineFailed
from puskesmas_queue_tts.health import WORDS
from puskesmas_queue_tts.piper import NOT_INSTALLED, piper_version, speaking_process
from puskesmas_queue_tts.voices import (
    FOLDER,
    LANGUAGES,
    MODEL,
    BadVoice,
    VoiceFile,
    description_of,
    install_voice,
    read_voice,
)

TRIAL_S = 60.0
language_option = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    help="What it is to speak; unless given, what its description says.",
)


@click.group()
def tts() -> None:
    """Voices of the hall."""


tts.add_command(clips)


@tts.command("use")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@language_option
@click.pass_obj
def use(ctx: Context, file: Path, language: str | None) -> None:
    """
    Let Piper speak with the voice FILE.

    FILE is a voice of Piper, NAME.onnx; NAME.onnx.json lies beside it. It is copied to the
    clinic's folder, and a server that runs goes on with it by itself.
    """
    if not file.name.endswith(MODEL):
        raise click.ClickException(f"a voice of Piper is called NAME{MODEL}")
    try:
        _install(ctx, file, language)
    except BadVoice as error:
        raise click.ClickException(str(error)) from None


@tts.command("download-voice")
@click.option("--url", default=INDONESIAN, show_default=True, help="Of another voice's .onnx.")
@click.option("--sha256", help="Refuse a file that has another one.")
@language_option
@click.pass_obj
def download(ctx: Context, url: str, sha256: str | None, language: str | None) -> None:
    """
    Fetch a voice for Piper from the internet, 60 MB, and use it.

    Broken off, the same command goes on from there. Nobody says clearly what may be done with the
    Indonesian voice: it is for the clinic's own use.
    """
    place = _folder(ctx) / FOLDER / ".download"
    try:
        with click.progressbar(length=100, label="Voice") as bar:

            def tell(progress: Progress) -> None:
                if progress.total:
                    bar.update(progress.done * 100 // progress.total - bar.pos)

            model = download_voice(url, place, sha256, tell)
        _install(ctx, model, language)
        model.unlink()
        description_of(model).unlink()
    except (DownloadFailed, BadVoice) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(_no_write(error)) from None


def _install(ctx: Context, file: Path, language: str | None) -> None:
    voice = read_voice(file)
    chosen = language or _language_of(voice)
    # Before the clinic's own voice is let go of.
    tried = _try(voice, chosen)
    try:
        install_voice(file, _folder(ctx), chosen)
    except OSError as error:
        raise click.ClickException(_no_write(error)) from None
    click.echo(f"{voice.name} speaks {chosen} ({tried})")


def _try(voice: VoiceFile, language: str) -> str:
    """Let a voice speak once, and say how that went."""
    if piper_version() is None:
        return f"not tried: piper: {NOT_INSTALLED}"
    process = speaking_process(voice, language)
    process.start()
    try:
        # The first one waits until the voice is loaded.
        process.ask(WORDS[language], language, 1.0, TRIAL_S)
        began = time.monotonic()
        sound = process.ask(WORDS[language], language, 1.0, TRIAL_S)
        took_s = time.monotonic() - began
    except EngineFailed as error:
        raise click.ClickException(f"it does not speak: {error}") from None
    finally:
        process.stop()
    return f"tried: {wav.read(sound).seconds:.1f} s of speech in {took_s:.1f} s"


def _language_of(voice: VoiceFile) -> str:
    for language in LANGUAGES:
        if voice.speaks.split("-")[0] == language:
            return language
    raise click.ClickException(
        f"{voice.name} was made for {voice.speaks}: say with --language what it is to speak"
    )


def _folder(ctx: Context) -> Path:
    assert ctx.folder is not None
    return ctx.folder


def _no_write(error: OSError) -> str:
    return f"{error.filename or 'the voice'}: {error.strerror or error}"
