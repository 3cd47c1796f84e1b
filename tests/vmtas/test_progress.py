"""How far warm-ups are: each vMTA with its own numbers, asked for together."""

from datetime import timedelta
from typing import Any

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch, transaction
from postlane.delivery.work import Claim, Settlement, claim_batch, settle_batch
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.mail.outcome import outcome_of_reply
from postlane.vmtas.tables import Vmta, WarmupDay
from tests.client import Client
from tests.factories import make_actor, make_domain

SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { uuid } } }"
PROGRESS = """{ organization { vmtas { nodes { name warmupProgress {
    sentToday history { day } adjustments { reason }
    health { delivered24h hardBounceRate deferralRate complaintRate } } } } } }"""


async def attempt(client: Client, actor: Actor, vmta: str, *replies: str) -> list[Claim]:
    """Send to one recipient for each reply, which is what the attempt ends with."""
    domain = await make_domain(actor.organization_id)
    to = [f"r{number}@dest.example" for number in range(len(replies))]
    body = {"from": f"shop@{domain.name}", "to": to, "subject": "Hello", "text": "Hello."}
    await client.data(SEND, {"input": body | {"vmta": vmta}}, actor=actor)
    queues = await fetch(
        "SELECT queues.id FROM queues JOIN vmtas ON vmtas.id = vmta_id "
        "WHERE queues.organization_id = {} AND vmtas.name = {}",
        actor.organization_id,
        vmta,
    )
    claims = [claim for row in queues for claim in await claim_batch(row["id"])]
    settlements = []
    for claim, reply in zip(claims, replies, strict=True):
        code, text = reply.split(" ", 1)
        outcome = outcome_of_reply(int(code), text, started_at=clock.now())
        settlements.append(Settlement(claim, vmta, outcome))
    await settle_batch(settlements)
    return claims


async def complain(claim: Claim) -> None:
    event = NewEvent(
        claim.organization_id,
        claim.project_id,
        claim.message_id,
        claim.delivery_id,
        EventType.MESSAGE_COMPLAINED,
        {},
        clock.now(),
    )
    async with transaction() as tx:
        await append(tx, [event])


async def remember_days(vmta: Vmta, count: int, action: str) -> None:
    """Let *count* days be over, the last of them yesterday."""
    today = clock.now().date()
    for day in range(1, count + 1):
        await WarmupDay(
            vmta_id=vmta.id,
            ended_on=today - timedelta(days=count + 1 - day),
            day=day,
            sent=0,
            rerouted=0,
            action=action,
            reason=None if action == "advance" else f"{vmta.name} day {day}",
        ).save()


async def progress(client: Client, actor: Actor) -> dict[str, Any]:
    data = await client.data(PROGRESS, actor=actor)
    nodes = data["organization"]["vmtas"]["nodes"]
    return {node["name"]: node["warmupProgress"] for node in nodes}


async def test_each_vmta_shows_its_own_numbers_and_days(client: Client) -> None:
    actor = await make_actor()
    first = Vmta(organization_id=actor.organization_id, name="tx-1")
    second = Vmta(organization_id=actor.organization_id, name="tx-2")
    await first.save()
    await second.save()
    await remember_days(first, 101, "advance")
    await remember_days(second, 2, "repeat_day")
    delivered, bounced = "250 2.0.0 Ok", "550 5.1.1 No such user"
    claims = await attempt(client, actor, "tx-1", delivered, delivered, bounced, bounced)
    await attempt(client, actor, "tx-2", delivered, "450 4.2.1 Later")
    await complain(claims[0])

    found = await progress(client, actor)

    # The latest hundred, the earliest first.
    assert [each["day"] for each in found["tx-1"].pop("history")] == list(range(2, 102))
    assert [each["day"] for each in found["tx-2"].pop("history")] == [1, 2]
    assert found["default"].pop("history") == []
    assert found["tx-1"] == {
        "sentToday": 4,
        "adjustments": [],
        "health": {
            "delivered24h": 2,
            "hardBounceRate": 50.0,
            "deferralRate": 0.0,
            "complaintRate": 50.0,
        },
    }
    assert found["tx-2"] == {
        "sentToday": 2,
        "adjustments": [{"reason": "tx-2 day 1"}, {"reason": "tx-2 day 2"}],
        "health": {
            "delivered24h": 1,
            "hardBounceRate": 0.0,
            "deferralRate": 50.0,
            "complaintRate": 0.0,
        },
    }


async def test_of_a_shared_vmta_only_ones_own_mail_is_counted(client: Client) -> None:
    actor, stranger = await make_actor(), await make_actor()
    claims = await attempt(client, stranger, "default", "250 2.0.0 Ok")
    await complain(claims[0])

    ours, theirs = await progress(client, actor), await progress(client, stranger)

    assert theirs["default"]["health"]["complaintRate"] == 100.0
    assert ours["default"]["sentToday"] == 0
    assert set(ours["default"]["health"].values()) == {0}
