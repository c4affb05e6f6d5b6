"""Secrets at rest: bound to their row, and nothing without the key file."""

import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from puskesmas_queue.domain.errors import SecretUnreadable, SetupError
from puskesmas_queue.storage.crypto import HEADER, Keyring, make_key_file

ROW = ("uji", "plugin_settings", "wa", "token")
SECRET = "kunci – rahasia ✓"


@pytest.fixture
def key_path(tmp_path):
    """A key file as `init` makes it."""
    path = tmp_path / "secret.key"
    make_key_file(path)
    return path


@pytest.fixture
def keyring(key_path) -> Keyring:
    """Its keys."""
    return Keyring.load(key_path)


def key_line(number: int) -> str:
    """Return the line of a key."""
    return f"{number:08x} {urlsafe_b64encode(bytes([number]) * 32).decode()}\n"


def refusal(path) -> str:
    """Return the one line with which a key file is refused."""
    with pytest.raises(SetupError) as caught:
        Keyring.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_what_was_encrypted_comes_back(keyring, key_path):
    for text in (SECRET, "", "x" * 4_000):
        stored = keyring.encrypt("p", ROW, text)

        assert stored.isascii()
        assert text == "" or text not in stored
        assert Keyring.load(key_path).decrypt("p", ROW, stored) == text


def test_the_same_text_never_looks_the_same(keyring):
    assert len({keyring.encrypt("p", ROW, SECRET) for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "other",
    [
        ("uji2", "plugin_settings", "wa", "token"),
        ("uji", "settings", "wa", "token"),
        ("uji", "plugin_settings", "sms", "token"),
        ("uji", "plugin_settings", "wa", "password"),
        ("uji", "plugin_settings", "watoken", ""),
        ("uji", "plugin_settings", 'wa", "token'),
        (),
    ],
)
def test_it_decrypts_in_its_own_row_only(keyring, other):
    stored = keyring.encrypt("p", ROW, SECRET)

    with pytest.raises(SecretUnreadable):
        keyring.decrypt("p", other, stored)


def test_each_purpose_has_its_own_key(keyring):
    stored = keyring.encrypt("plugin-settings", ROW, SECRET)

    with pytest.raises(SecretUnreadable):
        keyring.decrypt("totp", ROW, stored)


def test_no_bit_can_be_changed(keyring):
    version, key_id, body = keyring.encrypt("p", ROW, SECRET).split(".")
    sealed = urlsafe_b64decode(body)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SecretUnreadable):
            keyring.decrypt("p", ROW, f"{version}.{key_id}.{urlsafe_b64encode(changed).decode()}")


@pytest.mark.parametrize(
    "stored", ["", "plain", "v1.00000001", "v2.00000001.AAAA", "v1.ffffffff.AAAA"]
)
def test_what_no_key_made_is_refused(keyring, stored):
    with pytest.raises(SecretUnreadable):
        keyring.decrypt("p", ROW, stored)


@pytest.mark.parametrize("body", ["AAAA", "A", "A" * 40, "AAAA=="])
def test_what_is_cut_short_is_refused(tmp_path, body):
    ring = Keyring({"00000001": b"k" * 32})

    with pytest.raises(SecretUnreadable):
        ring.decrypt("p", ROW, f"v1.00000001.{body}")


def test_the_newest_key_encrypts_and_older_ones_still_decrypt(tmp_path):
    path = tmp_path / "secret.key"
    path.write_text(HEADER + key_line(1))
    path.chmod(0o600)
    old = Keyring.load(path).encrypt("p", ROW, SECRET)
    path.write_text(HEADER + key_line(1) + "\n# new\n" + key_line(2))

    both = Keyring.load(path)
    new = both.encrypt("p", ROW, SECRET)
    assert (old.split(".")[1], new.split(".")[1]) == ("00000001", "00000002")
    assert both.decrypt("p", ROW, old) == both.decrypt("p", ROW, new) == SECRET
    path.write_text(key_line(2))
    with pytest.raises(SecretUnreadable, match="key 00000001 is not in the key file"):
        Keyring.load(path).decrypt("p", ROW, old)


def test_a_key_file_is_made_once(key_path):
    before = key_path.read_bytes()

    with pytest.raises(FileExistsError):
        make_key_file(key_path)

    assert key_path.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_others_may_not_read_it(key_path):
    assert key_path.stat().st_mode & 0o777 == 0o600
    for mode in (0o640, 0o604, 0o666):
        key_path.chmod(mode)
        assert f"chmod 600 {key_path}" in refusal(key_path)
    key_path.chmod(0o400)
    assert Keyring.load(key_path)


def test_a_missing_file_says_so(tmp_path):
    assert "is missing: put its copy back" in refusal(tmp_path / "none.key")
    assert "cannot read the key file" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no key"),
        (HEADER, "holds no key"),
        (key_line(1)[:-3], "damaged in line 1"),
        (key_line(1) + "hello", "damaged in line 2"),
        (key_line(1) + key_line(1), "damaged in line 2"),
        ("kunci é", "is damaged"),
        ("#" * 20_000 + "\n" + key_line(1), "holds no key"),
    ],
)
def test_a_damaged_file_says_so_and_shows_nothing_of_it(tmp_path, content, words):
    path = tmp_path / "secret.key"
    path.write_text(content, encoding="utf-8")
    path.chmod(0o600)

    message = refusal(path)
    assert words in message
    assert "AQEB" not in message
    assert "hello" not in message


def test_no_key_shows_in_a_log(key_path):
    key = key_path.read_text().split()[-1]

    assert key not in repr(Keyring.load(key_path))
