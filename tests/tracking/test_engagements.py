"""Opens and clicks as they are shown: counted for messages and deliveries, and one by one."""

from datetime import datetime, timedelta
from typing import Any

from postlane.core import clock
from postlane.core.actor import Actor, ProjectId
from postlane.core.database import fetch
from postlane.tracking.tokens import Recipient
from postlane.tracking.work.linking import links_of
from tests.client import Client
from tests.factories import make_actor, make_domain, make_organization, make_project
from tests.tracking.hits import BOTH, PERSON, Mailed, ask, settle

SEND = """
    mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
      receipt { uuid recipients { uuid address } } } }
"""
COUNTS = "opens clicks machineOpens botClicks"
ENGAGEMENT = (
    "kind deliveryUuid byMachine machine isFirst isImplied url linkIndex userAgent ip simulated"
)
SHOW = f"""
    query ($id: ID!, $kinds: [EngagementKind!], $machine: Boolean, $first: Int, $after: String) {{
      organization {{ message(id: $id) {{ {COUNTS}
        engagements(kinds: $kinds, byMachine: $machine, first: $first, after: $after) {{
          nodes {{ {ENGAGEMENT} }} pageInfo {{ hasNextPage endCursor }} }}
        deliveries {{ address {COUNTS} firstOpenedAt engagements {{ nodes {{ kind }} }} }}
      }} }} }}
"""


async def sent(client: Client, actor: Actor, *to: str) -> tuple[str, list[Mailed]]:
    """Send a message, and return it as its recipients have it."""
    domain = await make_domain(actor.organization_id)
    body = {"from": f"shop@{domain.name}", "to": list(to), "subject": "Hello", "text": "x"}
    data = await client.data(SEND, {"input": body}, actor=actor)
    receipt = data["sendMessage"]["receipt"]
    rows = await fetch(
        "UPDATE events SET type = 'message.delivered', occurred_at = {} "
        "WHERE message_id = {}::text::uuid RETURNING project_id, message_id, delivery_id",
        clock.now() - timedelta(hours=1),
        receipt["uuid"],
    )
    ids = {str(row["delivery_id"]): row for row in rows}
    mails = []
    for each in receipt["recipients"]:
        row = ids[each["uuid"]]
        recipient = Recipient(
            actor.organization_id,
            ProjectId(row["project_id"]),
            row["message_id"],
            row["delivery_id"],
            each["address"],
        )
        links = links_of(recipient, BOTH, host=None, aggregate=False)
        mails.append(Mailed(recipient, links, clock.now() - timedelta(hours=1)))
    return receipt["uuid"], mails


async def show(client: Client, actor: Actor, id: str, **asked: Any) -> Any:
    data = await client.data(SHOW, {"id": id, **asked}, actor=actor)
    return data["organization"]["message"]


async def test_people_and_machines_are_counted_apart_for_each_recipient(
    client: Client, frozen: datetime
) -> None:
    actor = await make_actor()
    id, (ada, bob) = await sent(client, actor, "ada@dest.example", "bob@dest.example")

    await ask(client, ada.pixel, at=frozen, agent="Mozilla/5.0")
    await ask(client, ada.link(0), at=frozen + timedelta(minutes=1))
    await ask(client, ada.link(1), at=frozen + timedelta(minutes=2))
    await ask(client, bob.link(0), at=frozen + timedelta(minutes=3), agent="curl/8.5.0")
    await settle(at=frozen + timedelta(minutes=9))

    found = await show(client, actor, id)
    counts = {name: found[name] for name in COUNTS.split()}
    assert counts == {"opens": 1, "clicks": 2, "machineOpens": 1, "botClicks": 1}
    assert [
        ([each[name] for name in COUNTS.split()], each["firstOpenedAt"])
        for each in found["deliveries"]
    ] == [([1, 2, 1, 0], "2026-06-01T12:01:00.000Z"), ([0, 0, 0, 1], None)]
    assert [len(each["engagements"]["nodes"]) for each in found["deliveries"]] == [4, 1]
    assert found["engagements"]["nodes"][2] == {
        "kind": "CLICK",
        "deliveryUuid": str(ada.recipient.delivery_id),
        "byMachine": False,
        "machine": None,
        "isFirst": True,
        "isImplied": False,
        "url": "https://shop.example/a",
        "linkIndex": 0,
        "userAgent": PERSON,
        "ip": client.address.rpartition("::")[0] + "::",
        "simulated": False,
    }


async def test_a_list_is_walked_page_by_page_and_narrowed(client: Client, frozen: datetime) -> None:
    actor = await make_actor()
    id, (ada,) = await sent(client, actor, "ada@dest.example")
    for number in range(4):
        at = frozen + timedelta(minutes=2 * number)
        await ask(client, ada.pixel, at=at)
        await ask(client, ada.link(number), at=at, agent="Mimecast" if number else PERSON)
    await settle(at=frozen + timedelta(minutes=20))

    pages, after = [], None
    while True:
        page = (await show(client, actor, id, first=3, after=after))["engagements"]
        pages.append([node["kind"] for node in page["nodes"]])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    clicks = await show(client, actor, id, kinds=["CLICK"], machine=True)
    people = await show(client, actor, id, machine=False)

    assert pages == [["OPEN", "CLICK", "OPEN"], ["CLICK", "OPEN", "CLICK"], ["OPEN", "CLICK"]]
    assert [n["machine"] for n in clicks["engagements"]["nodes"]] == ["scanner"] * 3
    assert [n["kind"] for n in people["engagements"]["nodes"]] == [
        "OPEN",
        "CLICK",
        "OPEN",
        "OPEN",
        "OPEN",
    ]


async def test_a_key_of_another_project_sees_nothing(client: Client, frozen: datetime) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    other = await make_project(organization)
    bound = await make_actor(organization, project_id=ProjectId(other.id))
    id, (ada,) = await sent(client, actor, "ada@dest.example")
    await ask(client, ada.pixel, at=frozen)
    await settle(at=frozen + timedelta(minutes=1))

    assert await client.refusal(SHOW, {"id": id}, actor=bound) == "NOT_FOUND"
    assert (await show(client, actor, id))["opens"] == 1
