"""Building and dropping indexes of tables in use, without stopping who writes to them."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
    async with _connection() as connection:
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


async def drop_index(name: str) -> None:
    """Drop the index *name*, if it is there, waiting for who uses it; no transaction may be open.

    Dropped the usual way, whoever came after one that reads for long would wait for that as well.
    """
    async with _connection() as connection:
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


@asynccontextmanager
async def _connection() -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own: those of the pool give a statement a minute."""
    connection = await asyncpg.connect(
        DB.config["dsn"], server_settings={"application_name": "postlane indexing"}
    )
    try:
        yield connection
    finally:
        await connection.close()
