"""The statements of the hot write, in both dialects."""

from sqlalchemy import Date, bindparam, text

from puskesmas_queue.domain.line import TIE_STEP
from puskesmas_queue.domain.tickets import NUMBER_DIGITS
from puskesmas_queue.storage.columns import Instant
from puskesmas_queue.storage.tables import Json

TYPED = (
    bindparam("now", type_=Instant),
    bindparam("service_date", type_=Date),
)
KEY_COLUMNS = "clinic_id, holder, key, request_hash, created_at"
TICKET_COLUMNS = (
    "clinic_id, id, service_date, number, prefix, sequence, unit, unit_sequence, zone, lane, "
    "priority_reason, payment_type, source, state, code, order_key, order_tie, calls, skips, "
    "issued_at, estimated_time, created_by, device"
)
TICKET_VALUES = ":zone, :lane, :priority_reason, :payment_type, :source, 'waiting', :code"
TICKET_END = "0, 0, :now, :estimated_time, :created_by, :device"
ESTIMATED = bindparam("estimated_time", type_=Instant)

FIND_KEY = text(
    "SELECT request_hash, ticket_id FROM idempotency_keys "
    "WHERE clinic_id = :clinic_id AND holder = :holder AND key = :key"
)
NEXT_ID = {
    "sqlite": "coalesce(max(id), 0) + 1 FROM tickets WHERE clinic_id = :clinic_id",
    "postgresql": "nextval(pg_get_serial_sequence('tickets', 'id'))",
}
TAKE_KEY = {
    dialect: text(
        f"INSERT INTO idempotency_keys ({KEY_COLUMNS}, ticket_id) "
        f"SELECT :clinic_id, :holder, :key, :request_hash, :now, {next_id} "
        "ON CONFLICT DO NOTHING RETURNING ticket_id"
    ).bindparams(bindparam("now", type_=Instant))
    for dialect, next_id in NEXT_ID.items()
}
# Who draws the later number also stands later, though its request may have come a moment earlier.
NEXT_KEY = {
    dialect: f"{larger}(day_counts.last_key + 1, excluded.last_key)"
    for dialect, larger in {"sqlite": "max", "postgresql": "greatest"}.items()
}
COUNT = {
    dialect: text(
        "INSERT INTO day_counts (clinic_id, service_date, kind, name, value, last_key) VALUES "
        "(:clinic_id, :service_date, 'place', :unit, 1, 0), "
        "(:clinic_id, :service_date, 'number', :prefix, 1, :order_key), "
        "(:clinic_id, :service_date, 'unit', :unit, 1, 0) "
        "ON CONFLICT (clinic_id, service_date, kind, name) "
        f"DO UPDATE SET value = day_counts.value + 1, last_key = {next_key} "
        "WHERE day_counts.kind <> 'place' OR day_counts.value < :most "
        "RETURNING kind, value, last_key"
    ).bindparams(bindparam("service_date", type_=Date))
    for dialect, next_key in NEXT_KEY.items()
}
INSERT = text(
    f"INSERT INTO tickets ({TICKET_COLUMNS}) "
    "VALUES (:clinic_id, :id, :service_date, :number, :prefix, :sequence, :unit, "
    f":unit_sequence, {TICKET_VALUES}, :order_key, :id * {TIE_STEP}, {TICKET_END})"
).bindparams(*TYPED, ESTIMATED)
UP = (
    "ON CONFLICT (clinic_id, service_date, kind, name) "
    "DO UPDATE SET value = day_counts.value + 1 RETURNING value"
)
# The number is written as domain.tickets.format_number does; a test holds the two together.
ONE_STATEMENT = text(
    f"""
    WITH fresh AS (
        INSERT INTO idempotency_keys ({KEY_COLUMNS}, ticket_id)
        VALUES (:clinic_id, :holder, :key, :request_hash, :now,
                nextval(pg_get_serial_sequence('tickets', 'id')))
        ON CONFLICT DO NOTHING RETURNING ticket_id AS id
    ), place AS (
        INSERT INTO day_counts (clinic_id, service_date, kind, name, value)
        SELECT :clinic_id, :service_date, 'place', :unit, 1 FROM fresh {UP}
    ), numbered AS (
        INSERT INTO day_counts (clinic_id, service_date, kind, name, value, last_key)
        SELECT :clinic_id, :service_date, 'number', :prefix, 1, :order_key FROM place
        ON CONFLICT (clinic_id, service_date, kind, name)
        DO UPDATE SET value = day_counts.value + 1, last_key = {NEXT_KEY["postgresql"]}
        RETURNING value, last_key
    ), in_unit AS (
        INSERT INTO day_counts (clinic_id, service_date, kind, name, value)
        SELECT :clinic_id, :service_date, 'unit', :unit, 1 FROM numbered {UP}
    ), ticket AS (
        INSERT INTO tickets ({TICKET_COLUMNS})
        SELECT :clinic_id, fresh.id, :service_date,
               CAST(:prefix AS text) || '-' || lpad(
                   numbered.value::text,
                   greatest({NUMBER_DIGITS}, length(numbered.value::text)), '0'),
               :prefix, numbered.value, :unit, in_unit.value,
               {TICKET_VALUES}, numbered.last_key, fresh.id * {TIE_STEP}, {TICKET_END}
        FROM fresh, numbered, in_unit
        RETURNING id, number, sequence, unit_sequence, order_key
    ), told AS (
        INSERT INTO events (clinic_id, occurred_at, kind, zone, ticket_id, actor_id, device, data)
        SELECT :clinic_id, :now, :event_kind, :zone, id, :created_by, :device, :facts FROM ticket
        RETURNING id, ticket_id
    ), queued AS (
        INSERT INTO deliveries (clinic_id, event_id, plugin, order_key, state, created_at,
                                next_at, expires_at)
        SELECT :clinic_id, told.id, plugin, 'ticket:' || told.ticket_id, 'open', :now, :now,
               :expires_at
        FROM told, unnest(CAST(:plugins AS text[])) AS plugin
    ), audited AS (
        INSERT INTO audit (clinic_id, occurred_at, user_id, action, table_name, record_id,
                           new_values, device, ip_address, user_agent)
        SELECT :clinic_id, :now, :created_by, 'issue_ticket', 'tickets', id::text,
               CAST(:facts AS jsonb) || jsonb_build_object('number', number),
               :device, :ip_address, :user_agent FROM ticket
    ), touched AS (
        INSERT INTO topic_versions (clinic_id, topic, version, changed_at)
        SELECT :clinic_id, :topic, 1, :now FROM ticket
        ON CONFLICT (clinic_id, topic) DO UPDATE
        SET version = topic_versions.version + 1,
            changed_at = greatest(topic_versions.changed_at, excluded.changed_at)
        RETURNING topic, version
    )
    SELECT ticket.*, touched.version,
           pg_notify(:channel, touched.topic || ':' || touched.version)
    FROM ticket, touched
    """
).bindparams(
    *TYPED, ESTIMATED, bindparam("facts", type_=Json), bindparam("expires_at", type_=Instant)
)
