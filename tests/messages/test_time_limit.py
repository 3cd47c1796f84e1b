"""Accepting that takes longer than a document may: done as a whole or not at all, and once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.graphql import limits
from postlane.graphql.execute import MAY_BE_DONE
from tests.messages.test_send import SEND, counts, message, run, sender


@asynccontextmanager
async def stuck_database(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Let nothing be accepted during the body, and documents have very little time."""
    holder = await asyncpg.connect(url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE spooled_messages IN EXCLUSIVE MODE")
            with monkeypatch.context() as patched:
                patched.setattr(limits, "EXECUTION_SECONDS", 0.5)
                yield
    finally:
        await holder.close()


async def subjects(actor: Actor) -> set[str]:
    rows = await fetch(
        "SELECT subject FROM messages WHERE organization_id = {}", actor.organization_id
    )
    return {row["subject"] for row in rows}


async def test_what_was_begun_is_done_once_and_the_same_key_tells_of_it(
    database: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, domain = await sender()
    variables = {"input": message(domain, idempotencyKey="order-1")}

    async with stuck_database(database_url, monkeypatch):
        late = await run(SEND, actor, variables)
    again = await run(SEND, actor, variables)

    (refusal,) = late.errors
    assert (late.data, refusal.code) == (None, "TIME_LIMIT")
    assert refusal.message.endswith(MAY_BE_DONE)
    assert not again.errors
    assert again.data is not None
    found = await counts(actor.organization_id)
    assert (found["messages"], found["spooled_messages"], found["deliveries"]) == (1, 1, 1)
    assert again.data["sendMessage"]["receipt"]["accepted"] == 1


async def test_what_was_not_begun_in_time_is_never_done(
    database: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, domain = await sender()
    inputs = [{"input": message(domain, subject=each)} for each in ("first", "second")]

    async with stuck_database(database_url, monkeypatch):
        begun = asyncio.create_task(run(SEND, actor, inputs[0]))
        await asyncio.sleep(0.2)
        results = await asyncio.gather(begun, run(SEND, actor, inputs[1]))
    await run(SEND, actor, {"input": message(domain, subject="third")})

    assert [result.errors[0].code for result in results] == ["TIME_LIMIT"] * 2
    assert await subjects(actor) == {"first", "third"}
