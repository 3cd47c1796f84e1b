"""Bodies that are large, compressed or anybody's, and paths as clients put them together."""

import asyncio
import base64
import gzip
import json
import random
import tracemalloc
from collections import Counter
from typing import Any

import pytest

from postlane.rest_compat.handlers import STRANGERS_INFLATED, STRANGERS_WAIT_BYTES_EACH
from postlane.rest_compat.postageapp.decoding import read_head
from tests.client import Client
from tests.compat.postageapp.world import make_shop
from tests.compat.postal.world import make_server
from tests.statements import count_statements

GZIP = {"content-encoding": "gzip", "content-type": "application/json"}
MIB = 2**20
HOST = "http://postlane.test"


def packed(body: Any) -> bytes:
    return gzip.compress(json.dumps(body).encode())


async def test_postageapps_bodies_may_be_compressed(client: Client) -> None:
    shop = await make_shop(client)
    body = {"api_key": shop.key, "uid": "packed", "arguments": shop.message()}

    answer = await shop.post("send_message.json", content=packed(body), headers=GZIP)

    assert answer.status_code == 200, answer.text
    assert answer.json()["response"] == {"status": "ok", "uid": "packed"}


async def test_postals_bodies_may_be_compressed(client: Client) -> None:
    server = await make_server(client)
    body = {"to": ["a@dest.example"], "from": server.sender, "plain_body": "Hello"}

    answer = await server.post("send/message", content=packed(body), headers=GZIP)

    assert answer.json()["status"] == "success", answer.text


async def test_what_inflates_without_end_is_refused_at_the_limit(client: Client) -> None:
    shop, server = await make_shop(client), await make_server(client)
    bomb = gzip.compress(b" " * (200 * MIB), 9)
    assert len(bomb) < MIB

    peaks = []
    # The rest of the process may want memory during one of them; a bomb would in each.
    for _ in range(3):
        tracemalloc.start()
        theirs = await shop.post("send_message", content=bomb, headers=GZIP)
        postals = await server.post("send/message", content=bomb, headers=GZIP)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert theirs.status_code == 413
    assert theirs.json()["response"]["status"] == "request_too_large"
    assert postals.status_code == 413
    assert min(peaks) < 100 * MIB


@pytest.mark.parametrize(
    "content",
    [b"{}", gzip.compress(b"{}")[:-3], gzip.compress(b"{}") + b"x"],
    ids=["plain", "cut off", "with a rest"],
)
async def test_what_is_not_compressed_as_it_says_cannot_be_read(
    client: Client, content: bytes
) -> None:
    shop, server = await make_shop(client), await make_server(client)

    theirs = await shop.post("send_message", content=content, headers=GZIP)
    postals = await server.post("send/message", content=content, headers=GZIP)

    assert theirs.status_code == 406
    assert theirs.json()["response"]["status"] == "invalid_json"
    assert postals.status_code == 400


def test_of_a_large_body_only_the_key_is_kept_before_it_is_known() -> None:
    people = {f"p{n}@dest.example": {"name": "x" * 20} for n in range(100_000)}
    body = json.dumps({"arguments": {"recipients": people}, "api_key": "k", "uid": 7}).encode()

    tracemalloc.start()
    head = read_head(body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (head.api_key, head.uid, head.arguments, head.body) == ("k", 7, {}, {})
    assert len(body) > 5 * MIB
    assert most < MIB


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b'{"api_key": "x", "arguments": {"a": [1, }}', "invalid_json"),
        (b'{"api_key": "x", "arguments": {"a": "\xff"}}', "invalid_utf8"),
        (b'{"arguments": {"a": "\\ud800"}, "api_key": "x"}', "invalid_utf8"),
        (b"[1, 2", "invalid_json"),
        (b"[1, 2]", "call_error"),
        (b'{"api_key": {"a": 1}}', "call_error"),
    ],
)
async def test_what_no_parser_reads_is_told_before_the_key(
    client: Client, content: bytes, word: str
) -> None:
    answer = await client.post("/v.1.1/send_message", content=content)

    assert answer.json()["response"]["status"] == word
    assert answer.status_code == 406


@pytest.mark.parametrize("path", ["//api/v1/messages/message", "///api/v1/messages/message.json"])
async def test_a_host_may_end_in_a_slash(client: Client, path: str) -> None:
    server = await make_server(client)

    answer = await client.post(
        f"{HOST}{path}", json={"id": 1}, headers={"X-Server-API-Key": server.key}
    )

    assert answer.status_code == 200
    assert answer.json()["data"]["code"] == "MessageNotFound"


async def test_postageapps_host_may_too(client: Client) -> None:
    shop = await make_shop(client)

    answer = await client.post(f"{HOST}//v.1.0/get_method_list.json", json={"api_key": shop.key})

    assert answer.status_code == 200


async def test_other_paths_with_two_slashes_are_not_there(client: Client) -> None:
    for path in ("//login", "//graphql", "//api/v1x", "//evil.example/api/v1/send/message"):
        assert (await client.post(f"{HOST}{path}", json={})).status_code == 404


async def test_a_message_costs_postageapps_clients_few_statements(client: Client) -> None:
    shop, server = await make_shop(client), await make_server(client)
    await shop.send("first")
    postal = {"to": ["a@dest.example"], "from": server.sender, "plain_body": "Hello"}
    await server.data("send/message", postal)

    with count_statements() as theirs:
        await shop.send("second")
    with count_statements() as postals:
        await server.data("send/message", postal)

    # Beside what every message costs, the uid is locked and looked for.
    assert len(theirs) == len(postals) + 2


async def test_strangers_inflate_a_few_bodies_at_once_and_nothing_stays(client: Client) -> None:
    """Each is forty kilobytes that become 34 MiB, of keys that are nobody's, and of none."""
    shop = await make_shop(client)
    room = " " * (34 * MIB)
    nobodys = gzip.compress(f'{{"api_key": "{"0" * 32}",{room}"uid": 1}}'.encode(), 9)
    keyless = gzip.compress(f'{{{room}"uid": 1}}'.encode(), 9)
    assert len(nobodys) < MIB / 16

    tracemalloc.start()
    answers = await asyncio.gather(
        *(
            shop.post("send_message", content=content, headers=GZIP)
            for content in (nobodys, keyless) * 8
        ),
        shop.post("get_method_list", content=packed({"api_key": shop.key}), headers=GZIP),
    )
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # One may be held twice while its parts are put together.
    assert most < (2 * STRANGERS_INFLATED + 1) * 35 * MIB
    assert {answer.status_code for answer in answers[:-1]} == {401}
    assert answers[-1].status_code == 200


async def test_one_address_that_floods_does_not_keep_another_waiting(client: Client) -> None:
    shop = await make_shop(client)
    bomb = gzip.compress(f'{{"api_key": "{"0" * 32}",{" " * (34 * MIB)}"uid": 1}}'.encode(), 9)
    flood = [
        asyncio.create_task(shop.post("send_message", content=bomb, headers=GZIP))
        for _ in range(30)
    ]
    app = client._transport.app  # type: ignore[attr-defined]
    content = packed({"api_key": shop.key})
    try:
        await asyncio.sleep(0.1)
        async with Client(app, {}, address="203.0.113.9") as other:
            answer = await other.post("/v.1.0/get_method_list.json", content=content, headers=GZIP)
        waiting = sum(not each.done() for each in flood)
    finally:
        answers = await asyncio.gather(*flood)

    assert answer.status_code == 200
    assert waiting > 15
    assert {each.status_code for each in answers} <= {401, 429}


async def test_what_waits_to_be_inflated_is_bounded(client: Client) -> None:
    """Nine times what one address may have waiting, and none of it is held for long."""
    shop = await make_shop(client)
    noise = random.Random(1).randbytes(20 * MIB)
    large = gzip.compress(b'{"uid": "' + base64.b64encode(noise) + b'"}', 1)

    answers = await asyncio.gather(
        *(shop.post("send_message", content=large, headers=GZIP) for _ in range(12))
    )

    codes = Counter(answer.status_code for answer in answers)
    assert codes[429] >= 12 - STRANGERS_WAIT_BYTES_EACH // (20 * MIB) - STRANGERS_INFLATED
    assert codes[401] >= 1
    assert all(a.headers["retry-after"] == "1" for a in answers if a.status_code == 429)
