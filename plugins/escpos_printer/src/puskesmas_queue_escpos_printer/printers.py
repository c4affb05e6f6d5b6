"""The printers that a clinic has, how each was last seen, and which place uses which."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from puskesmas_queue.api import Context
from puskesmas_queue.plugin_tables import insert, own_data
from puskesmas_queue_escpos_printer.paper import CodePage, Cut, Images, PaperProfile, PaperWidth
from puskesmas_queue_escpos_printer.protocol import Status
from puskesmas_queue_escpos_printer.reasons import Reason
from puskesmas_queue_escpos_printer.settings import Settings
from puskesmas_queue_escpos_printer.tables import PLACES, PRINTERS, now_ms

LONGEST_NAME = 40
LONGEST_PLACE = 80
LONGEST_DETAIL = 200
MOST_PRINTERS = 30
Place = Literal["kiosk", "counter"]
PLACE_KINDS: tuple[Place, ...] = ("kiosk", "counter")
DEFAULT = "default"
"""The id of the printer that the settings name."""
EVERY = ""
"""As a place's name: every kiosk, or every counter, that has no line of its own."""


class NameTaken(ValueError):
    """Another printer is called so."""


class TooMany(ValueError):
    """A clinic has `MOST_PRINTERS` at most."""


@dataclass(frozen=True, slots=True)
class PrinterSetup:
    """
    What an administrator says about a printer.

    Args:
        name: As staff know it, `Kiosk depan` say.
        kind: `tcp`, `file`, `serial` or `cups`.
        address: As `opening.read_address` returns it.
        is_answering: Whether it is asked how it is; False for one that cannot answer.
        width_mm: Of the paper, 80 or 58.
        code_page: What letters it knows.
        images: How it takes pictures.
        cut: How it cuts.
        is_active: Whether anything is sent to it.
    """

    name: str
    kind: str
    address: str
    is_answering: bool = True
    width_mm: PaperWidth = 80
    code_page: CodePage = "cp437"
    images: Images = "raster"
    cut: Cut = "partial"
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Printer:
    """
    A printer.

    Args:
        printer_id: Names it for ever.
        setup: What an administrator said.
        status: How it was when it was last seen.
        seen_ms: When that was, `tables.now_ms`; 0: never.
    """

    printer_id: str
    setup: PrinterSetup
    status: Status
    seen_ms: int

    @property
    def name(self) -> str:
        """As staff know it."""
        return self.setup.name

    @property
    def is_active(self) -> bool:
        """Whether anything is sent to it."""
        return self.setup.is_active

    @property
    def profile(self) -> PaperProfile:
        """What it prints on."""
        setup = self.setup
        return PaperProfile(setup.width_mm, setup.code_page, setup.images, setup.cut)

    @property
    def device(self) -> str:
        """The machine behind it: two printers of one device take turns."""
        return f"{self.setup.kind}:{self.setup.address.partition(',')[0]}"

    @property
    def is_in_trouble(self) -> bool:
        """Whether staff should go and look."""
        is_seen = self.is_active and self.seen_ms > 0
        return is_seen and self.status.state not in ("ready", "cannot_tell")


def all_printers(ctx: Context) -> list[Printer]:
    """Return every printer, by name; the one of the settings where nobody set one up."""
    known = _stored(ctx)
    wanted = Settings.of(ctx).default_address
    made = next((one for one in known if one.printer_id == DEFAULT), None)
    if made is None and (known or not wanted):
        return known
    if made is not None and made.setup.address == wanted:
        return known
    _set_default(ctx, wanted)
    return _stored(ctx)


def _set_default(ctx: Context, address: str) -> None:
    """Make a printer of the settings' address, or let it go with it."""
    setup = PrinterSetup("Printer", "tcp", address)
    key = {"clinic_id": ctx.clinic_id, "printer_id": DEFAULT}
    row = {**key, **_columns(setup), **_unseen(setup)}

    def run(connection: Connection) -> None:
        connection.execute(delete(PRINTERS).where(*_one(ctx, DEFAULT)))
        if address:
            connection.execute(insert(connection, PRINTERS, row).on_conflict_do_nothing())

    own_data(ctx).write(run)


def _stored(ctx: Context) -> list[Printer]:
    query = (
        select(PRINTERS)
        .where(PRINTERS.c.clinic_id == ctx.clinic_id)
        .order_by(func.lower(PRINTERS.c.name), PRINTERS.c.printer_id)
    )

    def run(connection: Connection) -> list[Printer]:
        return [_printer(row) for row in connection.execute(query)]

    return own_data(ctx).read(run)


def find(ctx: Context, printer_id: str) -> Printer | None:
    """Return a printer; None where it was removed."""
    return next((one for one in all_printers(ctx) if one.printer_id == printer_id), None)


def add(ctx: Context, setup: PrinterSetup) -> str:
    """
    Add a printer, and return its id.

    Raises:
        NameTaken: Another one is called so.
        TooMany: There are too many.
    """
    printer_id = secrets.token_hex(6)
    row = {
        "clinic_id": ctx.clinic_id,
        "printer_id": printer_id,
        **_columns(setup),
        **_unseen(setup),
    }

    def run(connection: Connection) -> None:
        own = PRINTERS.c.clinic_id == ctx.clinic_id
        count = connection.scalar(select(func.count()).select_from(PRINTERS).where(own)) or 0
        if count >= MOST_PRINTERS:
            raise TooMany
        connection.execute(PRINTERS.insert(), row)

    _write_name(ctx, run)
    return printer_id


def change(ctx: Context, printer_id: str, setup: PrinterSetup) -> None:
    """
    Change what is said about a printer; how it is has to be seen again.

    Raises:
        NameTaken: Another one is called so.
    """

    def run(connection: Connection) -> None:
        connection.execute(
            update(PRINTERS)
            .where(*_one(ctx, printer_id))
            .values(**_columns(setup), **_unseen(setup))
        )

    _write_name(ctx, run)


def remove(ctx: Context, printer_id: str) -> None:
    """Remove a printer, from every place too; its jobs stay until they are old."""

    def run(connection: Connection) -> None:
        connection.execute(delete(PRINTERS).where(*_one(ctx, printer_id)))
        connection.execute(
            delete(PLACES).where(
                PLACES.c.clinic_id == ctx.clinic_id, PLACES.c.printer_id == printer_id
            )
        )

    own_data(ctx).write(run)


def note(ctx: Context, printer_id: str, status: Status) -> None:
    """Keep how a printer is."""
    statement = update(PRINTERS).where(*_one(ctx, printer_id)).values(**_seen(status, now_ms()))

    def run(connection: Connection) -> None:
        connection.execute(statement)

    own_data(ctx).write(run)


# Places


def places(ctx: Context) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return by kind and name of each place its printers' ids, first choice first."""
    query = (
        select(PLACES)
        .where(PLACES.c.clinic_id == ctx.clinic_id)
        .order_by(PLACES.c.place, PLACES.c.place_name, PLACES.c.rank)
    )

    def run(connection: Connection) -> dict[tuple[str, str], tuple[str, ...]]:
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for row in connection.execute(query):
            key = (row.place, row.place_name)
            found[key] = (*found.get(key, ()), row.printer_id)
        return found

    return own_data(ctx).read(run)


def set_place(ctx: Context, place: Place, place_name: str, printer_ids: Sequence[str]) -> None:
    """
    Say which printers a place uses; none takes its line away.

    Args:
        place: A kiosk or a counter.
        place_name: The name that the kiosk was paired under, or the counter's number; `EVERY`.
        printer_ids: First choice first.
    """
    rows = [
        {
            "clinic_id": ctx.clinic_id,
            "place": place,
            "place_name": place_name,
            "rank": rank,
            "printer_id": printer_id,
        }
        for rank, printer_id in enumerate(dict.fromkeys(printer_ids), 1)
    ]

    def run(connection: Connection) -> None:
        connection.execute(
            delete(PLACES).where(
                PLACES.c.clinic_id == ctx.clinic_id,
                PLACES.c.place == place,
                PLACES.c.place_name == place_name,
            )
        )
        if rows:
            connection.execute(PLACES.insert(), rows)

    own_data(ctx).write(run)


def order_for(ctx: Context, place: str, place_name: str) -> list[Printer]:
    """
    Return the active printers that a place uses, first choice first.

    A place without a line of its own uses that of every kiosk or counter; where there is none
    either, all printers by name.
    """
    known = {one.printer_id: one for one in all_printers(ctx) if one.is_active}
    lines = places(ctx)
    chosen = lines.get((place, place_name)) or lines.get((place, EVERY))
    if chosen is None:
        return list(known.values())
    return [known[one] for one in chosen if one in known]


# Inside


def _write_name(ctx: Context, run: Any) -> None:
    try:
        own_data(ctx).write(run)
    except IntegrityError as error:
        raise NameTaken from error


def _one(ctx: Context, printer_id: str) -> tuple[Any, ...]:
    return PRINTERS.c.clinic_id == ctx.clinic_id, PRINTERS.c.printer_id == printer_id


def _columns(setup: PrinterSetup) -> Mapping[str, object]:
    return {name: getattr(setup, name) for name in PrinterSetup.__slots__}


def _unseen(setup: PrinterSetup) -> Mapping[str, object]:
    if not setup.is_answering or setup.kind == "cups":
        return _seen(Status("cannot_tell", Reason.CANNOT_TELL), 0)
    return _seen(Status("unknown"), 0)


def _seen(status: Status, at_ms: int) -> Mapping[str, object]:
    return {
        "state": status.state,
        "reason": "" if status.reason is None else status.reason.value,
        "detail": status.detail[:LONGEST_DETAIL],
        "is_near_end": status.is_near_end,
        "seen_ms": at_ms,
    }


def _printer(row: Row[Any]) -> Printer:
    setup = PrinterSetup(**{name: getattr(row, name) for name in PrinterSetup.__slots__})
    reason = Reason(row.reason) if row.reason else None
    status = Status(row.state, reason, row.detail, row.is_near_end)
    return Printer(row.printer_id, setup, status, row.seen_ms)
