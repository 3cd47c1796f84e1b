"""Every example of the contract passes; each names the section of the reference it shows."""

import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.rest_compat.dialects import DIALECTS, POSTAGEAPP, POSTAL, POSTMTA
from tests.client import Client
from tests.compat.matching import differences, filled
from tests.factories import make_suppression

from .world import Server, make_server

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.json"))
ADDRESS = "ann@example.net"


def read(path: Path) -> dict[str, Any]:
    """Return the example in a file."""
    example: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return example


class World:
    """What an example takes for granted, and the names it uses."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.server: Server | None = None
        self.headers: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.id: int | None = None


async def a_server(world: World) -> None:
    """There is a mail server with a verified domain and a key."""
    world.server = server = await make_server(world.client)
    world.headers = {"X-Server-API-Key": server.key}
    mail = f"From: {server.sender}\r\nSubject: Hi\r\n\r\nHello\r\n"
    raw = base64.b64encode(mail.encode()).decode()
    world.names |= {"{domain}": server.domain, "{raw}": raw}


async def a_message(world: World) -> None:
    """A message with every part waits to be sent."""
    assert world.server is not None
    files = [{"name": "a.txt", "content_type": "text/plain", "data": "YWJj"}]
    more = {"html_body": "<p>Hello</p>", "tag": "welcome", "headers": {"X-Order": "1"}}
    world.id = await world.server.sent(ADDRESS, attachments=files, **more)


async def a_suppressed_message(world: World) -> None:
    """A message is to somebody who gets no mail."""
    assert world.server is not None
    await make_suppression(world.server.organization.id, ADDRESS)
    world.id = await world.server.sent(ADDRESS)


async def no_key(world: World) -> None:
    """Nobody says who they are."""


async def an_unknown_key(world: World) -> None:
    """The key is nobody's."""
    world.names["{key}"] = "A" * 24
    world.headers = {"X-Server-API-Key": "A" * 24}


async def a_suspended_server(world: World) -> None:
    """The mail server is suspended."""
    await a_server(world)
    assert world.server is not None
    await Organization.update({Organization.status: "suspended"}).where(
        Organization.id == world.server.organization.id
    )


GIVEN: dict[str, Callable[[World], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        a_server,
        a_message,
        a_suppressed_message,
        no_key,
        an_unknown_key,
        a_suspended_server,
    )
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_every_example_passes(client: Client, path: Path) -> None:
    example, world = read(path), World(client)
    for name in example["given"]:
        await GIVEN[name](world)
    body = filled(example["request"], world.names)
    if body.get("id") == "{id}":
        body["id"] = world.id
    method, action = example["route"].split()

    answer = await client.request(method, action, headers=world.headers, json=body)

    assert answer.status_code == example["status"], answer.text
    assert differences(filled(example["answer"], world.names), answer.json()) == []
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_every_action_and_every_error_has_an_example() -> None:
    examples = [read(path) for path in EXAMPLES]
    codes = {
        each["answer"]["data"]["code"] for each in examples if "code" in each["answer"]["data"]
    }

    assert {each["route"].split()[1] for each in examples} == {r.path for r in POSTAL.routes}
    assert codes == {
        "AccessDenied",
        "AttachmentMissingData",
        "AttachmentMissingName",
        "FromAddressMissing",
        "InvalidServerAPIKey",
        "MessageNotFound",
        "NoContent",
        "NoRecipients",
        "ServerSuspended",
        "TooManyBCCAddresses",
        "TooManyCCAddresses",
        "TooManyToAddresses",
        "UnauthenticatedFromAddress",
    }
    assert all(each["section"] for each in examples)


def test_postmtas_is_asked_last() -> None:
    """It takes whatever nobody else claims."""
    assert (POSTAL, *POSTAGEAPP, POSTMTA) == DIALECTS
