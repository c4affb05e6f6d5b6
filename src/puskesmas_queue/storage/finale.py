"""
The end of every transaction: events, deliveries, audit and topic versions.

Each event has a delivery for every plugin that listens, each topic touched its next version. On
PostgreSQL this is one statement, sent with the commit; on SQLite the transactions that share a
commit share it.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, text

from puskesmas_queue.domain.events import lifetime, order_key
from puskesmas_queue.storage import tables
from puskesmas_queue.storage.columns import Instant
from puskesmas_queue.storage.round_trips import Question, Rows, ask, plain, sqlite_driver
from puskesmas_queue.storage.transaction import Tx, channel

Audience = Callable[[str], Sequence[str]]
"""Names the plugins that hear of a kind of event."""

# The newest time that was ever stored is what the clock guard compares with.
_BUMP = text(
    "INSERT INTO topic_versions (clinic_id, topic, version, changed_at) "
    "VALUES (:clinic_id, :topic, 1, :now) ON CONFLICT (clinic_id, topic) DO UPDATE "
    "SET version = version + 1, changed_at = max(changed_at, excluded.changed_at) "
    "RETURNING version"
)
# Topics are the one row that all transactions of a zone meet: taken last, by name, though the
# parts of a statement have no order of their own.
_FINALE = text(
    """
    WITH told AS (
        INSERT INTO events (clinic_id, occurred_at, kind, zone, ticket_id, counter, actor_id,
                            device, reason, data)
        SELECT :clinic_id, :now, kind, zone, ticket_id, counter, actor_id, device, reason, data
        FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS event (
            place int, kind text, zone text, ticket_id bigint, counter int, actor_id bigint,
            device text, reason text, data jsonb)
        ORDER BY place
        RETURNING id, kind, ticket_id
    ), queued AS (
        INSERT INTO deliveries (clinic_id, event_id, plugin, order_key, state, created_at,
                                next_at, expires_at)
        SELECT :clinic_id, told.id, plugin, order_key, 'open', :now, :now, expires_at
        FROM told JOIN jsonb_to_recordset(CAST(:letters AS jsonb)) AS letter (
            place int, kind text, ticket_id bigint, plugin text, order_key text,
            expires_at timestamptz)
            ON letter.kind = told.kind AND letter.ticket_id IS NOT DISTINCT FROM told.ticket_id
        ORDER BY told.id, place
        RETURNING 1
    ), audited AS (
        INSERT INTO audit (clinic_id, occurred_at, user_id, action, table_name, record_id, reason,
                           old_values, new_values, device, ip_address, user_agent)
        SELECT :clinic_id, :now, user_id, action, table_name, record_id, reason,
               old_values, new_values, device, ip_address, user_agent
        FROM jsonb_to_recordset(CAST(:audits AS jsonb)) AS done (
            place int, user_id bigint, action text, table_name text, record_id text, reason text,
            old_values jsonb, new_values jsonb, device text, ip_address text, user_agent text)
        ORDER BY place
        RETURNING 1
    ), touched AS (
        INSERT INTO topic_versions (clinic_id, topic, version, changed_at)
        SELECT :clinic_id, topic, 1, :now FROM unnest(CAST(:topics AS text[])) AS topic
        WHERE (SELECT count(*) FROM queued) + (SELECT count(*) FROM audited) >= 0
        ORDER BY topic
        ON CONFLICT (clinic_id, topic) DO UPDATE
        SET version = topic_versions.version + 1,
            changed_at = greatest(topic_versions.changed_at, excluded.changed_at)
        RETURNING topic, version
    )
    SELECT topic, version, pg_notify(:channel, topic || ':' || version) FROM touched
    """
).bindparams(bindparam("now", type_=Instant))


def questions_at_the_end(tx: Tx, audience: Audience) -> list[Question]:
    """Say what is left to do of a transaction on PostgreSQL; nothing where nothing happened."""
    if not (tx.events or tx.audits or tx.topics):
        return []
    letters = {
        (one["kind"], one["ticket_id"], plugin): {
            "kind": one["kind"],
            "ticket_id": one["ticket_id"],
            "plugin": plugin,
            "order_key": order_key(one["kind"], one["ticket_id"]),
            "expires_at": (tx.now + lifetime(one["kind"])).isoformat(),
        }
        for one in tx.events
        for plugin in audience(one["kind"])
    }
    values = {
        "clinic_id": tx.clinic_id,
        "now": tx.now,
        "events": _in_order(tx.events),
        "letters": _in_order(letters.values()),
        "audits": _in_order(tx.audits),
        "topics": sorted(tx.topics),
        "channel": channel(tx.clinic_id),
    }
    return [(_FINALE, values)]


def versions_of(rows: Rows) -> dict[str, int]:
    """Read the new versions of topics from the answer."""
    return {topic: version for topic, version, _ in rows}


def _in_order(rows: Iterable[Mapping[str, Any]]) -> str:
    of_clinic = ("clinic_id", "occurred_at")
    return json.dumps(
        [
            {"place": place, **{name: row[name] for name in row if name not in of_clinic}}
            for place, row in enumerate(rows)
        ]
    )


def end_batch(
    conn: Connection, clinic_id: str, done: Sequence[Tx], audience: Audience, now: datetime
) -> dict[str, int]:
    """End the transactions of one commit on SQLite; return the new versions of their topics."""
    events = [row for tx in done for row in tx.events]
    ids = _insert(conn, tables.events, events)
    _insert(
        conn,
        tables.deliveries,
        [
            _delivery(row, event_id, plugin)
            for event_id, row in zip(ids, events, strict=True)
            for plugin in audience(row["kind"])
        ],
    )
    _insert(conn, tables.audit, [row for tx in done for row in tx.audits])
    topics = set().union(*(tx.topics for tx in done)) if done else set()
    return {
        topic: ask(conn, [(_BUMP, {"clinic_id": clinic_id, "now": now, "topic": topic})])[0][0][0]
        for topic in sorted(topics)
    }


def _insert(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> Sequence[int]:
    """Insert rows with the next ids, which SQLite's one writer may draw by itself."""
    if not rows:
        return ()
    driver = sqlite_driver(conn)
    assert driver is not None
    (last,) = driver.execute(
        f"SELECT coalesce(max(id), 0) FROM {table.name} WHERE clinic_id = :clinic_id",
        {"clinic_id": rows[0]["clinic_id"]},
    ).fetchone()
    names = ["id", *rows[0]]
    driver.executemany(
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES (:{', :'.join(names)})",
        [{**plain(row), "id": last + place} for place, row in enumerate(rows, 1)],
    )
    return range(last + 1, last + 1 + len(rows))


def _delivery(event: Mapping[str, Any], event_id: int, plugin: str) -> dict[str, Any]:
    """Make the row that lets a plugin hear of an event."""
    at: datetime = event["occurred_at"]
    return {
        "clinic_id": event["clinic_id"],
        "event_id": event_id,
        "plugin": plugin,
        "order_key": order_key(event["kind"], event["ticket_id"]),
        "state": "open",
        "created_at": at,
        "next_at": at,
        "expires_at": at + lifetime(event["kind"]),
    }
