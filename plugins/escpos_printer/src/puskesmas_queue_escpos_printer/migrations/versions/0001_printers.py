"""Printers, which place uses which, jobs, and whose turn it is at a printer."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "escpos_printer_printers",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("printer_id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("address", sa.String(160), nullable=False),
        sa.Column("is_answering", sa.Boolean, nullable=False),
        sa.Column("width_mm", sa.Integer, nullable=False),
        sa.Column("code_page", sa.String(12), nullable=False),
        sa.Column("images", sa.String(10), nullable=False),
        sa.Column("cut", sa.String(10), nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("detail", sa.String(200), nullable=False),
        sa.Column("is_near_end", sa.Boolean, nullable=False),
        sa.Column("seen_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("clinic_id", "name", name="escpos_printer_printers_name"),
    )
    op.create_table(
        "escpos_printer_places",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("place", sa.String(10), primary_key=True),
        sa.Column("place_name", sa.String(80), primary_key=True),
        sa.Column("rank", sa.Integer, primary_key=True),
        sa.Column("printer_id", sa.String(16), nullable=False),
    )
    op.create_table(
        "escpos_printer_jobs",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("subject", sa.String(40), primary_key=True),
        sa.Column("job", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("number", sa.String(12), nullable=False),
        sa.Column("place", sa.String(10), nullable=False),
        sa.Column("place_name", sa.String(80), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("printer_id", sa.String(16), nullable=False),
        sa.Column("printer_name", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("detail", sa.String(200), nullable=False),
        sa.Column("slip", sa.Text, nullable=False),
        sa.Column("is_settled", sa.Boolean, nullable=False),
        sa.Column("claim", sa.String(32), nullable=False),
        sa.Column("lease_ms", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "escpos_printer_jobs_latest", "escpos_printer_jobs", ["clinic_id", "created_at"]
    )
    op.create_table(
        "escpos_printer_turns",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("address", sa.String(180), primary_key=True),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Take them away."""
    for table in ("turns", "jobs", "places", "printers"):
        op.drop_table(f"escpos_printer_{table}")
