"""A person with a browser, as far as HTTP goes: follows links, fills in forms, keeps cookies."""

import re
from html import unescape
from typing import Any

import httpx

from postlane.accounts.tables import Organization
from postlane.core.actor import OrganizationId, Origin, Role, UserId
from postlane.security.operations.sessions import sign_in
from tests.client import Client
from tests.factories import make_membership, make_organization

FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.S)
INPUT = re.compile(r"<(?:input|button|select|textarea)\b([^>]*)>", re.S)
ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


class Browser:
    """Somebody who is signed in, or nobody."""

    def __init__(self, client: Client, session: str | None = None) -> None:
        self._client = client
        self.session = session

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Open an address; redirects are not followed."""
        return await self._ask("GET", path, headers)

    async def submit(
        self, page: str, action: str, values: dict[str, str] | None = None, **headers: str
    ) -> httpx.Response:
        """Fill in the form of *page* that goes to *action*, and send it."""
        shown = await self.get(page)
        fields = form_fields(shown.text, action) | (values or {})
        headers.setdefault("sec-fetch-site", "same-origin")
        return await self._ask("POST", action, headers, data=fields)

    async def post(self, path: str, values: dict[str, str], **headers: str) -> httpx.Response:
        """Send a form that no page holds."""
        return await self._ask("POST", path, headers, data=values)

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], **more: Any
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.session is not None:
            sent["cookie"] = f"session={self.session}"
        answer = await self._client.request(method, path, headers=sent, **more)
        for cookie in answer.headers.get_list("set-cookie"):
            self.session = re.match(r"session=([^;]*)", cookie)[1].strip('"') or None  # type: ignore[index]
        return answer


def form_fields(page: str, action: str) -> dict[str, str]:
    """Return the fields of a form as the page fills them in."""
    for attributes, inside in FORM.findall(page):
        found = dict(ATTRIBUTE.findall(attributes))
        if found.get("action", action) == action and found.get("method") == "post":
            fields = [dict(ATTRIBUTE.findall(each)) for each in INPUT.findall(inside)]
            return {f["name"]: unescape(f.get("value", "")) for f in fields if "name" in f}
    raise AssertionError(f"no form goes to {action} in\n{page}")


async def member(
    client: Client, organization: Organization | None = None, *, role: Role = Role.OWNER
) -> tuple[Browser, Organization]:
    """Return the browser of a new member, and the organization."""
    organization = organization or await make_organization()
    return Browser(client, await new_session(organization, role=role)), organization


async def new_session(organization: Organization, *, role: Role = Role.OWNER) -> str:
    """Return what the cookie of a new member who has signed in holds."""
    membership = await make_membership(organization, role=role)
    found = await sign_in(
        UserId(membership.user_id), OrganizationId(organization.id), Origin(None, "test")
    )
    return found.token.text
