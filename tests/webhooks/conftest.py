"""A receiver, and webhooks that call it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch, transaction
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.graphql.payloads import shaped_for
from postlane.jobs.webhooks import Caller
from postlane.server.auth import actor_for_webhook
from tests.client import Client
from tests.dns_server import DnsServer
from tests.factories import make_actor
from tests.web_server import WebServer

from .receiver import Receiver, reachable

WEBHOOK = """uuid id url events description projectUuid headerNames inOrder format payloadVersion
    document enabled disabledReason previousSecretExpiresAt lastDeliveryAt createdAt updatedAt
    filters { domains vmtas tags streams }
    stats { delivered failedAttempts dead pending medianMs successRate }"""
CALL = """uuid id webhookUuid eventUuid event messageUuid state test replay attemptCount
    nextAttemptAt request createdAt deliveredAt
    attempts { number at status reply error durationMs }"""
CREATE = (
    "mutation ($input: CreateWebhookInput!) { createWebhook(input: $input) "
    f"{{ secret webhook {{ {WEBHOOK} }} }} }}"
)
UPDATE = (
    "mutation ($input: UpdateWebhookInput!) { updateWebhook(input: $input) "
    f"{{ secret webhook {{ {WEBHOOK} }} }} }}"
)
SHOW = f"query ($id: ID!) {{ organization {{ webhook(id: $id) {{ {WEBHOOK} }} }} }}"
CALLS = (
    "query ($id: ID!, $filter: WebhookCallFilter) { organization { webhook(id: $id) "
    f"{{ calls(first: 100, filter: $filter, descending: false) {{ nodes {{ {CALL} }} }} }} }} }}"
)


@pytest.fixture
def server(dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A web server that webhooks may reach."""
    with reachable(dns, monkeypatch) as running:
        yield running


@pytest.fixture
def receiver(server: WebServer) -> Receiver:
    """A receiver that takes everything."""
    made = Receiver(server)
    made.serve()
    return made


@pytest.fixture
async def owner(database: None) -> AsyncIterator[Actor]:
    """Somebody whose webhooks are gone after the test: a round sends for all there are."""
    actor = await make_actor()
    await Caller(shaped_for(actor_for_webhook)).round()
    yield actor
    await fetch("DELETE FROM webhook_progress WHERE organization_id = {}", actor.organization_id)


class Hooks:
    """Webhooks of one organization, made and read through GraphQL."""

    def __init__(self, client: Client, actor: Actor) -> None:
        self.client, self.actor = client, actor
        self.secret = ""

    async def create(self, url: str, *events: str, **values: Any) -> dict[str, Any]:
        """Make a webhook, remember its secret, and return it."""
        given = {"url": url, "events": list(events) or ["*"], **values}
        data = await self.client.data(CREATE, {"input": given}, actor=self.actor)
        self.secret = data["createWebhook"]["secret"]
        found: dict[str, Any] = data["createWebhook"]["webhook"]
        return found

    async def update(self, webhook: dict[str, Any], **values: Any) -> dict[str, Any]:
        """Change a webhook and return the payload."""
        given = {"webhookId": webhook["id"], **values}
        data = await self.client.data(UPDATE, {"input": given}, actor=self.actor)
        found: dict[str, Any] = data["updateWebhook"]
        return found

    async def show(self, webhook: dict[str, Any]) -> dict[str, Any]:
        """Return the webhook as it is now."""
        data = await self.client.data(SHOW, {"id": webhook["id"]}, actor=self.actor)
        found: dict[str, Any] = data["organization"]["webhook"]
        return found

    async def calls(self, webhook: dict[str, Any], **filter: Any) -> list[dict[str, Any]]:
        """Return its calls, the oldest first."""
        data = await self.client.data(
            CALLS, {"id": webhook["id"], "filter": filter}, actor=self.actor
        )
        found: list[dict[str, Any]] = data["organization"]["webhook"]["calls"]["nodes"]
        return found

    async def round(self) -> None:
        """Send what is due, as a worker does."""
        await Caller(shaped_for(actor_for_webhook)).round()

    async def emit(self, *names: str, type: EventType = EventType.VMTA_PAUSED) -> None:
        """Write down one event for each of *names*."""
        async with transaction() as tx:
            await append(
                tx,
                [
                    NewEvent(
                        self.actor.organization_id,
                        None,
                        None,
                        None,
                        type,
                        {"vmta": name, "reason": None, "by": None},
                        clock.now(),
                    )
                    for name in names
                ],
            )


@pytest.fixture
def hooks(client: Client, owner: Actor) -> Hooks:
    """The webhooks of the owner's organization."""
    return Hooks(client, owner)
