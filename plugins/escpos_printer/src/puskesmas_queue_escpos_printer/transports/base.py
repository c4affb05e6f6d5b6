"""What every way to a printer can do."""

import time
from dataclasses import dataclass
from typing import Protocol

from puskesmas_queue_escpos_printer.reasons import Reason


class TransportFailed(Exception):
    """
    The printer cannot be reached, or could not be talked to any longer.

    Args:
        reason: Why.
        detail: What the system said.
        has_begun: Whether a part of what was to be sent may have reached the printer.
    """

    def __init__(self, reason: Reason, detail: str = "", *, has_begun: bool = False) -> None:
        super().__init__(f"{reason.words}: {detail}" if detail else reason.words)
        self.reason = reason
        self.detail = detail
        self.has_begun = has_begun


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How long a printer has, in seconds.

    Args:
        connect_s: To be there.
        status_s: To answer a question about its state.
        stall_s: To take at least one more byte.
        look_s: How long nothing is heard before it is asked whether something is wrong.
        silent_s: To say that a job is out, where it answered no question before.
        barrier_s: To say that a job is out, once all of it was taken.
        whole_s: For a whole job from its first byte on.
    """

    connect_s: float = 1.5
    status_s: float = 0.7
    stall_s: float = 5.0
    look_s: float = 1.0
    silent_s: float = 2.5
    barrier_s: float = 8.0
    whole_s: float = 40.0


LIMITS = Limits()


class Transport(Protocol):
    """
    An open way to a printer. Moments are of `time.monotonic`.

    `can_answer`: whether anything can come back.
    """

    can_answer: bool

    def send(self, data: bytes, until: float) -> None:
        """
        Send all of it.

        Raises:
            TransportFailed: Not all of it was taken.
        """

    def receive(self, until: float) -> bytes:
        """
        Return what came, as soon as something does; nothing where nothing came until then.

        Raises:
            TransportFailed: The connection broke.
        """

    def close(self) -> None:
        """Hang up; what was sent still reaches the printer where it takes it."""


def rest_s(until: float, most_s: float | None = None) -> float:
    """Return how many seconds are left, 1 ms at least: no time at all means "do not wait"."""
    left = max(until - time.monotonic(), 0.001)
    return left if most_s is None else min(left, most_s)
