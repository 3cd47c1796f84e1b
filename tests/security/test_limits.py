"""Rate limits: buckets that fill evenly, windows that do not."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.core.errors import OperationError
from postlane.core.ids import new_token
from postlane.core.settings import settings
from postlane.dashboard.assets import by_url
from postlane.security import limits
from postlane.security.limits import RateState, Window, address_subject, count, take, take_from
from postlane.security.refusals import Refusal, Refusals
from postlane.server.app import build_app
from postlane.server.edge import Edge
from tests.client import Client
from tests.dashboard.browser import Browser, new_session
from tests.factories import make_actor, make_api_key, make_organization
from tests.people import WHO
from tests.statements import count_statements

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


async def test_strangers_are_limited_by_their_network_over_all_processes(client: Client) -> None:
    found = replace(settings(), strangers_per_minute=12)
    first, second = build_app(found, opens_pool=False), build_app(found, opens_pool=False)
    network = "2001:db8:ffff:1"
    key = await make_api_key(await make_organization())

    async def ask(app: Edge, address: str, **headers: str) -> httpx.Response:
        async with Client(app, {}, address=address) as opened:
            return await opened.post("/graphql", json={"query": "{ nothing }"}, headers=headers)

    with clock.frozen(NOON):
        taken = [await ask(app, f"{network}::{n}") for n, app in enumerate((first, second), 1)]
        refused = await ask(first, f"{network}::3")
        elsewhere = await ask(first, "2001:db8:ffff:2::1")
        signed_in = await ask(first, f"{network}::3", **{"x-api-key": key.secret})

    assert [answer.status_code for answer in (*taken, elsewhere, signed_in)] == [200] * 4
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


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


async def test_what_was_refused_costs_no_statement_until_its_time_has_come(database: None) -> None:
    bucket, subject = new_token(), new_token()

    async def flood() -> list[int | None]:
        found = [(await take_from(bucket, per_minute=6)).retry_after_seconds for _ in range(20)]
        for _ in range(20):
            with pytest.raises(OperationError) as refusal:
                await count(WINDOW, subject)
            found.append(refusal.value.retry_after_seconds)
        return found

    with clock.frozen(NOON):
        await take_from(bucket, per_minute=6)
        for _ in range(3):
            await count(WINDOW, subject)
        assert await flood() == [10] * 20 + [60] * 20
    with clock.frozen(NOON + timedelta(seconds=4)), count_statements() as sent:
        assert await flood() == [6] * 20 + [56] * 20
        assert sent == []
        # Another limit, such as that of another plan, is another question.
        assert (await take_from(bucket, per_minute=60)).retry_after_seconds is None
    with clock.frozen(NOON + timedelta(seconds=70)):
        assert (await take_from(bucket, per_minute=6)).retry_after_seconds is None
        await count(WINDOW, subject)


async def test_a_strangers_flood_is_refused_without_the_database(client: Client) -> None:
    app = build_app(replace(settings(), strangers_per_minute=6), opens_pool=False)
    address = "2001:db8:ffff:3::1"
    async with Client(app, {}, address=address) as opened:
        with clock.frozen(NOON):
            for _ in range(2):
                await opened.post("/graphql", json={"query": "{ nothing }"})
            with count_statements() as sent:
                answers = [
                    await opened.post("/graphql", json={"query": "{ nothing }"}) for _ in range(20)
                ]

    assert {answer.status_code for answer in answers} == {429}
    assert sent == []


async def test_pages_for_people_are_limited_by_network_too(client: Client) -> None:
    app = build_app(replace(settings(), strangers_per_minute=12), opens_pool=False)
    async with Client(app, {}, address="2001:db8:ffff:4::1") as opened:
        with clock.frozen(NOON):
            session = await new_session(await make_organization())
            shown = [await opened.get("/login") for _ in range(2)]
            refused = await opened.get("/register")
            sent = await opened.post("/login", headers={"sec-fetch-site": "same-origin"})
            asset = await opened.get(next(iter(by_url())))
            signed_in = await Browser(opened, session).get("/account")

    assert [answer.status_code for answer in shown] == [200, 200]
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert "Too many requests" in refused.text
    assert sent.status_code == 429
    assert (asset.status_code, signed_in.status_code) == (200, 200)


def test_as_many_refusals_are_remembered_as_there_is_room_for() -> None:
    refusals = Refusals(most=3)
    refusal = Refusal(NOON, NOON + timedelta(seconds=5), NOON + timedelta(seconds=50))
    for key in "abc":
        refusals.remember(key, refusal)
    assert refusals.get("a", now=NOON) == refusal
    refusals.remember("d", refusal)

    assert [key for key in "abcd" if refusals.get(key, now=NOON)] == ["a", "c", "d"]
    assert refusals.get("a", now=NOON - timedelta(seconds=1)) is None
    assert refusals.get("c", now=refusal.until) is None


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


async def test_requests_that_come_together_share_statements(database: None) -> None:
    full, spent, new = new_token(), new_token(), new_token()
    with clock.frozen(NOON):
        await take_from(full, per_minute=600)
        for _ in range(8):
            await take_from(spent, per_minute=60)
        asked = [full] * 40 + [spent] * 5 + [new] * 3

        with count_statements() as statements:
            taken = await asyncio.gather(
                *(take_from(each, per_minute=600 if each == full else 60) for each in asked)
            )

    left = [(each.remaining, each.retry_after_seconds is None) for each in taken]
    assert sorted(left[:40]) == [(n, True) for n in range(59, 99)]
    assert sorted(left[40:45]) == [(0, False)] * 3 + [(0, True), (1, True)]
    assert sorted(left[45:]) == [(7, True), (8, True), (9, True)]
    assert len(statements) <= 10


async def test_requests_that_share_statements_take_no_more_than_there_is(database: None) -> None:
    buckets = [new_token() for _ in range(4)]
    with clock.frozen(NOON):
        for each in buckets:
            await take_from(each, per_minute=60)

        # More than are asked about at once: several statements want the same rows meanwhile.
        taken = await asyncio.gather(
            *(take_from(each, per_minute=60) for each in (buckets + buckets[::-1]) * 25)
        )

    assert sum(each.retry_after_seconds is None for each in taken) == 4 * 9


async def test_limit_that_was_just_changed_is_asked_both_ways(database: None) -> None:
    bucket = new_token()
    with clock.frozen(NOON):
        await take_from(bucket, per_minute=600)

        taken = await asyncio.gather(
            *(take_from(bucket, per_minute=limit) for limit in (600, 600, 60, 60, 600))
        )

    # The smaller bucket holds ten.
    assert [each.limit for each in taken] == [600, 600, 60, 60, 600]
    assert all(each.retry_after_seconds is None for each in taken)
    assert min(each.remaining for each in taken) <= 9
