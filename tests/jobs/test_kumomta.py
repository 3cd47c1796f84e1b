"""Mail that KumoMTA delivers: what it is asked, and what its answers make of a delivery."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from postlane.core.database import fetch
from postlane.jobs.kumomta import KumoMta
from tests.delivery.spool import Spooled, make_spooled
from tests.dns_server import DnsServer
from tests.jobs.sending import direct, drain_queue, sending
from tests.sink import Sink
from tests.web_server import WebServer

PATH = "/api/inject/v1"
TAKEN = {"success_count": 1, "fail_count": 0, "failed_recipients": [], "errors": []}


@pytest.fixture
def kumo() -> Iterator[WebServer]:
    """A stand-in for KumoMTA's HTTP listener that takes everything."""
    with WebServer() as server:
        answer(server, TAKEN)
        yield server


def answer(kumo: WebServer, said: Any, *, status: int = 200) -> None:
    """Let the stand-in say that from now on."""
    kumo.set(PATH, json.dumps(said).encode(), "application/json", status=status)


async def send(
    kumo: WebServer, sink: Sink, dns: DnsServer, *addresses: str, vmtas: str = "default"
) -> Spooled:
    """Send one message to each address, by a worker that hands those vMTAs to the stand-in."""
    spooled = await make_spooled(*addresses)
    url = f"http://post:p%40ss@127.0.0.1:{kumo.port}"
    transport = KumoMta(url, frozenset({vmtas}), direct(dns, sink.port))
    async with sending(transport) as outbound:
        await drain_queue(outbound, spooled.queue_id)
    return spooled


async def test_each_recipient_is_one_request(
    database: None, kumo: WebServer, sink: Sink, dns: DnsServer
) -> None:
    spooled = await send(kumo, sink, dns, "ada@dest.example", "bob@dest.example")

    assert (await spooled.message()).status == "delivered"
    assert sink.messages == []
    sent = [json.loads(asked.body) for asked in kumo.asked]
    assert sorted(each["recipients"][0]["email"] for each in sent) == [
        "ada@dest.example",
        "bob@dest.example",
    ]
    assert {(each["deferred_spool"], each["deferred_generation"]) for each in sent} == {
        (False, False)
    }
    assert {each["template_dialect"] for each in sent} == {"Static"}
    assert len({each["envelope_sender"] for each in sent}) == 2
    first = sent[0]["content"].split("\r\n")
    assert first[:2] == [
        "X-Postlane-VMTA: default",
        f"X-Postlane-Organization: {spooled.organization.id}",
    ]
    login = base64.b64encode(b"post:p@ss").decode()
    assert {asked.headers["authorization"] for asked in kumo.asked} == {f"Basic {login}"}


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"success_count": 0, "fail_count": 1, "errors": ["spool is full"]}, 200, "spool is full"),
        ({"success_count": 0, "fail_count": 0}, 200, "no reason given"),
        ({"success_count": 1, "fail_count": 1, "errors": []}, 200, "no reason given"),
        ([], 200, "not understood"),
        ("taken", 200, "not understood"),
        (TAKEN, 500, "status 500"),
        (TAKEN, 401, "status 401"),
        (TAKEN, 302, "status 302"),
    ],
)
async def test_what_is_not_taken_for_all_is_deferred(
    database: None, kumo: WebServer, sink: Sink, dns: DnsServer, said: Any, status: int, words: str
) -> None:
    answer(kumo, said, status=status)

    spooled = await send(kumo, sink, dns, "ada@dest.example")

    assert await spooled.state() == "deferred"
    [attempt] = await fetch(
        "SELECT reply, bounce_class FROM attempts WHERE delivery_id = {}",
        spooled.deliveries["ada@dest.example"],
    )
    assert words in attempt["reply"]
    assert attempt["bounce_class"] == "connection_failure"
    assert len(kumo.asked) == 1


async def test_an_answer_that_is_no_json_is_deferred(
    database: None, kumo: WebServer, sink: Sink, dns: DnsServer
) -> None:
    kumo.set(PATH, b"<html>", "text/html")

    spooled = await send(kumo, sink, dns, "ada@dest.example")

    assert await spooled.state() == "deferred"
    assert len(kumo.asked) == 1


async def test_nobody_there_is_deferred(database: None, sink: Sink, dns: DnsServer) -> None:
    with WebServer() as gone:
        pass

    spooled = await send(gone, sink, dns, "ada@dest.example")

    assert await spooled.state() == "deferred"


async def test_other_vmtas_deliver_by_themselves(
    database: None, kumo: WebServer, sink: Sink, dns: DnsServer
) -> None:
    spooled = await send(kumo, sink, dns, "ada@dest.example", vmtas="bulk")

    assert await spooled.state() == "delivered"
    assert len(sink.messages) == 1
    assert kumo.asked == []


async def test_what_is_no_text_in_a_reason_is_not_kept(
    database: None, kumo: WebServer, sink: Sink, dns: DnsServer
) -> None:
    answer(kumo, {"success_count": 0, "fail_count": 1, "errors": ["no\0w\ud800"]})

    spooled = await send(kumo, sink, dns, "ada@dest.example")

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.reply) == ("deferred", "KumoMTA has not taken it: no?w?")
