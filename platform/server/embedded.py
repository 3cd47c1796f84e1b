"""The PostgreSQL that comes with a wheel: for `postlane up` and for the tests.

The server is a child of the process that starts it and ends with it, also after kill -9.
It listens on a unix socket in a folder closed to other users, and on no port.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg

from . import database_user
from .faults import CommandFailed
from .launch import LAUNCH
from .postmaster import Postmaster, end_leftover, read_postmaster
from .programs import MAJOR_VERSION, program

log = logging.getLogger(__name__)

DATABASE = "postlane"
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 103
"""Bytes of a unix socket's path: 108 on Linux, 104 on macOS, with the closing zero."""
LARGEST_LOG_BYTES = 10_000_000
PATIENCE_SECONDS = 60.0
CONFIGURATION = """
# Written by Postlane at every start; put your own settings in postgresql.auto.conf.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 400
shared_buffers = 128MB
wal_compression = on
max_wal_size = 2GB
checkpoint_timeout = 15min
synchronous_commit = on
jit = off
# As for an SSD. At the 4.0 for disks, what is planned while a table is small reads all of it,
# for as long as nobody has counted its rows.
random_page_cost = 1.1
log_min_messages = warning
"""


class EmbeddedDatabase:
    """A PostgreSQL server of our own under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log_file = folder.with_name(folder.name + ".log")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Start the server, make our database once, and return its URL.

        A server that an earlier process left behind is stopped first.

        Raises:
            CommandFailed: it does not start; the sentence ends with what it said.
        """
        user = database_user.choose(self._folder)
        await end_leftover(self._folder)
        if not (self._folder / "PG_VERSION").exists():
            await self._initialise(user)
        self._check_version()
        self._configure()
        await self._run(user)
        await self._create(DATABASE)
        return self.url(DATABASE)

    def url(self, database: str) -> str:
        """Return the URL of *database* on this server."""
        return url_at(self._socket_folder(), database)

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The server's process, once it has been started."""
        if self._process is None:
            raise RuntimeError("The embedded database has not been started.")
        return self._process

    @property
    def running(self) -> bool:
        """Say whether the server process is alive."""
        return self._process is not None and self._process.returncode is None

    async def stop(self) -> None:
        """Stop the server; what was committed stays."""
        for ending in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process is None or self._process.returncode is not None:
                break
            self._process.send_signal(ending)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), PATIENCE_SECONDS)

    async def _initialise(self, user: str | None) -> None:
        # Into a folder beside it, renamed when whole: an initdb that was cut short leaves a
        # folder that looks like a database and is none.
        fresh = self._folder.with_name(self._folder.name + ".new")
        database_user.remove(fresh)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        database_user.hand_over(fresh, user)
        options = "--auth=trust --encoding=UTF8 --locale=C --username=postgres --no-instructions"
        process = await asyncio.create_subprocess_exec(
            *_launched(user, "initdb", *options.split(), "--pgdata", str(fresh)),
            env=_environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        output, _ = await process.communicate()
        if process.returncode != 0:
            raise CommandFailed(
                f"The embedded database could not be made in {self._folder}: {_last_lines(output)}"
            )
        fresh.rename(self._folder)

    def _check_version(self) -> None:
        found = (self._folder / "PG_VERSION").read_text("ascii").strip()
        if found != str(MAJOR_VERSION):
            raise CommandFailed(
                f"The database in {self._folder} was made by PostgreSQL {found}; this Postlane "
                f"brings {MAJOR_VERSION}. Make a backup with the Postlane that made it, then "
                "restore it here into an empty data directory."
            )

    def _configure(self) -> None:
        own = self._folder / "postlane.conf"
        own.write_text(CONFIGURATION.lstrip(), "ascii")
        own.chmod(0o644)
        main = self._folder / "postgresql.conf"
        if "postlane.conf" not in main.read_text("utf-8"):
            with main.open("a", encoding="utf-8") as file:
                file.write("\ninclude = 'postlane.conf'\n")

    async def _run(self, user: str | None) -> None:
        sockets = self._socket_folder()
        if sockets != self._folder:
            database_user.hand_over(sockets, user)
        options = ["-D", str(self._folder), "-k", str(sockets)]
        command = _launched(user, "postgres", *options, ending="SIGINT", unhurried=True)
        for _ in range(20):
            with self._open_log() as output:
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    env=_environment(),
                    cwd="/",
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    # Ctrl-C is for the supervisor, which stops this server last.
                    start_new_session=True,
                )
            if await self._became_ready():
                return
            # After a killed postmaster its children need a moment to notice.
            if "is still in use" not in self._log_tail():
                break
            await asyncio.sleep(0.5)
        raise CommandFailed(f"The embedded database does not start: {self._log_tail()}")

    async def _became_ready(self) -> bool:
        """Wait until the server answers or ends; recovery after a crash may take a while."""
        waited = 0.0
        while self.running:
            try:
                connection = await asyncpg.connect(self.url("postgres"), timeout=5)
            except (OSError, TimeoutError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
                waited += 0.05
                if waited > 10:
                    log.info("the database is still starting; it may be recovering from a crash")
                    waited = 0.0
                continue
            await connection.close()
            # A leftover server would answer at the same socket.
            found = read_postmaster(self._folder)
            if found is not None and found.pid == self.process.pid:
                return True
            await asyncio.sleep(0.05)
        return False

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self._folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return self._folder
        name = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"postlane-{name}"

    def _open_log(self) -> contextlib.AbstractContextManager[int]:
        with contextlib.suppress(FileNotFoundError):
            if self._log_file.stat().st_size > LARGEST_LOG_BYTES:
                self._log_file.replace(self._log_file.with_suffix(".log.1"))
        return _opened(self._log_file)

    def _log_tail(self) -> str:
        return _last_lines(self._log_file.read_bytes()[-4000:])

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


def running_url(folder: Path) -> str | None:
    """Return the URL of our database on the server that runs in *folder*, if one does."""
    found: Postmaster | None = read_postmaster(folder)
    if found is None or not found.alive(folder) or found.socket_folder is None:
        return None
    return url_at(found.socket_folder, DATABASE)


def url_at(sockets: Path, database: str) -> str:
    """Return the URL of *database* behind the unix socket in *sockets*."""
    return f"postgresql://postgres@/{database}?host={quote(str(sockets), safe='/')}"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _launched(
    user: str | None, name: str, *arguments: str, ending: str = "SIGTERM", unhurried: bool = False
) -> list[str]:
    how = ["--parent", str(os.getpid()), "--signal", ending]
    how += ["--user", user] if user else []
    how += ["--unhurried"] if unhurried else []
    return [sys.executable, "-I", str(LAUNCH), *how, "--", program(name), *arguments]


def _environment() -> dict[str, str]:
    # Of its surroundings the server gets nothing: a PGDATA or PGPORT would change it.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _last_lines(output: bytes, count: int = 3) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return " / ".join(lines[-count:]) or "it said nothing"
