"""Faults by kind"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. What was counted so far is of no use to anybody; it stands in the log."""
    op.drop_table("hook_faults")
    _create("clinic_id", "plugin", "hook", "kind")


def downgrade() -> None:
    """Take back."""
    op.drop_table("hook_faults")
    _create("clinic_id", "plugin", "hook")


def _create(*key: str) -> None:
    op.create_table(
        "hook_faults",
        sa.Column("clinic_id", sa.String(length=40), nullable=False),
        sa.Column("plugin", sa.String(length=100), nullable=False),
        sa.Column("hook", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_switched_off", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_hook_faults")),
    )
