"""A customer at a terminal, who is ready to send or on the way there."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from .curl import Curl
from .stack import PASSWORD, World

PAUSE = 0.3


@dataclass(slots=True)
class Shop:
    """A customer who is ready to send."""

    world: World
    curl: Curl
    """Sends the API key."""
    person: Curl
    """Sends the token of whoever made it."""
    domain: str
    domain_id: str
    key_id: str
    records: dict[str, str]

    def message(self, *to: str, **fields: Any) -> dict[str, Any]:
        """Return a message as the contract shows it."""
        return {
            "from": f"sender@{self.domain}",
            "to": list(to),
            "subject": "Hello",
            "text": "Hello!",
        } | fields

    async def final(self, message_id: str) -> Any:
        """Ask for a message until it is delivered, and return it."""
        deadline = time.monotonic() + 30
        while True:
            message = (await self.curl("GET", f"/api/v1/messages/{message_id}")).body
            if message["status"] == "delivered":
                return message
            assert time.monotonic() < deadline, message
            await asyncio.sleep(PAUSE)


def person(world: World) -> Curl:
    return Curl(world.url, [f"X-Forwarded-For: {world.network()}"])


async def sign_up(world: World) -> Curl:
    """Register, and return curl with the token."""
    curl = person(world)
    answer = await curl("POST", "/api/v1/auth/register", newcomer(world), status=201)
    curl.headers.append(f"Authorization: Bearer {answer.body['token']}")
    return curl


def newcomer(world: World) -> dict[str, str]:
    tag = world.name().partition(".")[0]
    return {
        "email": f"admin-{tag}@example.com",
        "password": PASSWORD,
        "name": "Ada Admin",
        "organization_name": f"Example {tag}",
    }


async def verify(curl: Curl, domain_id: str) -> Any:
    """Verify a domain; once more later if the answer is that of the last half minute."""
    while True:
        found = (await curl("POST", f"/api/v1/domains/{domain_id}/verify", {})).body
        if found["can_send"] or not found["cached"]:
            return found
        await asyncio.sleep(11)
