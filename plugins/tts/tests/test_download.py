"""Voices come over a network that breaks, lies or is not there, and only whole ones are used."""

import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from puskesmas_queue.testing import ClinicUnderTest
from puskesmas_queue_tts import commands, download, plugin
from puskesmas_queue_tts.commands import tts
from puskesmas_queue_tts.download import DownloadFailed, Progress, download_voice

MODEL = b"\x08" + bytes(range(256)) * 8_000
TOLD = json.dumps(
    {
        "audio": {"sample_rate": 22_050},
        "espeak": {"voice": "id"},
        "phoneme_id_map": {"_": [0]},
    }
).encode()
NAME = "id_ID-uji-medium.onnx"


class Store:
    """A server of files on this computer, with switches for what can go wrong."""

    def __init__(self):
        self.files = {f"/{NAME}": MODEL, f"/{NAME}.json": TOLD}
        self.answers: dict[str, tuple[int, dict[str, str]]] = {}
        self.cut_after: list[int] = []
        self.has_ranges = True
        self.asked: list[tuple[str, str | None]] = []
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                store.asked.append((self.path, self.headers["Range"]))
                store.answer(self)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def answer(self, request):
        status, headers = self.answers.get(request.path, (200, {}))
        content = self.files.get(request.path)
        if content is None and status == 200:
            status, content = 404, b"<html>not found</html>"
        content = content or b""
        start = 0
        asked = request.headers["Range"]
        if asked and self.has_ranges and status == 200:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            status = 206 if start < len(content) else 416
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if status == 206:
            end = len(content)
            request.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        body = content[start:] if status != 416 else b""
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.cut_after and request.path.endswith(".onnx"):
            body = body[: self.cut_after.pop(0)]
        request.wfile.write(body)

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    made = Store()
    yield made
    made.close()


def model_ranges(store):
    return [asked for path, asked in store.asked if path == f"/{NAME}"]


def test_a_voice_and_its_description_are_fetched(store, tmp_path):
    heard: list[Progress] = []

    model = download_voice(f"{store.url}/{NAME}", tmp_path, tell=heard.append)

    assert model == tmp_path / NAME
    assert model.read_bytes() == MODEL
    assert (tmp_path / f"{NAME}.json").read_bytes() == TOLD
    assert heard[-1] == Progress(len(MODEL), len(MODEL))
    assert {path.name for path in tmp_path.iterdir()} == {NAME, f"{NAME}.json"}


def test_a_connection_that_breaks_is_taken_up_again(store, tmp_path):
    """From where it broke off, without asking for what came."""
    store.cut_after = [500_000, 300_000]

    assert download_voice(f"{store.url}/{NAME}", tmp_path).read_bytes() == MODEL
    assert model_ranges(store) == [None, "bytes=500000-", "bytes=800000-"]


def test_the_same_command_goes_on_later(store, tmp_path):
    store.cut_after = [100_000] * download.TRIES
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 cannot be reached or broke off"):
        download_voice(f"{store.url}/{NAME}", tmp_path)
    store.asked.clear()

    assert download_voice(f"{store.url}/{NAME}", tmp_path).read_bytes() == MODEL
    assert model_ranges(store) == ["bytes=400000-"]


def test_a_server_without_ranges_sends_all_of_it(store, tmp_path):
    store.has_ranges = False
    store.cut_after = [500_000]

    assert download_voice(f"{store.url}/{NAME}", tmp_path).read_bytes() == MODEL


def test_a_part_that_does_not_fit_is_thrown_away(store, tmp_path):
    """The file became shorter at its server since the last try."""
    store.cut_after = [1_500_000] * 1 + [0] * 3
    with pytest.raises(DownloadFailed):
        download_voice(f"{store.url}/{NAME}", tmp_path)
    store.files[f"/{NAME}"] = MODEL[:1_200_000]
    store.cut_after = []

    assert download_voice(f"{store.url}/{NAME}", tmp_path).read_bytes() == MODEL[:1_200_000]


def test_no_internet_is_said_in_plain_words(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "PAUSE_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(DownloadFailed) as failed:
        download_voice(f"http://127.0.0.1:{port}/{NAME}", tmp_path)

    address = f"http://127.0.0.1:{port}/{NAME}"
    assert "Is this computer on the internet?" in str(failed.value)
    assert f"Or fetch {address} and {address}.json on another computer" in str(failed.value)
    assert "puskesmas-queue tts use FILE" in str(failed.value)


def linked(digest: str) -> dict[str, str]:
    return {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(MODEL))}


def test_the_digest_that_its_store_tells_is_compared(store, tmp_path):
    """It stands on the answer that leads to the file, as stores of large files have it."""
    store.files[f"/far/{NAME}"] = MODEL
    digest = hashlib.sha256(MODEL).hexdigest()
    store.answers[f"/{NAME}"] = (302, {"Location": f"/far/{NAME}", **linked(digest)})
    assert download_voice(f"{store.url}/{NAME}", tmp_path).read_bytes() == MODEL

    store.files[f"/far/{NAME}"] = MODEL[:-1] + b"!"
    with pytest.raises(DownloadFailed, match="is not what it should be: its SHA-256 is"):
        download_voice(f"{store.url}/{NAME}", tmp_path / "other")
    assert not (tmp_path / "other" / NAME).exists()
    assert not list((tmp_path / "other").glob(".*.part"))[1:]


def test_the_digest_that_was_asked_for_is_compared(store, tmp_path):
    digest = hashlib.sha256(MODEL).hexdigest().upper()
    download_voice(f"{store.url}/{NAME}", tmp_path, digest)

    with pytest.raises(DownloadFailed, match="is not what it should be"):
        download_voice(f"{store.url}/{NAME}", tmp_path, "0" * 64)


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        (f"/{NAME}", b"<html>" + b" " * 1_500_000, "is no ONNX model"),
        (f"/{NAME}", b"version https://git-lfs", "that is no whole voice"),
        (f"/{NAME}.json", b"<html>log in to this network</html>", "does not describe a voice"),
        (f"/{NAME}.json", b'{"audio": {"sample_rate": 1}}', "does not describe a voice"),
        (f"/{NAME}.json", TOLD.replace(b"22050", b"true"), "does not describe a voice"),
        (f"/{NAME}.json", b"[" * 100_000, "does not describe a voice"),
        (f"/{NAME}.json", b" " * 1_000_001, "too many for this file"),
        (
            f"/{NAME}.json",
            TOLD.replace(b'"phoneme_id_map"', b'"phoneme_type": "text", "phoneme_id_map"'),
            "other phonemes",
        ),
    ],
)
def test_what_is_no_voice_is_not_kept(store, tmp_path, path, content, words):
    """A hotel's login page, a pointer to the file, another kind of model."""
    store.files[path] = content

    with pytest.raises(DownloadFailed, match=words):
        download_voice(f"{store.url}/{NAME}", tmp_path)

    assert not (tmp_path / NAME).exists()


def test_a_voice_that_is_not_there(store, tmp_path):
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 answered 404"):
        download_voice(f"{store.url}/other.onnx", tmp_path)


def test_it_is_not_led_in_a_circle(store, tmp_path):
    store.answers[f"/{NAME}.json"] = (302, {"Location": f"/{NAME}.json"})
    with pytest.raises(DownloadFailed, match="without end"):
        download_voice(f"{store.url}/{NAME}", tmp_path)


@pytest.mark.parametrize(
    "goal", ["http://example.org/x.onnx", "ftp://127.0.0.1/x.onnx", "file:///x.onnx", "//", "x"]
)
def test_an_address_that_anybody_could_answer_is_refused(store, tmp_path, goal):
    """As the address given, and as where another one leads."""
    with pytest.raises(DownloadFailed, match="is no https"):
        download_voice(goal, tmp_path)
    if "://" in goal:
        store.answers[f"/{NAME}.json"] = (302, {"Location": goal})
        with pytest.raises(DownloadFailed, match="is no https"):
            download_voice(f"{store.url}/{NAME}", tmp_path)


@pytest.mark.parametrize("name", ["voice.zip", ".onnx", "..%2Fx.onnx", "a%00.onnx", "-x.onnx"])
def test_a_name_that_is_no_voices(store, tmp_path, name):
    with pytest.raises(DownloadFailed, match="does not end with the name of a voice"):
        download_voice(f"{store.url}/{name}", tmp_path)


def test_a_full_disk_is_noticed_before(store, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "ROOM_BYTES", 10**18)
    with pytest.raises(DownloadFailed, match=r"MB free, .* MB are needed"):
        download_voice(f"{store.url}/{NAME}", tmp_path)


# The commands


@pytest.fixture
def run(tmp_path):
    """Runs a command of the plugin in a clinic of its own."""
    with ClinicUnderTest(tmp_path / "clinic", [("tts", plugin)]) as clinic:
        ctx = clinic.context("tts")

        def one(*words: str):
            return CliRunner().invoke(tts, words, obj=ctx)

        one.voices = ctx.folder / "voices"
        yield one


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_download_voice_ends_with_a_sentence(run, store, tmp_path, put_voice):
    """The real voice comes over the network, is put where Piper looks, and speaks."""
    source = put_voice(tmp_path / "far", name="id_ID-uji-medium")
    store.files[f"/{NAME}"] = source.read_bytes()
    store.files[f"/{NAME}.json"] = source.with_name(f"{NAME}.json").read_bytes()

    result = run("download-voice", "--url", f"{store.url}/{NAME}")

    assert result.exit_code == 0, result.output
    assert "id_ID-uji-medium speaks id (tried: " in result.output
    assert files(run.voices / "id") == {NAME, f"{NAME}.json"}
    assert files(run.voices / ".download") == set()


def test_download_voice_without_internet(run, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "TRIES", 1)
    result = run("download-voice", "--url", "http://127.0.0.1:9/x.onnx")

    assert result.exit_code == 1
    assert "Error: 127.0.0.1 cannot be reached" in result.output
    assert files(run.voices / "id") == set()


def test_the_usual_address_is_a_public_one():
    """It is taken where no other is given."""
    option = next(one for one in commands.download.params if one.name == "url")
    assert option.default == download.INDONESIAN
    download._refuse_open(download.INDONESIAN)


@pytest.fixture
def untried(monkeypatch):
    """Voices are not tried: what is tested is which files are where."""
    monkeypatch.setattr("puskesmas_queue_tts.commands.piper_version", lambda: None)


@pytest.mark.usefixtures("untried")
def test_use_takes_a_voice_and_lets_go_of_the_one_before(run, tmp_path, put_voice):
    first = put_voice(tmp_path / "far", name="first")
    second = put_voice(tmp_path / "far", name="second")

    result = run("use", str(first))
    assert result.exit_code == 0, result.output
    assert "first speaks id (" in result.output
    result = run("use", str(second))
    assert result.exit_code == 0, result.output
    assert files(run.voices / "id") == {"second.onnx", "second.onnx.json"}
    # What the clinic uses already may be named as well.
    assert run("use", str(run.voices / "id/second.onnx")).exit_code == 0
    assert files(run.voices / "id") == {"second.onnx", "second.onnx.json"}
    assert first.exists()


@pytest.mark.usefixtures("untried")
def test_use_asks_for_a_language_that_it_cannot_know(run, tmp_path, put_voice):
    english = put_voice(tmp_path / "far", "en-us", "joe")
    malay = put_voice(tmp_path / "far", "ms", "malay")

    assert "joe speaks en (" in run("use", str(english)).output
    refused = run("use", str(malay))
    assert refused.exit_code == 1
    assert "malay was made for ms: say with --language" in refused.output
    assert "malay speaks id (" in run("use", str(malay), "--language", "id").output


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("voice.onnx.json", TOLD, "a voice of Piper is called NAME.onnx"),
        ("voice.onnx", MODEL, "voice.onnx.json: No such file"),
        ("voice.onnx", b"\x08", "that is no whole voice"),
    ],
)
def test_use_refuses_what_is_no_voice(run, tmp_path, name, content, words):
    file = tmp_path / name
    file.write_bytes(content)

    result = run("use", str(file))

    assert result.exit_code == 1
    assert words in result.output
    assert files(run.voices / "id") == set()


def test_use_says_when_a_model_cannot_be_loaded(run, tmp_path):
    """It looks like one, and is none: the clinic's voice stays."""
    file = tmp_path / NAME
    file.write_bytes(MODEL)
    file.with_name(f"{NAME}.json").write_bytes(TOLD)

    result = run("use", str(file))

    assert result.exit_code == 1
    assert "it does not speak: KeyError: " in result.output
    assert files(run.voices / "id") == set()


@pytest.mark.usefixtures("untried")
def test_use_without_piper_keeps_the_voice(run, tmp_path, put_voice):
    result = run("use", str(put_voice(tmp_path / "far", name="first")))

    assert result.exit_code == 0
    assert "not tried: piper: it is not installed" in result.output
    assert files(run.voices / "id") == {"first.onnx", "first.onnx.json"}


@pytest.mark.usefixtures("untried")
def test_a_folder_that_cannot_be_written(run, tmp_path, put_voice):
    run.voices.parent.mkdir(parents=True)
    run.voices.write_text("a file where the folder should be")

    result = run("use", str(put_voice(tmp_path / "far", name="first")))

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
