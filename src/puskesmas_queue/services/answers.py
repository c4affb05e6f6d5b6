"""
Carrying a program's request out once, however often it comes.

A program that lost an answer sends the same request with the same key again. The change and what
was answered are stored in one transaction, so the second request finds either both or neither,
even when the server was killed in between.

Source: docs/decisions/0026-answers-of-programs.md
"""

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from puskesmas_queue.clinic import Clinic
from puskesmas_queue.domain.errors import KeyTaken
from puskesmas_queue.services.tokens import keyring_of
from puskesmas_queue.storage import answers as rows
from puskesmas_queue.storage.answers import Answered, AnsweringDatabase, Claim, KeptAnswer

KEPT = timedelta(hours=24)
PURPOSE = "api answers"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What a program is answered.

    Args:
        status: HTTP status.
        text: A JSON text, empty for none.
        location: Where that which was made can be read, if anywhere; not kept with a key.
    """

    status: int
    text: str
    location: str = ""


def answer_once(
    clinic: Clinic,
    holder: str,
    key: str,
    asked: bytes,
    act: Callable[[Clinic], T],
    reply: Callable[[T], Reply],
    tell: Callable[[T], Reply] | None = None,
) -> Reply:
    """
    Carry a request out, or return what it was answered before.

    Args:
        clinic: The clinic.
        holder: Whose keys these are: a user's or a device's.
        key: The request's idempotency key.
        asked: What the request says, to know a key that comes with another one.
        act: The use case: it changes something in one transaction of the clinic it is given.
        reply: Makes the answer of what came of it, inside that transaction: no I/O.
        tell: Makes a fuller answer for the first time it is told, once all is stored.

    Raises:
        KeyTaken: The key came with another request.
        SetupError: The clinic has no key file to keep the answer with.
    """
    keyring = keyring_of(clinic)
    claim = Claim(holder, key, hashlib.sha256(asked).hexdigest())
    place = (clinic.id, "api_answers", holder, key)
    made: list[Reply] = []

    def keep(result: Any) -> tuple[int, str]:
        # A transaction may be run again: the last run is the one that counts.
        made[:] = [reply(result)]
        return made[0].status, keyring.encrypt(PURPOSE, place, json.dumps(made[0].text))

    def repeated(kept: KeptAnswer) -> Reply:
        if kept.request_hash != claim.request_hash:
            raise KeyTaken
        return Reply(kept.status, json.loads(keyring.decrypt(PURPOSE, place, kept.answer)))

    before = clinic.db.read(lambda tx: rows.find(tx, claim))
    if before is not None:
        return repeated(before)
    bound = copy.copy(clinic)
    bound.db = AnsweringDatabase(clinic.db, claim, keep)
    try:
        done = act(bound)
    except Answered as meanwhile:
        return repeated(meanwhile.kept)
    return made[0] if tell is None else tell(done)


def forget_answers(clinic: Clinic) -> None:
    """Forget what was answered more than a day ago. For the timer."""
    before = clinic.clock.now() - KEPT
    if clinic.db.read(lambda tx: rows.has_answers(tx, before)):
        clinic.db.write(lambda tx: rows.forget_answers(tx, before))
