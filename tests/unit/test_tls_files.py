"""Certificate and key as files: what can be served, and one clear line for what cannot."""

import os
import ssl
import stat
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from puskesmas_queue import tls
from puskesmas_queue.certificates import load_signed, read_identity
from puskesmas_queue.domain.errors import SetupError

NOW = datetime.now(UTC)
SERVER = read_identity(["antrean.lan"], ["192.168.1.10"])


@pytest.fixture
def folder(tmp_path):
    tls.make(tmp_path / "tls", "Puskesmas Uji", SERVER, 397, NOW)
    return tmp_path / "tls"


@pytest.fixture
def files(folder):
    return tls.TlsFiles(folder / tls.SERVER, folder / tls.SERVER_KEY)


def refusal(call, *arguments) -> str:
    with pytest.raises(SetupError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_only_tls_1_3(files):
    context = files.context()

    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.verify_mode is ssl.CERT_NONE


def test_keys_are_read_by_their_owner_only(folder):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}

    assert set(modes) == {"authority.crt", "authority.key", "server.crt", "server.key"}
    if sys.platform != "win32":
        assert modes["authority.key"] == modes["server.key"] == 0o600
        assert modes["authority.crt"] == modes["server.crt"] == 0o644


def test_again_keeps_the_authority_and_renews_the_rest(folder, files):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    made = tls.make(folder, "Puskesmas Uji", SERVER, 30, NOW)

    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    same = {name for name in before if before[name] == after[name]}
    assert same == {"authority.crt", "authority.key"}
    assert not made.is_new_authority
    assert tls.days_left(files.check(NOW), NOW) == 29


def test_force_makes_a_new_authority(folder):
    before = (folder / tls.AUTHORITY).read_bytes()

    made = tls.make(folder, "Puskesmas Uji", SERVER, 30, NOW, force=True)

    assert made.is_new_authority
    assert (folder / tls.AUTHORITY).read_bytes() != before


def test_refused_names_change_nothing(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    other = read_identity(["other.example"], [])
    assert "other.example" in refusal(tls.make, folder, "Uji", other, 30, NOW)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("missing", [tls.AUTHORITY, tls.AUTHORITY_KEY])
def test_half_an_authority_is_not_replaced_unasked(folder, missing):
    (folder / missing).unlink()

    message = refusal(tls.make, folder, "Uji", SERVER, 30, NOW)

    assert missing in message
    assert "--force" in message


def test_an_authority_that_is_none(folder):
    (folder / tls.AUTHORITY_KEY).write_text("nothing")

    assert "authority.crt" in refusal(tls.make, folder, "Uji", SERVER, 30, NOW)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "tls").write_text("a file stands here")

    assert "cannot write" in refusal(tls.make, tmp_path / "tls", "Uji", SERVER, 30, NOW)


@pytest.mark.parametrize("name", ["certificate", "key"])
def test_a_missing_file(files, name):
    getattr(files, name).unlink()

    message = refusal(files.context)

    assert message.startswith(f"server.tls_{name}: ")
    assert "tls create" in message


@pytest.mark.parametrize("name", ["certificate", "key"])
def test_a_file_that_is_something_else(files, name):
    getattr(files, name).write_text("nothing of the kind")

    message = refusal(files.context)

    assert message.startswith(f"server.tls_{name}: ")
    assert "PEM" in message


@pytest.mark.parametrize("name", ["certificate", "key"])
def test_a_file_that_cannot_be_read(files, name):
    """A folder in its place: root, who may run the tests, reads every file."""
    path = getattr(files, name)
    path.unlink()
    path.mkdir()

    assert f"server.tls_{name}: cannot read {path}" in refusal(files.context)


def test_the_key_of_another_certificate(files, tmp_path):
    tls.make(tmp_path / "other", "Lain", SERVER, 30, NOW)
    files.key.write_bytes((tmp_path / "other" / tls.SERVER_KEY).read_bytes())

    assert "is not the key of" in refusal(files.context)


def test_a_key_with_a_password_is_not_asked_for(files):
    signed = load_signed(files.certificate.read_bytes(), files.key.read_bytes())
    files.key.write_bytes(
        signed.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"rahasia")
        )
    )

    assert "password" in refusal(files.context)


def test_a_certificate_that_has_ended(files):
    last = files.check(NOW).not_valid_after_utc

    assert files.check(last - timedelta(seconds=1))
    message = refusal(files.check, last)
    assert f"{last:%Y-%m-%d}" in message
    assert "tls create" in message


def test_a_clock_that_went_back_does_not_stop_the_hall(files):
    """A dead battery: the PC thinks of last year, the devices know better."""
    assert files.check(NOW - timedelta(days=400))


def test_what_root_made_belongs_to_the_account_of_the_clinic(tmp_path, monkeypatch):
    given = {}

    def give(path, user, group):
        given[path.stat().st_ino] = (user, group)

    monkeypatch.setattr(os, "chown", give, raising=False)
    tls.make(tmp_path / "tls", "Uji", SERVER, 30, NOW)

    made = [tmp_path / "tls", *(tmp_path / "tls").iterdir()]
    owner = tmp_path.stat()
    assert given == {path.stat().st_ino: (owner.st_uid, owner.st_gid) for path in made}
