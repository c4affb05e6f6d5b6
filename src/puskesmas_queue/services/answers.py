"""
Carrying a program's request out once, however often it comes.

A program that lost an answer sends the same request with the same key again. The change and what
was answered are stored in one transaction, so the second request finds either both or neither,
even when the server was killed in between.

Source: decision 0019.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import KeyTaken
from puskesmas_queue.services.tokens import keyring_of
from puskesmas_queue.storage import answers as rows
from puskesmas_queue.storage.answers import Answered, AnsweringDatabase, Claim

KEPT = timedelta(hours=24)
PURPOSE = "api answers"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a program is answered: a status and a JSON text, empty for none."""

    status: int
    text: str


def answer_once(
    clinic: Clinic, claim: Claim, act: Callable[[Clinic], T], reply: Callable[[T], Reply]
) -> Reply:
    """
    Carry a request out, or return what it was answered before.

    Args:
        clinic: The clinic.
        claim: Whose request it is, its key and what it says.
        act: The use case: it changes something in one transaction of the clinic it is given.
        reply: Makes the answer of what came of it, inside that transaction: no I/O.

    Raises:
        KeyTaken: The key came with another request.
        SetupError: The clinic has no key file to keep the answer with.
    """
    keyring = keyring_of(clinic)
    place = (clinic.id, "api_answers", claim.holder, claim.key)
    made: list[Reply] = []

    def keep(result: Any) -> tuple[int, str]:
        # A transaction may be run again: the last run is the one that counts.
        made[:] = [reply(result)]
        return made[0].status, keyring.encrypt(PURPOSE, place, json.dumps(made[0].text))

    bound = copy.copy(clinic)
    bound.db = AnsweringDatabase(clinic.db, claim, keep)
    try:
        act(bound)
    except Answered as before:
        if before.kept.request_hash != claim.request_hash:
            raise KeyTaken from None
        text = json.loads(keyring.decrypt(PURPOSE, place, before.kept.answer))
        return Reply(before.kept.status, text)
    return made[0]


def forget_answers(clinic: Clinic) -> None:
    """Forget what was answered more than a day ago. For the timer."""
    before = clinic.clock.now() - KEPT
    if clinic.db.read(lambda tx: rows.has_answers(tx, before)):
        clinic.db.write(lambda tx: rows.forget_answers(tx, before))
