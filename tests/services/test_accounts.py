"""Accounts, logins, sessions and their ends, on both databases."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from puskesmas_queue.domain.access import SYSTEM, Actor, Permission, Role
from puskesmas_queue.domain.errors import (
    Conflict,
    InvalidRequest,
    LoginDelayed,
    LoginFailed,
    NotFound,
    UnknownName,
    WeakPassword,
)
from puskesmas_queue.services import accounts, counters, sessions
from puskesmas_queue.services.credentials import HASHER, NOBODY_HASH
from puskesmas_queue.storage import tables

BROWSER = Actor("device", device="d" * 22, address="192.168.1.20", user_agent="Firefox")
GOOD = "tikus7&abuabu"
OTHER = "kuda lari di sawah"


@pytest.fixture
def budi(clinic) -> str:
    """A counter clerk with the password GOOD."""
    accounts.add_user(
        clinic, "budi", SYSTEM, role=Role.PETUGAS_LOKET, name="Budi Santoso", password=GOOD
    )
    return "budi"


def log_in(clinic, username="budi", password=GOOD) -> sessions.Login:
    return sessions.login(clinic, username, password, BROWSER)


def audit(clinic) -> list:
    return clinic.db.read(
        lambda tx: tx.conn.execute(select(tables.audit).order_by(tables.audit.c.id)).all()
    )


def actions(clinic) -> list[str]:
    return [row.action for row in audit(clinic)]


def user_of(clinic, username="budi") -> accounts.User:
    return next(one for one in accounts.list_users(clinic) if one.username == username)


def actor_of(principal) -> Actor:
    return replace(
        BROWSER, kind="user", id=principal.user_id, name=principal.name, role=principal.role
    )


# Accounts


def test_add_user_makes_a_password_up(clinic):
    password = accounts.add_user(clinic, "admin", SYSTEM)

    assert log_in(clinic, "admin", password).principal.role is Role.ADMIN
    assert user_of(clinic, "admin").name == "admin"


@pytest.mark.parametrize(
    "username", ["", "a", "ada spasi", "x" * 51, "budi;", "../etc", "bu\x00di"]
)
def test_username_that_cannot_be(clinic, username):
    with pytest.raises(InvalidRequest):
        accounts.add_user(clinic, username, SYSTEM, password=GOOD)
    assert accounts.list_users(clinic) == ()


@pytest.mark.parametrize("name", ["x" * 256, "Bu\x07di"])
def test_name_that_cannot_be(clinic, name):
    with pytest.raises(InvalidRequest):
        accounts.add_user(clinic, "budi", SYSTEM, name=name, password=GOOD)


def test_username_is_one_whatever_its_capitals(clinic, budi):
    with pytest.raises(Conflict):
        accounts.add_user(clinic, " BUDI ", SYSTEM, password=GOOD)
    assert log_in(clinic, " Budi").principal.username == "budi"


def test_weak_password_makes_no_account(clinic):
    with pytest.raises(WeakPassword):
        accounts.add_user(clinic, "budi", SYSTEM, password="Budi1234!")
    assert accounts.list_users(clinic) == ()


def test_invited_user_sets_the_password(clinic):
    link = accounts.invite_user(clinic, "siti", SYSTEM, role=Role.KEPALA, name="Siti")
    with pytest.raises(LoginFailed):
        log_in(clinic, "siti", "")

    accounts.use_reset_link(clinic, link.token, GOOD, BROWSER)

    assert log_in(clinic, "siti").principal.name == "Siti"


# Login


def test_login_gives_a_new_random_id_and_keeps_its_hash_only(clinic, budi):
    first, second = log_in(clinic), log_in(clinic)

    assert first.token != second.token
    assert len(first.token) == 43
    stored = clinic.db.read(lambda tx: tx.conn.execute(select(tables.sessions)).all())
    assert {row.id_hash for row in stored} == {
        sessions.hash_token(first.token),
        sessions.hash_token(second.token),
    }
    assert first.token not in repr(stored)
    assert user_of(clinic).last_login == pytest.approx(
        clinic.clock.now(), abs=timedelta(seconds=30)
    )


def test_login_ends_the_session_that_the_browser_had(clinic, budi):
    old = log_in(clinic)

    new = sessions.login(clinic, "budi", GOOD, BROWSER, old_token=old.token)

    assert sessions.load_session(clinic, old.token) is None
    assert sessions.load_session(clinic, new.token) == new.principal


@pytest.mark.parametrize(
    ("username", "password"), [("budi", "salah7&abuabu"), ("siapa", GOOD), ("budi", ""), ("", "")]
)
def test_wrong_login_does_not_say_why(clinic, budi, username, password):
    with pytest.raises(LoginFailed) as caught:
        log_in(clinic, username, password)
    assert str(caught.value) == "wrong name or password"
    assert actions(clinic)[-1] == "login_failed"


def test_unknown_names_cost_what_known_ones_do():
    """The hash that stands in for nobody's has the parameters of everybody's."""
    assert not HASHER.check_needs_rehash(NOBODY_HASH)


def test_audit_holds_neither_password_nor_unknown_name(clinic, budi):
    for username in ("budi", "kata-sandi-di-kolom-nama"):
        with pytest.raises(LoginFailed):
            log_in(clinic, username, "salah7&abuabu")
    login = log_in(clinic)

    rows = json.dumps([[str(value) for value in row] for row in audit(clinic)])
    for secret in (GOOD, "salah7&abuabu", "kata-sandi-di-kolom-nama", login.token):
        assert secret not in rows
    assert sessions.hash_token(login.token) not in rows


def test_audit_says_who_and_from_where(clinic, budi):
    log_in(clinic)

    row = audit(clinic)[-1]
    assert (row.action, row.user_id, row.ip_address, row.device, row.user_agent) == (
        "login", user_of(clinic).id, "192.168.1.20", "d" * 22, "Firefox",
    )  # fmt: skip


@pytest.mark.parametrize("username", ["budi", "siapa"])
def test_delay_grows_whether_the_name_exists_or_not(clinic, budi, username):
    waits = []
    for _ in range(10):
        with pytest.raises(LoginFailed):
            log_in(clinic, username, "salah7&abuabu")
        try:
            log_in(clinic, username, "salah7&abuabu")
        except LoginDelayed as error:
            waits.append(error.wait_s)
            clinic.clock.advance(timedelta(seconds=error.wait_s + 0.01))
        except LoginFailed:
            waits.append(0)
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_delay_holds_for_the_right_password_too_and_only_for_that_name(clinic, budi):
    accounts.add_user(clinic, "siti", SYSTEM, password=GOOD)
    for _ in range(3):
        with pytest.raises(LoginFailed):
            log_in(clinic, "budi", "salah7&abuabu")
    with pytest.raises(LoginDelayed):
        log_in(clinic)
    log_in(clinic, "siti")

    clinic.clock.advance(timedelta(seconds=1.5))

    log_in(clinic)


def test_right_password_forgets_the_wrong_ones(clinic, budi):
    for _ in range(3):
        for _ in range(2):
            with pytest.raises(LoginFailed):
                log_in(clinic, "budi", "salah7&abuabu")
        log_in(clinic)


def test_clock_set_back_locks_nobody_out(clinic, budi):
    for _ in range(3):
        with pytest.raises(LoginFailed):
            log_in(clinic, "budi", "salah7&abuabu")
    clinic.clock.advance(timedelta(hours=-2))

    log_in(clinic)


def test_guesses_at_once_are_judged_one_after_another(clinic, budi, monkeypatch):
    """Twenty guesses that begin together gain no more than three in a row."""

    def guess(number: int) -> str:
        try:
            log_in(clinic, "budi", GOOD if number == 19 else f"salah7&abu{number}")
        except (LoginFailed, LoginDelayed) as error:
            return type(error).__name__
        return "in"

    now = clinic.clock.now()
    monkeypatch.setattr(clinic.clock, "now", lambda: now)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(guess, range(20)))

    assert answers.count("LoginFailed") <= 3 + 2  # a right one among them starts anew
    assert answers.count("LoginDelayed") >= 14


def test_old_hash_is_renewed_at_login(clinic, budi):
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    clinic.db.write(
        lambda tx: tx.conn.execute(update(tables.users).values(password_hash=weak)) and None
    )

    log_in(clinic)

    stored = clinic.db.read(
        lambda tx: tx.conn.execute(select(tables.users.c.password_hash)).scalar_one()
    )
    assert not HASHER.check_needs_rehash(stored)
    log_in(clinic)


# Sessions


def test_session_ends_when_idle(clinic, budi):
    login = log_in(clinic)
    clinic.clock.advance(timedelta(minutes=29))
    assert sessions.load_session(clinic, login.token) is not None
    clinic.clock.advance(timedelta(minutes=29))
    assert sessions.load_session(clinic, login.token) is not None
    clinic.clock.advance(timedelta(minutes=30, seconds=1))

    assert sessions.load_session(clinic, login.token) is None
    assert audit(clinic)[-1].action == "session_ended"
    assert audit(clinic)[-1].reason == "idle"


def test_stream_does_not_extend_a_session(clinic, budi):
    login = log_in(clinic)
    clinic.clock.advance(timedelta(minutes=20))
    assert sessions.load_session(clinic, login.token, extend=False) is not None
    clinic.clock.advance(timedelta(minutes=10, seconds=1))

    assert sessions.load_session(clinic, login.token) is None


def test_session_ends_after_twelve_hours_however_busy(clinic, budi):
    login = log_in(clinic)
    for _ in range(36):
        assert sessions.load_session(clinic, login.token) is not None
        clinic.clock.advance(timedelta(minutes=20))
    clinic.clock.advance(timedelta(seconds=1))

    assert sessions.load_session(clinic, login.token) is None
    assert audit(clinic)[-1].reason == "expired"


def test_seen_is_written_at_most_once_a_minute(clinic, budi, monkeypatch):
    login = log_in(clinic)
    writes = []
    write = clinic.db.write
    monkeypatch.setattr(clinic.db, "write", lambda fn: writes.append(fn) or write(fn))

    for _ in range(12):
        clinic.clock.advance(timedelta(seconds=10))
        sessions.load_session(clinic, login.token)

    assert len(writes) == 2


def test_unknown_token_is_nobody(clinic):
    assert sessions.load_session(clinic, "x" * 43) is None


def test_logout_ends_the_session_and_closes_its_counter(clinic, budi):
    login = log_in(clinic)
    actor = actor_of(login.principal)
    counters.open_counter(clinic, 1, login.principal.session_hash, actor)

    sessions.logout(clinic, login.principal, actor)

    assert sessions.load_session(clinic, login.token) is None
    assert counter_state(clinic) == "closed"
    assert "logout" in actions(clinic)


def test_sweep_ends_idle_sessions_with_their_counters(clinic, budi):
    idle, busy = log_in(clinic), log_in(clinic)
    counters.open_counter(clinic, 1, idle.principal.session_hash, actor_of(idle.principal))
    clinic.clock.advance(timedelta(minutes=20))
    sessions.load_session(clinic, busy.token)
    assert sessions.end_idle_sessions(clinic) == 0
    clinic.clock.advance(timedelta(minutes=11))

    assert sessions.end_idle_sessions(clinic) == 1
    assert sessions.end_idle_sessions(clinic) == 0

    assert counter_state(clinic) == "closed"
    assert sessions.load_session(clinic, busy.token) is not None


def test_sweep_forgets_old_wrong_tries(clinic, budi):
    with pytest.raises(LoginFailed):
        log_in(clinic, "siapa", "salah")
    clinic.clock.advance(timedelta(hours=1, seconds=1))

    sessions.end_idle_sessions(clinic)

    rows = clinic.db.read(lambda tx: tx.conn.execute(select(tables.login_failures)).all())
    assert rows == []


def test_own_sessions_are_listed_and_ended(clinic, budi):
    accounts.add_user(clinic, "siti", SYSTEM, password=GOOD)
    foreign = log_in(clinic, "siti")
    first, second, third = log_in(clinic), log_in(clinic), log_in(clinic)
    actor = actor_of(first.principal)

    views = sessions.list_sessions(clinic, first.principal)
    assert [view.is_this for view in views] == [True, False, False]
    assert len(views) == 3

    sessions.end_own_session(clinic, first.principal, second.principal.session_hash[:16], actor)
    assert sessions.load_session(clinic, second.token) is None
    assert sessions.end_other_sessions(clinic, first.principal, actor) == 1
    assert sessions.load_session(clinic, third.token) is None
    assert sessions.load_session(clinic, first.token) is not None
    with pytest.raises(NotFound):
        sessions.end_own_session(
            clinic, first.principal, foreign.principal.session_hash[:16], actor
        )
    assert sessions.load_session(clinic, foreign.token) is not None


def test_disabled_user_is_out_at_once(clinic, budi):
    login = log_in(clinic)
    link = accounts.reset_password(clinic, "budi", SYSTEM)
    counters.open_counter(clinic, 1, login.principal.session_hash, actor_of(login.principal))

    assert accounts.disable_user(clinic, "Budi", SYSTEM) == 1

    assert sessions.load_session(clinic, login.token) is None
    assert counter_state(clinic) == "closed"
    with pytest.raises(LoginFailed):
        log_in(clinic)
    with pytest.raises(NotFound):
        accounts.use_reset_link(clinic, link.token, OTHER, BROWSER)
    with pytest.raises(Conflict):
        accounts.disable_user(clinic, "budi", SYSTEM)
    with pytest.raises(Conflict):
        accounts.reset_password(clinic, "budi", SYSTEM)


def test_unknown_user_is_named_with_the_nearest(clinic, budi):
    with pytest.raises(UnknownName) as caught:
        accounts.disable_user(clinic, "budy", SYSTEM)
    assert caught.value.nearest == "budi"


def test_moving_the_demo_clock_logs_nobody_out(clinic, budi):
    login = log_in(clinic)
    by = timedelta(hours=3)

    clinic.clock.advance(by)
    sessions.shift_sessions(clinic, by)

    assert sessions.load_session(clinic, login.token) is not None


# Lock


def test_locked_until_the_password_is_typed_again(clinic, budi):
    login = log_in(clinic)
    actor = actor_of(login.principal)
    sessions.lock(clinic, login.principal, actor)

    locked = sessions.load_session(clinic, login.token)
    assert locked is not None
    assert locked.is_locked
    sessions.lock(clinic, locked, actor)
    for _ in range(3):
        with pytest.raises(LoginFailed):
            sessions.unlock(clinic, locked, "salah7&abuabu", actor)
    with pytest.raises(LoginDelayed):
        sessions.unlock(clinic, locked, GOOD, actor)
    with pytest.raises(LoginDelayed):
        log_in(clinic)
    clinic.clock.advance(timedelta(seconds=1.5))
    sessions.unlock(clinic, locked, GOOD, actor)

    free = sessions.load_session(clinic, login.token)
    assert free is not None
    assert not free.is_locked
    assert actions(clinic)[-5:] == ["screen_locked", *["unlock_failed"] * 3, "screen_unlocked"]


def test_locked_screen_keeps_the_counter_but_not_for_ever(clinic, budi):
    login = log_in(clinic)
    actor = actor_of(login.principal)
    counters.open_counter(clinic, 1, login.principal.session_hash, actor)
    sessions.lock(clinic, login.principal, actor)
    assert counter_state(clinic) == "open"

    clinic.clock.advance(timedelta(minutes=29))
    sessions.load_session(clinic, login.token)
    clinic.clock.advance(timedelta(minutes=2))

    assert sessions.load_session(clinic, login.token) is None
    assert counter_state(clinic) == "closed"


# Passwords


def test_change_password(clinic, budi):
    here, there = log_in(clinic), log_in(clinic)
    actor = actor_of(here.principal)

    with pytest.raises(LoginFailed):
        accounts.change_password(clinic, here.principal, "salah7&abuabu", OTHER, actor)
    with pytest.raises(WeakPassword):
        accounts.change_password(clinic, here.principal, GOOD, "Budi1234!", actor)
    accounts.change_password(clinic, here.principal, GOOD, OTHER, actor)

    assert sessions.load_session(clinic, here.token) is not None
    assert sessions.load_session(clinic, there.token) is None
    with pytest.raises(LoginFailed):
        log_in(clinic)
    log_in(clinic, "budi", OTHER)


def test_wrong_old_password_counts_like_a_login(clinic, budi):
    here = log_in(clinic)
    actor = actor_of(here.principal)
    for _ in range(3):
        with pytest.raises(LoginFailed):
            accounts.change_password(clinic, here.principal, "salah7&abuabu", OTHER, actor)

    with pytest.raises(LoginDelayed):
        accounts.change_password(clinic, here.principal, GOOD, OTHER, actor)


def test_password_link_works_once(clinic, budi):
    login = log_in(clinic)
    link = accounts.reset_password(clinic, "budi", SYSTEM)
    assert accounts.link_owner(clinic, link.token).username == "budi"
    with pytest.raises(WeakPassword):
        accounts.use_reset_link(clinic, link.token, "pendek", BROWSER)
    assert sessions.load_session(clinic, login.token) is not None

    accounts.use_reset_link(clinic, link.token, OTHER, BROWSER)

    assert sessions.load_session(clinic, login.token) is None
    log_in(clinic, "budi", OTHER)
    with pytest.raises(NotFound):
        accounts.use_reset_link(clinic, link.token, GOOD, BROWSER)
    assert audit(clinic)[-2].action == "password_reset"
    assert audit(clinic)[-2].user_id == user_of(clinic).id


def test_password_link_used_twice_at_once_sets_one_password(clinic, budi, monkeypatch):
    link = accounts.reset_password(clinic, "budi", SYSTEM)
    original = accounts.hash_password

    def hash_while_somebody_else_is_faster(password):
        monkeypatch.setattr(accounts, "hash_password", original)
        accounts.use_reset_link(clinic, link.token, OTHER, BROWSER)
        return original(password)

    monkeypatch.setattr(accounts, "hash_password", hash_while_somebody_else_is_faster)
    with pytest.raises(NotFound):
        accounts.use_reset_link(clinic, link.token, "ikan terbang di kali", BROWSER)

    log_in(clinic, "budi", OTHER)


def test_password_link_ends_after_a_day_or_with_a_newer_one(clinic, budi):
    first = accounts.reset_password(clinic, "budi", SYSTEM)
    second = accounts.reset_password(clinic, "budi", SYSTEM)
    with pytest.raises(NotFound):
        accounts.link_owner(clinic, first.token)
    assert accounts.link_owner(clinic, second.token).username == "budi"

    clinic.clock.advance(timedelta(hours=24, seconds=1))

    with pytest.raises(NotFound):
        accounts.use_reset_link(clinic, second.token, OTHER, BROWSER)


def test_password_is_hashed_outside_the_transaction(clinic, budi, monkeypatch):
    """argon2id under the one writer would hold up every ticket."""
    inside = []
    write = clinic.db.write

    def watched(fn):
        def run(tx):
            inside.append(True)
            try:
                return fn(tx)
            finally:
                inside.pop()

        return write(run)

    def refuse(*args):
        assert not inside
        return original(*args)

    original = HASHER.hash
    monkeypatch.setattr(clinic.db, "write", watched)
    monkeypatch.setattr(type(HASHER), "hash", lambda self, *args: refuse(*args))
    verify = HASHER.verify
    monkeypatch.setattr(
        type(HASHER), "verify", lambda self, *args: (not inside or 1 / 0) and verify(*args)
    )

    login = log_in(clinic)
    accounts.change_password(clinic, login.principal, GOOD, OTHER, actor_of(login.principal))
    sessions.unlock(clinic, login.principal, OTHER, actor_of(login.principal))


def test_language_is_kept(clinic, budi):
    login = log_in(clinic)

    accounts.set_language(clinic, login.principal, "en", actor_of(login.principal))

    again = sessions.load_session(clinic, login.token)
    assert again is not None
    assert again.language == "en"
    accounts.set_language(clinic, again, "en", actor_of(again))
    assert actions(clinic).count("user_changed") == 1


def test_refusal_is_audited(clinic, budi):
    login = log_in(clinic)

    accounts.record_refusal(
        clinic, Permission.MANAGE_USERS, "GET", "/admin/users", actor_of(login.principal)
    )

    row = audit(clinic)[-1]
    assert row.action == "access_refused"
    assert row.new_values == {
        "permission": "manage_users",
        "method": "GET",
        "path": "/admin/users",
    }


def counter_state(clinic) -> str:
    return next(one.state for one in counters.all_counters(clinic) if one.number == 1)
