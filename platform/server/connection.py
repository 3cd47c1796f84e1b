"""The database that a command works on: the one by URL, or the embedded one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from ..core.settings import Settings, load
from .data_dir import claim
from .embedded import EmbeddedDatabase, running_url
from .faults import CommandFailed

FOLDER = "postgres"
"""Of the embedded database, in the data directory."""
MINIMUM_VERSION = 15


def require_database(found: Settings) -> str:
    """Return the URL of the database, which must be running.

    Raises:
        CommandFailed: no URL is set and the embedded database does not run.
    """
    url = found.database_url or running_url(embedded_folder(found))
    if url is None:
        raise CommandFailed(
            "There is no database: POSTLANE_DATABASE_URL is not set, and the embedded one in "
            f"{found.data_dir} is not running. Start it with `postlane up`, or set the URL."
        )
    return url


def embedded_folder(found: Settings) -> Path:
    """Return the folder of the embedded database."""
    return found.data_dir / FOLDER


@asynccontextmanager
async def open_database(*, queue: bool = False, make: bool = False) -> AsyncIterator[str]:
    """Connect this process to the database for the body and yield its URL.

    The embedded database is started for the body if nothing runs it, and with *make* made
    if there is none.

    Raises:
        CommandFailed: it cannot be reached, or there is none.
    """
    # Imported here so that the supervisor, which needs neither, stays small.
    from ..core.database import close_pool, start_pool
    from ..core.queue import close_queue, open_queue

    async with database_at_hand(load(os.environ), make=make) as url:
        await check_reachable(url)
        await start_pool(url, size=4)
        try:
            if queue:
                await open_queue(url)
            yield url
        finally:
            await close_queue()
            await close_pool()


@asynccontextmanager
async def database_at_hand(
    found: Settings, *, alone: bool = False, make: bool = False
) -> AsyncIterator[str]:
    """Yield the database's URL, with the embedded one running for the body if it is that.

    With *alone*, an embedded database that a running `postlane up` uses is refused; with
    *make*, one is made if there is none.

    Raises:
        CommandFailed: there is none, or somebody else uses it.
    """
    url = found.database_url
    if not url and not alone:
        url = running_url(embedded_folder(found)) or ""
    if url:
        yield url
        return
    folder = embedded_folder(found)
    if not make and not folder.is_dir():
        raise CommandFailed(
            f"There is no database in {found.data_dir} yet. Start one with `postlane up`, or set "
            "POSTLANE_DATABASE_URL to another."
        )
    with claim(found.data_dir):
        database = EmbeddedDatabase(folder)
        try:
            yield await database.start()
        finally:
            await database.stop()


async def check_reachable(url: str) -> None:
    """Return if the database answers and is new enough.

    Raises:
        CommandFailed: it does not, or is not.
    """
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (
        OSError,
        TimeoutError,
        ValueError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
    ) as error:
        said = str(error).strip() or type(error).__name__
        raise CommandFailed(
            f"The database at {without_password(url)} cannot be reached: {said}. Check "
            "POSTLANE_DATABASE_URL, and that the server runs and lets this machine in."
        ) from error
    try:
        major = connection.get_server_version().major
    finally:
        await connection.close()
    if major < MINIMUM_VERSION:
        raise CommandFailed(
            f"The database is PostgreSQL {major}; Postlane needs {MINIMUM_VERSION} or newer."
        )


def without_password(url: str, *, mark: str = ":***") -> str:
    """Return *url* as it may be shown, with *mark* in place of a password."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return "the given URL"
    return url.replace(f":{password}@", f"{mark}@", 1) if password else url
