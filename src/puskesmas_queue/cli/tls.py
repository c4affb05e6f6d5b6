"""`tls`: a certificate for the server, from an authority of the clinic's own."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from puskesmas_queue.cli.context import config_option, json_option, print_json, read_config
from puskesmas_queue.domain.errors import SetupError
from puskesmas_queue.settings import Config

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from puskesmas_queue.certificates import Identity

OWN_NAME, OWN_ADDRESS = "localhost", "127.0.0.1"
STEPS = """\
Every device that staff, kiosk and TV use is told once of the authority. Copy {authority} to it,
by a USB stick say, and compare the fingerprint before you say yes:

  SHA-256 {sha256}
  SHA-1   {sha1} (Windows: "Thumbprint")

Windows (Edge, Chrome), as administrator:
  certutil -addstore -f Root authority.crt
Linux with Chromium, as the account that runs it (Debian: apt install libnss3-tools):
  mkdir -p "$HOME/.pki/nssdb"
  certutil -d "sql:$HOME/.pki/nssdb" -A -t C,, -n "puskesmas-queue" -i authority.crt
Android: Settings > Security > Encryption & credentials > Install a certificate > CA certificate.
Firefox: Settings > Privacy & Security > View Certificates > Authorities > Import, for websites.
Start the browser anew afterwards. Patients' phones are told nothing: give them server.public_port.
"""
KEEP = """\
{key} signs the next certificate. Whoever has it can pretend to be this server: let nobody
copy it, and keep it off the devices.
"""


@click.group()
@config_option
def tls() -> None:
    """Make and show the certificate with which the server speaks TLS."""


@tls.command()
@click.option("--name", "names", multiple=True, metavar="HOST", help="A name of the server.")
@click.option("--address", "addresses", multiple=True, metavar="IP", help="An address of it.")
@click.option(
    "--days",
    type=click.IntRange(1, 397),
    default=397,
    show_default=True,
    help="How long the server's certificate lasts.",
)
@click.option("--force", is_flag=True, help="Make a new authority although there is one.")
@config_option
@json_option
def create(
    names: Sequence[str], addresses: Sequence[str], days: int, force: bool, as_json: bool
) -> None:
    """
    Make a certificate for the server, and an authority that signs it where there is none.

    Again, it makes a new certificate of the same authority: no device has to be told. Without
    names and addresses those of the last one are used, else those that this machine knows.
    """
    from puskesmas_queue import tls as files
    from puskesmas_queue.cli.config_file import set_server

    config = read_config()
    folder = config.folder / files.FOLDER
    paths = {
        "tls_certificate": f"{files.FOLDER}/{files.SERVER}",
        "tls_key": f"{files.FOLDER}/{files.SERVER_KEY}",
    }
    for key, path in paths.items():
        given = getattr(config.server, key)
        if given and config.folder / given != config.folder / path:
            raise SetupError(f"server.{key} names another file, {given}: take that line out first")
    identity = wished(config, names, addresses)
    made = files.make(folder, config.clinic.name, identity, days, datetime.now(UTC), force=force)
    is_changed = set_server(config, paths)
    told = describe(made.server, made.authority)
    told |= {"authority": str(folder / files.AUTHORITY), "is_new_authority": made.is_new_authority}
    if as_json:
        print_json(told)
        return
    click.echo(f"The certificate is in {folder}, for {_listed(told)}")
    click.echo(f"until {made.server.not_valid_after_utc:%Y-%m-%d}.")
    if is_changed:
        click.echo(f"{config.path} names it now.")
    if made.is_new_authority:
        click.echo("\n" + STEPS.format(**told))
        click.echo(KEEP.format(key=folder / files.AUTHORITY_KEY))
    else:
        click.echo("The authority is the same: no device has to be told.")
    if config.server.host in (OWN_NAME, OWN_ADDRESS):
        click.echo('Set server.host = "0.0.0.0", so that other devices reach the server.')
    click.echo("Start the server anew.")


@tls.command()
@config_option
@json_option
def show(as_json: bool) -> None:
    """Show the server's certificate: its names, how long it lasts, and who signed it."""
    from puskesmas_queue import tls as files

    config = read_config()
    if config.tls_paths is None:
        raise SetupError("the server speaks plain HTTP: make a certificate with tls create")
    found = files.TlsFiles(*config.tls_paths)
    certificate = found.look()
    authority = signer(config, certificate)
    told = describe(certificate, authority)
    told["days_left"] = files.days_left(certificate, datetime.now(UTC))
    if as_json:
        print_json(told)
        return
    click.echo(f"file       {found.certificate}")
    click.echo(f"for        {_listed(told)}")
    click.echo(
        f"until      {certificate.not_valid_after_utc:%Y-%m-%d}, {told['days_left']} days left"
    )
    if authority is None:
        click.echo(f"signed by  {certificate.issuer.rfc4514_string()}")
    else:
        click.echo(f"signed by  this clinic's authority, {config.folder / files.FOLDER}")
        click.echo(f"           SHA-256 {told['sha256']}")


@dataclass(frozen=True, slots=True)
class _Known:
    """What this machine knows of its own names and addresses."""

    names: list[str]
    addresses: list[str]


def wished(config: Config, names: Sequence[str], addresses: Sequence[str]) -> "Identity":
    """
    Say what the server is called: as given, else as before, else as this machine knows.

    Raises:
        SetupError: A name or address cannot be one.
    """
    from puskesmas_queue.certificates import identity_of, read_identity

    if not names and not addresses:
        if config.tls_paths is not None and config.tls_paths[0].exists():
            from puskesmas_queue.tls import TlsFiles

            return identity_of(TlsFiles(*config.tls_paths).look())
        known = own_names(config)
        names, addresses = known.names, known.addresses
    return read_identity([*names, OWN_NAME], [*addresses, OWN_ADDRESS])


def own_names(config: Config) -> _Known:
    """Collect the names and addresses that this machine and the configuration know."""
    from puskesmas_queue.certificates import read_identity

    host = socket.gethostname().lower()
    names: list[str] = []
    addresses: list[str] = []
    public = urlsplit(config.server.public_url).hostname or ""
    for one in (host, f"{host}.local", public, config.server.host):
        # What is no name, say "PC_LOKET", is left out; an address stands among the addresses.
        with suppress(SetupError):
            names += read_identity([one], []).names
            continue
        with suppress(SetupError):
            addresses += [str(address) for address in read_identity([], [one]).addresses]
    with suppress(OSError):
        for *_, where in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            addresses.append(str(where[0]).partition("%")[0])
    return _Known(names, addresses)


def signer(config: Config, certificate: "Certificate") -> "Certificate | None":
    """Return the clinic's own authority, if it signed a certificate."""
    from puskesmas_queue import tls as files
    from puskesmas_queue.certificates import is_signed_by

    path: Path = config.folder / files.FOLDER / files.AUTHORITY
    if not path.exists():
        return None
    authority = files.TlsFiles(path, path).look()
    return authority if is_signed_by(certificate, authority) else None


def describe(certificate: "Certificate", authority: "Certificate | None") -> dict[str, Any]:
    """Say what programs want to know; the fingerprints are the authority's."""
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    from puskesmas_queue.certificates import fingerprint, identity_of

    identity = identity_of(certificate)
    shown = {"sha256": SHA256(), "sha1": SHA1()}  # noqa: S303 - it is what Windows shows
    return {
        "names": list(identity.names),
        "addresses": [str(address) for address in identity.addresses],
        "valid_until": certificate.not_valid_after_utc.isoformat(),
        **{
            key: None if authority is None else fingerprint(authority, algorithm)
            for key, algorithm in shown.items()
        },
    }


def _listed(told: dict[str, Any]) -> str:
    return ", ".join([*told["names"], *told["addresses"]])
