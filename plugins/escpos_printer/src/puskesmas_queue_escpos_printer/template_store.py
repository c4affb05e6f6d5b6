"""How a clinic wants its slips, and its logo, in the plugin's tables."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    select,
)

from puskesmas_queue.api import Context, PluginDataUnavailable
from puskesmas_queue.plugin_tables import insert, own_data
from puskesmas_queue_escpos_printer.blocks import LONGEST_TEXT, Block, Size, Template, Words
from puskesmas_queue_escpos_printer.kinds import KINDS, default_template

log = logging.getLogger(__name__)
METADATA = MetaData()
TEMPLATES = Table(
    "escpos_printer_templates",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("kind", String(12), primary_key=True),
    Column("blocks", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", String(80), nullable=False),
)
LOGOS = Table(
    "escpos_printer_logos",
    METADATA,
    Column("clinic_id", String(36), primary_key=True),
    Column("picture", LargeBinary, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """
    A slip as the clinic has it.

    Args:
        template: What is printed.
        changed_at: When it was changed last; None where it is as the plugin brings it.
        changed_by: Who did.
    """

    template: Template
    changed_at: datetime | None = None
    changed_by: str = ""


def template_of(ctx: Context, kind: str) -> Template:
    """Return how a slip looks; as the plugin brings it where the tables cannot be read."""
    try:
        return stored(ctx, kind).template
    except PluginDataUnavailable as error:
        log.warning("slip %s: as it comes: %s", kind, error)
        return default_template(kind)


def stored(ctx: Context, kind: str) -> Stored:
    """
    Return a slip as the clinic has it.

    Raises:
        PluginDataUnavailable: The tables cannot be read.
    """

    def run(connection: Connection) -> Stored:
        own = TEMPLATES.c.clinic_id == ctx.clinic_id
        row = connection.execute(select(TEMPLATES).where(own, TEMPLATES.c.kind == kind)).first()
        logo = connection.scalar(select(LOGOS.c.picture).where(LOGOS.c.clinic_id == ctx.clinic_id))
        if row is None:
            return Stored(Template(KINDS[kind].blocks, logo))
        blocks = read_blocks(row.blocks, KINDS[kind].blocks)
        return Stored(Template(blocks, logo), row.changed_at, row.changed_by)

    return own_data(ctx).read(run)


def save(ctx: Context, kind: str, blocks: Sequence[Block], who: str) -> None:
    """
    Keep how a slip looks.

    Raises:
        PluginDataUnavailable: It was not kept.
    """
    row = {
        "kind": kind,
        "blocks": write_blocks(blocks),
        "changed_at": ctx.now,
        "changed_by": who[:80],
    }
    _put(ctx, TEMPLATES, row)


def save_logo(ctx: Context, picture: bytes) -> None:
    """
    Keep a logo that `logo.prepare` made.

    Raises:
        PluginDataUnavailable: It was not kept.
    """
    _put(ctx, LOGOS, {"picture": picture, "changed_at": ctx.now})


def forget_logo(ctx: Context) -> None:
    """
    Do without a logo.

    Raises:
        PluginDataUnavailable: It is still there.
    """

    def run(connection: Connection) -> None:
        connection.execute(delete(LOGOS).where(LOGOS.c.clinic_id == ctx.clinic_id))

    own_data(ctx).write(run)


def write_blocks(blocks: Sequence[Block]) -> str:
    """Return as JSON what a clinic can change of blocks, in their order."""
    return json.dumps(
        [
            {
                "name": one.name,
                "is_on": one.is_on,
                "is_bold": one.is_bold,
                "size": one.size,
                "text": [one.text.id, one.text.en],
                "label": [one.label.id, one.label.en],
            }
            for one in blocks
        ]
    )


def read_blocks(text: str, defaults: Sequence[Block]) -> tuple[Block, ...]:
    """
    Put what is stored onto the blocks that the plugin brings.

    A block that it no longer brings is left out; one that is new stands at the end. What cannot
    be read leaves a block as it comes.
    """
    known = {one.name: one for one in defaults}
    try:
        rows: list[Any] = json.loads(text)
        made = [_read_block(known.pop(row["name"]), row) for row in rows if row["name"] in known]
    except (KeyError, TypeError, ValueError) as error:
        log.warning("a slip is as it comes, since what is stored cannot be read: %s", error)
        return tuple(defaults)
    return (*made, *known.values())


def _read_block(block: Block, row: dict[str, Any]) -> Block:
    if row["size"] not in get_args(Size):
        raise ValueError(f"size {row['size']!r}")
    changed = replace(
        block, is_on=bool(row["is_on"]), is_bold=bool(row["is_bold"]), size=row["size"]
    )
    if not block.is_worded:
        return changed
    return replace(changed, text=_words(row["text"]), label=_words(row["label"]))


def _words(pair: list[Any]) -> Words:
    indonesian, english = pair
    return Words(str(indonesian)[:LONGEST_TEXT], str(english)[:LONGEST_TEXT])


def _put(ctx: Context, table: Table, row: dict[str, Any]) -> None:
    """Write a row whether there is one or not, in one statement."""
    values = {"clinic_id": ctx.clinic_id, **row}
    keys = [column.name for column in table.primary_key]
    changed = {name: value for name, value in values.items() if name not in keys}

    def run(connection: Connection) -> None:
        statement = insert(connection, table, values)
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))

    own_data(ctx).write(run)
