"""A person with a browser, as far as HTTP goes: follows links, fills in forms, keeps cookies."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx

from postlane.accounts.tables import Organization
from postlane.core.actor import OrganizationId, Origin, Role, UserId
from postlane.security.operations.sessions import sign_in
from tests.client import Client
from tests.factories import make_membership, make_organization


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
    """Return the fields of a form as a browser would send them; of several of a name the last."""
    return {name: values[-1] for name, values in form_values(page, action).items()}


def form_values(page: str, action: str) -> dict[str, list[str]]:
    """Return the fields of the form that goes to *action*, each as often as it is sent."""
    reader = _Forms()
    reader.feed(page)
    for form, fields in reader.forms:
        if form.get("action", action) == action and form.get("method") == "post":
            return fields
    raise AssertionError(f"no form goes to {action} in\n{page}")


class _Forms(HTMLParser):
    """Reads forms as browsers do: what is chosen, what is ticked, what an area holds."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[dict[str, str], dict[str, list[str]]]] = []
        self._area: str | None = None
        self._choices: list[tuple[str, bool]] | None = None
        self._choice: dict[str, str] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append((found, {}))
        elif tag == "input" and (
            found.get("type") not in ("checkbox", "radio") or "checked" in found
        ):
            self._send(found.get("name"), found.get("value", ""))
        elif tag == "textarea":
            self._area = found.get("name")
            self._send(self._area, "")
        elif tag == "select":
            self._choice, self._choices = found, []
        elif tag == "option" and self._choices is not None:
            self._choices.append((found.get("value", ""), "selected" in found))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            if self._area and self.forms:
                values = self.forms[-1][1][self._area]
                values[-1] = values[-1].removeprefix("\n")
            self._area = None
        elif tag == "select" and self._choices is not None:
            chosen = [value for value, is_chosen in self._choices if is_chosen]
            if not chosen and "multiple" not in self._choice:
                chosen = [value for value, _ in self._choices[:1]]
            for value in chosen:
                self._send(self._choice.get("name"), value)
            self._choices = None

    def handle_data(self, data: str) -> None:
        if self._area and self.forms:
            self.forms[-1][1][self._area][-1] += data

    def _send(self, name: str | None, value: str) -> None:
        if name and self.forms:
            self.forms[-1][1].setdefault(name, []).append(value)


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
