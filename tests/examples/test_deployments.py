"""The deployments in `examples/` name commands, options and settings that exist."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import httpx2 as httpx
import pytest
import yaml

from puskesmas_queue.cli import main
from puskesmas_queue.cli.start_page import page
from puskesmas_queue.settings import SECTIONS, build_config, load_config
from puskesmas_queue_tts.plugin import register_commands
from support.proxy import proxied
from support.server import run_command, running
from support.sockets import free_port

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DEPLOY, KIOSK = EXAMPLES / "deploy", EXAMPLES / "kiosk"
UNITS = sorted([*DEPLOY.rglob("*.service"), *DEPLOY.rglob("*.timer"), *KIOSK.rglob("*.service")])
TOMLS = sorted(DEPLOY.rglob("*.toml"))
COMPOSE = DEPLOY / "compose/compose.yaml"
COMPOSE_PRINTER = DEPLOY / "compose/compose.printer.yaml"
PRINTER_UNIT = DEPLOY / "systemd/printer.conf"
DOCKERFILE = DEPLOY / "compose/Dockerfile"
CADDYFILE = DEPLOY / "caddy/Caddyfile"
PAGES = sorted([*DEPLOY.rglob("*.md"), *KIOSK.rglob("*.md"), ROOT / "docs/install.md"])
PROGRAM = re.compile(r"(?:^|[\s/\\])puskesmas-queue(?:\.exe)?\s")
SPEAKS = "--autoplay-policy=no-user-gesture-required"
VOICE_COMMANDS = {"tts": register_commands()}
MANY = 3
"""Fewer would mean that a pattern here finds nothing any more."""


def parsed(words: list[str]) -> None:
    """Read a command line as the program itself would, without running it."""
    command: click.Command = main
    if words[0] in VOICE_COMMANDS:
        # The program knows a plugin's command where the plugin is active.
        command = VOICE_COMMANDS[words.pop(0)]
    context = click.Context(main, info_name="puskesmas-queue")
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    command.make_context(command.name, words, parent=context)


def command_lines(text: str) -> list[list[str]]:
    """Find every call of the program in a page's blocks of commands."""
    found = []
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            call = PROGRAM.split(line, maxsplit=1)
            if len(call) == 2 and not line.lstrip().startswith(("$", "[", "ExecStart", "python3")):
                words = call[1].replace("\\", "/").split(" && ")[0]
                # The whole call may stand in quotes, as what a timer runs.
                found.append(
                    shlex.split(words.removesuffix('"') if words.count('"') % 2 else words)
                )
    return found


def exec_start(unit: Path) -> list[str]:
    text = unit.read_text("utf-8").replace("\\\n", " ")
    return shlex.split(re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)[0])


# What the program itself reads


@pytest.mark.parametrize("path", TOMLS, ids=lambda path: path.parent.name)
def test_configurations_are_ones(path):
    config = build_config(path, tomllib.loads(path.read_text("utf-8")), {})

    assert config.clinic.name == "Puskesmas Contoh"
    assert config.server.public_url
    assert bool(config.server.public_port) == config.server.is_tls


def test_commands_of_the_pages_exist():
    for path in PAGES:
        for words in command_lines(path.read_text("utf-8")):
            parsed(words)
    assert sum(len(command_lines(path.read_text("utf-8"))) for path in PAGES) > 2 * MANY


def test_commands_that_do_not_exist_are_noticed():
    lines = command_lines("```bash\nsudo x/puskesmas-queue tls creat\n```")
    assert lines == [["tls", "creat"]]
    with pytest.raises(AssertionError):
        parsed(lines[0])
    with pytest.raises(click.UsageError):
        parsed(["serve", "--prot", "1"])


@pytest.mark.parametrize("screen", ["kiosk", "display"])
def test_start_pages_are_what_the_command_writes(screen):
    path = KIOSK / f"antrean-{screen}.html"

    assert path.read_text("utf-8") == page("https://antrean.lan:8000", screen)


def test_every_deployment_says_what_was_tried():
    said = [
        *UNITS,
        *TOMLS,
        PRINTER_UNIT,
        COMPOSE,
        COMPOSE_PRINTER,
        DOCKERFILE,
        CADDYFILE,
        DEPLOY / "windows/README.md",
    ]
    for path in said:
        assert re.search(r"^#? ?(Tried|Not tried)\b", path.read_text("utf-8"), re.MULTILINE), path
    listed = (DEPLOY / "README.md").read_text("utf-8")
    for folder in DEPLOY.iterdir():
        assert folder.name == "README.md" or f"]({folder.name}/" in listed


# systemd


@pytest.mark.parametrize("unit", sorted(DEPLOY.rglob("*.service")), ids=lambda path: path.stem)
def test_units_start_what_exists(unit):
    program, *words = exec_start(unit)

    assert Path(program).name == "puskesmas-queue"
    parsed(words)


@pytest.mark.parametrize(
    ("unit", "flags"),
    [("antrean-kiosk", ("--kiosk-printing", SPEAKS)), ("antrean-display", (SPEAKS,))],
)
def test_screens_print_and_speak_without_a_question(unit, flags):
    """Without these a kiosk asks at each slip where to, and a TV is silent until it is clicked."""
    words = exec_start(KIOSK / f"{unit}.service")

    assert {"--kiosk", *flags} <= set(words)
    assert words[-1].endswith(f"/{unit}.html")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_units(unit, tmp_path):
    """Where systemd is not installed at least each line is a section or a setting."""
    text = unit.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"\[\w+\]|[A-Z]\w+=.*", line) for line in lines)
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    # Its program must exist, and the unit that a timer starts.
    for one in unit.parent.glob(f"*{unit.suffix}" if unit.suffix == ".service" else "*"):
        text = one.read_text("utf-8").replace("\\\n", " ")
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", text)
        (tmp_path / one.name).write_text(text)
    copy = tmp_path / unit.name
    kind = [] if unit.parent.name == "systemd" else ["--user"]
    done = subprocess.run(
        [analyze, *kind, "verify", copy],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_lets_the_server_open_printers_and_nothing_else(tmp_path):
    """The piece for a printer takes back what hides devices, by kind; systemd takes both."""
    text = PRINTER_UNIT.read_text("utf-8")
    assert "PrivateDevices=no" in text
    assert "DevicePolicy=closed" in text
    kinds = re.findall(r"^DeviceAllow=char-(\w+) rw$", text, re.MULTILINE)
    assert kinds == ["usb", "lp", "ttyUSB", "ttyACM", "ttyS"]
    assert len(re.findall(r"^DeviceAllow=", text, re.MULTILINE)) == len(kinds)
    server = DEPLOY / "systemd/puskesmas-queue.service"
    assert "PrivateDevices=yes" in server.read_text("utf-8")
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    unit = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", server.read_text("utf-8"))
    (tmp_path / server.name).write_text(unit)
    (tmp_path / f"{server.name}.d").mkdir()
    (tmp_path / f"{server.name}.d/printer.conf").write_text(text)
    done = subprocess.run(
        [analyze, "verify", tmp_path / server.name],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


CONFINED = """
import ctypes, mmap

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
is_confined = ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) == 0
if is_confined:
    try:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except PermissionError:
        pass
    else:
        raise SystemExit("memory may be written and executed")
from puskesmas_queue_tts import espeak_process

print(len(espeak_process.load()("Nomor antrean A, nol nol tiga.", "id", 1.0)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is of Linux")
def test_the_voice_speaks_under_the_units_rules():
    """`MemoryDenyWriteExecute`, as the kernel (6.3 and later) keeps it itself."""
    assert "MemoryDenyWriteExecute=yes" in (DEPLOY / "systemd/puskesmas-queue.service").read_text()
    done = subprocess.run(
        [sys.executable, "-c", CONFINED], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20_000


# Containers


def test_compose_file_names_what_exists():
    document = yaml.safe_load(COMPOSE.read_text("utf-8"))
    services = document["services"]
    server = services["server"]
    build = server["build"]
    context = (COMPOSE.parent / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]) == DOCKERFILE
    parsed(list(server["command"]))
    names = {f"PUSKESMAS__{section}__".upper() for section in SECTIONS}
    for name in server["environment"]:
        assert any(name.startswith(prefix) for prefix in names), name
    mounted = services["caddy"]["volumes"][0].split(":")[0]
    assert (COMPOSE.parent / mounted).resolve() == CADDYFILE
    kept = {volume.split(":")[0] for one in services.values() for volume in one["volumes"]}
    assert kept - {mounted} == set(document["volumes"])


def test_server_of_the_compose_file_has_a_configuration_that_is_one(tmp_path):
    """Settings as it gives them, over the file that `init` makes."""
    server = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["server"]
    environ = {
        name: re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", r"\2", value)
        for name, value in server["environment"].items()
    }
    path = tmp_path / "puskesmas.toml"
    path.write_text('[clinic]\nid = "x"\nname = "X"\n')

    config = load_config(path, environ)

    assert not config.database.is_sqlite
    assert config.server.public_url == "https://antrean.example.id"
    network = yaml.safe_load(COMPOSE.read_text("utf-8"))["networks"]["default"]["ipam"]
    assert config.server.trusted_proxies == (network["config"][0]["subnet"],)


def test_a_printer_of_the_host_is_one_more_file():
    """It names the same service, a device of the host and its group's number."""
    services = yaml.safe_load(COMPOSE_PRINTER.read_text("utf-8"))["services"]
    assert set(services) == {"server"}
    assert services["server"]["devices"] == ["/dev/usb/lp0:/dev/usb/lp0"]
    assert set(services["server"]) == {"devices", "group_add"}


def test_the_image_has_the_official_plugins():
    """Each folder of plugins is built, and each distribution installed."""
    text = DOCKERFILE.read_text("utf-8")
    for folder in sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml")):
        name = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["name"]
        assert f"/source/plugins/{folder.name}" in text
        assert re.search(rf"--no-index[^&]*\b{name}\b", text), name


def test_image_runs_what_exists():
    text = DOCKERFILE.read_text("utf-8")
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[0])
    words = json.loads(re.findall(r"^CMD (.*)$", text, re.MULTILINE)[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert entry[0] in project["scripts"]
    parsed(words)
    images = re.findall(r"^FROM python:(\d+\.\d+)", text, re.MULTILINE)
    assert set(images) == {project["requires-python"].removeprefix(">=")}


# Caddy


def test_caddyfile_passes_streams_on_at_once():
    text = CADDYFILE.read_text("utf-8")

    assert "reverse_proxy {$ANTREAN_SERVER:127.0.0.1:8000}" in text
    assert "flush_interval -1" in text


@contextmanager
def behind_caddy(server: str, folder: Path) -> Iterator[str]:
    """Run Caddy with the example on a port of this machine, with nothing of it left behind."""
    caddy, port = shutil.which("caddy"), free_port()
    assert caddy is not None
    environ = {
        **os.environ,
        "ANTREAN_SITE": f"localhost:{port}",
        "ANTREAN_SERVER": server,
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    adapted = subprocess.run(
        [caddy, "adapt", "--config", CADDYFILE, "--adapter", "caddyfile"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    document = json.loads(adapted.stdout)
    document["admin"] = {"disabled": True}
    document["apps"]["pki"] = {"certificate_authorities": {"local": {"install_trust": False}}}
    for one in document["apps"]["http"]["servers"].values():
        one["automatic_https"] = {"disable_redirects": True}
    path = folder / "caddy.json"
    path.write_text(json.dumps(document))
    log = folder / "caddy.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [caddy, "run", "--config", path], env=environ, stdout=errors, stderr=errors
        )
    try:
        url = f"https://localhost:{port}"
        until = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/healthz", verify=False, timeout=5)
                break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)


FRONTS = {"ours": proxied} | ({"caddy": behind_caddy} if shutil.which("caddy") else {})
"""What stands before the server; Caddy with the example itself, where it is installed."""


@pytest.mark.parametrize("front", FRONTS)
def test_behind_a_proxy_with_tls(front, run_clinic, tmp_path):
    """Addresses, cookies, logins and streams go through."""
    config = run_clinic()
    environ = {"PUSKESMAS__SERVER__TRUSTED_PROXIES": "127.0.0.1,::1"}
    with (
        running("serve", "--config", config, "--port", 0, folder=tmp_path, env=environ) as server,
        FRONTS[front](httpx.URL(server.url).netloc.decode(), tmp_path) as url,
        httpx.Client(base_url=url, verify=False, timeout=30) as client,
    ):
        login = client.get("/login")
        assert login.status_code == 200
        cookies = login.headers.get_list("set-cookie")
        assert any(cookie.endswith("; Secure") for cookie in cookies)
        form = {"username": "siti", "password": "tikus7&abuabu"}
        done = client.post("/login", data=form, headers={"origin": url})
        assert done.status_code == 303
        session = next(one for one in done.headers.get_list("set-cookie") if "session" in one)
        assert session.startswith("__Host-pq_session=")
        foreign = client.post("/login", data=form, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403
        page = client.get("/me").text
        assert "127.0.0.1" in page or "::1" in page
        # What the browser claims about itself never reaches the server.
        lie = {"x-forwarded-for": "203.0.113.66", "x-forwarded-proto": "http"}
        assert client.get("/me", headers=lie).status_code == 200

        # A proxy that keeps it until some kilobytes are together would keep it for minutes.
        with client.stream("GET", "/live/phone-main") as stream:
            assert next(stream.iter_lines()).startswith("event: ")


@pytest.fixture
def run_clinic(tmp_path):
    """Makes a clinic with one account."""

    def make() -> Path:
        config = tmp_path / "clinic/puskesmas.toml"
        done = run_command("init", tmp_path / "clinic")
        assert done.returncode == 0, done.stderr
        words = ("--role", "petugas_loket", "--password-stdin", "--config", config)
        command = [sys.executable, "-m", "puskesmas_queue", "user", "add", "siti", *map(str, words)]
        added = subprocess.run(
            command, input="tikus7&abuabu\n", text=True, capture_output=True, check=False
        )
        assert added.returncode == 0, added.stderr
        return config

    return make
