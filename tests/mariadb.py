"""Debian's MariaDB with a data directory of its own, on a port of loopback.

The system's instance and its configuration are neither read nor changed.
"""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pymysql

from tests.parts import MARIADB
from tests.server.running import free_port

START_SECONDS = 60.0
USER, PASSWORD = "postal", "p@ss/word"
ACCOUNT = f"""
CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'127.0.0.1';
FLUSH PRIVILEGES;
"""


class MariaDb:
    """A running server."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.password_file = folder / "password"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Of Postal's main database."""
        return f"mysql://{USER}@127.0.0.1:{self.port}/postal"

    async def start(self) -> None:
        """Make the data directory, start, and wait until it answers."""
        program = MARIADB.path()
        assert program is not None
        self.password_file.write_text(PASSWORD + "\n")
        beginning = self._folder / "init.sql"
        beginning.write_text(ACCOUNT)
        here = ["--no-defaults", f"--datadir={self._folder / 'data'}"]
        if os.geteuid() == 0:
            here.append("--user=root")
        made = await asyncio.create_subprocess_exec(
            *("mariadb-install-db", *here, "--skip-test-db"),
            "--auth-root-authentication-method=normal",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await asyncio.wait_for(made.communicate(), START_SECONDS)
        assert made.returncode == 0, printed.decode()
        self._process = await asyncio.create_subprocess_exec(
            program,
            *here,
            f"--init-file={beginning}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self._folder / 'socket'}",
            f"--pid-file={self._folder / 'pid'}",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=32M",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=(self._folder / "log").open("wb"),
        )
        deadline = time.monotonic() + START_SECONDS
        while not await asyncio.to_thread(self._answers):
            assert self._process.returncode is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """Stop it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), 60)

    def run(self, statements: Iterable[str]) -> None:
        """Run statements, one after the other."""
        connection = self._connect()
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    def dump(self, target: Path, *options: str) -> None:
        """Have `mysqldump` write to a file."""
        with target.open("wb") as file:
            subprocess.run(
                [
                    *("mysqldump", "--no-defaults", f"--port={self.port}", "--host=127.0.0.1"),
                    *(f"--user={USER}", "--single-transaction", *options),
                ],
                env={**os.environ, "MYSQL_PWD": PASSWORD},
                stdout=file,
                check=True,
                timeout=60,
            )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except pymysql.MySQLError:
            return False
        return True

    def _connect(self) -> "pymysql.Connection":
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, charset="utf8mb4"
        )


@asynccontextmanager
async def mariadb() -> AsyncIterator[MariaDb]:
    """Yield a server for the body."""
    with tempfile.TemporaryDirectory(prefix="postlane-mariadb-") as folder:
        server = MariaDb(Path(folder))
        try:
            await server.start()
            yield server
        finally:
            await server.stop()
