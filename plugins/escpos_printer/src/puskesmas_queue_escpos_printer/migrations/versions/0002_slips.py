"""How slips look, the clinic's logo, and the days of which a slip can be printed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "escpos_printer_templates",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(12), primary_key=True),
        sa.Column("blocks", sa.Text, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(80), nullable=False),
    )
    op.create_table(
        "escpos_printer_logos",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("picture", sa.LargeBinary, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "escpos_printer_days",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("service_date", sa.Date, primary_key=True),
        sa.Column("totals", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("escpos_printer_days")
    op.drop_table("escpos_printer_logos")
    op.drop_table("escpos_printer_templates")
