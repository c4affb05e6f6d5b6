"""The calls that were reported."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "family_units_calls",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("fact_id", sa.String(80), primary_key=True),
        sa.Column("ticket_id", sa.Integer, nullable=False),
        sa.Column("number", sa.String(12), nullable=False),
        sa.Column("counter", sa.Integer),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("family_units_calls_ticket", "family_units_calls", ["clinic_id", "ticket_id"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("family_units_calls")
