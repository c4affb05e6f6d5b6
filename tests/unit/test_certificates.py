"""The local authority: what it signs, and what a browser would not take from it."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

from puskesmas_queue.certificates import (
    MOST_DAYS,
    Identity,
    fingerprint,
    identity_of,
    is_signed_by,
    load_signed,
    make_authority,
    make_server,
    outside,
    read_identity,
)
from puskesmas_queue.domain.errors import SetupError

NOW = datetime.now(UTC)
CLINIC = read_identity(["antrean.lan"], ["192.168.1.10", "203.0.113.7"])


@pytest.fixture(scope="module")
def authority():
    return make_authority("Puskesmas Uji", CLINIC, NOW)


def shakes_hands(authority, server, name: str) -> bool:
    """Whether a client that trusts the authority takes the server under a name (OpenSSL)."""
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(there, server)
    here = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        here.wrap_bio(to_client, to_server, server_hostname=name),
        there.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return True


def load(context, signed) -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "crt", Path(folder) / "key"
        pair[0].write_bytes(signed.certificate_pem)
        pair[1].write_bytes(signed.key_pem)
        context.load_cert_chain(*pair)


@pytest.mark.parametrize("name", ["antrean.lan", "192.168.1.10", "203.0.113.7"])
def test_a_device_that_trusts_the_authority_takes_the_server(authority, name):
    server = make_server(authority, CLINIC, 397, NOW)

    assert shakes_hands(authority, server, name)
    assert not shakes_hands(authority, server, "bank.example")
    assert not shakes_hands(make_authority("Lain", CLINIC, NOW), server, name)


@pytest.mark.parametrize(
    ("names", "addresses"),
    [(["bank.example"], []), (["evilantrean.lan"], []), (["lan"], []), ([], ["198.51.100.9"])],
)
def test_the_key_of_the_authority_signs_nothing_else(authority, names, addresses):
    """Even where its key was stolen: devices refuse what it may not sign."""
    wanted = read_identity(names, addresses)
    with pytest.raises(SetupError, match="--force"):
        make_server(authority, wanted, 30, NOW)

    stolen = forged(authority, wanted)
    assert is_signed_by(stolen.certificate, authority.certificate)
    assert not shakes_hands(authority, stolen, [*names, *addresses][0])


def test_what_it_signs_signs_nothing(authority):
    """A server's certificate is no authority, nor may the authority make another one."""
    server = make_server(authority, CLINIC, 30, NOW)
    constraints = server.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.ca is False
    own = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (own.ca, own.path_length) == (True, 0)


def test_a_new_address_of_a_private_network_needs_no_new_authority(authority):
    moved = read_identity(["antrean.lan"], ["10.20.30.40", "fd00::7", "127.0.0.1"])

    server = make_server(authority, moved, 30, NOW)

    assert shakes_hands(authority, server, "10.20.30.40")


def test_an_authority_without_names_is_bound_to_names_all_the_same():
    """A list without any name would permit every name."""
    authority = make_authority("Uji", read_identity([], ["192.168.1.10"]), NOW)

    assert outside(authority.certificate, read_identity(["bank.example"], [])) == ["bank.example"]
    stolen = forged(authority, read_identity(["bank.example"], []))
    assert not shakes_hands(authority, stolen, "bank.example")


def test_the_servers_certificate_is_one_that_browsers_take(authority):
    server = make_server(authority, CLINIC, MOST_DAYS, NOW)
    found = server.certificate

    assert isinstance(server.key.curve, ec.SECP256R1)
    assert found.not_valid_after_utc - found.not_valid_before_utc == timedelta(days=397)
    assert found.not_valid_before_utc < NOW
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert identity_of(found) == CLINIC
    ten_years = authority.certificate.not_valid_after_utc - NOW
    assert timedelta(days=3648) < ten_years < timedelta(days=3651)


def test_a_certificate_does_not_outlive_its_authority(authority):
    late = authority.certificate.not_valid_after_utc - timedelta(days=10)

    server = make_server(authority, CLINIC, 397, late)

    assert server.certificate.not_valid_after_utc <= authority.certificate.not_valid_after_utc
    with pytest.raises(SetupError, match="has ended"):
        make_server(authority, CLINIC, 1, late + timedelta(days=11))


def test_files_give_back_what_was_made(authority):
    again = load_signed(authority.certificate_pem, authority.key_pem)

    assert again.certificate == authority.certificate
    assert again.key_pem == authority.key_pem


def test_files_that_do_not_belong_together(authority):
    other = make_authority("Lain", CLINIC, NOW)

    with pytest.raises(SetupError, match="do not belong together"):
        load_signed(authority.certificate_pem, other.key_pem)
    with pytest.raises(SetupError, match="not a certificate"):
        load_signed(b"nothing", other.key_pem)


@pytest.mark.parametrize(
    "name",
    ["", ".", "a b", "-a", "a-", "a..b", "*.lan", "antrean_lan", "192.168.1.10", "é.id", "x" * 64],
)
def test_a_name_that_is_none(name):
    with pytest.raises(SetupError, match="host name"):
        read_identity([name], [])


@pytest.mark.parametrize("address", ["", "antrean.lan", "0.0.0.0", "::", "224.0.0.1", "10.0.0.0/8"])
def test_an_address_that_is_none(address):
    with pytest.raises(SetupError, match="address"):
        read_identity([], [address])


def test_names_are_small_and_stand_once():
    found = read_identity(["Antrean.LAN", "antrean.lan."], ["::1", "0:0::1"])

    assert found == Identity(("antrean.lan",), (ip_address("::1"),))


def test_long_names_of_clinics_fit():
    """A common name has 64 characters at most."""
    assert make_authority("Puskesmas " * 20, CLINIC, NOW).certificate.subject.rdns


def test_fingerprint_is_written_as_devices_show_it(authority):
    shown = fingerprint(authority.certificate, SHA256())

    assert bytes.fromhex(shown.replace(":", "")) == authority.certificate.fingerprint(SHA256())
    assert shown == shown.upper()
    assert shown.count(":") == 31


def forged(authority, identity):
    """Sign with the authority's key what it may not sign."""
    permitting = make_authority("Puskesmas Uji", identity, NOW)
    leaf = make_server(permitting, identity, 30, NOW)
    builder = x509.CertificateBuilder(
        issuer_name=authority.certificate.subject,
        subject_name=leaf.certificate.subject,
        public_key=leaf.key.public_key(),
        serial_number=leaf.certificate.serial_number,
        not_valid_before=leaf.certificate.not_valid_before_utc,
        not_valid_after=leaf.certificate.not_valid_after_utc,
    )
    kept = x509.SubjectAlternativeName, x509.ExtendedKeyUsage, x509.BasicConstraints
    for extension in leaf.certificate.extensions:
        if isinstance(extension.value, kept):
            builder = builder.add_extension(extension.value, extension.critical)
    return type(leaf)(builder.sign(authority.key, SHA256()), leaf.key)
