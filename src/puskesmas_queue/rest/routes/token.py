"""Logging a program in and out."""

from puskesmas_queue.domain.access import Permission, Principal
from puskesmas_queue.domain.errors import (
    Forbidden,
    LoginDelayed,
    LoginFailed,
    SetupError,
    TokenRefused,
)
from puskesmas_queue.rest.call import Call, reply
from puskesmas_queue.rest.endpoint import Endpoint
from puskesmas_queue.rest.schemas import Credentials, Me, RefreshToken, Tokens
from puskesmas_queue.services import tokens
from puskesmas_queue.services.answers import Reply

SUBJECT = "token"


def log_in(call: Call) -> Reply:
    """Log a program in."""
    asked = call.body(Credentials)
    given = tokens.log_in(call.clinic, asked.username, asked.password, call.actor)
    return _given(given)


def refresh_token(call: Call) -> Reply:
    """Take a refresh token for a new pair."""
    return _given(tokens.refresh(call.clinic, call.body(RefreshToken).refresh, call.actor))


def revoke_token(call: Call) -> Reply:
    """Log a program out."""
    tokens.revoke(call.clinic, call.body(RefreshToken).refresh, call.actor)
    return reply(204)


def read_me(call: Call) -> Reply:
    """Say who a token belongs to."""
    if not isinstance(call.caller, Principal):
        raise Forbidden(Permission.SELF.value)
    who = call.caller
    return reply(200, Me(username=who.username, name=who.name, role=who.role))


def _given(given: tokens.Tokens) -> Reply:
    document = Tokens(access=given.access, refresh=given.refresh, expires_in=given.expires_in_s)
    return reply(200, document)


_REFRESH = {"refresh": "the refresh token of the last answer"}
endpoints = (
    Endpoint(
        "POST",
        "/token",
        log_in,
        Permission.PUBLIC,
        SUBJECT,
        summary="Log a program in",
        answers={200: Tokens},
        refusals=(LoginFailed, LoginDelayed, SetupError),
        body=Credentials,
        more="The account is one of the clinic's staff; wrong tries wait longer and longer.",
        example={"username": "ani", "password": "the password of ani"},
    ),
    Endpoint(
        "POST",
        "/token/refresh",
        refresh_token,
        Permission.PUBLIC,
        SUBJECT,
        summary="Take a refresh token for a new pair",
        answers={200: Tokens},
        refusals=(TokenRefused, SetupError),
        body=RefreshToken,
        more="A refresh token is good once. One that comes a second time ends the login: it was "
        "stolen, or the answer to its first use was.",
        example=_REFRESH,
    ),
    Endpoint(
        "POST",
        "/token/revoke",
        revoke_token,
        Permission.PUBLIC,
        SUBJECT,
        summary="Log a program out",
        answers={204: None},
        body=RefreshToken,
        more="Its access token, its streams and its counters end with it.",
        example=_REFRESH,
    ),
    Endpoint(
        "GET",
        "/me",
        read_me,
        Permission.SELF,
        SUBJECT,
        summary="Say who a token belongs to",
        answers={200: Me},
    ),
)
