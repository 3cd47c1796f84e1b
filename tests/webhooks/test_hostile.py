"""Addresses that lead inside, answers without end, and what must not be said of a webhook."""

import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from postlane.core.actor import Permission
from postlane.mail.dns import resolver
from tests.client import Client
from tests.dns_server import DnsServer
from tests.factories import make_actor
from tests.web_server import WebServer

from .conftest import CREATE, Hooks
from .receiver import ADDRESS, HOST, Receiver

INSIDE = (
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[ff02::1]",
)


async def codes(client: Client, actor: Any, **values: Any) -> set[tuple[str, str]]:
    """Return what is wrong with each field of a new webhook."""
    given = {"url": "https://hooks.example.org/", "events": ["*"]} | values
    body = await client.graphql(CREATE, {"input": given}, actor=actor)
    details = body["errors"][0]["extensions"]["details"]
    return {(detail["field"], detail["code"]) for detail in details}


@pytest.mark.parametrize("host", INSIDE)
async def test_an_address_inside_is_refused_when_it_is_named(client: Client, host: str) -> None:
    actor = await make_actor()

    found = await codes(client, actor, url=f"https://{host}/hooks")

    assert found in ({("url", "NOT_PUBLIC_IP")}, {("url", "INVALID_URL")})


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://hooks.example.org/", "INVALID_URL"),
        ("ftp://hooks.example.org/", "INVALID_URL"),
        ("file:///etc/passwd", "INVALID_URL"),
        ("javascript:alert(1)", "INVALID_URL"),
        ("//hooks.example.org/", "INVALID_URL"),
        ("hooks", "INVALID_URL"),
        ("https://", "INVALID_URL"),
        ("https://ada:secret@hooks.example.org/", "INVALID_URL"),
        ("https://hooks.example.org/ x", "INVALID_URL"),
        ("https://hooks.example.org/\r\nHost: x", "INVALID_URL"),
        ("https://hooks.example.org/" + "x" * 2048, "TOO_LONG"),
    ],
)
async def test_what_is_no_address_for_a_webhook_is_refused(
    client: Client, url: str, code: str
) -> None:
    actor = await make_actor()

    assert await codes(client, actor, url=url) == {("url", code)}


@pytest.mark.parametrize("kind", ["A", "AAAA"])
async def test_a_name_that_leads_inside_is_refused(
    client: Client, dns: DnsServer, kind: str
) -> None:
    actor = await make_actor()
    dns.set("inside.example", kind, "10.0.0.1" if kind == "A" else "::ffff:a00:1")

    found = await codes(client, actor, url="https://inside.example/hooks")

    assert found == {("url", "NOT_PUBLIC_IP")}


async def test_a_name_is_looked_at_again_at_every_attempt(
    hooks: Hooks, receiver: Receiver, dns: DnsServer
) -> None:
    """It led to where it may, and leads inside by the time it is called."""
    webhook = await hooks.create(receiver.url)
    with WebServer(host="127.0.0.1", wanted_port=receiver.server.port) as inside:
        for addresses in (["127.0.0.1"], [ADDRESS, "127.0.0.1"]):
            dns.set(HOST, "A", *addresses)
            resolver.cache_clear()
            await hooks.emit("tx-1")
            await hooks.round()

        calls = await hooks.calls(webhook)
        assert [call["attempts"][0]["error"] for call in calls] == ["not_public", "not_public"]
        assert [call["attempts"][0]["status"] for call in calls] == [None, None]
        assert inside.asked == receiver.asked == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"events": []}, {("events", "REQUIRED")}),
        ({"events": ["message.*", "nothing.such"]}, {("events[1]", "NOT_ALLOWED")}),
        ({"events": ["webhook.test"]}, {("events[0]", "NOT_ALLOWED")}),
        ({"description": "x" * 201}, {("description", "TOO_LONG")}),
        ({"payloadVersion": "1999-01-01"}, {("payloadVersion", "NOT_ALLOWED")}),
        (
            {"headers": [{"name": "Webhook-Id", "value": "x"}, {"name": "host", "value": "x"}]},
            {("headers.Webhook-Id", "NOT_ALLOWED"), ("headers.host", "NOT_ALLOWED")},
        ),
        (
            {"headers": [{"name": "Content-Length", "value": "0"}]},
            {("headers.Content-Length", "NOT_ALLOWED")},
        ),
        (
            {"headers": [{"name": "X-A", "value": "x\r\nX-B: y"}]},
            {("headers.X-A", "INVALID_FORMAT")},
        ),
        (
            {"headers": [{"name": "X A", "value": "x"}]},
            {("headers.X A", "INVALID_FORMAT")},
        ),
        (
            {"headers": [{"name": "X-A", "value": "x" * 513}]},
            {("headers.X-A", "TOO_LONG")},
        ),
        (
            {"headers": [{"name": f"X-{n}", "value": "x"} for n in range(11)]},
            {("headers", "TOO_MANY")},
        ),
        ({"filters": {"domains": ["not a domain"]}}, {("filters.domains[0]", "INVALID_DOMAIN")}),
        ({"filters": {"tags": [""]}}, {("filters.tags[0]", "REQUIRED")}),
        ({"filters": {"vmtas": ["x"] * 101}}, {("filters.vmtas", "TOO_MANY")}),
    ],
)
async def test_each_field_that_breaks_a_rule_is_named(
    client: Client, values: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    actor = await make_actor()

    assert await codes(client, actor, **values) == expected


async def test_an_organization_has_twenty_webhooks(client: Client) -> None:
    actor = await make_actor()
    given = {"input": {"url": "https://hooks.example.org/", "events": ["*"]}}
    for _ in range(20):
        await client.data(CREATE, given, actor=actor)

    code = await client.refusal(CREATE, given, actor=actor)

    assert code == "WEBHOOK_LIMIT_REACHED"


async def test_reading_is_not_writing(client: Client) -> None:
    actor = await make_actor(permissions=[Permission.READ_WEBHOOKS])
    given = {"input": {"url": "https://hooks.example.org/", "events": ["*"]}}

    code = await client.refusal(CREATE, given, actor=actor)
    data = await client.data(
        "{ organization { webhooks { totalCount nodes { id } } } }", actor=actor
    )

    assert code == "INSUFFICIENT_ROLE"
    assert data["organization"]["webhooks"] == {"totalCount": 0, "nodes": []}


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""

    class Nothing(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            time.sleep(30)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server((ADDRESS, 0), Nothing) as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


@pytest.mark.slow
async def test_answers_have_ten_seconds_and_are_read_no_further_than_they_are_kept(
    hooks: Hooks, server: WebServer, silent: int
) -> None:
    """A server that drips, one that says nothing, and one that sends two gigabytes."""
    sent = 0

    def flood(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Content-Length", str(2 * 2**30))
        handler.end_headers()
        chunk = b"x" * 2**16
        try:
            for _ in range(2**15):
                sent += handler.wfile.write(chunk)
        except OSError:
            handler.close_connection = True

    server.pages["/flood"] = flood
    server.drip("/drip", seconds=0.2)
    base = f"http://{HOST}:{server.port}"
    urls = (f"{base}/drip", f"http://{HOST}:{silent}/", f"{base}/flood")
    made = [await hooks.create(url) for url in urls]
    await hooks.emit("tx-1")
    began = time.monotonic()

    await hooks.round()

    took = time.monotonic() - began
    attempts = [(await hooks.calls(each))[0]["attempts"][0] for each in made]
    assert 10 <= took < 20
    assert [each["error"] for each in attempts] == ["timeout", "timeout", None]
    assert attempts[2]["status"] == 200
    assert len(attempts[2]["reply"]) == 1_024
    assert attempts[2]["durationMs"] < 5_000
    assert sent < 64 * 2**20


async def test_cookies_are_neither_kept_nor_sent(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.create(receiver.url)
    receiver.then(200, Set_Cookie="session=1")
    await hooks.emit("tx-1", "tx-2")

    await hooks.round()

    assert len(receiver.asked) == 2
    assert all("cookie" not in asked.headers for asked in receiver.asked)


async def test_what_cannot_be_stored_of_an_answer_is_shown_as_such(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await hooks.create(receiver.url)
    receiver.then(200, body=b"\x00\xff ok")
    await hooks.emit("tx-1")

    await hooks.round()

    (call,) = await hooks.calls(webhook)
    assert call["attempts"][0]["reply"] == "\ufffd\ufffd ok"
