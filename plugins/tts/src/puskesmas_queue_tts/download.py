"""
Fetches a voice from its public address: over https, from where it was broken off, and checked.

Voices are no part of this program: who made them says what may be done with them, in the file
`MODEL_CARD` beside each.
"""

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from puskesmas_queue_tts.voices import (
    DESCRIPTION,
    MODEL,
    MOST_BYTES,
    MOST_DESCRIPTION_BYTES,
    BadVoice,
    read_description,
    read_voice,
)

INDONESIAN = (
    "https://huggingface.co/rhasspy/piper-voices/resolve/main/"
    "id/id_ID/news_tts/medium/id_ID-news_tts-medium.onnx"
)
"""The one voice of Piper for Indonesian, 60 million bytes; of no clear licence."""
TRIES = 4
PAUSE_S = 2.0
"""Between two of them."""
MOST_REDIRECTS = 5
CONNECT_S = 10.0
READ_S = 30.0
ROOM_BYTES = 50_000_000
"""What is to be free on the disk afterwards."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\.onnx")


class DownloadFailed(Exception):
    """The voice is not there; `str()` says why and what to do, for people."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is: bytes that are there, and all of them where that is known."""

    done: int
    total: int | None


@dataclass(slots=True)
class _Told:
    """What the answers on the way to a file said of it."""

    size: int | None = None
    sha256: str | None = None

    def hear(self, headers: Mapping[str, str]) -> None:
        """Keep what a store of large files says: `X-Linked-Etag` is the file's SHA-256."""
        found = _SHA256.fullmatch(headers.get("x-linked-etag", ""))
        if found is not None:
            self.sha256 = found[1]
        linked = headers.get("x-linked-size", "")
        if linked.isdecimal():
            self.size = int(linked)


def download_voice(
    url: str,
    folder: Path,
    sha256: str | None = None,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """
    Fetch a voice and its description; what is there of an earlier try is not fetched again.

    Args:
        url: Of the `.onnx`; the description is beside it. https, or this computer.
        folder: Where both files are put.
        sha256: What the file has to have, where somebody said so; else what its server says.
        tell: Hears how far it is.

    Returns:
        The `.onnx`.

    Raises:
        DownloadFailed: It cannot be fetched, or what came is no voice.
        OSError: It cannot be written.
    """
    _refuse_open(url)
    name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    if _NAME.fullmatch(name) is None:
        raise DownloadFailed(f"{url} does not end with the name of a voice, NAME{MODEL}")
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / name
    timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
    with httpx.Client(timeout=timeout, headers={"Accept-Encoding": "identity"}) as client:
        parts = urlsplit(url)
        described = parts._replace(path=parts.path + DESCRIPTION).geturl()
        description = _fetch(client, described, folder, MOST_DESCRIPTION_BYTES, None)
        try:
            read_description(description.read_bytes(), f"{name}{DESCRIPTION}")
            half = _fetch(client, url, folder, MOST_BYTES, sha256, tell)
            half.replace(model)
            description.replace(model.with_name(model.name + DESCRIPTION))
            read_voice(model)
        except BadVoice as error:
            description.unlink(missing_ok=True)
            model.unlink(missing_ok=True)
            raise DownloadFailed(f"what {_host(url)} sent is no voice: {error}") from None
    return model


def _fetch(
    client: httpx.Client,
    url: str,
    folder: Path,
    most: int,
    sha256: str | None,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Return a file with the content of an address; broken connections are taken up again."""
    # Another address is another file, though its name be the same.
    half = folder / f".{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    told = _Told(sha256=sha256)
    for left in reversed(range(TRIES)):
        try:
            _go_on(client, url, half, most, told, tell)
            break
        except httpx.TransportError as error:
            if not left:
                raise DownloadFailed(_no_connection(url, error)) from None
            time.sleep(PAUSE_S)
    _check(half, url, told if sha256 is None else _Told(told.size, sha256))
    return half


def _go_on(
    client: httpx.Client,
    url: str,
    half: Path,
    most: int,
    told: _Told,
    tell: Callable[[Progress], None],
) -> None:
    done = half.stat().st_size if half.exists() else 0
    if told.size is not None and done == told.size:
        return
    headers = {"Range": f"bytes={done}-"} if done else {}
    request = client.build_request("GET", url, headers=headers)
    for _ in range(MOST_REDIRECTS):
        response = client.send(request, stream=True)
        try:
            told.hear(response.headers)
            if not response.is_redirect:
                _write(response, half, done, most, told, tell)
                return
            goal = urljoin(str(request.url), response.headers.get("location", ""))
        finally:
            response.close()
        _refuse_open(goal)
        request = client.build_request("GET", goal, headers=headers)
    raise DownloadFailed(f"{_host(url)} sends from one address to another without end")


def _write(
    response: httpx.Response,
    half: Path,
    done: int,
    most: int,
    told: _Told,
    tell: Callable[[Progress], None],
) -> None:
    """Write what comes behind what is there, or from the beginning where the server will not."""
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        # More is there than the file has, or all of it: begin anew, unless it is known to be whole.
        half.unlink(missing_ok=True)
        raise httpx.ReadError("the part that is there does not fit")
    if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        raise DownloadFailed(f"{_host(str(response.url))} answered {response.status_code}")
    start, total = _place(response, done)
    told.size = total if told.size is None else told.size
    if told.size is not None and told.size > most:
        raise DownloadFailed(f"{told.size} bytes are too many for this file")
    _refuse_full(half.parent, (told.size or 0) - start)
    with half.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        for block in response.iter_raw():
            file.write(block)
            if file.tell() > most:
                raise DownloadFailed(f"more than {most} bytes came: that is no voice")
            tell(Progress(file.tell(), told.size))
        if told.size is not None and file.tell() < told.size:
            raise httpx.ReadError("it ended too early")


def _place(response: httpx.Response, done: int) -> tuple[int, int | None]:
    """Return where an answer begins in its file, and how long the file is."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if found is None or int(found[1]) != done:
            raise DownloadFailed(f"{_host(str(response.url))} sent another part than was asked for")
        return done, None if found[2] == "*" else int(found[2])
    length = response.headers.get("content-length", "")
    return 0, int(length) if length.isdecimal() else None


def _check(file: Path, url: str, told: _Told) -> None:
    size = file.stat().st_size
    if told.size is not None and size != told.size:
        file.unlink()
        raise DownloadFailed(f"{size} bytes came in place of {told.size}: try again")
    if told.sha256 is None:
        return
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != told.sha256.lower():
        file.unlink()
        raise DownloadFailed(
            f"what {_host(url)} sent is not what it should be: its SHA-256 is {found}"
        )


def _refuse_open(url: str) -> None:
    """Refuse a way on which anybody could put in another file."""
    parts = urlsplit(url)
    is_own = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or (parts.scheme != "https" and not is_own):
        raise DownloadFailed(f"{url} is no https:// address")


def _refuse_full(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted + ROOM_BYTES:
        raise DownloadFailed(
            f"the disk has {free // 1_000_000} MB free, "
            f"{(wanted + ROOM_BYTES) // 1_000_000} MB are needed"
        )


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _no_connection(url: str, error: httpx.TransportError) -> str:
    model = url.removesuffix(DESCRIPTION)
    return (
        f"{_host(url)} cannot be reached or broke off ({str(error) or type(error).__name__}). "
        "Is this computer on the internet? What came is kept: the same command goes on from there. "
        f"Or fetch {model} and {model}{DESCRIPTION} on another computer, and run: "
        "puskesmas-queue tts use FILE"
    )
