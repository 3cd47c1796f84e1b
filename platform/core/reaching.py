"""Telling a database that cannot be asked now from a fault of ours."""

import asyncpg

UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # Of a connection that broke in the middle of something.
    asyncpg.InternalClientError,
)
"""What a database that is down, starting, stopping or overrun looks like from here."""


def is_unreachable(error: BaseException) -> bool:
    """Say whether *error* means that the database cannot be asked now."""
    # asyncpg says "interface error" to a connection that has been closed, and to misuse.
    is_closed = isinstance(error, asyncpg.InterfaceError) and "clos" in str(error)
    return is_closed or isinstance(error, UNREACHABLE)
