"""What happened, which days are over, and notes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "day_journal_entries",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("fact_id", sa.String(80), primary_key=True),
        sa.Column("service_date", sa.Date, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("ticket_id", sa.Integer, nullable=False),
        sa.Column("number", sa.String(12), nullable=False),
        sa.Column("unit", sa.String(40), nullable=False),
        sa.Column("unit_name", sa.String(80), nullable=False),
        sa.Column("lane", sa.String(20), nullable=False),
        sa.Column("counter", sa.Integer),
    )
    op.create_index(
        "day_journal_entries_day", "day_journal_entries", ["clinic_id", "service_date", "ticket_id"]
    )
    op.create_table(
        "day_journal_days",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("service_date", sa.Date, primary_key=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("cancelled", sa.Integer, nullable=False),
        sa.Column("expired", sa.Integer, nullable=False),
    )
    op.create_table(
        "day_journal_notes",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("note_id", sa.String(40), primary_key=True),
        sa.Column("service_date", sa.Date, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.String(80), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
    )
    op.create_index("day_journal_notes_day", "day_journal_notes", ["clinic_id", "service_date"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("day_journal_notes")
    op.drop_table("day_journal_days")
    op.drop_table("day_journal_entries")
