"""Erasing one person: what is left says nothing of them, and everybody else's stays."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor, ProjectId, Role
from postlane.core.database import fetch
from postlane.delivery.work import Claim, Settlement, claim_batch, settle_batch
from postlane.mail.outcome import Outcome, outcome_of_reply
from postlane.messages.work import ask_for_open_erasures, run_erasure
from postlane.tracking.tokens import Recipient
from postlane.tracking.work.unsubscribing import leave
from tests.client import Client
from tests.credits.books import give, left
from tests.factories import default_project, make_actor, make_domain, make_organization

ERASE = """
    mutation ($input: EraseRecipientInput!) { eraseRecipient(input: $input) {
      erasure { uuid stopsMail completedAt } } }
"""
SHOW = """
    { organization { erasures { nodes {
      deliveries events suppressions waiting completedAt } } } }
"""
SEND = """
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
      receipt { uuid suppressed recipients { uuid address state } } } }
"""
ADA = "Ada.Lovelace@dest.example"


@pytest.fixture
async def actor(database: None) -> Actor:
    """Somebody with credits."""
    made = await make_actor(await make_organization(plan="trial"))
    await give(made.organization_id, 20)
    return made


async def send(client: Client, actor: Actor, *to: str, **said: Any) -> dict[str, Any]:
    domain = await make_domain(actor.organization_id)
    body = {
        "from": f"shop@{domain.name}",
        "to": list(to),
        "subject": f"For {to[0]}",
        "text": f"Dear {to[0]}",
        "metadata": {"customer": "4711"},
        **said,
    }
    data = await client.data(SEND, {"input": body}, actor=actor)
    receipt: dict[str, Any] = data["sendMessage"]["receipt"]
    return receipt


async def claim(message: str) -> list[Claim]:
    queues = await fetch(
        "SELECT DISTINCT queue_id FROM deliveries WHERE message_id = {}", uuid.UUID(message)
    )
    return [each for row in queues for each in await claim_batch(row["queue_id"])]


def reply(code: int, text: str) -> Outcome:
    return outcome_of_reply(code, text, started_at=clock.now(), duration=timedelta(milliseconds=5))


async def settle(claims: list[Claim], outcome: Outcome) -> None:
    await settle_batch([Settlement(each, "default", outcome) for each in claims])


async def erase(client: Client, actor: Actor, address: str = ADA, **how: Any) -> uuid.UUID:
    """Ask for it, and do what the job does."""
    asked = {"input": {"address": address, **how}}
    data = await client.data(ERASE, asked, actor=actor)
    id = uuid.UUID(data["eraseRecipient"]["erasure"]["uuid"])
    await run_erasure(id)
    return id


async def shown(client: Client, actor: Actor) -> list[dict[str, Any]]:
    data = await client.data(SHOW, actor=actor)
    nodes: list[dict[str, Any]] = data["organization"]["erasures"]["nodes"]
    return nodes


async def tables_that_mention(text: str) -> set[str]:
    """Return the tables with a row in which *text* stands, whatever its case."""
    tables = await fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'saq%'"
    )
    found = set()
    for row in tables:
        # A body is shown in hexadecimal.
        sql = (
            f"SELECT 1 FROM {row['tablename']} AS t WHERE position(lower({{}}) IN lower(t::text)) "
            "> 0 OR position(encode(convert_to({}, 'UTF8'), 'hex') IN t::text) > 0 LIMIT 1"
        )
        if await fetch(sql, text, text.title()):  # type: ignore[arg-type]
            found.add(row["tablename"])
    return found


@pytest.mark.slow
async def test_nothing_says_the_address_any_more(client: Client, actor: Actor) -> None:
    name = f"ada.{uuid.uuid4().hex[:8]}"
    address = f"{name.title()}@dest.example"
    delivered = await send(client, actor, address)
    await settle(await claim(delivered["uuid"]), reply(250, f"2.0.0 OK <{address}> queued"))
    bounced = await send(client, actor, address)
    await settle(await claim(bounced["uuid"]), reply(550, f"5.1.1 <{address}>: no such user"))
    other = await make_actor()
    await give(other.organization_id, 5)
    await client.data(
        'mutation ($a: EmailAddress!) { addSuppression(input: {address: $a, description: "Ada"}) '
        "{ suppression { uuid } } chooseTracking(input: {address: $a, opens: false}) "
        "{ choice { uuid } } }",
        {"a": address},
        actor=actor,
    )
    before = await tables_that_mention(name)
    assert before >= {
        "attempts",
        "audit_entries",
        "contents",
        "deliveries",
        "events",
        "messages",
        "suppressions",
        "tracking_choices",
    }

    await erase(client, actor, address)

    assert await tables_that_mention(name) == set()
    (found,) = await shown(client, actor)
    assert found["completedAt"] is not None
    assert (found["deliveries"], found["suppressions"], found["waiting"]) == (2, 2, 0)
    assert found["events"] >= 4
    # What happened is still known, and when.
    rows = await fetch(
        "SELECT type, data FROM events WHERE message_id = {} ORDER BY position",
        uuid.UUID(bounced["uuid"]),
    )
    assert [row["type"] for row in rows][-1] == "message.bounced"
    last = json.loads(rows[-1]["data"])
    assert last["smtp_code"] == 550
    assert "smtp_response" not in last


async def test_another_organization_keeps_what_it_has(client: Client, actor: Actor) -> None:
    other = await make_actor()
    receipt = await send(client, other, ADA)

    await erase(client, actor)

    assert await shown(client, other) == []
    rows = await fetch(
        "SELECT address, state FROM deliveries WHERE message_id = {}", uuid.UUID(receipt["uuid"])
    )
    assert rows == [{"address": ADA, "state": "queued"}]


async def test_mail_to_them_stays_stopped_by_a_hash(client: Client, actor: Actor) -> None:
    await erase(client, actor)

    stopped = await send(client, actor, ADA.lower(), "bob@dest.example")
    rows = await fetch(
        "SELECT address, address_key, reason FROM suppressions WHERE organization_id = {}",
        actor.organization_id,
    )
    found = await client.data(
        "query ($a: EmailAddress!) { organization { suppressions(filter: {address: $a}) "
        "{ nodes { address reason } } } }",
        {"a": ADA},
        actor=actor,
    )
    again = await client.data(
        "mutation ($a: EmailAddress!) { removeSuppression(input: {suppression: {address: $a}}) "
        "{ removed } }",
        {"a": ADA},
        actor=actor,
    )
    sent = await send(client, actor, ADA)

    assert [each["state"] for each in stopped["recipients"]] == ["SUPPRESSED", "QUEUED"]
    (row,) = rows
    assert row["reason"] == "erased"
    assert row["address"].endswith("@erased.invalid")
    assert "ada" not in row["address"] + row["address_key"]
    assert found["organization"]["suppressions"]["nodes"] == [
        {"address": row["address"], "reason": "ERASED"}
    ]
    assert again == {"removeSuppression": {"removed": 1}}
    assert sent["suppressed"] == 0


async def test_who_was_not_stopped_may_be_written_to_again(client: Client, actor: Actor) -> None:
    await client.data(
        "mutation ($a: EmailAddress!) { addSuppression(input: "
        "{address: $a, reason: UNSUBSCRIBE}) { suppression { uuid } } }",
        {"a": ADA},
        actor=actor,
    )

    await erase(client, actor, stopsMail=False)

    transactional = await send(client, actor, ADA)
    marketing = await send(client, actor, ADA, stream="MARKETING")
    assert (transactional["suppressed"], marketing["suppressed"]) == (0, 1)


async def test_mail_that_has_not_left_is_cancelled_and_paid_back(
    client: Client, actor: Actor
) -> None:
    receipt = await send(client, actor, ADA, "bob@dest.example")
    assert sum((await left(actor.organization_id)).values()) == 18

    await erase(client, actor)
    (waiting,) = await shown(client, actor)
    claims = await claim(receipt["uuid"])
    await settle(claims, reply(250, "2.0.0 OK"))
    await ask_for_open_erasures(limit=100)
    rows = await fetch("SELECT id FROM erasures WHERE organization_id = {}", actor.organization_id)
    await run_erasure(rows[0]["id"])

    assert sum((await left(actor.organization_id)).values()) == 19
    # Bob gets his mail, and it is needed until then.
    assert (waiting["waiting"], waiting["completedAt"]) == (1, None)
    assert [each.address for each in claims] == ["bob@dest.example"]
    (done,) = await shown(client, actor)
    assert done["waiting"] == 0
    assert done["completedAt"] is not None
    rows = await fetch(
        "SELECT state, address FROM deliveries WHERE message_id = {} ORDER BY state",
        uuid.UUID(receipt["uuid"]),
    )
    assert [row["state"] for row in rows] == ["cancelled", "delivered"]
    assert rows[0]["address"].endswith("@erased.invalid")
    assert rows[1]["address"] == "bob@dest.example"
    message = await fetch(
        "SELECT recipients, subject, metadata FROM messages WHERE id = {}",
        uuid.UUID(receipt["uuid"]),
    )
    assert json.loads(message[0]["recipients"])["to"] == [rows[0]["address"], "bob@dest.example"]


async def test_mail_on_the_wire_is_erased_when_it_has_arrived(client: Client, actor: Actor) -> None:
    receipt = await send(client, actor, ADA)
    claims = await claim(receipt["uuid"])

    id = await erase(client, actor)
    (waiting,) = await shown(client, actor)
    await settle(claims, reply(250, f"2.0.0 OK {ADA}"))
    await run_erasure(id)

    # Its content and itself.
    assert (waiting["waiting"], waiting["completedAt"]) == (1, None)
    (done,) = await shown(client, actor)
    assert (done["waiting"], done["deliveries"]) == (0, 1)
    rows = await fetch(
        "SELECT state, address, reply FROM deliveries WHERE message_id = {}",
        uuid.UUID(receipt["uuid"]),
    )
    assert rows[0]["state"] == "delivered"
    assert rows[0]["reply"] is None
    assert rows[0]["address"].endswith("@erased.invalid")


async def test_the_audit_log_says_that_somebody_was_erased_and_not_who(
    client: Client, actor: Actor
) -> None:
    id = await erase(client, actor)

    rows = await fetch(
        "SELECT action, target_id, changes FROM audit_entries WHERE organization_id = {} "
        "AND action = 'recipient.erased'",
        actor.organization_id,
    )
    assert [(row["target_id"], json.loads(row["changes"])) for row in rows] == [
        (str(id), {"stops_mail": True})
    ]


async def test_twice_is_once_and_new_mail_is_erased_too(client: Client, actor: Actor) -> None:
    await send(client, actor, ADA)
    first = await erase(client, actor, stopsMail=False)
    await run_erasure(first)
    await send(client, actor, ADA)
    await erase(client, actor)

    assert [each["deliveries"] for each in await shown(client, actor)] == [1, 1]
    rows = await fetch(
        "SELECT count(*) AS n FROM suppressions WHERE organization_id = {}", actor.organization_id
    )
    assert rows[0]["n"] == 1


async def test_leaving_by_an_old_link_keeps_no_address_again(client: Client, actor: Actor) -> None:
    await erase(client, actor)
    project = await fetch(
        "SELECT id FROM projects WHERE organization_id = {}", actor.organization_id
    )

    await leave(
        Recipient(
            actor.organization_id, ProjectId(project[0]["id"]), uuid.uuid4(), uuid.uuid4(), ADA
        ),
        method="one_click",
    )

    rows = await fetch(
        "SELECT reason FROM suppressions WHERE organization_id = {}", actor.organization_id
    )
    assert rows == [{"reason": "erased"}]


async def test_who_may_not_erase_erases_nothing(client: Client, actor: Actor) -> None:
    organization = await make_organization()
    project = await default_project(organization)
    bound = await make_actor(organization, project_id=ProjectId(project.id))
    developer = await make_actor(organization, role=Role.DEVELOPER)
    asked = {"input": {"address": ADA}}

    refusals = [
        await client.refusal(ERASE, asked, actor=bound),
        await client.refusal(ERASE, asked, actor=developer),
        await client.refusal(ERASE, {"input": {"address": "nobody"}}, actor=actor),
    ]

    assert refusals == ["INSUFFICIENT_ROLE", "INSUFFICIENT_ROLE", "INVALID_INPUT"]
    rows = await fetch(
        "SELECT count(*) AS n FROM erasures WHERE organization_id = ANY({}::uuid[])",
        [organization.id, actor.organization_id],
    )
    assert rows[0]["n"] == 0
