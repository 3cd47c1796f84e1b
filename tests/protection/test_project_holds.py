"""Projects that an auto-block holds: mail is accepted, waits, explains itself, and goes on."""

import asyncio
import smtplib
import uuid
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from postlane.accounts.tables import Organization, Project
from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch, transaction
from postlane.core.settings import Address, SettingsError
from postlane.delivery.auto_holds import hold_project, release_project
from postlane.delivery.work import (
    claim_batch,
    due_queues,
    expire_waiting,
    go_on_releasing,
    has_due,
    holding,
    roll_up,
)
from postlane.delivery.work.queues import ANY_WAITING, waiting_at
from postlane.domains.tables import Domain
from postlane.graphql.scalars import write_time
from postlane.protection.catalogue import all_rules
from postlane.protection.work import end_expired, look
from postlane.server.smtp import admit
from postlane.smtp.listener import SubmissionListener
from tests.analytics.setup import make_mail, roll_up_all, tell
from tests.billing.setup import settings_with
from tests.client import Client
from tests.dashboard.browser import member
from tests.delivery.spool import Spooled, lose_lease, make_many, make_spooled
from tests.dns_server import DnsServer
from tests.factories import (
    default_project,
    make_actor,
    make_api_key,
    make_domain,
    make_organization,
    make_project,
)
from tests.jobs.sending import direct, drain_queue, sending
from tests.sink import Sink

BLOCKS = """{ organization { autoBlocks { nodes { uuid ruleKey scope targetId targetName action
    status evidence } } } }"""
RESOLVE = """mutation ($input: ResolveAutoBlockInput!) { resolveAutoBlock(input: $input) {
    block { status } } }"""
SWITCH = """mutation ($input: SwitchAutoBlockRuleInput!) { switchAutoBlockRule(input: $input) {
    rule { key } } }"""
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }"
WAITS = """query ($id: ID!) { organization { message(id: $id) { status deliveries {
    state waits { reason until detail } } } } }"""


@pytest.fixture(autouse=True)
def small(tmp_path: Path, database: None) -> Iterator[None]:
    """Rules that a handful of messages can breach."""
    path = tmp_path / "rules.toml"
    path.write_text("[project_bounce_rate]\nminimum_volume = 4\n", "utf-8")
    with settings_with(auto_block_file=str(path)):
        yield


async def breach(actor: Actor, project: Project) -> None:
    """Let a project's mail bounce, and the rule look at it."""
    mail = await make_mail(
        actor,
        *(f"u{n}@example.net" for n in range(4)),
        at=clock.now(),
        project_id=project.id,
        sender_domain="shop.example",
    )
    await tell(*(each.queued() for each in mail))
    await tell(*(each.bounced("invalid_recipient") for each in mail[:2]))
    await tell(*(each.delivered() for each in mail[2:]))
    await roll_up_all()
    await look([all_rules()["project_bounce_rate"]])


async def held() -> tuple[Actor, Organization, Project]:
    """Return somebody of whom a rule holds a project."""
    organization = await make_organization()
    actor, project = await make_actor(organization), await make_project(organization)
    await breach(actor, project)
    return actor, organization, project


async def blocks(client: Client, actor: Actor) -> list[dict[str, Any]]:
    data = await client.data(BLOCKS, {}, actor=actor)
    found: list[dict[str, Any]] = data["organization"]["autoBlocks"]["nodes"]
    return found


async def resolve(client: Client, actor: Actor) -> None:
    (block,) = await blocks(client, actor)
    await client.data(RESOLVE, {"input": {"blockId": block["uuid"]}}, actor=actor)


async def hold(organization: Organization, project: Project) -> uuid.UUID:
    """Hold a project, as a block does."""
    block_id = uuid.uuid4()
    async with transaction() as tx:
        assert await hold_project(
            tx, organization.id, project.id, block_id, "Too many bounces.", until=None
        )
    return block_id


async def release(organization: Organization, block_id: uuid.UUID) -> None:
    async with transaction() as tx:
        await release_project(tx, organization.id, block_id)


async def states(client: Client, actor: Actor, message_id: Any) -> list[str]:
    data = await client.data(WAITS, {"id": str(message_id)}, actor=actor)
    return [each["state"] for each in data["organization"]["message"]["deliveries"]]


async def priorities(*messages: Spooled) -> list[int]:
    return [(await each.delivery()).priority for each in messages]


def letter(domain: Domain, to: str = "ada@dest.example") -> dict[str, Any]:
    return {"from": f"shop@{domain.name}", "to": [to], "subject": "Hi", "text": "Hello."}


async def test_a_project_whose_mail_bounces_is_held_with_evidence_and_told(client: Client) -> None:
    actor, _, project = await held()

    (block,) = await blocks(client, actor)

    assert (block["ruleKey"], block["scope"], block["action"], block["status"]) == (
        "project_bounce_rate",
        "PROJECT",
        "HOLD_PROJECT",
        "ACTIVE",
    )
    assert (block["targetId"], block["targetName"]) == (str(project.id), project.slug)
    assert block["evidence"] == {
        "delivered": 2,
        "hard_bounced": 2,
        "soft_bounced": 0,
        "blocked": 0,
    }
    await resolve(client, actor)
    assert await blocks(client, actor) == []
    assert await fetch("SELECT FROM project_holds WHERE project_id = {}", project.id) == []
    told = await fetch(
        "SELECT type, data->>'action' AS action FROM events WHERE organization_id = {} "
        "AND type LIKE 'security.%' ORDER BY position",
        actor.organization_id,
    )
    assert [tuple(row.values()) for row in told] == [
        ("security.auto_block_triggered", "hold_project"),
        ("security.auto_block_resolved", "hold_project"),
    ]
    audit = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {} AND action LIKE 'auto_%'",
        actor.organization_id,
    )
    assert [row["action"] for row in audit] == ["auto_block.resolved"]


async def test_a_dry_run_holds_nothing(client: Client) -> None:
    organization = await make_organization()
    actor, project = await make_actor(organization), await make_project(organization)
    asked = {"input": {"rule": "project_bounce_rate", "dryRun": True}}
    await client.data(SWITCH, asked, actor=actor)

    await breach(actor, project)

    (block,) = await blocks(client, actor)
    assert (block["action"], block["status"]) == ("HOLD_PROJECT", "DRY_RUN")
    assert await fetch("SELECT FROM project_holds WHERE project_id = {}", project.id) == []


async def test_strangers_see_and_resolve_no_hold_of_others(client: Client) -> None:
    actor, _, project = await held()
    stranger = await make_actor()
    (block,) = await blocks(client, actor)

    refused = await client.refusal(RESOLVE, {"input": {"blockId": block["uuid"]}}, actor=stranger)
    theirs = await hold_of_somebody_elses(stranger, project)

    assert (refused, await blocks(client, stranger), theirs) == ("NOT_FOUND", [], False)
    rows = await fetch(
        "SELECT organization_id FROM project_holds WHERE project_id = {}", project.id
    )
    assert [row["organization_id"] for row in rows] == [actor.organization_id]


async def hold_of_somebody_elses(stranger: Actor, project: Project) -> bool:
    async with transaction() as tx:
        return await hold_project(
            tx, stranger.organization_id, project.id, uuid.uuid4(), "No.", until=None
        )


async def test_what_is_held_is_accepted_waits_says_why_and_goes_out_when_resolved(
    client: Client, sink: Sink, dns: DnsServer
) -> None:
    dns.set("mx.sink.example", "A", "127.0.0.1")
    dns.set("dest.example", "MX", "10 mx.sink.example")
    actor, organization, project = await held()
    domain = await make_domain(organization.id)
    key = await make_api_key(organization, project_id=project.id)
    listener = SubmissionListener(admit, hostname="mail.postlane.test")
    await listener.start(Address("127.0.0.1", 0))

    graphql = await client.data(SEND, {"input": letter(domain)}, key=key.secret)
    rest = await client.post(
        "/api/v1/messages/send",
        json={**letter(domain), "stream": "marketing"},
        headers={"x-api-key": key.secret},
    )
    try:
        smtp = await asyncio.to_thread(_submit, listener.port, key.secret, domain)
    finally:
        await listener.stop()
    rows = await fetch(
        "SELECT DISTINCT queue_id FROM deliveries WHERE project_id = {} AND due_at IS NOT NULL",
        project.id,
    )
    async with sending(direct(dns, sink.port)) as outbound:
        await drain_queue(outbound, rows[0]["queue_id"])

    assert (rest.status_code, smtp[0], len(rows)) == (202, 250, 1)
    assert smtp[1].startswith(b"2.0.0 Accepted as ")
    assert sink.messages == []
    message_id = graphql["sendMessage"]["receipt"]["uuid"]
    data = await client.data(WAITS, {"id": message_id}, actor=actor)
    until = (
        await fetch("SELECT expires_at FROM auto_blocks WHERE target_id = {}", str(project.id))
    )[0]["expires_at"]
    assert data["organization"]["message"] == {
        "status": "QUEUED",
        "deliveries": [
            {
                "state": "QUEUED",
                "waits": [
                    {
                        "reason": "PROJECT_HOLD",
                        "until": write_time(until),
                        "detail": "Hard bounce rate 50 % over 1 hour (threshold 10 %).",
                    }
                ],
            }
        ],
    }

    await resolve(client, actor)
    await go_on_releasing()
    async with sending(direct(dns, sink.port)) as outbound:
        await drain_queue(outbound, rows[0]["queue_id"])

    assert len(sink.messages) == 3
    assert await states(client, actor, message_id) == ["DELIVERED"]
    left = await fetch(
        "SELECT state FROM deliveries WHERE project_id = {} AND id IN "
        "(SELECT id FROM deliveries WHERE queue_id = {})",
        project.id,
        rows[0]["queue_id"],
    )
    assert {row["state"] for row in left} == {"delivered"}


def _submit(port: int, secret: str, domain: Domain) -> tuple[int, bytes]:
    message = EmailMessage()
    message["From"], message["To"] = f"shop@{domain.name}", "ada@dest.example"
    message["Subject"] = "Hi"
    message.set_content("Hello.")
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.login("anything", secret)
        client.mail(f"shop@{domain.name}")
        client.rcpt("ada@dest.example")
        return client.data(message.as_bytes(policy=SMTP))


async def test_a_block_that_expires_lets_its_project_go_on(client: Client) -> None:
    actor, organization, project = await held()
    spooled = await make_spooled("a@d.example", organization=organization, project_id=project.id)
    assert await claim_batch(spooled.queue_id) == []

    with clock.frozen(clock.now() + timedelta(hours=4, seconds=1)):
        await end_expired()
        await go_on_releasing()
        claims = await claim_batch(spooled.queue_id)

    assert [claim.message_id for claim in claims] == [spooled.id]
    assert await blocks(client, actor) == []


async def test_a_held_project_leaves_those_beside_it_in_the_queue_alone(database: None) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    many = await make_many(
        [[f"h{n}@d.example"] for n in range(60)],
        organization=organization,
        project_id=project.id,
        due_at=clock.now() - timedelta(hours=1),
    )
    marketing = await make_spooled(
        "m@d.example", organization=organization, project_id=project.id, priority=1
    )
    await hold(organization, project)
    busy = [await make_spooled(f"b{n}@d.example", organization=organization) for n in range(3)]
    queue_id = busy[0].queue_id

    # Fewer at a time than are held before them, as a limit may want it.
    claims = await claim_batch(queue_id, 2) + await claim_batch(queue_id, 5)

    assert {claim.message_id for claim in claims} == {each.id for each in busy}
    assert set(await priorities(*many, marketing)) == {2, 3}
    assert {await each.state() for each in many} == {"queued"}
    assert not await has_due(queue_id)
    await roll_up()
    assert queue_id not in {queue.queue_id for queue in await due_queues()}


async def test_each_held_delivery_is_met_once(database: None) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    spooled = await make_spooled("a@d.example", organization=organization, project_id=project.id)
    await hold(organization, project)
    await claim_batch(spooled.queue_id)

    rows = await fetch(
        "SELECT xmin::text AS version FROM deliveries WHERE message_id = {}", spooled.id
    )
    await claim_batch(spooled.queue_id)

    assert rows == await fetch(
        "SELECT xmin::text AS version FROM deliveries WHERE message_id = {}", spooled.id
    )


async def test_what_goes_on_does_so_in_steps_behind_what_is_due(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "STEP", 2)
    organization = await make_organization()
    project = await make_project(organization)
    before = clock.now() - timedelta(hours=1)
    later = clock.now() + timedelta(hours=2)
    due = await make_many(
        [[f"h{n}@d.example"] for n in range(3)],
        organization=organization,
        project_id=project.id,
        due_at=before,
    )
    block_id = await hold(organization, project)
    await claim_batch(due[0].queue_id)
    await fetch(
        "UPDATE deliveries SET due_at = {}, state = 'deferred' WHERE message_id = {}",
        later,
        due[0].id,
    )
    busy = await make_spooled("b@d.example", organization=organization)
    await go_on_releasing()
    while_held = await priorities(*due)
    await release(organization, block_id)
    is_seen = (await fetch(f"SELECT {ANY_WAITING} AS yes", *waiting_at(clock.now())))[0]["yes"]

    await go_on_releasing()
    after_one_step = sorted(await priorities(*due))
    await go_on_releasing()

    assert (while_held, is_seen, after_one_step) == ([2, 2, 2], True, [0, 0, 2])
    assert await priorities(*due) == [0, 0, 0]
    assert (await due[0].delivery()).due_at == later
    assert (await due[1].delivery()).due_at > (await busy.delivery()).due_at
    assert [c.message_id for c in await claim_batch(busy.queue_id, 1)] == [busy.id]


async def test_a_block_that_ends_while_drains_claim_leaves_nothing_behind(database: None) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    many = await make_many(
        [[f"h{n}@d.example"] for n in range(120)],
        organization=organization,
        project_id=project.id,
    )
    queue_id = many[0].queue_id
    claimed: list[uuid.UUID] = []

    async def drain() -> None:
        for _ in range(12):
            claimed.extend(claim.message_id for claim in await claim_batch(queue_id, 5))

    async def switch() -> None:
        for _ in range(5):
            await release(organization, await hold(organization, project))
            await go_on_releasing()

    await asyncio.gather(drain(), drain(), switch(), drain())
    await go_on_releasing()
    while claims := await claim_batch(queue_id):
        claimed.extend(claim.message_id for claim in claims)

    assert len(claimed) == len(set(claimed)) == 120
    assert set(claimed) == {each.id for each in many}


async def test_what_is_on_the_wire_when_the_hold_begins_ends_as_it_does(database: None) -> None:
    organization = await make_organization()
    project = await default_project(organization)
    spooled = await make_spooled("a@d.example", organization=organization)
    (claim,) = await claim_batch(spooled.queue_id)
    await hold(organization, project)
    await claim_batch(spooled.queue_id)
    still = await spooled.delivery()
    await lose_lease(spooled)

    assert await claim_batch(spooled.queue_id) == []
    late = await spooled.delivery()
    assert (still.state, still.priority, still.attempts) == ("sending", 0, 1)
    # Its worker may still say what came of it, so that it does not go out twice.
    assert (late.state, late.priority, late.attempts) == ("sending", 2, claim.attempt)


async def test_held_mail_expires_once_its_time_is_up(database: None) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    soon, later = (clock.now() + timedelta(minutes=n) for n in (5, 50))
    short, long = [
        await make_spooled(
            f"{name}@d.example",
            organization=organization,
            project_id=project.id,
            expires_at=at,
        )
        for name, at in (("short", soon), ("long", later))
    ]
    await hold(organization, project)
    await claim_batch(short.queue_id)
    await roll_up()

    with clock.frozen(clock.now() + timedelta(minutes=6)):
        await expire_waiting()

    assert [await short.state(), await long.state()] == ["expired", "queued"]
    assert (await short.events(), (await short.delivery()).attempts) == (["message.expired"], 0)
    assert await priorities(long) == [2]


async def test_the_pages_say_what_holds_a_message_and_what_to_do(client: Client) -> None:
    browser, organization = await member(client)
    project = await default_project(organization)
    await breach(await make_actor(organization), project)
    domain = await make_domain(organization.id)
    key = await make_api_key(organization)
    sent = await client.data(SEND, {"input": letter(domain)}, key=key.secret)
    home = f"/o/{organization.slug}"

    shown = await browser.get(f"{home}/messages/{sent['sendMessage']['receipt']['uuid']}")
    listed = await browser.get(f"{home}/security?scope=PROJECT")

    assert "an auto-block holds the project." in shown.text
    assert "Hard bounce rate 50 % over 1 hour (threshold 10 %)." in shown.text
    assert f"{home}/security?scope=PROJECT" in shown.text
    assert "accepted and waits" in listed.text
    assert "default" in listed.text


async def test_postmta_lists_and_resolves_it(client: Client) -> None:
    _, organization, project = await held()
    key = await make_api_key(organization)
    headers = {"x-api-key": key.secret}

    rules = await client.get("/api/v1/security/auto-block/rules?scope=project", headers=headers)
    active = await client.get("/api/v1/security/auto-block/active?scope=project", headers=headers)
    id = active.json()["data"][0]["id"]
    done = await client.post(f"/api/v1/security/auto-block/{id}/resolve", headers=headers)

    assert [(rule["key"], rule["action"]) for rule in rules.json()["data"]] == [
        ("project_bounce_rate", "hold_project")
    ]
    assert active.json()["data"][0]["target"] == {"id": str(project.id), "name": project.slug}
    assert (done.status_code, done.json()["status"]) == (200, "resolved")
    assert await fetch("SELECT FROM project_holds WHERE project_id = {}", project.id) == []


def test_no_file_lets_a_rule_stop_what_it_is_not_about(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text('[volume_spike]\naction = "hold_project"\n', "utf-8")

    with settings_with(auto_block_file=str(path)), pytest.raises(SettingsError) as error:
        all_rules()

    assert "hold_project cannot stop" in str(error.value)
