"""
Certificate and key of a server: their files, whether they can be used, and the TLS of `serve`.

Made by `tls create`, or brought along by whoever has a certificate of a public authority.
"""

import os
import ssl
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from puskesmas_queue import certificates
from puskesmas_queue.certificates import Identity, Signed
from puskesmas_queue.domain.errors import SetupError

FOLDER = "tls"
AUTHORITY, AUTHORITY_KEY = "authority.crt", "authority.key"
SERVER, SERVER_KEY = "server.crt", "server.key"
WARN_DAYS = 30
"""A certificate that ends within this time is to be renewed."""


@dataclass(frozen=True, slots=True)
class Made:
    """
    What `make` made.

    Args:
        authority: The authority's certificate.
        server: The server's certificate.
        is_new_authority: Whether every device has to be told of the authority.
    """

    authority: x509.Certificate
    server: x509.Certificate
    is_new_authority: bool


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """
    The two files of a server.

    Args:
        certificate: PEM; further certificates of its chain may follow in it.
        key: PEM, not encrypted.
    """

    certificate: Path
    key: Path

    def look(self) -> x509.Certificate:
        """
        Read the certificate.

        Raises:
            SetupError: It is missing, cannot be read or is none; one line.
        """
        name = "server.tls_certificate"
        try:
            return x509.load_pem_x509_certificate(_read(name, self.certificate))
        except ValueError:
            raise SetupError(
                f"{name}: {self.certificate} holds no certificate in PEM form"
            ) from None

    def context(self) -> ssl.SSLContext:
        """
        Make the TLS of a server: version 1.3 only.

        Raises:
            SetupError: The files cannot be used, or do not belong together; one line.
        """
        self.look()
        if b"ENCRYPTED" in _read("server.tls_key", self.key):
            raise SetupError(
                f"server.tls_key: {self.key} asks for a password, and nobody is there to type it "
                "when the server starts"
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise SetupError(
                    f"server.tls_key: {self.key} is not the key of {self.certificate}"
                ) from None
            raise SetupError(f"server.tls_key: {self.key} holds no key in PEM form") from None
        return context

    def check(self, now: datetime) -> x509.Certificate:
        """
        Look at everything that would keep browsers out.

        Raises:
            SetupError: As `context`, or the certificate has ended.
        """
        self.context()
        certificate = self.look()
        if certificate.not_valid_after_utc <= now:
            raise SetupError(
                f"the certificate {self.certificate} ended on "
                f"{certificate.not_valid_after_utc:%Y-%m-%d}: renew it (puskesmas-queue tls create)"
            )
        return certificate


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Count the whole days until a certificate ends; below 0 once it has."""
    return (certificate.not_valid_after_utc - now) // timedelta(days=1)


def make(
    folder: Path, clinic: str, identity: Identity, days: int, now: datetime, *, force: bool = False
) -> Made:
    """
    Make a server certificate, and the authority that signs it where there is none.

    Args:
        folder: Where the four files are; made if need be.
        clinic: The clinic's name.
        identity: What the server is called.
        days: How long the server's certificate lasts.
        now: When it begins.
        force: Make a new authority although there is one.

    Raises:
        SetupError: The authority that is there cannot be used, or a file cannot be written.
    """
    try:
        if not folder.exists():
            folder.mkdir(mode=0o755)
            _give(folder, folder.parent)
        authority = None if force else find_authority(folder)
        is_new = authority is None
        if authority is None:
            authority = certificates.make_authority(clinic, identity, now)
        server = certificates.make_server(authority, identity, days, now)
        if is_new:
            _write(folder / AUTHORITY_KEY, authority.key_pem, 0o600)
            _write(folder / AUTHORITY, authority.certificate_pem, 0o644)
        _write(folder / SERVER_KEY, server.key_pem, 0o600)
        _write(folder / SERVER, server.certificate_pem, 0o644)
    except OSError as error:
        raise SetupError(f"cannot write {error.filename}: {error.strerror}") from error
    return Made(authority.certificate, server.certificate, is_new)


def find_authority(folder: Path) -> Signed | None:
    """
    Read the authority of a folder.

    Returns:
        None where there is none yet.

    Raises:
        SetupError: Half of it is missing, or it cannot be used.
    """
    certificate, key = folder / AUTHORITY, folder / AUTHORITY_KEY
    if not certificate.exists() and not key.exists():
        return None
    if not (certificate.exists() and key.exists()):
        missing = key if certificate.exists() else certificate
        raise SetupError(f"{missing} is missing: put it back, or make a new authority with --force")
    try:
        return certificates.load_signed(certificate.read_bytes(), key.read_bytes())
    except SetupError as error:
        raise SetupError(f"{certificate}: {error}") from None


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise SetupError(
            f"{setting}: {path} is missing (puskesmas-queue tls create makes it)"
        ) from None
    except OSError as error:
        raise SetupError(f"{setting}: cannot read {path}: {error.strerror}") from None


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all, readable as `mode` says from its first byte on."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(mode)
        _give(aside, path.parent)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _give(path: Path, like: Path) -> None:
    """Let what root made belong to the account of its folder, which runs the server."""
    if hasattr(os, "chown"):
        owner = like.stat()
        with suppress(PermissionError):
            os.chown(path, owner.st_uid, owner.st_gid)
