"""Transactions, when the database goes away in the middle of one."""

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import asyncpg
import pytest

from postlane.core import database as database_module
from postlane.core import row_security
from postlane.core.database import DB, close_pool, fetch, start_pool, transaction
from postlane.core.reaching import (
    DatabaseAway,
    DatabaseSlow,
    is_database_away,
    is_unreachable,
)


@pytest.fixture
async def killer(database: None, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that ends others."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def own_pid() -> int:
    [row] = await fetch("SELECT pg_backend_pid() AS pid")
    pid: int = row["pid"]
    return pid


async def lose_connection(killer: asyncpg.Connection) -> None:
    """Open a transaction, lose its connection, and try to commit."""
    async with transaction():
        await killer.execute("SELECT pg_terminate_backend($1)", await own_pid())
        await asyncio.sleep(0.05)


async def test_a_lost_connection_does_not_keep_its_task_from_another_transaction(
    killer: asyncpg.Connection,
) -> None:
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await lose_connection(killer)

    async with transaction():
        [row] = await fetch("SELECT 1 AS one")
    assert row["one"] == 1


async def test_lost_connections_do_not_use_up_the_pool(killer: asyncpg.Connection) -> None:
    for _ in range(25):
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await lose_connection(killer)

    async with asyncio.timeout(5):
        assert await fetch("SELECT 1 AS one") == [{"one": 1}]
    assert DB.pool is not None
    assert DB.pool.get_size() - DB.pool.get_idle_size() == 0


async def test_what_failed_is_raised_and_not_that_it_could_not_be_undone(
    killer: asyncpg.Connection,
) -> None:
    class Wrong(Exception):
        pass

    async def fail_without_connection() -> None:
        async with transaction():
            await killer.execute("SELECT pg_terminate_backend($1)", await own_pid())
            await asyncio.sleep(0.05)
            raise Wrong

    with pytest.raises(Wrong):
        await fail_without_connection()


async def test_what_the_system_says_of_the_database_is_told_from_what_it_says_of_others(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*given: object, **named: object) -> None:
        raise ConnectionRefusedError(111, "Connect call failed")

    async def read_file() -> None:
        async with transaction():
            raise OSError(24, "Too many open files")

    with pytest.raises(OSError, match="Too many open files") as other:
        await read_file()
    monkeypatch.setattr(DB, "pool", SimpleNamespace(acquire=refuse))
    with pytest.raises(DatabaseAway) as away:
        await fetch("SELECT 1 AS one")
    with pytest.raises(DatabaseAway):
        async with transaction():
            pass

    assert not is_database_away(other.value)
    assert is_unreachable(other.value)
    assert is_database_away(away.value)
    assert away.value.errno == 111


async def test_an_answer_that_takes_too_long_is_the_databases_fault(
    database: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await close_pool()
    with monkeypatch.context() as shorter:
        shorter.setattr(database_module, "COMMAND_SECONDS", 0.2)
        await start_pool(database_url)

    async def wait_long() -> None:
        async with transaction():
            await fetch("SELECT pg_sleep(5)")

    with pytest.raises(DatabaseSlow) as alone:
        await fetch("SELECT pg_sleep(5)")
    with pytest.raises(DatabaseSlow) as within:
        await wait_long()
    await close_pool()
    await start_pool(database_url)
    await row_security.start(database_url, size=10)

    assert is_database_away(alone.value)
    assert is_database_away(within.value)


async def test_a_transaction_within_another_is_refused(database: None) -> None:
    with pytest.raises(Exception, match="already active"):
        async with transaction(), transaction():
            pass

    async with transaction():
        assert await fetch("SELECT 1 AS one") == [{"one": 1}]


async def test_closing_does_not_wait_for_ever(
    database: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "CLOSE_SECONDS", 0.2)
    running = asyncio.create_task(fetch("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.1)

    began = time.monotonic()
    await close_pool()
    took = time.monotonic() - began
    await start_pool(database_url)
    await row_security.start(database_url, size=10)

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await running
    assert took < 5
