"""puskesmas.toml and the environment above it."""

from pathlib import Path

import pytest

from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.settings import find_config, load_config, overriding_variable, without_password

WHOLE = """
[clinic]
id = "gladak-pakem"
name = "Puskesmas Gladak Pakem"
zone = "Asia/Jakarta"
"""


@pytest.fixture
def write(tmp_path):
    """Writes a configuration and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "puskesmas.toml"
        path.write_text(text)
        return path

    return write


def refusal(path: Path, **environ: str) -> str:
    """Return the message with which a configuration is refused."""
    with pytest.raises(SetupError) as caught:
        load_config(path, environ)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_are_filled_in(write, tmp_path):
    config = load_config(write(WHOLE), {})

    assert (config.server.host, config.server.port, config.server.workers) == ("127.0.0.1", 8000, 1)
    assert config.database.file == tmp_path / "data/puskesmas.db"
    assert config.database.is_sqlite
    assert config.folder == tmp_path


def test_environment_wins(write):
    config = load_config(
        write(WHOLE),
        {
            "PUSKESMAS__SERVER__PORT": "9001",
            "PUSKESMAS__SERVER__ALLOW_INSECURE": "true",
            "PUSKESMAS__SERVER__TRUSTED_PROXIES": "10.0.0.1, 10.0.0.2",
            "PUSKESMAS__DATABASE__URL": "postgresql://u:p@localhost/clinic",
            "PATH": "/bin",
        },
    )

    assert config.server.port == 9001
    assert config.server.allow_insecure
    assert config.server.trusted_proxies == ("10.0.0.1", "10.0.0.2")
    assert config.database.file is None
    assert config.database.url == "postgresql://u:p@localhost/clinic"


def test_active_plugins_are_a_list_or_words_between_commas(write):
    path = write(WHOLE + '[plugins]\nactive = ["printer", "voice"]')

    assert load_config(path, {}).plugins.active == ("printer", "voice")
    for value, active in (("voice, numbers", ("voice", "numbers")), ("", ())):
        environ = {"PUSKESMAS__PLUGINS__ACTIVE": value}
        assert load_config(path, environ).plugins.active == active
        assert overriding_variable("plugins.active", environ) == "PUSKESMAS__PLUGINS__ACTIVE"
    assert load_config(write(WHOLE), {}).plugins.active == ()
    assert overriding_variable("plugins.active", {"PATH": "/bin"}) is None


def test_the_file_is_the_one_given_else_the_variable_else_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert find_config("a.toml", {"PUSKESMAS_CONFIG": "/b.toml"}) == tmp_path / "a.toml"
    assert find_config(None, {"PUSKESMAS_CONFIG": "/b.toml"}) == Path("/b.toml").absolute()
    assert find_config(None, {}) == tmp_path / "puskesmas.toml"


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        ("[servr]\nport = 1", ['unknown section "servr"', '"server"']),
        ("[server]\nprot = 1", ['unknown setting "server.prot"', '"server.port"']),
        ('[server]\nport = "http"', ["server.port must be a whole number"]),
        ("[server]\nport = 70000", ["server.port must be 0 to 65535"]),
        ("[server]\nport = true", ["server.port must be a whole number"]),
        ("[server]\nallow_insecure = 1", ["server.allow_insecure must be true or false"]),
        ("[server]\npublic_port = 70000", ["server.public_port must be 0 (none) to 65535"]),
        ("[server]\npublic_port = 8000", ["server.public_port and server.port"]),
        ('[server]\ntls_key = "k"', ["server.tls_certificate and server.tls_key go together"]),
        ("[server]\nworkers = 0", ["server.workers must be 1 to 64"]),
        ('[server]\npublic_url = "antrean.id"', ["server.public_url must begin with https://"]),
        ('[server]\ntrusted_proxies = "x', ["is not valid TOML"]),
        ("server = 1", ["must be a section"]),
        ('[database]\nurl = "mysql://h/db"', ['"mysql://h/db" is neither', "postgresql://"]),
        ('[database]\nurl = "sqlite://"', ["is neither"]),
        ('[database]\nurl = "postgresql://u:secret@h"', ["u:***@h", "is neither"]),
        ('[database]\nurl = "postgresql://h:port/db"', ["is neither"]),
        ("[plugins]\nactive = 1", ["plugins.active must be a list of texts"]),
        ("[plugins]\nenabled = []", ['unknown setting "plugins.enabled"']),
        ("[security]\nsession_idle_minutes = 0", ["security.session_idle_minutes must be 1 to"]),
    ],
)
def test_what_cannot_be_is_one_clear_line(write, addition, words):
    first = addition if addition.startswith("server =") else ""
    message = refusal(write(f"{first}\n{WHOLE}\n{'' if first else addition}"))

    for word in words:
        assert word in message


def test_an_unknown_variable_is_refused_like_an_unknown_key(write):
    message = refusal(write(WHOLE), PUSKESMAS__SERVER__PROT="1")

    assert "PUSKESMAS__SERVER__PROT" in message
    assert '"server.port"' in message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('zone = "Asia/Jakarta"', "clinic.zone cannot be"),
        ('id = "gladak-pakem"', "clinic.id must be"),
        ('name = "Puskesmas Gladak Pakem"', "clinic.name is empty"),
    ],
)
def test_a_clinic_that_cannot_be(write, line, words):
    assert words in refusal(write(WHOLE.replace(line, f'{line.split()[0]} = ""')))


def test_a_missing_name(write):
    assert refusal(write('[clinic]\nid = "x"')) == "clinic.name is missing"


def test_no_file(tmp_path):
    assert "puskesmas-queue init" in refusal(tmp_path / "puskesmas.toml")


def test_a_folder_is_not_a_file(tmp_path):
    assert "cannot read" in refusal(tmp_path)


def test_passwords_are_not_shown():
    assert without_password("postgresql://u:pa@ss@h/d") == "postgresql://u:***@h/d"
    assert without_password("postgresql://u@h/d") == "postgresql://u@h/d"
