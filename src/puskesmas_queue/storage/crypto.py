"""
Keeps secrets at rest: AES-256-GCM, each value bound to its row.

The key file lies outside data and backups. It holds one key a line, the newest last: that one
encrypts, the older ones still decrypt. No key is used itself but one derived from it for each
purpose, so that what was encrypted for one is nothing to another.

Source: security rules, "At rest".
"""

import json
import os
import re
import secrets
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from puskesmas_queue.domain.errors import SecretUnreadable, SetupError

KEY_BYTES = 32
NONCE_BYTES = 12
LARGEST_FILE = 16_384
VERSION = "v1"
HEADER = """\
# Keys of this clinic's stored secrets: without this file they cannot be read again.
# Keep it out of backups of the data, and a copy of it in a safe place.
"""
_LINE = re.compile(r"([0-9a-f]{8}) ([A-Za-z0-9_-]{43}=)")
_STORED = re.compile(rf"{VERSION}\.([0-9a-f]{{8}})\.([A-Za-z0-9_-]+={{0,2}})")


class Keyring:
    """
    The keys of one clinic.

    Args:
        keys: 32 bytes each, by their id; the last one encrypts.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self._newest = list(keys)[-1]

    def __repr__(self) -> str:
        """Show ids only, so that no key ends in a log."""
        return f"Keyring({', '.join(self._keys)})"

    @classmethod
    def load(cls, path: Path) -> "Keyring":
        """
        Read a key file.

        Raises:
            SetupError: It is missing, damaged, or others may read it.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(LARGEST_FILE + 1)
        except FileNotFoundError:
            raise SetupError(
                f"the key file {path} is missing: put its copy back, or set security.key_file"
            ) from None
        except OSError as error:
            raise SetupError(f"cannot read the key file {path}: {error.strerror}") from None
        if sys.platform != "win32" and mode & 0o077:
            raise SetupError(f"others may read the key file {path}: chmod 600 {path}")
        return cls(_parse(path, content))

    def encrypt(self, purpose: str, aad: Sequence[str], text: str) -> str:
        """
        Encrypt a text for one row.

        Args:
            purpose: What it is for; each has a key of its own.
            aad: Where it stands, say clinic, table and key: it decrypts nowhere else.
            text: What is kept.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        cipher = AESGCM(self._derived(self._newest, purpose))
        sealed = cipher.encrypt(nonce, text.encode(), _bound(self._newest, purpose, aad))
        return f"{VERSION}.{self._newest}.{urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, purpose: str, aad: Sequence[str], stored: str) -> str:
        """
        Decrypt what `encrypt` returned.

        Raises:
            SecretUnreadable: Its key is not in the file, it was changed, or it stood elsewhere.
        """
        found = _STORED.fullmatch(stored)
        if found is None:
            raise SecretUnreadable("it is not in the form in which secrets are stored")
        key_id = found[1]
        if key_id not in self._keys:
            raise SecretUnreadable(f"its key {key_id} is not in the key file")
        try:
            sealed = urlsafe_b64decode(found[2])
            nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            cipher = AESGCM(self._derived(key_id, purpose))
            return cipher.decrypt(nonce, rest, _bound(key_id, purpose, aad)).decode()
        except (InvalidTag, ValueError):
            raise SecretUnreadable("it was changed, or belongs to another row") from None

    def signing_keys(self, purpose: str) -> dict[str, bytes]:
        """
        Derive the keys that sign for one purpose.

        Returns:
            32 bytes each, by key id: the last one signs, the older ones still check.
        """
        return {key_id: self._derived(key_id, purpose) for key_id in self._keys}

    def _derived(self, key_id: str, purpose: str) -> bytes:
        info = f"puskesmas-queue {VERSION} {purpose}".encode()
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(self._keys[key_id])


def make_key_file(path: Path) -> None:
    """
    Write a key file with one new key, which only its owner may read.

    Raises:
        FileExistsError: There is one; it was left as it is.
        OSError: It cannot be written.
    """
    key = urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    try:
        with file:
            file.write(f"{HEADER}{secrets.token_hex(4)} {key}\n".encode())
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _parse(path: Path, content: bytes) -> dict[str, bytes]:
    """Read the lines of a key file; no complaint shows what stands in them."""
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        raise SetupError(f"the key file {path} is damaged: put its copy back") from None
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _LINE.fullmatch(stripped)
        if found is None or found[1] in keys:
            raise SetupError(f"the key file {path} is damaged in line {number}: put its copy back")
        keys[found[1]] = urlsafe_b64decode(found[2])
    if not keys or len(content) > LARGEST_FILE:
        raise SetupError(f"the key file {path} holds no key: put its copy back")
    return keys


def _bound(key_id: str, purpose: str, aad: Sequence[str]) -> bytes:
    """Write the associated data so that no two rows share it, whatever their names hold."""
    return json.dumps([VERSION, key_id, purpose, *aad]).encode()
