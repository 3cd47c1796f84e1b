"""Counting the statements that reach the database."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from postlane.core.database import DB
from postlane.core.tenants import SETTING

OF_NO_REQUEST = (
    "typeinfo_tree",
    "current_setting('jit')",
    "set_config('jit'",
    "pg_notify",
    "INSERT INTO api_requests",
    f"SET {SETTING}",
)
"""What asyncpg asks for itself, once for each connection, the news of events and the log of
requests, which follow a moment after what happened, and whose a connection is, said when its
tenant changes."""


@contextmanager
def count_statements() -> Iterator[list[str]]:
    """Give the list of every statement that this process's pool sends within the body."""
    sent: list[str] = []
    with _noting(lambda query, _: sent.append(query)):
        yield sent


@contextmanager
def watch_statements() -> Iterator[list[tuple[str, Sequence[Any]]]]:
    """Give the list of every statement that is sent within the body, with its arguments."""
    sent: list[tuple[str, Sequence[Any]]] = []
    with _noting(lambda query, arguments: sent.append((query, arguments))):
        yield sent


@contextmanager
def _noting(call: Callable[[str, Sequence[Any]], None]) -> Iterator[None]:
    def note(query: Any) -> None:
        if not any(mark in query.query for mark in OF_NO_REQUEST):
            call(query.query, query.args or ())

    async def watch(connection: Any) -> None:
        connection.add_query_logger(note)

    assert DB.pool is not None
    # The pools call this for each connection that they hand out.
    holders = [*DB.pool._holders, *(DB.tenant_pool._holders if DB.tenant_pool else ())]
    before = [holder._setup for holder in holders]
    for holder in holders:
        holder._setup = watch
    try:
        yield
    finally:
        for holder, setup in zip(holders, before, strict=True):
            holder._setup = setup
            if holder._con is not None:
                holder._con._query_loggers.clear()
