"""A change of a table waits for who uses it, and does not make others wait."""

import asyncio
import time

import asyncpg
import pytest

from postlane.core import giving_way
from postlane.core.database import DB, fetch
from postlane.core.giving_way import run_giving_way


async def _change() -> str:
    await DB.run_ddl("LOCK TABLE rate_buckets IN ACCESS EXCLUSIVE MODE")
    return "done"


async def test_who_uses_a_table_is_waited_for_and_others_go_on(
    database: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, "APART_SECONDS", 0.2)
    other = await asyncpg.connect(database_url)
    using = other.transaction()
    await using.start()
    await other.execute("LOCK TABLE rate_buckets IN ACCESS SHARE MODE")

    change = asyncio.create_task(run_giving_way(_change))
    waits = []
    for _ in range(20):
        began = time.monotonic()
        await fetch("SELECT count(*) FROM rate_buckets")
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.1)
    was_done = change.done()
    await using.rollback()
    await other.close()

    assert not was_done
    assert max(waits) < 30
    assert await asyncio.wait_for(change, 60) == "done"


async def test_what_never_ends_is_told(
    database: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, "APART_SECONDS", 0.0)
    monkeypatch.setattr(giving_way, "TIMES", 2)
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute("LOCK TABLE rate_buckets IN ACCESS SHARE MODE")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await run_giving_way(_change)
    await other.close()
