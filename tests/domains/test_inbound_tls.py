"""What a domain publishes about TLS for the mail it receives."""

from collections.abc import Iterator
from typing import Any

import pytest

from postlane.core.actor import Actor
from tests.client import Client
from tests.dns_server import DnsServer
from tests.domains.setup import HOST, create
from tests.domains.web import reachable_web
from tests.factories import make_actor
from tests.web_server import WebServer

CHECK = """
    mutation ($input: CheckInboundTlsInput!) { checkInboundTls(input: $input) { inboundTls {
      mtaSts { name value status found message }
      tlsReports { name value status found message }
      policyUrl problem
      proposedPolicy { mode maxAgeSeconds mx text }
      policy { mode maxAgeSeconds mx }
    } } }
"""
PATH = "/.well-known/mta-sts.txt"
POLICY = b"version: STSv1\nmode: enforce\nmx: *.sts.example\nmax_age: 86400\n"


@pytest.fixture
def web(dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    try:
        with reachable_web(dns, monkeypatch, port=443) as server:
            yield server
    except PermissionError:
        pytest.skip("only the superuser may listen on port 443 here")


async def check(client: Client, actor: Actor, name: str) -> dict[str, Any]:
    data = await client.data(CHECK, {"input": {"domain": {"name": name}}}, actor=actor)
    found: dict[str, Any] = data["checkInboundTls"]["inboundTls"]
    return found


async def test_what_to_publish_is_told_where_nothing_is(client: Client, dns: DnsServer) -> None:
    actor = await make_actor()
    await create(client, actor, "plain.example", dmarcRua="reports@plain.example")

    found = await check(client, actor, "plain.example")

    assert found["mtaSts"]["value"].startswith("v=STSv1; id=")
    assert {**found["mtaSts"], "value": ""} == {
        "name": "_mta-sts.plain.example",
        "value": "",
        "status": "PENDING",
        "found": [],
        "message": "No MTA-STS record found.",
    }
    assert found["tlsReports"] == {
        "name": "_smtp._tls.plain.example",
        "value": "v=TLSRPTv1; rua=mailto:reports@plain.example",
        "status": "PENDING",
        "found": [],
        "message": "No TLS-RPT record found.",
    }
    assert found["policyUrl"] == f"https://mta-sts.plain.example{PATH}"
    assert found["proposedPolicy"] == {
        "mode": "TESTING",
        "maxAgeSeconds": 604_800,
        "mx": [f"mx.{HOST}"],
        "text": f"version: STSv1\r\nmode: testing\r\nmx: mx.{HOST}\r\nmax_age: 604800\r\n",
    }
    assert (found["policy"], found["problem"]) == (None, None)


async def test_a_published_policy_is_read(client: Client, dns: DnsServer, web: WebServer) -> None:
    actor = await make_actor()
    await create(client, actor, "sts.example")
    dns.set("_mta-sts.sts.example", "TXT", "v=STSv1; id=20260601")
    dns.set("_smtp._tls.sts.example", "TXT", "v=TLSRPTv1; rua=mailto:tls@sts.example")
    dns.set("sts.example", "MX", "10 mx1.sts.example", "20 mx2.sts.example")
    web.set(PATH, POLICY, "text/plain; charset=us-ascii")

    found = await check(client, actor, "sts.example")
    dns.set("sts.example", "MX", "10 mx1.sts.example", "20 mx.elsewhere.example")
    missing = await check(client, actor, "sts.example")

    assert (found["mtaSts"]["status"], found["tlsReports"]["status"]) == ("VERIFIED", "VERIFIED")
    assert found["policy"] == {"mode": "ENFORCE", "maxAgeSeconds": 86_400, "mx": ["*.sts.example"]}
    assert found["proposedPolicy"]["mx"] == ["mx1.sts.example", "mx2.sts.example"]
    assert found["problem"] is None
    assert missing["problem"] == "The policy does not name mx.elsewhere.example."


async def test_a_policy_that_senders_ignore_is_told(
    client: Client, dns: DnsServer, web: WebServer
) -> None:
    actor = await make_actor()
    await create(client, actor, "sts.example")
    dns.set("_mta-sts.sts.example", "TXT", "v=STSv1; id=20260601")
    problems = []

    web.set(PATH, POLICY, "text/html")
    problems.append((await check(client, actor, "sts.example"))["problem"])
    web.redirect(PATH, "https://127.0.0.1/")
    problems.append((await check(client, actor, "sts.example"))["problem"])
    web.set(PATH, POLICY + b"#" * 100_000, "text/plain")
    problems.append((await check(client, actor, "sts.example"))["problem"])
    web.set(PATH, b"\xff\xfe", "text/plain")
    problems.append((await check(client, actor, "sts.example"))["problem"])

    assert problems == [
        "The policy's server does not say that it is text/plain.",
        "The policy's server answered with status 302.",
        "The policy is larger than 64 KiB.",
        "The policy is not ASCII.",
    ]


async def test_a_policy_host_with_a_private_address_is_not_reached(
    client: Client, dns: DnsServer
) -> None:
    actor = await make_actor()
    await create(client, actor, "inside.example")
    dns.set("_mta-sts.inside.example", "TXT", "v=STSv1; id=1")
    dns.set("mta-sts.inside.example", "A", "127.0.0.1")

    found = await check(client, actor, "inside.example")

    assert found["problem"] == "mta-sts.inside.example is not a public address."


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "_mta-sts",
            ["v=STSv1; id=1", "v=STSv1; id=2"],
            "There are several MTA-STS records; senders ignore all.",
        ),
        (
            "_mta-sts",
            ["v=STSv1; id=a-b"],
            "The MTA-STS record has no id of up to 32 letters and digits.",
        ),
        (
            "_smtp._tls",
            ["v=TLSRPTv1; rua=junk"],
            "The TLS-RPT record has no rua of mailto: or https: addresses.",
        ),
    ],
)
async def test_a_record_that_senders_ignore_is_told(
    client: Client, dns: DnsServer, name: str, values: list[str], message: str
) -> None:
    actor = await make_actor()
    await create(client, actor, "junk.example")
    dns.set(f"{name}.junk.example", "TXT", *values)

    found = await check(client, actor, "junk.example")

    told = found["mtaSts" if name == "_mta-sts" else "tlsReports"]
    assert (told["status"], told["message"]) == ("MISMATCH", message)


async def test_the_seventh_look_within_a_minute_is_refused(client: Client, dns: DnsServer) -> None:
    actor = await make_actor()
    await create(client, actor, "often-tls.example")
    for _ in range(6):
        await check(client, actor, "often-tls.example")

    sent = {"input": {"domain": {"name": "often-tls.example"}}}
    assert await client.refusal(CHECK, sent, actor=actor) == "RATE_LIMITED"
