"""Telling a database that cannot be asked now from a fault of ours."""

import asyncpg


class DatabaseAway(ConnectionError):
    """No connection to the database could be opened, or the one there was broke."""


class DatabaseSlow(TimeoutError):
    """The database, or a connection to it, did not come in time."""


class _AskingDatabase:
    """What the system says of the database's connections, told from what it says of others."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, DatabaseAway | DatabaseSlow):
            told = DatabaseSlow if isinstance(error, TimeoutError) else DatabaseAway
            raise told(*error.args) from error


asking_database = _AskingDatabase()
"""To enter around nothing but what waits for the database."""

DATABASE_AWAY = (
    DatabaseAway,
    DatabaseSlow,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # Of a connection that broke in the middle of something.
    asyncpg.InternalClientError,
)
"""What a database that is down, starting, stopping or overrun looks like from here."""
UNREACHABLE = (OSError, *DATABASE_AWAY)
"""The same, where nothing else is asked that fails as the system does."""


def is_unreachable(error: BaseException) -> bool:
    """Say whether *error* means that the database cannot be asked now.

    For what asks the database alone: any error of the system is taken for the database's.
    """
    return isinstance(error, UNREACHABLE) or _is_closed(error)


def is_database_away(error: BaseException) -> bool:
    """Say whether *error* came of a database that cannot be asked now, and of nothing else.

    For what opens files and other connections, too: those fail in ways of their own.
    """
    return isinstance(error, DATABASE_AWAY) or _is_closed(error)


def _is_closed(error: BaseException) -> bool:
    # asyncpg says "interface error" to a connection that has been closed, and to misuse.
    return isinstance(error, asyncpg.InterfaceError) and "clos" in str(error)
