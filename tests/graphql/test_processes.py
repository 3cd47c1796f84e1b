"""Subscriptions over several processes: `postlane web` as it runs, stopped and killed."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.delivery.work import roll_up
from tests.factories import make_api_key, make_organization
from tests.graphql.test_queue_changes import HOLD
from tests.graphql.test_sse import events_of
from tests.graphql.test_websocket import EVENTS, SEND, closed, connected, hear, make_sender, say
from tests.workers import SOURCE

QUEUES = "subscription { queueChanges { state } }"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@asynccontextmanager
async def web(database_url: str, port: int | None = None) -> AsyncIterator[tuple[str, Process]]:
    """Run `postlane web` with one worker; give its address, and the process."""
    port = port or free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "postlane.server.cli",
        "web",
        env={
            **os.environ,
            "PYTHONPATH": SOURCE,
            "POSTLANE_DATABASE_URL": database_url,
            "POSTLANE_LISTEN": f"127.0.0.1:{port}",
            "POSTLANE_WEB_WORKERS": "1",
        },
        # Killed as a whole: the workers of a main process that is killed end a moment later.
        start_new_session=True,
    )
    try:
        await answering(port)
        yield f"http://127.0.0.1:{port}/graphql", process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 20)


async def answering(port: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(300):
            try:
                await http.get(f"http://127.0.0.1:{port}/graphql")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return
    raise TimeoutError("the web process did not start to answer")


async def send(url: str, credential: dict[str, str], message: dict[str, Any]) -> str:
    """Send a message by HTTP and return its UUID."""
    async with httpx.AsyncClient(trust_env=False) as http:
        body = {"query": SEND, "variables": {"input": message}}
        answer = await http.post(url, json=body, headers=credential)
    uuid: str = answer.json()["data"]["sendMessage"]["receipt"]["uuid"]
    return uuid


async def follow(socket: ClientConnection) -> None:
    """Subscribe, and wait until that has begun: a query after it is answered."""
    await say(socket, id="1", type="subscribe", payload={"query": EVENTS})
    await say(socket, id="q", type="subscribe", payload={"query": "{ __typename }"})
    while (await hear(socket))["type"] != "complete":
        pass
    await asyncio.sleep(0.5)


@pytest.mark.slow
async def test_what_one_process_writes_is_seen_at_another(
    database: None, database_url: str
) -> None:
    organization, _, credential, message = await make_sender()

    async with web(database_url) as (here, _), web(database_url) as (there, process):
        async with (
            connected(here.replace("http", "ws"), credential) as socket,
            httpx.AsyncClient(trust_env=False, timeout=10) as http,
            http.stream(
                "POST",
                here,
                json={"query": EVENTS},
                headers=credential | {"accept": "text/event-stream"},
            ) as stream,
        ):
            await follow(socket)
            began = asyncio.get_running_loop().time()
            sent = await send(there, credential, message)
            seen = await hear(socket)
            took = asyncio.get_running_loop().time() - began
            _, streamed = await anext(events_of(stream))

            # As workers do, about once a second.
            await roll_up()
            await say(socket, id="2", type="subscribe", payload={"query": QUEUES})
            await asyncio.sleep(0.5)
            (queue,) = await fetch(
                "SELECT id FROM queues WHERE organization_id = {}", organization.id
            )
            held = {"query": HOLD, "variables": {"id": str(queue["id"])}}
            await http.post(there, json=held, headers=credential)
            changed = await hear(socket)

        async with connected(there.replace("http", "ws"), credential) as socket:
            await follow(socket)
            process.terminate()
            code, reason = await closed(socket)

    assert seen["payload"]["data"]["messageEvents"]["messageUuid"] == sent
    assert streamed["data"]["messageEvents"]["messageUuid"] == sent
    assert took < 5
    assert changed["id"] == "2"
    assert changed["payload"]["data"] == {"queueChanges": {"state": "HELD"}}
    assert (code, reason) == (1001, "Going away")


@pytest.mark.slow
async def test_a_client_of_a_killed_process_comes_back(database: None, database_url: str) -> None:
    _, _, credential, message = await make_sender()
    port = free_port()

    async with (
        web(database_url, port) as (url, process),
        connected(url.replace("http", "ws"), credential) as socket,
    ):
        await follow(socket)
        os.killpg(process.pid, signal.SIGKILL)
        code, _ = await closed(socket)
    async with (
        web(database_url, port) as (url, _),
        connected(url.replace("http", "ws"), credential) as socket,
    ):
        await follow(socket)
        sent = await send(url, credential, message)
        seen = await hear(socket)

    assert code == 1006
    assert seen["payload"]["data"]["messageEvents"]["messageUuid"] == sent


@pytest.mark.slow
async def test_limits_hold_over_both_processes(database: None, database_url: str) -> None:
    key = await make_api_key(await make_organization(), rate_limit_per_minute=6)
    header = {"x-api-key": key.secret}
    who = {"json": {"query": "{ viewer { user { uuid } } }"}, "headers": header}
    wrong = {"json": {"email": f"{new_id().hex}@example.org", "password": "wrong"}}
    # Others signed in from this address, in the same minute perhaps.
    await fetch("DELETE FROM rate_buckets WHERE key LIKE 'log_in:%'")

    async with (
        web(database_url) as (here, _),
        web(database_url) as (there, _),
        httpx.AsyncClient(trust_env=False, timeout=20) as http,
    ):
        # The bucket holds one request, and one more every ten seconds.
        answers = [await http.post(url, **who) for url in (here, there)]
        rest = there.replace("/graphql", "/api/v1/auth/me")
        refused = await http.get(rest, headers=header)
        login = [url.replace("/graphql", "/api/v1/auth/login") for url in (here, there)]
        guesses = [await http.post(login[nth % 2], **wrong) for nth in range(6)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limited"
    for answer in (answers[-1], refused):
        assert answer.headers["x-ratelimit-remaining"] == "0"
        assert 1 <= int(answer.headers["retry-after"]) <= 10
    # Five failures lock an address, wherever they were.
    codes = [guess.json()["error"]["code"] for guess in guesses]
    assert codes == ["invalid_credentials"] * 5 + ["account_locked"]
    assert int(guesses[-1].headers["retry-after"]) > 60
