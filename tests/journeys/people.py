"""People whose programs speak GraphQL."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.httpx import HTTPXAsyncTransport

from .documents import BALANCES, REGISTER, TIMELINE
from .stack import PASSWORD, World


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
