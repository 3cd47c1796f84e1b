"""A first day with Postlane over GraphQL, with the client that Python has for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gql.transport.exceptions import TransportQueryError

from .documents import (
    CANCEL,
    CREATE_DOMAIN,
    CREATE_KEY,
    DELETE_KEY,
    LIST,
    LOG_IN,
    REGISTER,
    ROTATE_DKIM,
    ROTATE_KEY,
    SEND,
    SEND_MANY,
    VERIFY_DOMAIN,
    VIEWER,
)
from .matching import DKIM, KEY, PREFIX, TOKEN, Like
from .people import People, Person
from .stack import PASSWORD, World

pytestmark = pytest.mark.slow

GLOBAL_ID = Like(r"[A-Za-z0-9+/_-]{10,}={0,2}")
INSTANT = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z")


@pytest.fixture(scope="module")
async def people(world: World) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:
        yield People(world, stack)


@pytest.fixture(scope="module")
async def shop(world: World, people: People) -> Person:
    """Somebody with a verified domain, who sends an API key."""
    owner = await people.sign_up()
    name = world.name()
    domain = (await owner.do(CREATE_DOMAIN, name=name))["domain"]
    world.publish(domain["records"])
    assert (await verify(owner, domain["id"]))["domain"]["canSend"] is True
    made = await owner.do(CREATE_KEY, name="Web shop", scopes=["*"])
    shop = await people.somebody(made["key"])
    shop.domain, shop.domain_id = name, domain["id"]
    return shop


async def verify(person: Person, domain_id: str) -> Any:
    """Verify a domain; once more later if the answer is that of the last half minute."""
    while True:
        found = await person.do(VERIFY_DOMAIN, domain={"id": domain_id})
        if found["domain"]["canSend"] or not found["cached"]:
            return found
        await asyncio.sleep(11)


async def refusal(person: Person, document: str, **values: Any) -> str:
    """Run a mutation that must be refused, and return the code."""
    with pytest.raises(TransportQueryError) as caught:
        await person.do(document, **values)
    (error,) = caught.value.errors or []
    code: str = error["extensions"]["code"]
    return code


async def test_register_log_in_and_ask_who_one_is(people: People) -> None:
    stranger, asked = await people.stranger(), people.newcomer()

    registered = await stranger.do(REGISTER, **asked)
    logged_in = await stranger.do(LOG_IN, email=asked["email"], password=PASSWORD)
    viewer = (await (await people.somebody(logged_in["token"])).run(VIEWER))["viewer"]
    with pytest.raises(TransportQueryError) as caught:
        await stranger.run(VIEWER)

    assert registered == {
        "token": TOKEN,
        "tokenType": "Bearer",
        "expiresAt": INSTANT,
        "user": {"email": asked["email"], "name": "Ada Admin"},
        "organization": {"name": asked["organizationName"], "plan": "TRIAL"},
    }
    assert logged_in == {"token": TOKEN, "organization": {"name": asked["organizationName"]}}
    assert viewer["user"] == {"email": asked["email"], "role": "OWNER"}
    assert viewer["credential"]["apiKey"] is None
    assert [each["extensions"]["code"] for each in caught.value.errors or []] == [
        "NOT_AUTHENTICATED"
    ]


async def test_a_domain_is_pending_until_its_records_are_published(
    world: World, people: People
) -> None:
    owner, name = await people.sign_up(), world.name()

    domain = (await owner.do(CREATE_DOMAIN, name=name))["domain"]
    world.publish(domain["records"])
    checked = await verify(owner, domain["uuid"])

    assert domain["id"] == GLOBAL_ID
    assert (domain["status"], domain["canSend"]) == ("PENDING", False)
    assert domain["records"][0] == {
        "purpose": "DKIM",
        "type": "TXT",
        "name": f"pmta._domainkey.{name}",
        "value": DKIM,
        "status": "PENDING",
    }
    assert checked["domain"] == {
        "status": "VERIFIED",
        "canSend": True,
        "dkim": {"keys": [{"selector": "pmta", "state": "ACTIVE"}]},
    }
    assert {each["status"] for each in checked["records"]} == {"VERIFIED"}


async def test_a_message_tells_its_whole_story(world: World, shop: Person) -> None:
    to, blind = f"ada@{world.name()}", f"eve@{world.name()}"

    sent = await shop.do(SEND, **shop.message(to, bcc=[blind]))
    message = await shop.delivered(sent["message"]["id"])

    receipt = sent["receipt"]
    assert (receipt["status"], receipt["accepted"], receipt["creditsConsumed"]) == ("QUEUED", 2, 2)
    assert receipt["recipients"] == [
        {"address": to, "kind": "TO", "state": "QUEUED"},
        {"address": blind, "kind": "BCC", "state": "QUEUED"},
    ]
    assert (message["subject"], message["completedAt"]) == ("Hello", INSTANT)
    for delivery, address in zip(message["deliveries"], (to, blind), strict=True):
        assert (delivery["address"], delivery["state"]) == (address, "DELIVERED")
        (attempt,) = delivery["attempts"]
        transcript = attempt.pop("transcript")
        assert attempt == {
            "number": 1,
            "verdict": "DELIVERED",
            "code": 250,
            "enhancedCode": "2.0.0",
            "reply": "2.0.0 Taken",
            "mxHost": "mx.sink.example",
            "mxAddress": "127.0.0.1",
            "tlsVersion": None,
        }
        said = "\n".join(transcript)
        assert f"RCPT TO:<{address}>" in said
        assert "250 2.0.0 Taken" in said
        assert "Hello!" not in said
    assert sorted(event["type"] for event in message["events"]) == sorted(
        ["MESSAGE_QUEUED", "MESSAGE_SENT", "MESSAGE_DELIVERED"] * 2
    )
    assert {
        event["data"]["smtp_response"]
        for event in message["events"]
        if event["type"] == "MESSAGE_DELIVERED"
    } == {"250 2.0.0 Taken"}
    (received,) = await world.mail_for(blind)
    assert blind.encode() not in received.data


async def test_a_batch_is_listed_page_by_page(world: World, shop: Person) -> None:
    batch = world.name()
    messages = [shop.message(f"a{number}@{batch}") for number in range(3)]
    messages.append(shop.message("not-an-address"))

    sent = await shop.do(SEND_MANY, messages=messages, batchId=batch)
    first = await shop.run(LIST, filter={"batchId": batch})
    page = first["organization"]["messages"]
    after = page["pageInfo"]["endCursor"]
    second = await shop.run(LIST, filter={"batchId": batch}, after=after)

    assert sent == {"batchId": batch, "accepted": 3, "rejected": 1, "creditsConsumed": 3}
    assert page["pageInfo"]["hasNextPage"] is True
    pages = [page, second["organization"]["messages"]]
    assert [[node["to"] for node in each["nodes"]] for each in pages] == [
        [[f"a2@{batch}"], [f"a1@{batch}"]],
        [[f"a0@{batch}"]],
    ]
    assert pages[1]["pageInfo"]["hasNextPage"] is False


async def test_a_scheduled_message_is_cancelled_and_its_credits_come_back(
    world: World, shop: Person
) -> None:
    before = await shop.balance()
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    sent = await shop.do(SEND, **shop.message(f"ada@{world.name()}", sendAt=later))
    during = await shop.balance()

    cancelled = await shop.do(CANCEL, id=sent["message"]["id"], reason="Too early.")

    assert sent["receipt"]["status"] == "SCHEDULED"
    assert during == before - 1
    assert cancelled == {
        "status": "CANCELLED",
        "cancelled": 1,
        "creditsRefunded": 1,
        "message": {"completedAt": INSTANT},
    }
    assert await shop.balance() == before


async def test_a_rotated_key_works_on_and_a_deleted_one_never_again(
    people: People, shop: Person
) -> None:
    made = await shop.do(CREATE_KEY, name="Temporary", scopes=["messages:read"])
    old = await people.somebody(made["key"])

    rotated = await shop.do(ROTATE_KEY, apiKeyId=made["apiKey"]["id"], gracePeriodSeconds=600)
    new = await people.somebody(rotated["key"])
    viewers = [(await each.run(VIEWER))["viewer"] for each in (old, new)]
    widening = await refusal(new, CREATE_KEY, name="More", scopes=["*"])
    await shop.do(DELETE_KEY, apiKeyId=made["apiKey"]["id"])

    assert made["key"] == KEY
    assert made["apiKey"]["prefix"] == PREFIX
    assert rotated["apiKey"] == {
        "uuid": made["apiKey"]["uuid"],
        "status": "ROTATING",
        "previousKey": {"prefix": made["apiKey"]["prefix"]},
    }
    assert [viewer["credential"]["scopes"] for viewer in viewers] == [["messages:read"]] * 2
    assert widening == "INSUFFICIENT_SCOPE"
    for each in (old, new):
        with pytest.raises(TransportQueryError) as caught:
            await each.run(VIEWER)
        (error,) = caught.value.errors or []
        assert error["extensions"]["code"] == "INVALID_API_KEY"


async def test_a_new_dkim_key_takes_over_once_its_record_is_seen(
    world: World, shop: Person
) -> None:
    rotated = await shop.do(ROTATE_DKIM, domain={"name": shop.domain}, selector="next")
    again = await refusal(shop, ROTATE_DKIM, domain={"name": shop.domain})
    world.publish(rotated["domain"]["records"])
    checked = await verify(shop, shop.domain_id)

    def states(domain: Any) -> dict[str, str]:
        return {key["selector"]: key["state"] for key in domain["dkim"]["keys"]}

    assert states(rotated["domain"]) == {"pmta": "ACTIVE", "next": "PENDING"}
    assert again == "ROTATION_IN_PROGRESS"
    assert states(checked["domain"]) == {"pmta": "RETIRING", "next": "ACTIVE"}
