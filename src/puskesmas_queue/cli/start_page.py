"""`device start-page`: the file with which a kiosk or TV starts, be the server there yet or not."""

import json
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click

from puskesmas_queue.cli.context import config_option, read_config
from puskesmas_queue.domain.errors import SetupError

TEMPLATE = "start_page.html"
WORDS = {
    "kiosk": ("Silakan ke petugas untuk mengambil nomor.", "Please ask our staff for a number."),
    "display": ("Perhatikan panggilan petugas.", "Please listen for our staff."),
    "loket": ("Panggil pasien dengan suara dulu.", "Call patients by voice until then."),
}
"""What whoever stands before each screen does meanwhile, in Indonesian and English."""


@click.command("start-page")
@click.option(
    "--screen", type=click.Choice(list(WORDS)), default="kiosk", show_default=True, help="Which."
)
@click.option("--url", help="Address of the server, https://antrean.lan:8000 say.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="File to write; else antrean-SCREEN.html."
)
@config_option
def start_page(screen: str, url: str | None, output: Path | None) -> None:
    """
    Write the page with which a screen's browser starts.

    It waits for the server and then goes to the screen, so that after a power cut nobody meets
    a browser's error page. Copy it to the device and let its browser start with it.
    """
    server = checked(url or read_config().staff_url)
    path = output or Path(f"antrean-{screen}.html")
    try:
        path.write_text(page(server, screen), encoding="utf-8", newline="\n")
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}") from error
    click.echo(f"{path} waits for {server} and then shows /{screen}")


def page(server: str, screen: str) -> str:
    """
    Return the page, which needs no other file.

    Args:
        server: Its address, as `checked` returns it.
        screen: One of `WORDS`; its path is its name.
    """
    text = files("puskesmas_queue.cli").joinpath(TEMPLATE).read_text("utf-8")
    go, go_en = WORDS[screen]
    values = {
        '"__SERVER__"': _script_text(server),
        '"__PAGE__"': _script_text(f"/{screen}"),
        "__SCREEN__": screen,
        "__GO__": go,
        "__GO_EN__": go_en,
    }
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def checked(url: str) -> str:
    """
    Look at a server's address; returns it without a slash at its end.

    Raises:
        SetupError: It is none that another device could open.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https") or parts.path.strip("/") or parts.query:
        raise SetupError(f'--url "{url}" is not like https://antrean.lan:8000')
    try:
        is_nowhere = ip_address(host).is_unspecified
    except ValueError:
        is_nowhere = False
    if is_nowhere:
        raise SetupError(f"{host} is every address of the server: give the one to open with --url")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def _script_text(text: str) -> str:
    return json.dumps(text).replace("<", "\\u003c")
