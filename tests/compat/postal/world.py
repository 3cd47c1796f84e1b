"""An organization with a key in Postal's form, and a client that speaks as Postal's do."""

from dataclasses import dataclass
from typing import Any

import httpx

from postlane.accounts.tables import Organization
from postlane.security.rules import KeyFormat
from tests.client import Client
from tests.factories import make_api_key, make_domain, make_organization


@dataclass
class Server:
    """What Postal calls a mail server: an organization's project, and a key to it."""

    client: Client
    organization: Organization
    domain: str
    key: str

    @property
    def sender(self) -> str:
        """An address that it may send from."""
        return f"news@{self.domain}"

    async def post(self, action: str, body: Any = None, **options: Any) -> httpx.Response:
        """Ask for an action as the documentation says, with a body that becomes JSON."""
        headers = {"X-Server-API-Key": self.key} | options.pop("headers", {})
        method = options.pop("method", "POST")
        if body is not None:
            options["json"] = body
        return await self.client.request(method, f"/api/v1/{action}", headers=headers, **options)

    async def answered(self, action: str, body: Any = None, **options: Any) -> tuple[str, Any]:
        """Return status and data of an answer, whose envelope is checked on the way."""
        answer = await self.post(action, body, **options)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        found = answer.json()
        assert list(found) == ["status", "time", "flags", "data"]
        assert isinstance(found["time"], float)
        assert found["time"] == round(found["time"], 3)
        assert found["flags"] == {}
        return found["status"], found["data"]

    async def data(self, action: str, body: Any = None, **options: Any) -> Any:
        """Return the data of a success."""
        status, data = await self.answered(action, body, **options)
        assert status == "success", data
        return data

    async def error(self, action: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """Return the data of an error, of which the code is the last."""
        status, data = await self.answered(action, body, **options)
        assert status == "error", data
        assert list(data)[-1] == "code"
        found: dict[str, Any] = data
        return found

    async def fault(self, action: str, body: Any = None, **options: Any) -> str:
        """Return the sentence of a parameter error, which is all there is."""
        status, data = await self.answered(action, body, **options)
        assert status == "parameter-error", data
        assert list(data) == ["message"]
        message: str = data["message"]
        return message

    def message(self, *to: str, **values: Any) -> dict[str, Any]:
        """Return the parameters of a message; null takes a parameter away."""
        body = {
            "to": list(to) or ["ann@example.net"],
            "from": self.sender,
            "subject": "Hi",
            "plain_body": "Hello",
        }
        return {name: value for name, value in (body | values).items() if value is not None}

    async def send(self, *to: str, **values: Any) -> dict[str, Any]:
        """Send a message and return the data that is answered."""
        data: dict[str, Any] = await self.data("send/message", self.message(*to, **values))
        return data

    async def sent(self, *to: str, **values: Any) -> int:
        """Send a message and return the id of its first copy."""
        copies = (await self.send(*to, **values))["messages"]
        found: int = next(iter(copies.values()))["id"]
        return found

    async def read(self, id: int, *expansions: str) -> Any:
        """Return a message with some expansions, or all."""
        wanted = list(expansions) or True
        return await self.data("messages/message", {"id": id, "_expansions": wanted})


async def make_server(client: Client, **values: Any) -> Server:
    """Make an organization that has a verified domain and a key."""
    organization = await make_organization()
    domain = await make_domain(organization.id)
    key = await make_api_key(organization, format=KeyFormat.POSTAL, **values)
    return Server(client, organization, domain.name, key.secret)
