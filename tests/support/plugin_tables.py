"""A plugin's first migration."""

from pathlib import Path

FIRST = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.create_table(
        "{table}",
        sa.Column("clinic_id", sa.String(36), primary_key=True),
        sa.Column("word", sa.String(40), primary_key=True),
        sa.Column("times", sa.Integer, nullable=False),
    )
    {more}


def downgrade():
    op.drop_table("{table}")
"""


def write_migration(package: Path, name: str, source: str) -> None:
    folder = package / "migrations" / "versions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(source)
