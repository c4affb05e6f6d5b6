"""Run the migrations on the connection that `storage.migrate` opened."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from puskesmas_queue.storage.columns import Instant
from puskesmas_queue.storage.migrate import VERSION_TABLE, is_ours
from puskesmas_queue.storage.tables import Json, metadata


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write types of ours as what the database knows, so that a migration never imports them."""
    if isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    if item is Json:
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_object=is_ours,
    render_item=render_item,
    # On SQLite the driver is in autocommit and `storage.migrate` holds the transaction.
    transactional_ddl=False,
)
context.run_migrations()
