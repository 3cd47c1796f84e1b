"""Repeated requests: one effect, one answer."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import transaction
from postlane.core.errors import ErrorCode, InvalidInput, LimitReached, OperationError
from postlane.core.ids import new_id
from postlane.security import idempotency

PRINT = idempotency.fingerprint({"to": ["a@example.com"]})
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def answered(organization: OrganizationId, key: str, value: bytes = PRINT) -> object:
    """Run an operation that answers `{"n": 1}`, or return what was answered before."""
    async with transaction() as tx:
        stored = await idempotency.claim(tx, organization, "send", key, value)
        if stored is not None:
            return stored.result()
        await idempotency.store(tx, organization, "send", key, {"n": 1})
    return "done"


async def test_second_request_gets_the_first_ones_answer(database: None) -> None:
    organization = OrganizationId(new_id())

    answers = [await answered(organization, "k"), await answered(organization, "k")]

    assert answers == ["done", {"n": 1}]


async def test_key_with_another_input_is_refused(database: None) -> None:
    organization = OrganizationId(new_id())
    await answered(organization, "k")

    with pytest.raises(OperationError) as refusal:
        await answered(organization, "k", idempotency.fingerprint({"to": ["b@example.com"]}))

    assert refusal.value.error_code is ErrorCode.IDEMPOTENCY_KEY_REUSE


async def test_same_key_of_another_organization_is_another_key(database: None) -> None:
    await answered(OrganizationId(new_id()), "k")

    assert await answered(OrganizationId(new_id()), "k") == "done"


async def test_request_meets_one_that_is_still_running(database: None) -> None:
    organization = OrganizationId(new_id())
    claimed, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with transaction() as tx:
            await idempotency.claim(tx, organization, "send", "k", PRINT)
            claimed.set()
            await go_on.wait()
            await idempotency.store(tx, organization, "send", "k", {"n": 1})

    first = asyncio.create_task(slow())
    await claimed.wait()
    with pytest.raises(OperationError) as refusal:
        await answered(organization, "k")
    go_on.set()
    await first

    assert refusal.value.error_code is ErrorCode.IDEMPOTENCY_IN_PROGRESS
    assert await answered(organization, "k") == {"n": 1}


async def test_rolled_back_request_leaves_its_key_free(database: None) -> None:
    organization = OrganizationId(new_id())

    async def failing() -> None:
        async with transaction() as tx:
            await idempotency.claim(tx, organization, "send", "k", PRINT)
            raise KeyError

    with pytest.raises(KeyError):
        await failing()

    assert await answered(organization, "k") == "done"


async def test_refusal_is_repeated_as_it_was(database: None) -> None:
    organization = OrganizationId(new_id())
    refusal = LimitReached(
        "Too many.", code=ErrorCode.QUOTA_EXCEEDED, details=[], retry_after_seconds=60
    )
    await idempotency.store_refusal(organization, "send", "k", PRINT, refusal)

    with pytest.raises(LimitReached) as repeated:
        await answered(organization, "k")

    assert (
        repeated.value.error_code,
        repeated.value.sentence,
        repeated.value.retry_after_seconds,
    ) == (ErrorCode.QUOTA_EXCEEDED, "Too many.", 60)


async def test_key_is_free_again_after_a_day(database: None) -> None:
    organization = OrganizationId(new_id())
    with clock.frozen(NOON):
        await answered(organization, "k")

    with clock.frozen(NOON + timedelta(hours=24, seconds=1)):
        again = await answered(organization, "k", idempotency.fingerprint("another"))

    assert again == "done"


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "zoë", "null\0byte"])
async def test_what_cannot_be_a_key_is_refused(database: None, key: str) -> None:
    with pytest.raises(InvalidInput):
        await answered(OrganizationId(new_id()), key)
