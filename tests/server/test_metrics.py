"""`/metrics`: who sees what, in which form, and that its numbers are those of the mail."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from postlane.core import clock
from postlane.core.actor import Actor, ActorKind, Mode, Permission, Role
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.core.settings import settings
from postlane.delivery.work import Settlement, claim_batch, settle_batch
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.graphql.context import Context
from postlane.graphql.execute import Document, execute
from postlane.mail.outcome import Outcome, outcome_of_reply
from postlane.protection.catalogue import all_rules
from postlane.protection.rules import Measure, Strictness
from postlane.protection.work import begin
from postlane.server.app import build_app
from tests.client import Client
from tests.factories import make_actor, make_domain, make_suppression

pytestmark = pytest.mark.usefixtures("database")

SEND = Document("""
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }
""")
CANCEL = Document("""
    mutation ($input: CancelMessageInput!) { cancelMessage(input: $input) { __typename } }
""")
Labels = frozenset[tuple[str, str]]


@pytest.fixture
async def operator() -> AsyncIterator[Client]:
    """Somebody on this machine."""
    async with Client(build_app(opens_pool=False), {}, address="127.0.0.1") as opened:
        yield opened


def series(text: str) -> dict[tuple[str, Labels], float]:
    """Return the samples of a text, as Prometheus's own parser reads it; none comes twice."""
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


async def read(client: Client, actor: Actor) -> dict[tuple[str, Labels], float]:
    answer = await client.get("/metrics", headers=client.as_actor(actor))
    assert answer.status_code == 200, answer.text
    return series(answer.text)


def of(found: dict[tuple[str, Labels], float], name: str, **labels: str) -> float:
    return found[f"pmta_{name}", frozenset(labels.items())]


async def send(actor: Actor, *to: str, **values: Any) -> str:
    """Send a message from a domain of the actor's and return its id."""
    rows = await fetch("SELECT name FROM domains WHERE organization_id = {}", actor.organization_id)
    domain = rows[0]["name"] if rows else (await make_domain(actor.organization_id)).name
    said = {"from": f"shop@{domain}", "to": list(to), "subject": "Hello", "text": "Hello."}
    result = await execute(SEND, {"input": said | values}, Context(actor=actor))
    assert not result.errors, result.errors
    assert result.data is not None
    message_id: str = result.data["sendMessage"]["receipt"]["uuid"]
    return message_id


async def cancel(actor: Actor, message_id: str) -> None:
    result = await execute(CANCEL, {"input": {"id": message_id}}, Context(actor=actor))
    assert not result.errors, result.errors


async def settle(actor: Actor, outcomes: dict[str, Outcome]) -> None:
    """Attempt all that is due of an organization's; each address has its outcome."""
    rows = await fetch("SELECT id FROM queues WHERE organization_id = {}", actor.organization_id)
    for row in rows:
        claims = await claim_batch(row["id"])
        await settle_batch([Settlement(c, "default", outcomes[c.address]) for c in claims])


def said(code: int, text: str) -> Outcome:
    return outcome_of_reply(code, text, started_at=clock.now())


async def test_counters_tell_what_became_of_mail(client: Client) -> None:
    actor = await make_actor()
    await make_suppression(actor.organization_id, address="gone@example.net")
    await send(actor, "ada@example.net", "bob@gmail.com", "cy@example.net", "gone@example.net")
    cancelled = await send(actor, "dora@example.org")

    await cancel(actor, cancelled)
    await settle(
        actor,
        {
            "ada@example.net": said(250, "2.0.0 Taken"),
            "bob@gmail.com": said(550, "5.1.1 No such user"),
            "cy@example.net": said(451, "4.3.0 Later"),
        },
    )

    found = await read(client, actor)
    assert of(found, "messages_accepted_total") == 2
    assert {
        dict(labels)["status"]: value
        for (name, labels), value in found.items()
        if name == "pmta_recipients_total"
    } == {
        "queued": 4,
        "delivered": 1,
        "bounced": 1,
        "expired": 0,
        "suppressed": 1,
        "cancelled": 1,
    }
    for result, isp in (("delivered", "other"), ("bounced", "google"), ("deferred", "other")):
        attempts = of(found, "delivery_attempts_total", vmta="default", isp=isp, result=result)
        assert attempts == 1
    assert of(found, "bounces_total", **{"class": "invalid_recipient"}) == 1
    assert of(found, "bounces_total", **{"class": "mailbox_full"}) == 0
    assert of(found, "complaints_total") == 0
    assert of(found, "queue_depth", vmta="default", state="active") == 1
    assert of(found, "vmta_paused", vmta="default") == 0


async def test_counts_are_what_the_rows_say(client: Client) -> None:
    actor = await make_actor()
    for n in range(3):
        await send(actor, *(f"{name}-{n}@example.net" for name in ("ada", "bob")))

    rows = await fetch(
        "SELECT count(*) AS open FROM deliveries WHERE organization_id = {} AND settled_at IS NULL",
        actor.organization_id,
    )

    found = await read(client, actor)
    assert of(found, "queue_depth", vmta="default", state="active") == rows[0]["open"] == 6


async def test_credits_that_are_paid_back_were_still_consumed(client: Client) -> None:
    actor = await make_actor()
    message_id = await send(actor, "ada@example.net", "bob@example.net")
    before = await read(client, actor)

    await cancel(actor, message_id)

    after = await read(client, actor)
    assert of(before, "credits_consumed_total", type="email") == 2
    assert of(after, "credits_consumed_total", type="email") == 2
    rows = await fetch(
        "SELECT sum(used) AS used FROM credit_usage WHERE organization_id = {}",
        actor.organization_id,
    )
    assert rows[0]["used"] == 0


async def test_simulated_mail_is_not_counted(client: Client) -> None:
    actor = await make_actor(mode=Mode.SANDBOX)

    await send(actor, "ada@example.net")

    found = await read(client, actor)
    assert of(found, "messages_accepted_total") == 0
    assert of(found, "recipients_total", status="queued") == 0


async def test_mail_that_waits_is_told_by_its_age(client: Client) -> None:
    actor = await make_actor()
    with clock.frozen(clock.now() - timedelta(minutes=5)):
        await send(actor, "ada@example.net")
    await send(actor, "bob@example.net")

    found = await read(client, actor)

    assert 300 <= of(found, "queue_oldest_seconds") < 360


async def test_scheduled_mail_does_not_wait_yet(client: Client) -> None:
    actor = await make_actor()
    at = (clock.now() + timedelta(hours=1)).isoformat()
    await send(actor, "ada@example.net", sendAt=at)

    found = await read(client, actor)

    assert of(found, "queue_oldest_seconds") == 0
    assert of(found, "queue_depth", vmta="default", state="active") == 1


async def test_blocks_are_counted_by_their_rule(client: Client, operator: Client) -> None:
    actor, rule = await make_actor(), all_rules()["volume_spike"]
    before = series((await operator.get("/metrics")).text)
    for number in range(3):
        measured = Measure(actor.organization_id, f"key-{number}", "Key", 11.0, 1_000, {})
        assert await begin(rule, measured, Strictness.STANDARD, is_dry=number == 2)
        assert not await begin(rule, measured, Strictness.STANDARD, is_dry=number == 2)

    own, others = await read(client, actor), await read(client, await make_actor())
    after = series((await operator.get("/metrics")).text)

    assert of(own, "auto_blocks_total", rule="volume_spike") == 2
    assert of(own, "auto_blocks_total", rule="smtp_abuse") == 0
    assert of(others, "auto_blocks_total", rule="volume_spike") == 0
    name = ("pmta_auto_blocks_total", frozenset({("rule", "volume_spike")}))
    assert after[name] - before[name] == 2


async def test_another_organization_is_never_seen(client: Client) -> None:
    stranger, own = await make_actor(), await make_actor()
    await fetch(
        "INSERT INTO vmtas (id, organization_id, name, hostname, pool, weight, status, "
        "max_connections, tls, created_at, updated_at) VALUES ({}, {}, 'secret-vmta', '', "
        "'default', 100, 'active', 100, 'opportunistic', now(), now())",
        new_id(),
        stranger.organization_id,
    )
    await send(stranger, "ada@example.net")
    await settle(stranger, {"ada@example.net": said(550, "5.1.1 No such user")})

    answer = await client.get("/metrics", headers=client.as_actor(own))

    found = series(answer.text)
    assert "secret-vmta" not in answer.text
    assert "spool_bytes" not in answer.text
    assert "api_requests" not in answer.text
    assert {key for key, value in found.items() if value} == set()


async def test_the_operator_sees_the_whole_deployment(client: Client, operator: Client) -> None:
    first, second = await make_actor(), await make_actor()
    before = series((await operator.get("/metrics")).text)
    await send(first, "ada@example.net")
    await send(second, "bob@example.net", "cy@example.net")
    await client.get("/robots.txt")
    await client.get("/no/such/thing")

    after = series((await operator.get("/metrics")).text)

    grown = {key: value - before.get(key, 0) for key, value in after.items()}
    assert of(grown, "messages_accepted_total") == 2
    assert of(grown, "recipients_total", status="queued") == 3
    assert of(grown, "queue_depth", vmta="default", state="active") == 3
    assert of(after, "spool_bytes") > 0
    told = {"method": "GET", "status": "200"}
    assert of(grown, "api_requests_total", route="/robots.txt", **told) == 1
    unknown = {"route": "unknown", "method": "GET", "status": "404"}
    assert of(grown, "api_requests_total", **unknown) == 1
    assert of(grown, "api_request_seconds_count", route="/robots.txt") == 1


async def test_a_platform_administrator_sees_the_whole_deployment(client: Client) -> None:
    administrator, other = await make_actor(platform_admin=True), await make_actor()
    await send(other, "ada@example.net")

    found = await read(client, administrator)

    assert of(found, "messages_accepted_total") >= 1
    assert of(found, "spool_bytes") > 0


async def test_routes_are_named_by_their_templates(client: Client, operator: Client) -> None:
    actor = await make_actor()
    path = f"/api/v1/messages/{new_id()}"
    await client.get(path, headers=client.as_actor(actor))

    text = (await operator.get("/metrics")).text

    assert 'route="/api/v1/messages/{id}"' in text
    assert path not in text


async def test_a_method_that_nobody_knows_makes_no_series(client: Client, operator: Client) -> None:
    await client.request("BREW", "/robots.txt")

    assert "BREW" not in (await operator.get("/metrics")).text


async def test_somebody_else_needs_a_credential(client: Client) -> None:
    answer = await client.get("/metrics")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == ("authentication_required", 401)
    assert set(error) == {"code", "message", "status", "details", "request_id"}


async def test_a_developer_may_not_read_metrics(client: Client) -> None:
    actor = await make_actor(role=Role.DEVELOPER)

    answer = await client.get("/metrics", headers=client.as_actor(actor))

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_role")


async def test_a_key_needs_the_scope(client: Client) -> None:
    without = await make_actor(
        kind=ActorKind.API_KEY, permissions=[Permission.READ_MESSAGES], api_key_id=new_id()
    )
    with_it = await make_actor(
        kind=ActorKind.API_KEY, permissions=[Permission.READ_METRICS], api_key_id=new_id()
    )

    refused = await client.get("/metrics", headers=client.as_actor(without))

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
    assert of(await read(client, with_it), "messages_accepted_total") == 0


async def test_a_key_of_one_project_does_not_see_the_others(client: Client) -> None:
    actor = await make_actor(project_id=new_id(), kind=ActorKind.API_KEY, api_key_id=new_id())

    answer = await client.get("/metrics", headers=client.as_actor(actor))

    assert answer.status_code == 403


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip", "forwarded"])
async def test_a_proxy_on_this_machine_makes_nobody_an_operator(
    operator: Client, header: str
) -> None:
    answer = await operator.get("/metrics", headers={header: "127.0.0.1"})

    assert answer.status_code == 401


async def test_behind_a_trusted_proxy_the_client_counts_not_the_proxy() -> None:
    found = replace(settings(), trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with Client(build_app(found, opens_pool=False), {}, address="127.0.0.1") as client:
        far = await client.get("/metrics", headers={"x-forwarded-for": "203.0.113.9"})
        near = await client.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"})

    assert (far.status_code, near.status_code) == (401, 200)


async def test_networks_that_may_read_are_a_setting() -> None:
    found = replace(settings(), metrics_allow=(ip_network("2001:db8:aa::/48"),))
    app = build_app(found, opens_pool=False)
    codes = []
    for address in ("2001:db8:aa::7", "2001:db8:bb::7", "127.0.0.1"):
        async with Client(app, {}, address=address) as client:
            codes.append((await client.get("/metrics")).status_code)

    assert codes == [200, 401, 401]


@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ("", None, "text/plain; version=0.0.4; charset=utf-8"),
        ("", "*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("", "application/json", "application/json"),
        ("", "text/plain;q=0.4, application/json", "application/json"),
        (
            "",
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        ("", "application/json;q=nan", "text/plain; version=0.0.4; charset=utf-8"),
        ("?format=json", "text/plain", "application/json"),
        ("?format=prometheus", "application/json", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
async def test_the_form_is_asked_for(
    operator: Client, query: str, accept: str | None, media_type: str
) -> None:
    headers = {"accept": accept} if accept else {}

    answer = await operator.get(f"/metrics{query}", headers=headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type


async def test_json_and_text_say_the_same(operator: Client) -> None:
    await operator.get("/robots.txt")
    text = series((await operator.get("/metrics")).text)

    body = (await operator.get("/metrics?format=json")).json()

    assert body["generated_at"].endswith("Z")
    plain = {
        (item["name"], frozenset(item["labels"].items())): item["value"]
        for item in body["metrics"]
        if "value" in item
    }
    assert plain.keys() <= text.keys()
    label = frozenset({("status", "queued")})
    assert plain["pmta_recipients_total", label] == text["pmta_recipients_total", label]
    (histogram,) = (
        item
        for item in body["metrics"]
        if item["name"] == "pmta_api_request_seconds" and item["labels"] == {"route": "/robots.txt"}
    )
    assert histogram["type"] == "histogram"
    assert histogram["buckets"][-1] == {"le": None, "count": histogram["count"]}
    assert histogram["sum"] > 0


@pytest.mark.parametrize("asked", ["xml", "", "JSON", "json&format=xml", "%ff"])
async def test_an_unknown_format_is_not_acceptable(operator: Client, asked: str) -> None:
    answer = await operator.get(f"/metrics?format={asked}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (406, "not_acceptable")


async def test_head_answers_without_a_body(operator: Client) -> None:
    answer = await operator.head("/metrics")

    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 0


async def test_nothing_is_posted(operator: Client) -> None:
    answer = await operator.post("/metrics")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["code"] == "method_not_allowed"


async def test_a_query_string_without_end_is_refused(operator: Client) -> None:
    answer = await operator.get("/metrics?" + "&".join("a=1" for _ in range(200)))

    assert answer.status_code == 400


def queued(actor: Actor, vmta_id: Any, type: EventType = EventType.MESSAGE_QUEUED) -> NewEvent:
    return NewEvent(
        organization_id=actor.organization_id,
        project_id=None,
        message_id=new_id(),
        delivery_id=new_id(),
        type=type,
        data={},
        occurred_at=clock.now(),
        vmta_id=vmta_id,
    )


async def test_transactions_that_count_the_same_neither_wait_nor_deadlock(
    client: Client,
) -> None:
    actor, vmtas = await make_actor(), [new_id() for _ in range(4)]
    everybody = asyncio.Barrier(6)

    async def count(n: int) -> None:
        order = vmtas if n % 2 else list(reversed(vmtas))
        async with transaction() as tx:
            for vmta_id in order[:2]:
                await append(tx, [queued(actor, vmta_id)])
            # All are in the middle of their transactions, with counts written, at once.
            await everybody.wait()
            for vmta_id in order[2:]:
                await append(tx, [queued(actor, vmta_id)])

    for _ in range(3):
        async with asyncio.timeout(10):
            await asyncio.gather(*(count(n) for n in range(6)))

    found = await read(client, actor)
    assert of(found, "messages_accepted_total") == 72
    assert of(found, "recipients_total", status="queued") == 72
    rows = await fetch(
        "SELECT count(*) AS rows FROM event_counts WHERE organization_id = {}",
        actor.organization_id,
    )
    assert rows[0]["rows"] <= 6 * 4


async def test_a_transaction_that_is_rolled_back_counts_nothing(client: Client) -> None:
    actor = await make_actor()

    async def fail() -> None:
        async with transaction() as tx:
            await append(tx, [queued(actor, new_id())])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert of(await read(client, actor), "messages_accepted_total") == 0


MEASURE = """
import os, sys
from pathlib import Path
from postlane.core.measuring import Counter, Gauge, Histogram, forget_in, measured, share_in
folder = Path(sys.argv[1])
share_in(folder)
Counter("things", "Things.", labels=("kind",)).add("a", amount=2)
Gauge("open", "Open.").add()
Histogram("wait_seconds", "Waits.", buckets=(1, 2)).observe(1.5)
if len(sys.argv) > 2:
    for metric in measured():
        for sample in metric.samples:
            print(sample.name, sample.labels, sample.value)
"""


def test_processes_add_up_and_those_that_ended_hold_nothing_open(tmp_path: Path) -> None:
    def measure(*arguments: str) -> str:
        command = [sys.executable, "-P", "-c", MEASURE, str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    measure()
    measure()

    told = measure("tell").splitlines()

    assert "pmta_things_total {'kind': 'a'} 6.0" in told
    assert "pmta_open {} 1.0" in told
    assert "pmta_wait_seconds_count {} 3.0" in told
    assert "pmta_wait_seconds_bucket {'le': '1.0'} 0.0" in told
