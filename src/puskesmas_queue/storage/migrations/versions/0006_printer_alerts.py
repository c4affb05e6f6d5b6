"""Printer alerts"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "printer_alerts",
        sa.Column("clinic_id", sa.String(length=40), nullable=False),
        sa.Column("zone", sa.String(length=20), nullable=False),
        sa.Column("place", sa.String(length=10), nullable=False),
        sa.Column(
            "place_name",
            sa.String(length=60),
            nullable=False,
            comment="Name of a kiosk, number of a counter",
        ),
        sa.Column("printer", sa.String(length=40), nullable=False),
        sa.Column(
            "plugin",
            sa.String(length=100),
            nullable=False,
            comment="Whose catalogues know the detail",
        ),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.String(length=300), nullable=False),
        sa.Column(
            "number",
            sa.String(length=20),
            nullable=False,
            comment="Of the latest slip that it is about",
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('printed', 'unsure', 'failed')", name=op.f("ck_printer_alerts_state")
        ),
        sa.PrimaryKeyConstraint(
            "clinic_id",
            "zone",
            "place",
            "place_name",
            "printer",
            name=op.f("pk_printer_alerts"),
        ),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("printer_alerts")
