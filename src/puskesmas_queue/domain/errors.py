"""
Everything that a use case refuses, as one tree.

QueueError
├── InvalidRequest            the words of the request are wrong
│   ├── UnknownName           a unit, zone, setting or user that does not exist
│   ├── InvalidSetting        a value that its setting does not take
│   ├── ReasonRequired        this step needs a reason
│   ├── InvalidForm           fields of a plugin's settings that their model does not take
│   ├── WeakPassword          the password rule says no
│   ├── FilesTooLarge         the files of a form hold more than its route takes
│   └── KeyTaken              the idempotency key came with another request before
│       └── KeyReused         the same where a ticket is asked for
├── NotFound                  no such ticket, counter, session or link
│   └── CodeExpired           a pairing code that was not typed in time
├── Conflict                  right words, wrong moment
│   ├── EdgeNotAllowed        the ticket's state machine has no such edge
│   ├── CounterBusy           a called ticket was not answered yet
│   ├── CounterClosed         the counter is not open
│   ├── CounterTaken          somebody else works at this counter
│   ├── CounterFixed          this computer is another counter's
│   └── TooEarly              recall or skip before its time
├── Refused                   the clinic cannot take this now
│   ├── QuotaFull             no place is left in this unit today
│   ├── KioskClosed           outside opening hours
│   ├── UnitClosed            the unit takes no patients
│   ├── TicketObjected        a plugin objects to this ticket
│   └── ClockUnconfirmed      the server's clock cannot be trusted
├── AccessDenied
│   ├── LoginFailed           wrong name or password
│   ├── LoginDelayed          too many wrong tries, wait
│   ├── TokenRefused          a program's token is not good, or not any more
│   ├── TooOften              an address or device did this too often, wait
│   └── Forbidden             this role may not
├── SetupError                the installation is wrong: one line for whoever starts it
│   └── SecretUnreadable      a stored secret does not decrypt
├── PluginSettingsInvalid     a plugin's stored settings are not what it takes
├── PluginDataUnavailable     a plugin's own tables cannot be reached
└── StorageUnavailable        the database did not take the transaction
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


class QueueError(Exception):
    """Base of all refusals; `str()` is a line for logs, screens translate by type."""


class InvalidRequest(QueueError):
    """The request itself is wrong; the same request can never succeed."""


class UnknownName(InvalidRequest):
    """
    A name that does not exist.

    Args:
        kind: What was named, for example "unit".
        name: The name as it came.
        nearest: The known name most like it, if any.
    """

    def __init__(self, kind: str, name: str, nearest: str | None = None) -> None:
        hint = f'; did you mean "{nearest}"?' if nearest else ""
        super().__init__(f'unknown {kind} "{name}"{hint}')
        self.kind = kind
        self.name = name
        self.nearest = nearest


class InvalidSetting(InvalidRequest):
    """A value that its setting does not take; `expected` says what it takes."""

    def __init__(self, key: str, value: str, expected: str) -> None:
        super().__init__(f'setting {key} cannot be "{value}": expected {expected}')
        self.key = key
        self.value = value
        self.expected = expected


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """
    What is wrong with one field of a form.

    Args:
        key: The field; empty where the fields do not go together.
        kind: `required`, `number`, `whole_number`, `at_least`, `more_than`, `at_most`,
            `less_than`, `multiple_of`, `too_short`, `too_long`, `choice`, `pattern`, `url`,
            `both`, `unreadable`, `no_key`, `slow`, `wrong` or `refused`.
        limit: The bound that was broken, for `refused` and `no_key` why; else empty.
    """

    key: str
    kind: str
    limit: str = ""

    def __str__(self) -> str:
        """Say it to whoever types a command."""
        words = _PROBLEM_WORDS.get(self.kind, "cannot be so").format(limit=self.limit)
        return f"{self.key or 'the settings'} {words}"


_PROBLEM_WORDS = {
    "required": "must be filled in",
    "number": "must be a number",
    "whole_number": "must be a whole number",
    "at_least": "must be at least {limit}",
    "more_than": "must be more than {limit}",
    "at_most": "must be at most {limit}",
    "less_than": "must be less than {limit}",
    "multiple_of": "must be a multiple of {limit}",
    "too_short": "must have at least {limit} characters",
    "too_long": "must have at most {limit} characters",
    "choice": "must be one of its choices",
    "pattern": "does not have the form that is asked for",
    "url": "must be a whole address such as https://example.org",
    "both": "must be either filled in or cleared",
    "unreadable": "cannot be read any more: fill it in anew",
    "no_key": "cannot be kept: {limit}",
    "slow": "took the plugin too long to check",
    # Not the words of a plugin's own checks: they may repeat what was typed.
    "refused": "was refused by the plugin",
}


class InvalidForm(InvalidRequest):
    """Fields that their model does not take; nothing was stored."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__(", ".join(map(str, problems)))
        self.problems = tuple(problems)


class ReasonRequired(InvalidRequest):
    """This step is only taken with a reason."""


class FilesTooLarge(InvalidRequest):
    """
    The files of a form hold more than its route takes; nothing of it was handled.

    Args:
        max_bytes: How much they may hold together.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"files of more than {max_bytes} bytes")
        self.max_bytes = max_bytes


class WeakPassword(InvalidRequest):
    """
    The password rule says no.

    Args:
        rule: `too_short`, `needs_kinds`, `common` or `contains_name`.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(f"password refused: {rule}")
        self.rule = rule


class KeyTaken(InvalidRequest):
    """The idempotency key was used for another request."""

    def __init__(self) -> None:
        super().__init__("idempotency key was used for another request")


class KeyReused(KeyTaken):
    """The same where a ticket is asked for; `ticket_id` is what that request made."""

    def __init__(self, ticket_id: int) -> None:
        super().__init__()
        self.ticket_id = ticket_id


class NotFound(QueueError):
    """No such thing in this clinic."""


class CodeExpired(NotFound):
    """A device's one-time code that was good once: it needs a new one."""


class Conflict(QueueError):
    """The request is fine, but not now."""


class EdgeNotAllowed(Conflict):
    """The ticket's state machine has no edge from `state` by `action`."""

    def __init__(self, number: str, state: str, action: str) -> None:
        super().__init__(f"{number} is {state}: cannot {action}")
        self.number = number
        self.state = state
        self.action = action


class CounterBusy(Conflict):
    """The counter's called ticket was not answered yet; nothing was picked."""

    def __init__(self, counter: int, number: str) -> None:
        super().__init__(f"counter {counter} still calls {number}")
        self.counter = counter
        self.number = number


class CounterClosed(Conflict):
    """The counter is closed or paused."""


class CounterTaken(Conflict):
    """Another session works at this counter; `user_name` says whose."""

    def __init__(self, counter: int, user_name: str) -> None:
        super().__init__(f"counter {counter} is used by {user_name}")
        self.counter = counter
        self.user_name = user_name


class CounterFixed(Conflict):
    """This computer opens one counter only, `fixed`."""

    def __init__(self, counter: int, fixed: int) -> None:
        super().__init__(f"counter {counter} cannot be opened here: this is counter {fixed}'s")
        self.counter = counter
        self.fixed = fixed


class TooEarly(Conflict):
    """
    Recall or skip before its time.

    Args:
        action: `recall` or `skip`.
        wait_s: Seconds until it becomes possible; 0 where time is not what is lacking.
    """

    def __init__(self, action: str, wait_s: int) -> None:
        super().__init__(f"{action} is not possible yet")
        self.action = action
        self.wait_s = wait_s


class Refused(QueueError):
    """The clinic cannot take this now; somebody may choose otherwise."""


class QuotaFull(Refused):
    """No place is left in `unit` on that day; `alternatives` are open units, by code."""

    def __init__(self, unit: str, alternatives: Sequence[str] = ()) -> None:
        super().__init__(f"unit {unit} is full")
        self.unit = unit
        self.alternatives = tuple(alternatives)


class KioskClosed(Refused):
    """Outside opening hours; `opens_at` is the next local opening."""

    def __init__(self, opens_at: datetime) -> None:
        super().__init__(f"closed until {opens_at.isoformat(timespec='minutes')}")
        self.opens_at = opens_at


class UnitClosed(Refused):
    """The unit is not active."""


class TicketObjected(Refused):
    """A plugin objects to this ticket; `objection` is for the person at the kiosk."""

    def __init__(self, objection: str) -> None:
        super().__init__(f"objected: {objection}")
        self.objection = objection


class ClockUnconfirmed(Refused):
    """
    The server's clock cannot be trusted until staff confirm it.

    Args:
        why: `behind`, `ahead` or `jumped`.
        shown: The time that the clock shows.
    """

    def __init__(self, why: str, shown: datetime) -> None:
        super().__init__(f"clock is {why}, it shows {shown.isoformat(timespec='seconds')}")
        self.why = why
        self.shown = shown


class AccessDenied(QueueError):
    """Who asks may not have this."""


class LoginFailed(AccessDenied):
    """Wrong name or password, or a disabled account: the answer never says which."""


class LoginDelayed(AccessDenied):
    """Too many wrong tries; the next one is heard in `wait_s` seconds."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"wait {wait_s} s before the next try")
        self.wait_s = wait_s


class TokenRefused(AccessDenied):
    """A program's token is not good, or not any more: it logs in again."""


class TooOften(AccessDenied):
    """One address or device did this too often; it may again in `wait_s` seconds."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too often: wait {wait_s} s")
        self.wait_s = wait_s


class Forbidden(AccessDenied):
    """This role may not; `permission` names what is lacking."""

    def __init__(self, permission: str) -> None:
        super().__init__(f"permission {permission} is lacking")
        self.permission = permission


class SetupError(QueueError):
    """The installation is wrong; the message is one line for whoever starts it."""


class SecretUnreadable(SetupError):
    """A stored secret does not decrypt with the keys of this clinic."""


class PluginSettingsInvalid(QueueError):
    """
    A plugin has no settings that it could work with.

    Args:
        plugin: Its name.
        reason: Why, in one line; it holds no stored value.
    """

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(f"settings of plugin {plugin}: {reason}")
        self.plugin = plugin
        self.reason = reason


class PluginDataUnavailable(QueueError):
    """
    A plugin's own tables cannot be reached, or were not made.

    Args:
        plugin: Its name.
        reason: Why, in one line.
    """

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(f"data of plugin {plugin}: {reason}")
        self.plugin = plugin
        self.reason = reason


class StorageUnavailable(QueueError):
    """The database did not take the transaction: nothing of it was kept."""
