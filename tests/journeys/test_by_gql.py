"""A first day with Postlane over GraphQL, with the client that Python has for it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport

from .matching import DKIM, KEY, PREFIX, TOKEN, Like
from .stack import PASSWORD, World

pytestmark = pytest.mark.slow

GLOBAL_ID = Like(r"[A-Za-z0-9+/_-]{10,}={0,2}")
INSTANT = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z")

REGISTER = """
mutation ($input: RegisterInput!) {
  register(input: $input) {
    token tokenType expiresAt user { email name } organization { name plan }
  }
}
"""
LOG_IN = """
mutation ($input: LogInInput!) { logIn(input: $input) { token organization { name } } }
"""
VIEWER = """
{
  viewer {
    user { email role } organization { name }
    credential { kind mode scopes apiKey { prefix } }
  }
}
"""
CREATE_KEY = """
mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { key apiKey { id uuid prefix status } }
}
"""
ROTATE_KEY = """
mutation ($input: RotateApiKeyInput!) {
  rotateApiKey(input: $input) { key apiKey { uuid status previousKey { prefix } } }
}
"""
DELETE_KEY = """
mutation ($input: DeleteApiKeyInput!) { deleteApiKey(input: $input) { deletedId } }
"""
CREATE_DOMAIN = """
mutation ($input: CreateDomainInput!) {
  createDomain(input: $input) {
    domain { id uuid name status canSend records { purpose type name value status } }
  }
}
"""
VERIFY_DOMAIN = """
mutation ($input: VerifyDomainInput!) {
  verifyDomain(input: $input) {
    cached records { purpose status }
    domain { status canSend dkim { keys { selector state } } }
  }
}
"""
ROTATE_DKIM = """
mutation ($input: RotateDomainDkimInput!) {
  rotateDomainDkim(input: $input) {
    domain { dkim { keys { selector state } } records { type name value } }
  }
}
"""
SEND = """
mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) {
    receipt {
      status accepted creditsConsumed creditsRemaining recipients { address kind state }
    }
    message { id }
  }
}
"""
SEND_MANY = """
mutation ($input: SendMessagesInput!) {
  sendMessages(input: $input) { batchId accepted rejected creditsConsumed }
}
"""
CANCEL = """
mutation ($input: CancelMessageInput!) {
  cancelMessage(input: $input) { status cancelled creditsRefunded message { completedAt } }
}
"""
TIMELINE = """
query ($id: ID!) {
  organization {
    message(id: $id) {
      status subject completedAt
      deliveries {
        address state attemptCount
        attempts { number verdict code enhancedCode reply mxHost mxAddress tlsVersion transcript }
      }
      events { type data }
    }
  }
}
"""
LIST = """
query ($filter: MessageFilter, $after: String) {
  organization {
    messages(filter: $filter, first: 2, after: $after) {
      nodes { to } pageInfo { hasNextPage endCursor }
    }
  }
}
"""
BALANCES = "{ organization { credits { balances { type balance usedThisPeriod } } } }"


@dataclass(slots=True)
class Person:
    """Somebody with a program that speaks GraphQL."""

    session: Any
    domain: str = ""
    domain_id: str = ""

    async def run(self, document: str, **variables: Any) -> Any:
        """Run a document and return its data; a refusal is raised."""
        return await self.session.execute(GraphQLRequest(document, variable_values=variables))

    async def do(self, document: str, **values: Any) -> Any:
        """Run a mutation and return its payload."""
        (payload,) = (await self.run(document, input=values)).values()
        return payload

    async def balance(self) -> int:
        """Return how many messages can still be sent."""
        data = await self.run(BALANCES)
        (found,) = [
            each["balance"]
            for each in data["organization"]["credits"]["balances"]
            if each["type"] == "EMAIL"
        ]
        return int(found)

    async def delivered(self, message_id: str) -> Any:
        """Ask for a message until it is delivered, and return its whole story."""
        deadline = time.monotonic() + 30
        while True:
            message = (await self.run(TIMELINE, id=message_id))["organization"]["message"]
            if message["status"] == "DELIVERED":
                return message
            assert time.monotonic() < deadline, message
            await asyncio.sleep(0.3)

    def message(self, *to: str, **fields: Any) -> dict[str, Any]:
        """Return the input of a message."""
        return {
            "from": f"sender@{self.domain}",
            "to": list(to),
            "subject": "Hello",
            "text": "Hello!",
        } | fields


class People:
    """Opens sessions, and closes them in the end."""

    def __init__(self, world: World, stack: AsyncExitStack) -> None:
        self._world = world
        self._stack = stack

    async def sign_up(self) -> Person:
        """Register somebody who then sends the token."""
        answer = await (await self.stranger()).do(REGISTER, **self.newcomer())
        return await self.somebody(answer["token"])

    async def stranger(self) -> Person:
        """Return somebody without a credential."""
        return await self._open({})

    async def somebody(self, credential: str) -> Person:
        """Return somebody with a token or a key, whose program knows the schema."""
        return await self._open({"authorization": f"Bearer {credential}"}, knows_schema=True)

    def newcomer(self) -> dict[str, str]:
        """Return the input of somebody who registers."""
        tag = self._world.name().partition(".")[0]
        return {
            "email": f"admin-{tag}@example.net",
            "password": PASSWORD,
            "name": "Ada Admin",
            "organizationName": f"Example {tag}",
        }

    async def _open(self, headers: dict[str, str], *, knows_schema: bool = False) -> Person:
        transport = HTTPXAsyncTransport(
            f"{self._world.url}/graphql",
            headers=headers | {"x-forwarded-for": self._world.network()},
            timeout=60,
            trust_env=False,
        )
        client = Client(transport=transport, fetch_schema_from_transport=knows_schema)
        return Person(await self._stack.enter_async_context(client))


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
        {"address": to, "kind": "to", "state": "QUEUED"},
        {"address": blind, "kind": "bcc", "state": "QUEUED"},
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
