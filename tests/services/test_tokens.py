"""Logins of programs: what a token is worth, and how a stolen one ends."""

import base64
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from puskesmas_queue.clinic import open_clinic
from puskesmas_queue.domain.access import SYSTEM, Actor, Role
from puskesmas_queue.domain.errors import (
    LoginDelayed,
    LoginFailed,
    NotFound,
    SetupError,
    TokenRefused,
)
from puskesmas_queue.services import accounts, counters, tokens
from puskesmas_queue.storage import tables
from puskesmas_queue.storage.crypto import Keyring, make_key_file
from support.clinics import make_config
from support.desk import at_once, rows_of

PROGRAM = Actor("device", address="192.168.1.40", user_agent="hall-screen/2.0")


@pytest.fixture
def clinic(clinic):
    """The clinic of each database with a key file, and with Budi at the counter."""
    make_key_file(clinic.config.key_path)
    clinic.password = accounts.add_user(
        clinic, "budi", SYSTEM, role=Role.PETUGAS_LOKET, name="Budi"
    )
    return clinic


def log_in(clinic) -> tokens.Tokens:
    return tokens.log_in(clinic, "budi", clinic.password, PROGRAM)


def audited(clinic, action: str) -> list:
    return [row for row in rows_of(clinic, tables.audit) if row.action == action]


def signed(clinic, *, kid: str | None = None, **changes) -> str:
    """Sign a token as the clinic does, with some claims or its `typ` changed."""
    keys = Keyring.load(clinic.config.key_path).signing_keys(tokens.PURPOSE)
    now = datetime.now(UTC)
    typ = changes.pop("typ", tokens.TYPE)
    claims = {
        "iss": tokens.ISSUER,
        "aud": "uji/api/v1",
        "sub": "1",
        "iat": now,
        "exp": now + timedelta(minutes=5),
        "jti": "x",
        "fam": 1,
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    key_id = list(keys)[-1]
    return jwt.encode(
        claims, keys[key_id], algorithm="HS256", headers={"typ": typ, "kid": kid or key_id}
    )


def test_a_program_logs_in(clinic):
    given = log_in(clinic)

    who = tokens.program_of(clinic, given.access)
    assert (who.username, who.role, who.family) == ("budi", Role.PETUGAS_LOKET, 1)
    assert given.expires_in_s == 600
    header = jwt.get_unverified_header(given.access)
    assert (header["typ"], header["alg"]) == ("at+jwt", "HS256")
    (login,) = audited(clinic, "login")
    assert (login.user_id, login.ip_address, login.user_agent) == (
        who.user_id,
        PROGRAM.address,
        PROGRAM.user_agent,
    )


def test_neither_token_is_kept(clinic):
    given = log_in(clinic)

    kept = str([rows_of(clinic, table) for table in tables.metadata.sorted_tables])
    assert given.refresh not in kept
    assert given.access not in kept


def test_wrong_tries_wait_longer_and_longer_as_at_the_login_form(clinic):
    for _ in range(10):
        with pytest.raises((LoginFailed, LoginDelayed)) as refused:
            tokens.log_in(clinic, "budi", "wrong", PROGRAM)
    assert refused.type is LoginDelayed
    with pytest.raises(LoginDelayed):
        log_in(clinic)
    assert len(audited(clinic, "login_failed")) >= 3
    assert rows_of(clinic, tables.token_families) == []


def test_a_refresh_token_is_good_once(clinic):
    first = log_in(clinic)

    second = tokens.refresh(clinic, first.refresh, PROGRAM)

    assert tokens.program_of(clinic, second.access).family == 1
    assert second.refresh != first.refresh
    assert tokens.refresh(clinic, second.refresh, PROGRAM).refresh != second.refresh


def test_reuse_ends_the_family_and_is_audited(clinic):
    stolen = log_in(clinic)
    honest = tokens.refresh(clinic, stolen.refresh, PROGRAM)
    thief = Actor("device", address="192.168.1.66")

    with pytest.raises(TokenRefused):
        tokens.refresh(clinic, stolen.refresh, thief)

    for access in (stolen.access, honest.access):
        with pytest.raises(TokenRefused):
            tokens.program_of(clinic, access)
    with pytest.raises(TokenRefused):
        tokens.refresh(clinic, honest.refresh, PROGRAM)
    (ended,) = audited(clinic, "session_ended")
    assert (ended.reason, ended.ip_address) == ("token reused", thief.address)


def test_of_refreshes_at_once_one_is_served_and_the_family_ends(clinic):
    given = log_in(clinic)

    answers = at_once([lambda: tokens.refresh(clinic, given.refresh, PROGRAM)] * 4)

    served = [one for one in answers if isinstance(one, tokens.Tokens)]
    assert len(served) == 1
    with pytest.raises(TokenRefused):
        tokens.program_of(clinic, served[0].access)


def test_a_login_without_refresh_ends_as_an_idle_session_does(clinic, clock):
    given = log_in(clinic)
    clock.advance(timedelta(minutes=31))

    with pytest.raises(TokenRefused):
        tokens.program_of(clinic, given.access)
    with pytest.raises(TokenRefused):
        tokens.refresh(clinic, given.refresh, PROGRAM)


def test_a_login_ends_after_twelve_hours_in_any_case(clinic, clock):
    given = log_in(clinic)
    refreshed = 0
    for _ in range(40):
        clock.advance(timedelta(minutes=25))
        try:
            given = tokens.refresh(clinic, given.refresh, PROGRAM)
        except TokenRefused:
            break
        refreshed += 1

    assert refreshed == 28
    # The last pair is not good for longer than the login.
    assert given.expires_in_s == 600


def test_logout_ends_both_tokens(clinic):
    given = log_in(clinic)

    tokens.revoke(clinic, given.refresh, PROGRAM)
    tokens.revoke(clinic, given.refresh, PROGRAM)
    tokens.revoke(clinic, "x" * 43, PROGRAM)

    with pytest.raises(TokenRefused):
        tokens.program_of(clinic, given.access)
    with pytest.raises(TokenRefused):
        tokens.refresh(clinic, given.refresh, PROGRAM)
    assert len(audited(clinic, "logout")) == 1


@pytest.mark.parametrize("how", ["disabled", "password", "reset"])
def test_whatever_ends_a_users_sessions_ends_the_programs(clinic, how):
    given = log_in(clinic)
    who = tokens.program_of(clinic, given.access)

    if how == "disabled":
        assert accounts.disable_user(clinic, "budi", SYSTEM) == 1
    elif how == "password":
        accounts.change_password(clinic, who, clinic.password, "kopi hitam tanpa gula 7", SYSTEM)
    else:
        link = accounts.reset_password(clinic, "budi", SYSTEM)
        accounts.use_reset_link(clinic, link.token, "kopi hitam tanpa gula 7", SYSTEM)

    with pytest.raises(TokenRefused):
        tokens.program_of(clinic, given.access)
    with pytest.raises(TokenRefused):
        tokens.refresh(clinic, given.refresh, PROGRAM)


def test_checking_a_token_reads_no_database(clinic, monkeypatch):
    given = log_in(clinic)
    tokens.program_of(clinic, given.access)

    def refuse(_):
        raise AssertionError("the database was read")

    monkeypatch.setattr(clinic.db, "read", refuse)
    for _ in range(3):
        assert tokens.program_of(clinic, given.access).username == "budi"


def test_another_process_ends_it(clinic, database_url, tmp_path, clock):
    """The command line disables the account; the server has only its versions to go by."""
    given = log_in(clinic)
    tokens.program_of(clinic, given.access)
    command = open_clinic(make_config(database_url, tmp_path), clock)
    try:
        accounts.disable_user(command, "budi", SYSTEM)
    finally:
        command.close()
    clinic.look()

    with pytest.raises(TokenRefused):
        tokens.program_of(clinic, given.access)


def test_another_process_begins_it(clinic, database_url, tmp_path, clock):
    """A program's next request may come to this one before word of its login does."""
    tokens.program_of(clinic, log_in(clinic).access)
    other = open_clinic(make_config(database_url, tmp_path), clock)
    try:
        given = tokens.log_in(other, "budi", clinic.password, PROGRAM)
    finally:
        other.close()

    assert tokens.program_of(clinic, given.access).username == "budi"


def test_a_token_that_was_good_a_moment_ago_ends_in_time(clinic, monkeypatch):
    """A signature is not checked twice, the end of a token each time."""
    log_in(clinic)
    short = signed(clinic, exp=datetime.now(UTC) + timedelta(minutes=5))
    assert tokens.program_of(clinic, short).username == "budi"

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(minutes=6)

    monkeypatch.setattr(tokens, "time", SimpleNamespace(time=lambda: time.time() + 360))
    monkeypatch.setattr("jwt.api_jwt.datetime", Later)

    with pytest.raises(TokenRefused):
        tokens.program_of(clinic, short)


# Forgeries


def _b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _json(document: dict) -> str:
    return _b64(json.dumps(document).encode())


def test_forged_tokens_are_refused(clinic):
    given = log_in(clinic)
    assert tokens.program_of(clinic, signed(clinic)).username == "budi"
    header, payload, signature = given.access.split(".")
    kid = jwt.get_unverified_header(given.access)["kid"]
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = rsa_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    claims = jwt.decode(given.access, options={"verify_signature": False})
    key = Keyring.load(clinic.config.key_path).signing_keys(tokens.PURPOSE)[kid]
    unsigned = f"{_json({'alg': 'HS512', 'typ': 'at+jwt', 'kid': kid})}.{payload}"
    past = datetime.now(UTC) - timedelta(seconds=1)
    forgeries = {
        "none": f"{_json({'alg': 'none', 'typ': 'at+jwt', 'kid': kid})}.{payload}.",
        "rs256": jwt.encode(claims, pem, algorithm="RS256", headers={"typ": "at+jwt", "kid": kid}),
        "hs512": f"{unsigned}.{_b64(hmac.digest(key, unsigned.encode(), 'sha512'))}",
        "another key": jwt.encode(
            claims, b"x" * 32, algorithm="HS256", headers={"typ": "at+jwt", "kid": kid}
        ),
        "unknown key": signed(clinic, kid="00000000"),
        "changed": f"{header}.{_json({**claims, 'fam': 2})}.{signature}",
        "other clinic": signed(clinic, aud="lain/api/v1"),
        "other issuer": signed(clinic, iss="somebody"),
        "expired": signed(clinic, exp=past),
        "of tomorrow": signed(clinic, iat=datetime.now(UTC) + timedelta(days=1)),
        "wrong type": signed(clinic, typ="JWT"),
        "no end": signed(clinic, exp=None),
        "no audience": signed(clinic, aud=None),
        "unknown login": signed(clinic, fam=4711),
        "odd login": signed(clinic, fam="satu"),
        "the refresh token": given.refresh,
        "garbage": "a.b.c",
        "empty": "",
        "not ascii": "é.é.é",
    }
    accepted = []
    for name, forgery in forgeries.items():
        try:
            tokens.program_of(clinic, forgery)
        except TokenRefused:
            continue
        accepted.append(name)
    assert accepted == []


def test_a_clinic_without_a_key_file_says_how(clinic):
    clinic.config.key_path.unlink()

    with pytest.raises(SetupError, match=r"secret\.key is missing"):
        log_in(clinic)


# What hangs on a login


def test_counters_of_a_program_are_given_back_with_its_login(clinic):
    given = log_in(clinic)
    who = tokens.program_of(clinic, given.access)
    for number in (1, 2):
        holder = counters.family_holder(who.family, number)
        counters.open_counter(
            clinic,
            number,
            holder,
            PROGRAM,
            hold=lambda tx, _: tokens.hold_family(tx, who.family),
        )
    assert [one.state for one in counters.all_counters(clinic)] == ["open", "open"]

    tokens.revoke(clinic, given.refresh, PROGRAM)

    assert [one.state for one in counters.all_counters(clinic)] == ["closed", "closed"]
    with pytest.raises(NotFound):
        counters.open_counter(
            clinic, 1, "x", PROGRAM, hold=lambda tx, _: tokens.hold_family(tx, who.family)
        )


def test_the_timer_ends_what_ran_out_and_forgets_what_is_old(clinic, clock):
    log_in(clinic)
    assert tokens.end_idle_programs(clinic) == 0

    clock.advance(timedelta(minutes=31))
    assert tokens.end_idle_programs(clinic) == 1
    assert tokens.end_idle_programs(clinic) == 0
    assert len(rows_of(clinic, tables.refresh_tokens)) == 1

    clock.advance(timedelta(days=2))
    tokens.end_idle_programs(clinic)
    assert rows_of(clinic, tables.token_families) == []
    assert rows_of(clinic, tables.refresh_tokens) == []


def test_a_user_sees_and_ends_the_own_programs(clinic):
    given = log_in(clinic)
    who = tokens.program_of(clinic, given.access)
    (shown,) = tokens.list_programs(clinic, who)
    assert (shown.address, shown.user_agent) == (PROGRAM.address, PROGRAM.user_agent)
    accounts.add_user(clinic, "ani", SYSTEM, password="kopi hitam tanpa gula 7")
    other = tokens.log_in(clinic, "ani", "kopi hitam tanpa gula 7", PROGRAM)
    ani = tokens.program_of(clinic, other.access)

    with pytest.raises(NotFound):
        tokens.end_own_program(clinic, ani, shown.family_id, SYSTEM)
    tokens.end_own_program(clinic, who, shown.family_id, SYSTEM)
    with pytest.raises(NotFound):
        tokens.end_own_program(clinic, who, shown.family_id, SYSTEM)

    assert tokens.list_programs(clinic, who) == ()
    with pytest.raises(TokenRefused):
        tokens.program_of(clinic, given.access)


def test_a_demos_clock_moves_no_login(clinic, clock):
    given = log_in(clinic)
    clock.advance(timedelta(hours=6))
    tokens.shift_programs(clinic, timedelta(hours=6))

    assert tokens.program_of(clinic, given.access).username == "budi"
