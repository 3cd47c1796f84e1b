"""Every address of the dashboard that names a thing, opened with a thing of somebody else.

The addresses are found in the tables of pages and actions, and what pages follow in that of
topics: a new one fails here until it is said what it names.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core.actor import OrganizationId, Origin, UserId
from postlane.core.ids import new_id
from postlane.dashboard.live import TOPICS
from postlane.dashboard.pages import ACTIONS, PAGES, PASSAGES
from postlane.security.operations.sessions import sign_in
from tests.client import Client
from tests.dashboard.browser import Browser
from tests.dashboard.test_pages import form_token_of
from tests.people import PASSWORD
from tests.test_tenancy import World, fingerprint, make_world

PLACE = re.compile(r"/(\w+)/\{(\w+):str\}")
NAMED = {
    "blocks": "AutoBlock",
    "bulk": "BulkAction",
    "calls": "WebhookCall",
    "captured": "Captured message",
    "domains": "Domain name",
    "invitations": "Invitation",
    "invoices": "Invoice",
    "jobs": "Export",
    "keys": "ApiKey",
    "mailboxes": "IngressMailbox",
    "members": "User",
    "messages": "Message",
    "passkeys": "Passkey",
    "projects": "Project",
    "provider": "ProviderIdentity",
    "queues": "Queue",
    "removals": "Removal",
    "sessions": "Session",
    "suppressions": "Suppression",
    "templates": "Template",
    "vmtas": "Vmta",
    "webhooks": "Webhook",
}
"""What the word before a place says that it names."""
OPERATORS = "/admin/orgs/{target:str}"
"""Of all organizations; who may not look after them is told nothing: see `test_overseeing.py`."""
RULES = "/o/{org:str}/security/rules/"
"""The rules of auto-blocks are the deployment's, the same for everybody."""
DRAFT = "/o/{org:str}/templates/{template:str}/try"
"""What is written in the form is tried, whichever template it is for."""
PROOFS = frozenset({"/invite/{token:str}", "/reset/{token:str}"})
"""Good for whoever holds them."""
TROUBLE = re.compile(r'<div class="banner bad".*?</div>\s*</div>', re.S)
FORM = {
    "name": "Renamed",
    "password": PASSWORD,
    "role": "VIEWER",
    "typed": "",
    "enabled": "on",
}
"""What some of the forms need."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address, and the kinds of what it names."""

    path: str
    kinds: tuple[str, ...]
    is_form: bool

    def of(self, slug: str, things: list[str]) -> str:
        """Return it with its places filled in."""
        path = self.path.replace("{org:str}", slug)
        for thing in things:
            path = re.sub(r"\{\w+:str\}", thing, path, count=1)
        return path


def addresses() -> list[Address]:
    found = []
    for each in (*PAGES, *PASSAGES, *ACTIONS):
        places = [word for word, place in PLACE.findall(each.path) if place != "org"]
        if (
            places
            and not each.path.startswith((OPERATORS, RULES, DRAFT))
            and each.path not in PROOFS
        ):
            found.append(Address(each.path, tuple(NAMED[word] for word in places), each in ACTIONS))
    return found


@dataclass(frozen=True, slots=True)
class Tenant:
    """A world, and the session of the person in it."""

    world: World
    slug: str
    session: str

    @classmethod
    async def make(cls, client: Client) -> "Tenant":
        world = await make_world(client)
        organization = await Organization.objects().get(
            Organization.id == world.uuids["Organization"]
        )
        assert organization is not None
        assert world.person.user_id is not None
        signed_in = await sign_in(
            UserId(world.person.user_id), OrganizationId(organization.id), Origin(None, "test")
        )
        return cls(world, organization.slug, signed_in.token.text)

    async def ask(self, client: Client, address: Address, things: list[str]) -> Any:
        """Open an address of one's own organization, or send its form."""
        path, browser = address.of(self.slug, things), Browser(client, self.session)
        if not address.is_form:
            return await browser.get(path)
        proof = form_token_of(await browser.get("/orgs"))
        return await browser.post(path, FORM | {"_csrf": proof, "typed": things[0]})

    def names(self, address: Address) -> list[list[str]]:
        """Return what is here for the address to name, in each way to name it."""
        by_id = [self.world.names[kind] for kind in address.kinds]
        by_uuid = [self.world.names.get(f"{kind} uuid", "") for kind in address.kinds]
        return [by_id] if "" in by_uuid else [by_id, by_uuid]


@pytest.fixture(scope="module")
def asking() -> list[Tenant]:
    """The tenant that asks for what it does not have; it never changes, so one will do."""
    return []


@pytest.mark.parametrize(
    "address",
    addresses(),
    ids=lambda address: f"{'POST' if address.is_form else 'GET'} {address.path}",
)
async def test_a_strangers_thing_is_not_there(
    client: Client, asking: list[Tenant], address: Address
) -> None:
    ours = asking[0] if asking else await Tenant.make(client)
    asking[:] = [ours]
    theirs = await Tenant.make(client)
    before = await fingerprint()

    hidden = [await ours.ask(client, address, names) for names in theirs.names(address)]
    absent = await ours.ask(client, address, [str(new_id()) for _ in address.kinds])
    after = await fingerprint()
    shown = [await theirs.ask(client, address, names) for names in theirs.names(address)]

    # A refused form is shown again, with why; it is the same for what nobody has.
    assert absent.status_code == 404 or (address.is_form and absent.status_code == 422)
    assert {said(answer) for answer in hidden} == {said(absent)}
    assert after == before
    assert any(said(answer) != said(absent) for answer in shown)


def said(answer: Any) -> tuple[int, str]:
    """Return the status and what the page says is wrong."""
    told = [*re.findall(r"<h1>.*?</h1>", answer.text, re.S), *TROUBLE.findall(answer.text)]
    return answer.status_code, " ".join(told)


@pytest.mark.parametrize("topic", [name for name, topic in TOPICS.items() if topic.finds])
async def test_a_strangers_thing_is_not_followed(client: Client, topic: str) -> None:
    ours, theirs = await Tenant.make(client), await Tenant.make(client)
    thing = theirs.world.names[topic.capitalize()]
    asked = [f"{topic}:{thing}", f"{topic}:{theirs.world.uuids[topic.capitalize()]}"]

    answers = [
        await Browser(client, ours.session).get(f"/o/{ours.slug}/live?topics={name}")
        for name in (*asked, f"{topic}:{new_id()}", f"{topic}s,{asked[0]}")
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
