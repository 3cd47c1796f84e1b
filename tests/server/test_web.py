"""Web processes as they run: what they share, and what they do when they are asked too much."""

import asyncio
import math
import time
from dataclasses import replace
from typing import Any

import asyncpg
import httpx
import psutil
import pytest

from postlane.server.app import build_app
from postlane.server.web import HTTP
from tests.factories import make_api_key, make_organization
from tests.serving import running_web, served, web_process


@pytest.mark.slow
async def test_a_limit_holds_over_all_processes(database: None, database_url: str) -> None:
    """A credential has one bucket, whichever process it asks."""
    key = await make_api_key(await make_organization(), rate_limit_per_minute=12)
    headers = {"X-API-Key": key.secret}

    async with (
        web_process(database_url) as first,
        web_process(database_url) as second,
        httpx.AsyncClient(headers=headers, trust_env=False) as client,
    ):
        began = time.monotonic()
        answers = [
            await client.get(f"{url}/api/v1/auth/me") for url in (first, second) for _ in range(4)
        ]
        graphql = await client.post(f"{second}/graphql", json={"query": "{ __typename }"})
        filled = math.ceil((time.monotonic() - began) / 5)

    passed = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(passed) + len(refused) == 8
    assert 2 <= len(passed) <= 2 + filled
    assert answers[7].status_code == 429
    assert all(1 <= int(answer.headers["retry-after"]) <= 5 for answer in refused)
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"12"}
    assert graphql.status_code in (200, 429)


@pytest.mark.slow
@pytest.mark.parametrize("wall", ["off", "on"])
async def test_who_waits_too_long_for_the_database_is_told_to_come_again(
    database: None, database_url: str, wall: str
) -> None:
    """Every connection of the process is held up; later requests do not wait for them.

    With the wall, these are those for tenants: it is still known who asks.
    """
    key = await make_api_key(await make_organization())
    locked = await asyncpg.connect(database_url)
    limits = httpx.Limits(max_connections=None)

    async with (
        web_process(database_url, row_security=wall) as url,
        httpx.AsyncClient(
            headers={"X-API-Key": key.secret}, trust_env=False, limits=limits, timeout=40
        ) as client,
    ):
        lock = locked.transaction()
        await lock.start()
        await locked.execute("LOCK TABLE domains IN ACCESS EXCLUSIVE MODE")
        held = [asyncio.create_task(client.get(f"{url}/api/v1/domains")) for _ in range(10)]
        await asyncio.sleep(1)
        began = time.monotonic()
        rest = await client.get(f"{url}/api/v1/webhooks")
        query = "{ organization { projects(first: 1) { nodes { id } } } }"
        graphql = await client.post(f"{url}/graphql", json={"query": query})
        waited = time.monotonic() - began
        await lock.rollback()
        late = [await task for task in held]
    await locked.close()

    assert waited < 20
    assert (rest.status_code, rest.json()["error"]["code"]) == (503, "service_unavailable")
    # Once a document runs, its errors are part of an answer.
    assert graphql.status_code == (503 if wall == "off" else 200)
    assert graphql.json()["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    assert rest.headers["retry-after"] == "5"
    assert wall == "on" or graphql.headers["retry-after"] == "5"
    assert {answer.status_code for answer in late} == {200}


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n", b"*"],
    ids=["nothing", "half a line", "half a head", "a whole request, and no other"],
)
async def test_a_silent_connection_is_not_kept(database: None, sent: bytes) -> None:
    """Else a stranger would hold as many as there are places, at no cost."""
    http = replace(HTTP, header_read_timeout=1_000)
    request = b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n"

    async with served(build_app(opens_pool=False), http=http) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(request if sent == b"*" else sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 200 ") is (sent == b"*")


async def test_a_head_without_end_is_refused(database: None) -> None:
    head = b"GET /robots.txt HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 1_000_000

    async with served(build_app(opens_pool=False)) as url:
        answer = await _sent(url, head)

    assert answer.startswith(b"HTTP/1.1 431 ")


async def _sent(url: str, data: bytes) -> Any:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(65_536), 10)
    writer.close()
    return answer


HANGING = """
import ctypes, os, signal, sys, threading, time
from postlane.server import cli, web

web.DRAIN_SECONDS, web.GRACE_SECONDS = 1, 1
application = web.application


def hang(main):
    while os.getppid() == main:
        time.sleep(0.01)
    time.sleep(0.5)
    # The interpreter is not given up while it sleeps.
    ctypes.PyDLL(None).sleep(600)


def deaf():
    # Nor does it hear that it is to end.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if sys.argv[1] == "hang":
        threading.Thread(target=hang, args=[os.getppid()], daemon=True).start()
    return application()


web.application = deaf
sys.exit(cli.run(["web"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wait", "hang"])
async def test_a_worker_that_does_not_finish_ends_after_its_main_process(
    database: None, database_url: str, how: str
) -> None:
    async with running_web(database_url, program=("-c", HANGING, how)) as web:
        [worker] = psutil.Process(web.process.pid).children()
        web.process.kill()
        await web.process.wait()
        started = time.monotonic()
        while runs(worker) and time.monotonic() - started < 20:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        took = time.monotonic() - started
        if runs(worker):
            worker.kill()

    # It has its time to finish, and no more.
    assert 1.5 < took < 8


def runs(process: psutil.Process) -> bool:
    """Say whether a process has not ended; whoever it is left to may not have noticed yet."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
