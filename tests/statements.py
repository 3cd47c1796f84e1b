"""Counting the statements that reach the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from postlane.core.database import DB

OF_THE_DRIVER = ("typeinfo_tree", "current_setting('jit')", "set_config('jit'")


@contextmanager
def count_statements() -> Iterator[list[str]]:
    """Give the list of every statement that this process's pool sends within the body.

    What asyncpg asks for itself, once for each connection, is not among them.
    """
    sent: list[str] = []

    def note(query: Any) -> None:
        if not any(mark in query.query for mark in OF_THE_DRIVER):
            sent.append(query.query)

    async def watch(connection: Any) -> None:
        connection.add_query_logger(note)

    assert DB.pool is not None
    # The pool calls this for each connection that it hands out.
    holders = DB.pool._holders
    before = [holder._setup for holder in holders]
    for holder in holders:
        holder._setup = watch
    try:
        yield sent
    finally:
        for holder, setup in zip(holders, before, strict=True):
            holder._setup = setup
            if holder._con is not None:
                holder._con._query_loggers.clear()
