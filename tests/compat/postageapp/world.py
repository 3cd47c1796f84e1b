"""An organization with keys in PostageApp's form, and a client that speaks as PostageApp's do."""

from dataclasses import dataclass
from typing import Any

import httpx

from postlane.accounts.tables import Organization, Project
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.security.rules import KeyFormat
from tests.client import Client
from tests.factories import make_actor, make_api_key, make_domain, make_organization, make_project


@dataclass
class Shop:
    """What PostageApp calls an account: with a project, and a key to each of them."""

    client: Client
    organization: Organization
    project: Project
    domain: str
    key: str
    """Of the project."""
    account_key: str
    owner: Actor
    version: str = "v.1.1"

    @property
    def sender(self) -> str:
        """An address that it may send from."""
        return f"news@{self.domain}"

    async def post(self, method: str, body: Any = None, **options: Any) -> httpx.Response:
        """Ask for a method with a body that becomes JSON."""
        if body is not None:
            options["json"] = body
        return await self.client.post(f"/{self.version}/{method}", **options)

    async def call(
        self, method: str, arguments: Any = None, *, key: str | None = None, **envelope: Any
    ) -> tuple[int, dict[str, Any]]:
        """Return status and body of an answer, whose form is checked on the way."""
        body = {"api_key": self.key if key is None else key, **envelope}
        if arguments is not None:
            body["arguments"] = arguments
        answer = await self.post(method, body)
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["content-length"] == str(len(answer.content))
        found = answer.json()
        assert "uid" in found["response"]
        assert ("data" in found) is (answer.status_code == 200)
        assert (found["response"]["status"] == "ok") is (answer.status_code == 200)
        return answer.status_code, found

    async def data(self, method: str, arguments: Any = None, **options: Any) -> Any:
        """Return the data of a success."""
        status, found = await self.call(method, arguments, **options)
        assert status == 200, found
        return found["data"]

    async def refused(
        self, method: str, arguments: Any = None, **options: Any
    ) -> tuple[int, str, str | None]:
        """Return HTTP's status, the word and the sentence of an error."""
        status, found = await self.call(method, arguments, **options)
        response = found["response"]
        return status, response["status"], response.get("message")

    def message(self, recipients: Any = "ann@example.net", **values: Any) -> dict[str, Any]:
        """Return the arguments of a message."""
        headers = {"from": self.sender, "subject": "Hi"}
        return {"recipients": recipients, "headers": headers, "content": "Hello"} | values

    async def send(self, uid: str, recipients: Any = "ann@example.net", **values: Any) -> int:
        """Send a message and return its id."""
        data = await self.data("send_message", self.message(recipients, **values), uid=uid)
        id: int = data["message"]["id"]
        return id

    async def accepted(self) -> int:
        """Return how many messages there are."""
        rows = await fetch(
            "SELECT count(*) AS n FROM messages WHERE organization_id = {}", self.organization.id
        )
        return int(rows[0]["n"])


async def make_shop(client: Client, **values: Any) -> Shop:
    """Make an account with a verified domain, a project, and keys."""
    organization = await make_organization()
    owner = await make_actor(organization)
    domain = await make_domain(organization.id)
    project = await make_project(organization, name="Test", **values)
    form = KeyFormat.POSTAGEAPP
    key = await make_api_key(organization, format=form, project_id=project.id)
    account_key = await make_api_key(organization, format=form)
    return Shop(client, organization, project, domain.name, key.secret, account_key.secret, owner)
