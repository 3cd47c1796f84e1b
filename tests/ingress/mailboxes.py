"""Mailboxes, made and read as a customer does."""

import uuid
from dataclasses import dataclass
from typing import Any

from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.jobs.ingress import look_into, post_mail
from postlane.mail.fetching import open_fetcher
from tests.client import Client

MAILBOX = """uuid number uid label address url format projectUuid failure lookedAt
    account { host port username tls }"""
CREATE = (
    "mutation ($input: CreateIngressMailboxInput!) { createIngressMailbox(input: $input) "
    f"{{ secret ingressMailbox {{ {MAILBOX} }} }} }}"
)
UPDATE = (
    "mutation ($input: UpdateIngressMailboxInput!) { updateIngressMailbox(input: $input) "
    f"{{ secret ingressMailbox {{ {MAILBOX} }} }} }}"
)
DELETE = (
    "mutation ($input: DeleteIngressMailboxInput!) { deleteIngressMailbox(input: $input) "
    "{ ingressMailbox { uid } } }"
)
SHOW = (
    "query ($ref: IngressMailboxRef!) { organization { ingressMailbox(ref: $ref) "
    f"{{ {MAILBOX} }} }} }}"
)
MAILS = """query ($mailbox: ID) { organization { ingressMails(mailbox: $mailbox) { nodes {
    uuid mailboxUuid source sender subject sizeBytes state attempts status failure dueAt
    completedAt } } } }"""


@dataclass
class Mailboxes:
    """The mailboxes of one organization, and what its workers do."""

    client: Client
    actor: Actor

    async def create(self, **values: Any) -> tuple[dict[str, Any], str]:
        """Make a mailbox; return it and its secret."""
        data = await self.client.data(CREATE, {"input": values}, actor=self.actor)
        made = data["createIngressMailbox"]
        return made["ingressMailbox"], made["secret"]

    async def show(self, uuid: str) -> dict[str, Any]:
        """Return a mailbox as it is now."""
        data = await self.client.data(SHOW, {"ref": {"id": uuid}}, actor=self.actor)
        found: dict[str, Any] = data["organization"]["ingressMailbox"]
        return found

    async def mails(self, uuid: str) -> list[dict[str, Any]]:
        """Return what came into a mailbox, the newest first."""
        data = await self.client.data(MAILS, {"mailbox": uuid}, actor=self.actor)
        found: list[dict[str, Any]] = data["organization"]["ingressMails"]["nodes"]
        return found

    async def look(self, id: str) -> None:
        """Look into a mailbox as if its time had come."""
        await fetch("UPDATE ingress_mailboxes SET next_look_at = now() WHERE id = {}", id)
        await look_into(uuid.UUID(id))

    async def post(self, id: str) -> None:
        """Post what waits in a mailbox, whether its time has come or not."""
        rows = await fetch(
            "UPDATE ingress_mails SET due_at = now() WHERE mailbox_id = {} "
            "AND state = 'pending' RETURNING id",
            id,
        )
        async with open_fetcher() as fetcher:
            for row in rows:
                await post_mail(row["id"], fetcher)
