"""
All tables. Every key begins with `clinic_id`, so that one database holds many clinics.

Instants are UTC with a zone (`Instant`), local dates are dates. Times that order the line are
microseconds since the epoch, so that a place between two tickets can be named.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from puskesmas_queue.storage.columns import Instant

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


Json = JSON().with_variant(JSONB(), "postgresql")
Id = BigInteger().with_variant(Integer(), "sqlite")


def clinic_id() -> Column[str]:
    """The first column of every key."""
    return Column("clinic_id", String(40), nullable=False)


def row_id() -> Column[int]:
    """
    A number drawn by the database.

    PostgreSQL draws it from a sequence; on SQLite, where a composite key has no rowid, the
    one writer takes the next one (`storage.engine.next_id`).
    """
    return Column("id", Id, Identity(always=False), nullable=False)


zones = Table(
    "zones",
    metadata,
    clinic_id(),
    Column("code", String(20), nullable=False),
    Column("name", String(100), nullable=False),
    Column("sort_order", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("clinic_id", "code"),
)

units = Table(
    "units",
    metadata,
    clinic_id(),
    Column("code", String(20), nullable=False),
    Column("name", String(100), nullable=False),
    Column("name_en", String(100), nullable=False, server_default=""),
    Column("icon", String(30), nullable=False, server_default="stethoscope"),
    Column("zone", String(20), nullable=False),
    Column("queue_prefix", String(5), nullable=False),
    Column("room", String(50), nullable=False, server_default=""),
    Column("quota_per_day", Integer),
    Column("sort_order", Integer, nullable=False, server_default="0"),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("is_emergency", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("clinic_id", "code"),
    ForeignKeyConstraint(["clinic_id", "zone"], ["zones.clinic_id", "zones.code"]),
    CheckConstraint("quota_per_day >= 0", name="quota_not_negative"),
)

counters = Table(
    "counters",
    metadata,
    clinic_id(),
    Column("number", Integer, nullable=False),
    Column("zone", String(20), nullable=False),
    Column("state", String(10), nullable=False, server_default="closed"),
    Column("session_id", String(64)),
    Column("user_id", Id),
    Column("user_name", String(255)),
    Column("changed_at", Instant),
    PrimaryKeyConstraint("clinic_id", "number"),
    ForeignKeyConstraint(["clinic_id", "zone"], ["zones.clinic_id", "zones.code"]),
    CheckConstraint("state IN ('open', 'paused', 'closed')", name="state"),
)
Index("uq_counters_session", counters.c.clinic_id, counters.c.session_id, unique=True)

counter_units = Table(
    "counter_units",
    metadata,
    clinic_id(),
    Column("counter", Integer, nullable=False),
    Column("unit", String(20), nullable=False),
    PrimaryKeyConstraint("clinic_id", "counter", "unit"),
    ForeignKeyConstraint(["clinic_id", "counter"], ["counters.clinic_id", "counters.number"]),
    ForeignKeyConstraint(["clinic_id", "unit"], ["units.clinic_id", "units.code"]),
)

lines = Table(
    "lines",
    metadata,
    clinic_id(),
    Column("zone", String(20), nullable=False),
    Column("service_date", Date, nullable=False),
    Column("priority_taken", Integer, nullable=False, server_default="0"),
    Column("general_taken", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("clinic_id", "zone", "service_date"),
    comment="Ratio state of a zone's line on a day; locked first by whoever picks",
)

day_counts = Table(
    "day_counts",
    metadata,
    clinic_id(),
    Column("service_date", Date, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("name", String(20), nullable=False),
    Column("value", Integer, nullable=False),
    Column("last_key", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("clinic_id", "service_date", "kind", "name"),
    CheckConstraint("value >= 0", name="not_negative"),
    comment="kind number: last number of a prefix, and its order_key as last_key; "
    "unit: last unit_sequence; place: quota taken",
)

tickets = Table(
    "tickets",
    metadata,
    clinic_id(),
    row_id(),
    Column("service_date", Date, nullable=False),
    Column("number", String(20), nullable=False),
    Column("prefix", String(5), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("unit", String(20), nullable=False),
    Column("unit_sequence", Integer, nullable=False),
    Column("zone", String(20), nullable=False),
    Column("lane", String(10), nullable=False),
    Column("priority_reason", String(20)),
    Column("payment_type", String(20)),
    Column("source", String(10), nullable=False),
    Column("state", String(10), nullable=False),
    Column("code", String(16), nullable=False),
    Column("order_key", BigInteger, nullable=False),
    Column("order_tie", BigInteger, nullable=False),
    Column("counter", Integer),
    Column("calls", Integer, nullable=False, server_default="0"),
    Column("skips", Integer, nullable=False, server_default="0"),
    Column("issued_at", Instant, nullable=False),
    Column("estimated_time", Instant),
    Column("called_at", Instant),
    Column("last_called_at", Instant),
    Column("serving_at", Instant),
    Column("held_at", Instant),
    Column("completed_at", Instant),
    Column("created_by", Id),
    Column("device", String(64)),
    PrimaryKeyConstraint("clinic_id", "id"),
    UniqueConstraint("clinic_id", "service_date", "number"),
    UniqueConstraint("clinic_id", "service_date", "prefix", "sequence"),
    UniqueConstraint("clinic_id", "code"),
)
STANDING_SQL = "state IN ('waiting', 'confirmed')"
"""Written as a literal everywhere: a bound state under server-side prepare falls off the index."""
Index(
    "ix_tickets_standing",
    tickets.c.clinic_id,
    tickets.c.zone,
    tickets.c.service_date,
    tickets.c.lane,
    tickets.c.order_key,
    tickets.c.order_tie,
    tickets.c.unit,
    sqlite_where=text(STANDING_SQL),
    postgresql_where=text(STANDING_SQL),
)
AWAY_SQL = "state IN ('called', 'serving', 'held', 'skipped')"
Index(
    "ix_tickets_away",
    tickets.c.clinic_id,
    tickets.c.zone,
    tickets.c.service_date,
    sqlite_where=text(AWAY_SQL),
    postgresql_where=text(AWAY_SQL),
)
AT_COUNTER_SQL = "state IN ('called', 'serving')"
Index(
    "uq_tickets_at_counter",
    tickets.c.clinic_id,
    tickets.c.counter,
    unique=True,
    sqlite_where=text(AT_COUNTER_SQL),
    postgresql_where=text(AT_COUNTER_SQL),
)
COMPLETED_SQL = "state = 'completed' AND serving_at IS NOT NULL"
Index(
    "ix_tickets_completed",
    tickets.c.clinic_id,
    tickets.c.zone,
    tickets.c.completed_at,
    sqlite_where=text(COMPLETED_SQL),
    postgresql_where=text(COMPLETED_SQL),
)
Index(
    "ix_tickets_called",
    tickets.c.clinic_id,
    tickets.c.service_date,
    tickets.c.unit,
    tickets.c.last_called_at,
    sqlite_where=text("last_called_at IS NOT NULL"),
    postgresql_where=text("last_called_at IS NOT NULL"),
)
OPEN_SQL = "state IN ('booked', 'waiting', 'confirmed', 'called', 'serving', 'held', 'skipped')"
Index(
    "ix_tickets_open",
    tickets.c.clinic_id,
    tickets.c.service_date,
    sqlite_where=text(OPEN_SQL),
    postgresql_where=text(OPEN_SQL),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    clinic_id(),
    Column("holder", String(80), nullable=False),
    Column("key", String(80), nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("ticket_id", Id),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("clinic_id", "holder", "key"),
    comment="A request once answered, kept 24 h per device or user",
)
Index("ix_idempotency_keys_age", idempotency_keys.c.clinic_id, idempotency_keys.c.created_at)

events = Table(
    "events",
    metadata,
    clinic_id(),
    row_id(),
    Column("occurred_at", Instant, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("zone", String(20)),
    Column("ticket_id", Id),
    Column("counter", Integer),
    Column("actor_id", Id),
    Column("device", String(64)),
    Column("reason", Text),
    Column("data", Json, nullable=False),
    PrimaryKeyConstraint("clinic_id", "id"),
)
Index("ix_events_ticket", events.c.clinic_id, events.c.ticket_id)

OPEN_DELIVERY_SQL = "deliveries.state = 'open'"
LOST_DELIVERY_SQL = "deliveries.state IN ('dead', 'expired')"
deliveries = Table(
    "deliveries",
    metadata,
    clinic_id(),
    row_id(),
    Column("event_id", Id, nullable=False),
    Column("plugin", String(100), nullable=False),
    Column("order_key", String(60), nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("last_error", Text),
    PrimaryKeyConstraint("clinic_id", "id"),
    UniqueConstraint("clinic_id", "event_id", "plugin"),
    CheckConstraint("state IN ('open', 'done', 'dead', 'expired')", name="state"),
)
Index(
    "ix_deliveries_open",
    deliveries.c.clinic_id,
    deliveries.c.plugin,
    deliveries.c.order_key,
    deliveries.c.id,
    sqlite_where=text("state = 'open'"),
    postgresql_where=text("state = 'open'"),
)
# In the order in which rows are told: of however many that wait, only the first are looked at.
Index(
    "ix_deliveries_due",
    deliveries.c.clinic_id,
    deliveries.c.plugin,
    deliveries.c.expires_at,
    deliveries.c.id,
    sqlite_where=text("state = 'open'"),
    postgresql_where=text("state = 'open'"),
)
Index(
    "ix_deliveries_letters",
    deliveries.c.clinic_id,
    deliveries.c.id,
    sqlite_where=text("state IN ('dead', 'expired')"),
    postgresql_where=text("state IN ('dead', 'expired')"),
)

plugin_settings = Table(
    "plugin_settings",
    metadata,
    clinic_id(),
    Column("plugin", String(100), nullable=False),
    Column("key", String(60), nullable=False),
    Column("value", Text, nullable=False),
    Column("is_secret", Boolean, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Id),
    PrimaryKeyConstraint("clinic_id", "plugin", "key"),
    comment="Secrets are encrypted (storage.crypto); their associated data binds them to their row",
)

devices = Table(
    "devices",
    metadata,
    clinic_id(),
    row_id(),
    Column("kind", String(10), nullable=False),
    Column("name", String(60), nullable=False),
    Column("zone", String(20), nullable=False),
    Column("counter", Integer),
    Column("code_hash", String(64), comment="Of the one-time code; none once it was used"),
    Column("code_expires_at", Instant),
    Column("token_hash", String(64), comment="None until paired and after it was revoked"),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Id),
    Column("paired_at", Instant),
    Column("seen_at", Instant),
    Column("seen_address", String(45)),
    Column("revoked_at", Instant),
    PrimaryKeyConstraint("clinic_id", "id"),
    UniqueConstraint("clinic_id", "token_hash"),
    UniqueConstraint("clinic_id", "code_hash"),
    CheckConstraint("kind IN ('kiosk', 'display', 'speaker', 'counter')", name="kind"),
)

token_families = Table(
    "token_families",
    metadata,
    clinic_id(),
    row_id(),
    Column("user_id", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("revoked_why", String(40)),
    Column("ip_address", String(45)),
    Column("user_agent", Text),
    PrimaryKeyConstraint("clinic_id", "id"),
    ForeignKeyConstraint(["clinic_id", "user_id"], ["users.clinic_id", "users.id"]),
    comment="A login of a program: what its refresh tokens have in common",
)
Index("ix_token_families_user", token_families.c.clinic_id, token_families.c.user_id)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    clinic_id(),
    Column("token_hash", String(64), nullable=False),
    Column("family_id", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant),
    PrimaryKeyConstraint("clinic_id", "token_hash"),
    ForeignKeyConstraint(
        ["clinic_id", "family_id"], ["token_families.clinic_id", "token_families.id"]
    ),
    comment="Each is good once; one that comes again ends its family",
)
Index("ix_refresh_tokens_family", refresh_tokens.c.clinic_id, refresh_tokens.c.family_id)

api_answers = Table(
    "api_answers",
    metadata,
    clinic_id(),
    Column("holder", String(80), nullable=False),
    Column("key", String(80), nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False, comment="Encrypted: see storage.crypto"),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("clinic_id", "holder", "key"),
    comment="What a program was answered, for 24 h: the same key has the same answer",
)

topic_versions = Table(
    "topic_versions",
    metadata,
    clinic_id(),
    Column("topic", String(40), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("changed_at", Instant, nullable=False),
    PrimaryKeyConstraint("clinic_id", "topic"),
)

announcements = Table(
    "announcements",
    metadata,
    clinic_id(),
    row_id(),
    Column("zone", String(20), nullable=False),
    Column("ticket_id", Id, nullable=False),
    Column("number", String(20), nullable=False),
    Column("counter", Integer, nullable=False),
    Column("number_text", String(200), nullable=False),
    Column("direction_text", String(200), nullable=False),
    Column("language", String(10), nullable=False),
    Column("state", String(10), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    PrimaryKeyConstraint("clinic_id", "id"),
    CheckConstraint("state IN ('queued', 'speaking', 'spoken', 'expired')", name="state"),
)
ANNOUNCING_SQL = "state IN ('queued', 'speaking')"
Index(
    "ix_announcements_open",
    announcements.c.clinic_id,
    announcements.c.zone,
    announcements.c.id,
    sqlite_where=text(ANNOUNCING_SQL),
    postgresql_where=text(ANNOUNCING_SQL),
)

speakers = Table(
    "speakers",
    metadata,
    clinic_id(),
    Column("zone", String(20), nullable=False),
    Column("screen", String(64), nullable=False),
    Column("has_voice", Boolean, nullable=False),
    Column("seen_at", Instant, nullable=False),
    PrimaryKeyConstraint("clinic_id", "zone"),
    comment="The one screen of a zone that speaks; handed over when not heard of",
)

settings = Table(
    "settings",
    metadata,
    clinic_id(),
    Column("key", String(60), nullable=False),
    Column("value", Text, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Id),
    PrimaryKeyConstraint("clinic_id", "key"),
)

settings_history = Table(
    "settings_history",
    metadata,
    clinic_id(),
    row_id(),
    Column("key", String(60), nullable=False),
    Column("old_value", Text),
    Column("new_value", Text, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("changed_by", Id),
    PrimaryKeyConstraint("clinic_id", "id"),
)

users = Table(
    "users",
    metadata,
    clinic_id(),
    row_id(),
    Column("username", String(50), nullable=False),
    Column("email", String(100)),
    Column("password_hash", String(255)),
    Column("name", String(255), nullable=False),
    Column("role", String(20), nullable=False),
    Column("phone", String(20)),
    Column("language", String(10), nullable=False, server_default="id"),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("last_login", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    PrimaryKeyConstraint("clinic_id", "id"),
    UniqueConstraint("clinic_id", "username"),
)

sessions = Table(
    "sessions",
    metadata,
    clinic_id(),
    Column("id_hash", String(64), nullable=False),
    Column("user_id", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("locked_at", Instant),
    Column("ip_address", String(45)),
    Column("user_agent", Text),
    PrimaryKeyConstraint("clinic_id", "id_hash"),
    ForeignKeyConstraint(["clinic_id", "user_id"], ["users.clinic_id", "users.id"]),
)
Index("ix_sessions_user", sessions.c.clinic_id, sessions.c.user_id)

login_failures = Table(
    "login_failures",
    metadata,
    clinic_id(),
    Column("name_hash", String(64), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_at", Instant, nullable=False),
    PrimaryKeyConstraint("clinic_id", "name_hash"),
    comment="Growing delay per typed name, whether such a user exists or not",
)

password_links = Table(
    "password_links",
    metadata,
    clinic_id(),
    Column("token_hash", String(64), nullable=False),
    Column("user_id", Id, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    PrimaryKeyConstraint("clinic_id", "token_hash"),
    ForeignKeyConstraint(["clinic_id", "user_id"], ["users.clinic_id", "users.id"]),
)

audit = Table(
    "audit",
    metadata,
    clinic_id(),
    row_id(),
    Column("occurred_at", Instant, nullable=False),
    Column("user_id", Id),
    Column("action", String(50), nullable=False),
    Column("table_name", String(100)),
    Column("record_id", String(64)),
    Column("reason", Text),
    Column("old_values", Json),
    Column("new_values", Json),
    Column("device", String(64)),
    Column("ip_address", String(45)),
    Column("user_agent", Text),
    PrimaryKeyConstraint("clinic_id", "id"),
)
Index("ix_audit_user", audit.c.clinic_id, audit.c.user_id)
Index("ix_audit_time", audit.c.clinic_id, audit.c.occurred_at)

printer_alerts = Table(
    "printer_alerts",
    metadata,
    clinic_id(),
    Column("zone", String(20), nullable=False),
    Column("place", String(10), nullable=False),
    Column(
        "place_name", String(60), nullable=False, comment="Name of a kiosk, number of a counter"
    ),
    Column("printer", String(40), nullable=False),
    Column("plugin", String(100), nullable=False, comment="Whose catalogues know the detail"),
    Column("state", String(10), nullable=False),
    Column("detail", String(300), nullable=False),
    Column("number", String(20), nullable=False, comment="Of the latest slip that it is about"),
    Column("since", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    PrimaryKeyConstraint("clinic_id", "zone", "place", "place_name", "printer"),
    CheckConstraint("state IN ('printed', 'unsure', 'failed')", name="state"),
)

hook_faults = Table(
    "hook_faults",
    metadata,
    clinic_id(),
    Column("plugin", String(100), nullable=False),
    Column("hook", String(60), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("detail", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("is_switched_off", Boolean, nullable=False),
    PrimaryKeyConstraint("clinic_id", "plugin", "hook", "kind"),
)
