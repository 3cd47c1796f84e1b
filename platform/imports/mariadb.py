"""Rows out of a MariaDB or MySQL that runs, as it is at one moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSDictCursor

from .dumps import Row
from .errors import SourceUnreachable, UnreadableSource

PORT = 3306
CONNECT_SECONDS = 10
READ_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is, and who we are there."""

    host: str
    port: int
    user: str
    database: str
    password: str = ""

    @property
    def shown(self) -> str:
        """The address as it may be shown: without the password."""
        return f"mysql://{self.user}@{self.host}:{self.port}/{self.database}"


def parse_address(url: str, *, password: str | None) -> Address:
    """Return what `mysql://user@host:3306/postal` says; *password* counts before the URL's own.

    Raises:
        UnreadableSource: it says something else.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
    except ValueError:
        parts, port = urlsplit(""), PORT
    database = unquote(parts.path.strip("/"))
    if parts.scheme not in ("mysql", "mariadb") or not parts.hostname or not database:
        raise UnreadableSource("Write the database as mysql://user@host:3306/postal.")
    found = Address(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or "postal"),
        database=database,
        password=unquote(parts.password or ""),
    )
    return found if password is None else replace(found, password=password)


class Server:
    """A connection that sees everything as it was when it began, and changes nothing."""

    def __init__(self, connection: "pymysql.Connection[Any]", address: Address) -> None:
        self._connection = connection
        self._address = address

    def rows(self, database: str, table: str) -> Iterator[Row]:
        """Yield the rows of a table, of which the server hands over a few at a time.

        A table that does not exist has none.

        Raises:
            UnreadableSource: it may not be read, or the connection is lost.
        """
        try:
            with self._connection.cursor(SSDictCursor) as cursor:
                cursor.execute(f"SELECT * FROM {_quoted(database)}.{_quoted(table)} ORDER BY id")
                yield from cursor
        except pymysql.err.ProgrammingError as error:
            if error.args[0] not in (NO_SUCH_TABLE, NO_SUCH_DATABASE):
                raise self._refusal(table, error) from error
        except pymysql.MySQLError as error:
            raise self._refusal(table, error) from error

    def has(self, database: str) -> bool:
        """Say whether there is such a database that we may see."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (database,)
            )
            return cursor.fetchone() is not None

    def _refusal(self, table: str, error: pymysql.MySQLError) -> UnreadableSource:
        return UnreadableSource(f"{table} of {self._address.shown} cannot be read: {_said(error)}.")


NO_SUCH_TABLE = 1146
NO_SUCH_DATABASE = 1049


@contextmanager
def connected(address: Address) -> Iterator[Server]:
    """Yield a connection for the body.

    Raises:
        SourceUnreachable: nothing answers, or we are not let in.
    """
    try:
        connection = pymysql.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            database=address.database,
            charset="utf8mb4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            # Without converters every value comes as the text that a dump would hold.
            conv=encoders,
        )
    except (pymysql.MySQLError, RuntimeError) as error:
        raise SourceUnreachable(
            f"{address.shown} cannot be reached: {_said(error)}. Check the address, and that "
            "the password file holds the user's password."
        ) from error
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        yield Server(connection, address)
    finally:
        connection.close()


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _said(error: Exception) -> str:
    return str(error.args[-1] if error.args else error).strip().rstrip(".")
