"""Limits per network address, as registering and signing in tell of them."""

import time

import httpx

from .test_requests import code_of
from .world import World, an_account, no_account


def told(answer: httpx.Response) -> tuple[int, int]:
    """Return limit and rest as the answer tells them."""
    headers = answer.headers
    return int(headers["x-ratelimit-limit"]), int(headers["x-ratelimit-remaining"])


async def test_registering_tells_what_is_left(world: World) -> None:
    await no_account(world)
    body = {"email": "nobody", "password": "x", "name": "A", "organization_name": "B"}

    unread = await world.client.post("/api/v1/auth/register", json={"email": 1})
    answers = [await world.client.post("/api/v1/auth/register", json=body) for _ in range(6)]

    assert told(unread) == (5, 5)
    assert [told(answer) for answer in answers] == [(5, 4), (5, 3), (5, 2), (5, 1), (5, 0), (5, 0)]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    wait = int(answers[-1].headers["retry-after"])
    assert 3590 <= wait <= 3600
    assert abs(int(answers[-1].headers["x-ratelimit-reset"]) - (time.time() + wait)) < 5


async def test_signing_in_tells_what_is_left(world: World) -> None:
    await an_account(world)
    body = {"email": world.names["{email}"], "password": "wrong"}

    answers = [await world.client.post("/api/v1/auth/login", json=body) for _ in range(11)]

    assert [told(answer)[1] for answer in answers] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert {told(answer)[0] for answer in answers} == {10}
    assert code_of(answers[0]) == "invalid_credentials"
    assert code_of(answers[9]) == "account_locked"
    assert code_of(answers[10]) == "rate_limited"
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)
