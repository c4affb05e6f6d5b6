"""How words are pronounced, and how each hall is spoken to."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "tts_words",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("language", sa.String(8), primary_key=True),
        sa.Column("engine", sa.String(20), primary_key=True),
        sa.Column("written", sa.String(40), primary_key=True),
        sa.Column("spoken", sa.String(120), nullable=False),
    )
    op.create_table(
        "tts_zones",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("zone", sa.String(40), primary_key=True),
        sa.Column("speed_percent", sa.Integer, nullable=False),
        sa.Column("chime", sa.String(20), nullable=False),
        sa.Column("repeats", sa.Integer, nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("tts_zones")
    op.drop_table("tts_words")
