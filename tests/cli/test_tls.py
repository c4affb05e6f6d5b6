"""`tls`: a certificate with one command, and again a year later."""

import json
import tomllib
from datetime import UTC, datetime, timedelta

import pytest

from puskesmas_queue import tls
from puskesmas_queue.certificates import identity_of
from puskesmas_queue.cli.config_file import with_server
from puskesmas_queue.settings import load_config


@pytest.fixture
def create(run, config):
    """Runs `tls create --json` and returns what it tells."""

    def create(*arguments):
        answer = run("tls", "create", *arguments, "--config", config, "--json")
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.stdout)

    return create


def served(config):
    """Return the certificate that the configuration names."""
    return tls.TlsFiles(*load_config(config).tls_paths).check(datetime.now(UTC))


def test_one_command_and_the_server_can_speak_tls(create, config):
    before = config.read_text()

    told = create("--name", "antrean.lan", "--address", "192.168.1.10")

    server = tomllib.loads(config.read_text())["server"]
    assert (server["tls_certificate"], server["tls_key"]) == ("tls/server.crt", "tls/server.key")
    kept = [line for line in config.read_text().splitlines() if not line.startswith("tls_")]
    assert kept == before.splitlines()
    assert told["names"] == ["antrean.lan", "localhost"]
    assert told["addresses"] == ["192.168.1.10", "127.0.0.1"]
    assert told["is_new_authority"] is True
    assert tls.days_left(served(config), datetime.now(UTC)) == 396


def test_steps_for_every_kind_of_device_are_told_with_the_fingerprint(run, config):
    answer = run("tls", "create", "--name", "antrean.lan", "--config", config)

    told = json.loads(run("tls", "show", "--config", config, "--json").stdout)
    assert answer.exit_code == 0, answer.output
    for word in ("Windows", "Android", "Linux", "Firefox", told["sha256"], told["sha1"]):
        assert word in answer.stdout
    assert "authority.crt" in answer.stdout
    assert 'server.host = "0.0.0.0"' in answer.stdout


def test_again_keeps_names_and_authority(create, config, run):
    first = create("--name", "antrean.lan", "--address", "192.168.1.10")
    text = config.read_text()

    second = create("--days", 90)

    assert second["sha256"] == first["sha256"]
    assert (second["names"], second["addresses"]) == (first["names"], first["addresses"])
    assert second["is_new_authority"] is False
    assert tls.days_left(served(config), datetime.now(UTC)) == 89
    assert config.read_text() == text
    again = run("tls", "create", "--config", config)
    assert "no device has to be told" in again.stdout
    assert "certutil" not in again.stdout


def test_another_name_needs_another_authority(run, refused, create, config):
    first = create("--name", "antrean.lan")

    answer = run("tls", "create", "--name", "antrean.example.id", "--config", config)

    refused(answer, "antrean.example.id", "--force")
    assert "antrean.lan" in identity_of(served(config)).names
    second = create("--name", "antrean.example.id", "--force")
    assert second["sha256"] != first["sha256"]


def test_without_names_it_takes_those_it_knows(create, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "PC_LOKET")
    monkeypatch.setenv("PUSKESMAS__SERVER__HOST", "192.168.7.7")
    monkeypatch.setenv("PUSKESMAS__SERVER__PUBLIC_URL", "http://antrean.lan:8080")

    told = create()

    assert told["names"] == ["antrean.lan", "localhost"]
    assert set(told["addresses"]) >= {"192.168.7.7", "127.0.0.1"}


@pytest.mark.parametrize("days", [0, 398])
def test_days_that_no_browser_takes(run, config, days):
    assert run("tls", "create", "--days", days, "--config", config).exit_code == 2


@pytest.mark.parametrize(("option", "value"), [("--name", "a b"), ("--address", "antrean.lan")])
def test_what_is_no_name(run, refused, config, clinic_folder, option, value):
    refused(run("tls", "create", option, value, "--config", config), value)
    assert not (clinic_folder / "tls").exists()


def test_a_certificate_that_somebody_brought_is_left_alone(run, refused, config):
    text = config.read_text().replace("[server]", '[server]\ntls_certificate="x"\ntls_key="y"')
    config.write_text(text)

    refused(run("tls", "create", "--config", config), "names another file, x")
    assert config.read_text() == text


def test_a_file_that_the_environment_overrides(run, refused, config, monkeypatch):
    monkeypatch.setenv("PUSKESMAS__SERVER__TLS_CERTIFICATE", "elsewhere.crt")
    monkeypatch.setenv("PUSKESMAS__SERVER__TLS_KEY", "elsewhere.key")

    refused(run("tls", "create", "--config", config), "names another file")


def test_a_configuration_without_a_section_for_the_server(create, config):
    text = config.read_text()
    start, end = text.index("[server]"), text.index("[database]")
    config.write_text(text[:start] + text[end:])

    create("--name", "antrean.lan")

    assert served(config)


def test_show(run, create, config):
    told = create("--name", "antrean.lan")

    answer = run("tls", "show", "--config", config)

    assert answer.exit_code == 0, answer.output
    for word in ("antrean.lan", "396 days left", told["sha256"], "this clinic's authority"):
        assert word in answer.stdout


def test_show_of_plain_http(run, refused, config):
    refused(run("tls", "show", "--config", config), "tls create")


def test_show_of_a_foreign_certificate(run, create, config, clinic_folder):
    create("--name", "antrean.lan")
    for name in (tls.AUTHORITY, tls.AUTHORITY_KEY):
        (clinic_folder / "tls" / name).unlink()

    answer = run("tls", "show", "--config", config)
    told = json.loads(run("tls", "show", "--config", config, "--json").stdout)

    assert "Antrean Puskesmas Gladak Pakem" in answer.stdout
    assert told["sha256"] is None


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [(397, "ok", "396 days left"), (31, "ok", "30 days"), (30, "note", "tls create")],
)
def test_doctor_says_when_it_is_time_to_renew(run, create, config, days, state, words):
    create("--name", "antrean.lan", "--days", days)

    found = finding(run, config)

    assert found["state"] == state
    assert words in found["text"]


def test_doctor_says_what_is_wrong(run, create, config, clinic_folder):
    create("--name", "antrean.lan")
    long_ago = datetime.now(UTC) - timedelta(days=40)
    identity = identity_of(served(config))
    tls.make(clinic_folder / "tls", "Uji", identity, 30, long_ago)

    found = finding(run, config)

    assert found["state"] == "wrong"
    assert "ended on" in found["text"]


@pytest.mark.parametrize(
    ("public_port", "public_url", "words"),
    [
        (0, "", None),
        (0, "https://antrean.lan:8000", "no phone trusts"),
        (8080, "http://antrean.lan:8080", None),
        (80, "http://antrean.lan", None),
        (8080, "https://antrean.lan:8000", "does not lead to port 8080"),
        (8080, "http://antrean.lan", "does not lead to port 8080"),
    ],
)
def test_doctor_sees_an_address_that_phones_cannot_open(
    run, create, config, public_port, public_url, words
):
    create("--name", "antrean.lan")
    text = config.read_text().replace("[server]\n", f"[server]\npublic_port = {public_port}\n")
    config.write_text(with_server(text, {"public_url": public_url}))

    found = finding(run, config, "phones")

    assert (found is None) == (words is None)
    assert words is None or words in found["text"]


def test_doctor_says_nothing_of_phones_about_a_certificate_that_they_trust(
    run, create, config, clinic_folder
):
    create("--name", "antrean.lan")
    config.write_text(with_server(config.read_text(), {"public_url": "https://antrean.lan:8000"}))
    (clinic_folder / "tls" / tls.AUTHORITY).unlink()

    assert finding(run, config, "phones") is None


def finding(run, config, name="certificate"):
    answer = run("doctor", "--config", config, "--json")
    found = json.loads(answer.stdout)["findings"]
    return next((one for one in found if one["name"] == name), None)
