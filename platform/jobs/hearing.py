"""Being told that events were written down: a hint, for those who look anyway."""

import asyncio
import logging

import asyncpg

from ..core.database import DB
from ..events.announcing import CHANNEL

log = logging.getLogger(__name__)

NAME = "postlane hearing"
"""What the database calls the connection."""
RETRY_SECONDS = 1.0


async def keep_hearing(told: asyncio.Event) -> None:
    """Set *told* whenever some process announces events, for as long as this runs."""
    while True:
        try:
            await _listen(told)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.debug("announcements of events cannot be heard: %r", error)
        await asyncio.sleep(RETRY_SECONDS)


async def _listen(told: asyncio.Event) -> None:
    lost = asyncio.Event()
    connection = await asyncpg.connect(
        DB.config["dsn"], command_timeout=30, server_settings={"application_name": NAME}
    )
    try:
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, lambda *_: told.set())
        # Whatever was written while nobody listened.
        told.set()
        await lost.wait()
    finally:
        connection.terminate()
