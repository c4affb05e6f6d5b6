"""
A local authority for a clinic's network, and the server certificates that it signs.

The authority is good for the names and addresses it was made for and for private networks, and
for nothing else: a device that trusts it trusts it for this clinic's server only.

Source: security rules, "Pages" and "In transit".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from puskesmas_queue.domain.errors import SetupError

AUTHORITY_DAYS = 3650
MOST_DAYS = 397
"""Browsers refuse server certificates that last much longer than a year."""
EARLIER = timedelta(hours=1)
"""Clocks of kiosks go wrong by some minutes: certificates begin that much before they are made."""
LONGEST_NAME = 253
PRIVATE = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
)
"""Networks that nobody outside reaches: a clinic's router may give the server another address."""
LOCAL_NAME = "localhost"
"""Always among the names: without any name no authority would be bound to names at all."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Identity:
    """
    What a server is called.

    Args:
        names: Host names, small letters.
        addresses: Its addresses.
    """

    names: tuple[str, ...]
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as a file holds it."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as a file holds it, not encrypted: the server starts without anybody."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_identity(names: Sequence[str], addresses: Sequence[str]) -> Identity:
    """
    Check names and addresses as people type them.

    Raises:
        SetupError: One of them cannot be one.
    """
    hosts = dict.fromkeys(_host_name(name) for name in names)
    return Identity(tuple(hosts), tuple(dict.fromkeys(_address(text) for text in addresses)))


def make_authority(clinic: str, identity: Identity, now: datetime) -> Signed:
    """
    Make an authority for one clinic's server.

    Args:
        clinic: The clinic's name, for whoever reads a device's list of authorities.
        identity: What it may sign for, besides addresses of private networks and `localhost`.
        now: When it begins.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name has at most 64 characters.
    name = _name(f"Antrean {clinic}"[:64].strip())
    hosts = [LOCAL_NAME, *(host for host in identity.names if host != LOCAL_NAME)]
    networks = [ip_network(text) for text in PRIVATE]
    networks += [
        ip_network(address) for address in identity.addresses if not _is_in(address, networks)
    ]
    permitted: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    permitted += [x509.IPAddress(network) for network in networks]
    builder = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Signed(builder.sign(key, SHA256()), key)


def make_server(authority: Signed, identity: Identity, days: int, now: datetime) -> Signed:
    """
    Make a server certificate.

    Args:
        authority: Signs it.
        identity: What the server is called.
        days: How long it lasts, 1 to `MOST_DAYS`; never longer than the authority.
        now: When it begins.

    Raises:
        SetupError: The authority is not for one of these names, or has ended.
    """
    refused = outside(authority.certificate, identity)
    if refused:
        raise SetupError(
            f"the authority in use is not for {', '.join(refused)}: --force makes a new one, of "
            "which every device has to be told again"
        )
    left = authority.certificate.not_valid_after_utc - now
    if left <= timedelta():
        raise SetupError("the authority has ended: --force makes a new one")
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in identity.names]
    names += [x509.IPAddress(address) for address in identity.addresses]
    first = [*identity.names, *map(str, identity.addresses)][0]
    issuer = authority.certificate
    builder = (
        _builder(
            _name(first[:64]), issuer.subject, key.public_key(), now, min(days, max(left.days, 1))
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    return Signed(builder.sign(authority.key, SHA256()), key)


def outside(authority: x509.Certificate, identity: Identity) -> list[str]:
    """Name what an authority may not sign for, among what a server is called."""
    try:
        bounds = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return []
    permitted = bounds.permitted_subtrees or []
    hosts = [name.value for name in permitted if isinstance(name, x509.DNSName)]
    networks = [name.value for name in permitted if isinstance(name, x509.IPAddress)]
    known = [network for network in networks if isinstance(network, IPv4Network | IPv6Network)]
    refused = [
        name
        for name in identity.names
        if not any(name == host or name.endswith(f".{host}") for host in hosts)
    ]
    return refused + [str(one) for one in identity.addresses if not _is_in(one, known)]


def load_signed(certificate: bytes, key: bytes) -> Signed:
    """
    Read an authority's files.

    Raises:
        SetupError: They are no certificate and key in PEM form, or do not belong together.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate)
        secret = load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as error:
        raise SetupError(f"not a certificate and its key: {error}") from None
    if not isinstance(secret, ec.EllipticCurvePrivateKey):
        raise SetupError("the key is not one that tls create made")
    if secret.public_key() != found.public_key():
        raise SetupError("certificate and key do not belong together")
    return Signed(found, secret)


def identity_of(certificate: x509.Certificate) -> Identity:
    """Read what the server of a certificate is called."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Identity((), ())
    return Identity(
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(
            one
            for one in names.get_values_for_type(x509.IPAddress)
            if isinstance(one, IPv4Address | IPv6Address)
        ),
    )


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority signed a certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def fingerprint(certificate: x509.Certificate, algorithm: HashAlgorithm) -> str:
    """Write a certificate's fingerprint as devices show it: `A1:B2:…`."""
    return certificate.fingerprint(algorithm).hex(":").upper()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    begin = now.astimezone(UTC).replace(microsecond=0) - EARLIER
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _host_name(text: str) -> str:
    name = text.strip().rstrip(".").lower()
    labels = name.split(".")
    is_name = 0 < len(name) <= LONGEST_NAME and all(
        0 < len(label) <= 63
        and label.replace("-", "").isalnum()
        and label.isascii()
        and label[0] != "-" != label[-1]
        for label in labels
    )
    if not is_name or labels[-1].isdigit():
        hint = " (give addresses with --address)" if labels[-1].isdigit() else ""
        raise SetupError(f'"{text}" is no host name{hint}')
    return name


def _address(text: str) -> Address:
    try:
        address = ip_address(text.strip())
    except ValueError:
        raise SetupError(f'"{text}" is no address') from None
    if address.is_unspecified or address.is_multicast:
        raise SetupError(f"{address} is no machine's address")
    return address
