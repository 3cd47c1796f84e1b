"""Building indexes of tables that are in use, without stopping who writes to them."""

import logging

import asyncpg

from .database import DB

log = logging.getLogger(__name__)


async def build_index(name: str, definition: str) -> bool:
    """Build the index *name*, unless it is there; say whether it was built.

    *definition* is what follows the name: `ON events (id) WHERE ...`; it may begin with
    `UNIQUE`. It takes as long as it takes, and no transaction may be open meanwhile. An attempt
    that was cut off leaves an index that holds nothing good: that is dropped first, so this may
    simply be called again.
    """
    kind = "UNIQUE INDEX" if definition.startswith("UNIQUE ") else "INDEX"
    # On a connection of its own: those of the pool give a statement a minute.
    connection = await asyncpg.connect(
        DB.config["dsn"], server_settings={"application_name": "postlane indexing"}
    )
    try:
        is_valid = await connection.fetchval(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", name
        )
        if is_valid:
            return False
        if is_valid is not None:
            log.info("an attempt to build the index %s was cut off; it begins again", name)
            await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        rest = definition.removeprefix("UNIQUE ")
        await connection.execute(f"CREATE {kind} CONCURRENTLY {name} {rest}")
        return True
    finally:
        await connection.close()
