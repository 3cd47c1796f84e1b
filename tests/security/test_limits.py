"""Rate limits: buckets that fill evenly, windows that do not."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.core.errors import OperationError
from postlane.core.ids import new_token
from postlane.security import limits
from postlane.security.limits import RateState, Window, address_subject, count, take, take_from
from tests.client import Client
from tests.factories import make_actor, make_api_key, make_organization
from tests.people import WHO

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WINDOW = Window("test", 3, timedelta(minutes=1))


async def test_bucket_holds_ten_seconds_and_fills_evenly(database: None) -> None:
    bucket = new_token()
    with clock.frozen(NOON):
        taken = [await take_from(bucket, per_minute=60) for _ in range(11)]

    at_noon = int(NOON.timestamp())
    assert [state.remaining for state in taken] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert taken[0] == RateState(60, 9, at_noon + 1)
    assert taken[-1] == RateState(60, 0, at_noon + 10, retry_after_seconds=1)
    with clock.frozen(NOON + timedelta(seconds=2)):
        again = [(await take_from(bucket, per_minute=60)).retry_after_seconds for _ in range(3)]
    assert again == [None, None, 1]


async def test_of_many_at_once_only_as_many_pass_as_the_bucket_holds(database: None) -> None:
    bucket = new_token()
    with clock.frozen(NOON):
        taken = await asyncio.gather(*(take_from(bucket, per_minute=60) for _ in range(30)))

    assert sum(state.retry_after_seconds is None for state in taken) == 10


async def test_clock_that_goes_back_fills_nothing(database: None) -> None:
    bucket = new_token()
    with clock.frozen(NOON):
        for _ in range(10):
            await take_from(bucket, per_minute=60)

    with clock.frozen(NOON - timedelta(hours=1)):
        state = await take_from(bucket, per_minute=60)

    assert state.retry_after_seconds == 1


async def test_smallest_limit_lets_one_request_through(database: None) -> None:
    bucket = new_token()
    with clock.frozen(NOON):
        first, second = [await take_from(bucket, per_minute=1) for _ in range(2)]

    assert (first.retry_after_seconds, second.retry_after_seconds) == (None, 60)


async def test_what_has_no_limit_leaves_no_bucket(database: None) -> None:
    actor = await make_actor()

    assert await take(actor) is None

    rows = await fetch("SELECT FROM rate_buckets WHERE key LIKE {}", f"%{actor.user_id}%")
    assert rows == []


@pytest.mark.parametrize(
    ("plan", "own", "limit"),
    [
        ("trial", None, 300),
        ("trial", 60, 60),
        ("starter", 5_000, 1_000),
        ("professional", None, 10_000),
        ("enterprise", None, None),
        ("self_hosted", 60, 60),
    ],
)
async def test_key_may_only_lower_the_limit_of_its_plan(
    client: Client, plan: str, own: int | None, limit: int | None
) -> None:
    key = await make_api_key(await make_organization(plan=plan), rate_limit_per_minute=own)

    answer = await client.post("/graphql", json={"query": WHO}, headers={"x-api-key": key.secret})

    said = answer.headers.get("x-ratelimit-limit")
    assert said == (None if limit is None else str(limit))


async def test_one_request_too_many_is_429_with_the_time_to_wait(client: Client) -> None:
    key = await make_api_key(await make_organization(), rate_limit_per_minute=6)
    with clock.frozen(NOON):
        await client.data(WHO, key=key.secret)

        answer = await client.post(
            "/graphql", json={"query": WHO}, headers={"x-api-key": key.secret}
        )

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "10"
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert answer.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_window_counts_from_its_first_use(database: None) -> None:
    subject = new_token()
    with clock.frozen(NOON):
        for _ in range(3):
            await count(WINDOW, subject)
    with clock.frozen(NOON + timedelta(seconds=20)), pytest.raises(OperationError) as refusal:
        await count(WINDOW, subject)

    assert (refusal.value.error_code, refusal.value.retry_after_seconds) == ("RATE_LIMITED", 40)
    with clock.frozen(NOON + timedelta(seconds=60)):
        await count(WINDOW, subject)


async def test_window_is_exact_for_many_at_once(database: None) -> None:
    subject = new_token()

    answers = await asyncio.gather(
        *(count(WINDOW, subject) for _ in range(12)), return_exceptions=True
    )

    assert sum(answer is None for answer in answers) == 3


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_ipv6_addresses_are_counted_by_network(address: str, subject: str) -> None:
    assert address_subject(address) == subject


async def test_two_keys_have_two_buckets(database: None) -> None:
    organization = await make_organization()
    one: Actor = await make_actor(organization, rate_limit_per_minute=6)
    other: Actor = await make_actor(organization, rate_limit_per_minute=6)
    with clock.frozen(NOON):
        first, second = await limits.take(one), await limits.take(other)

    assert first is not None
    assert second is not None
    assert (first.retry_after_seconds, second.retry_after_seconds) == (None, None)
