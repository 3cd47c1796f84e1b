"""Messages in the spool, put there the way accepting does, and what became of them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.actor import OrganizationId, ProjectId
from postlane.core.crypto import seal
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id, new_token
from postlane.delivery.contents import ContentFormat, encode_parts
from postlane.delivery.operations import NewDelivery, NewSpooledMessage, spool
from postlane.delivery.rules import LIFETIME, DeliveryState, queue_id
from postlane.delivery.tables import Delivery, SpooledMessage
from postlane.domains.rules import KEY_PURPOSE, KeyState
from postlane.domains.tables import DkimKey
from postlane.mail.address import Mailbox
from postlane.mail.compose import Parts
from postlane.mail.dkim import DkimKeyPair, KeyAlgorithm, make_key
from postlane.vmtas.work import ensure_default_vmta
from tests.factories import default_project, make_domain, make_organization


@dataclass(frozen=True, slots=True)
class Spooled:
    """One message in the spool; *deliveries* are by address."""

    id: uuid.UUID
    organization: Organization
    deliveries: dict[str, uuid.UUID]
    queues: dict[str, uuid.UUID]
    """By recipient domain."""

    @property
    def queue_id(self) -> uuid.UUID:
        """The queue of a message to one domain."""
        (found,) = self.queues.values()
        return found

    async def delivery(self, address: str | None = None) -> Delivery:
        """Return the delivery to *address*, or the only one, as it is now."""
        if address is None:
            (address,) = self.deliveries
        found = await Delivery.objects().get(Delivery.id == self.deliveries[address])
        assert found is not None
        return found

    async def state(self, address: str | None = None) -> str:
        """Return the state of one delivery."""
        return (await self.delivery(address)).state

    async def message(self) -> SpooledMessage:
        """Return the message as the spool sees it."""
        found = await SpooledMessage.objects().get(SpooledMessage.id == self.id)
        assert found is not None
        return found

    async def events(self) -> list[str]:
        """Return the types of what happened, in order."""
        rows = await fetch(
            "SELECT type FROM events WHERE message_id = {} ORDER BY position", self.id
        )
        return [row["type"] for row in rows]

    async def attempts(self, address: str | None = None) -> list[dict[str, Any]]:
        """Return the attempts of one delivery, in order."""
        delivery = await self.delivery(address)
        return list(
            await fetch(
                "SELECT * FROM attempts WHERE delivery_id = {} ORDER BY number", delivery.id
            )
        )


async def make_spooled(
    *addresses: str,
    organization: Organization | None = None,
    domain_id: uuid.UUID | None = None,
    vmta_id: uuid.UUID | None = None,
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
    priority: int = 0,
    state: DeliveryState = DeliveryState.QUEUED,
    raw: bytes | None = None,
    tracks: int = 0,
    project_id: uuid.UUID | None = None,
    **said: Any,
) -> Spooled:
    """Put a message with one delivery for each address into the spool; due now unless said.

    *said* is what the message says otherwise than usual, in the words of `Parts`.
    """
    found = await make_many(
        [addresses],
        organization=organization,
        domain_id=domain_id,
        vmta_id=vmta_id,
        due_at=due_at,
        expires_at=expires_at,
        priority=priority,
        state=state,
        raw=raw,
        tracks=tracks,
        project_id=project_id,
        **said,
    )
    return found[0]


async def make_many(
    messages: Sequence[Sequence[str]],
    *,
    organization: Organization | None = None,
    domain_id: uuid.UUID | None = None,
    vmta_id: uuid.UUID | None = None,
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
    priority: int = 0,
    state: DeliveryState = DeliveryState.QUEUED,
    raw: bytes | None = None,
    tracks: int = 0,
    project_id: uuid.UUID | None = None,
    **said: Any,
) -> list[Spooled]:
    """Put many messages into the spool in one transaction."""
    organization = organization or await make_organization()
    organization_id = OrganizationId(organization.id)
    project_id = project_id or (await default_project(organization)).id
    vmta_id = vmta_id or await ensure_default_vmta()
    now = clock.now()
    rows: list[NewSpooledMessage] = []
    deliveries: list[NewDelivery] = []
    made: list[Spooled] = []
    for addresses in messages:
        message_id = new_id()
        rows.append(
            NewSpooledMessage(
                id=message_id,
                organization_id=organization_id,
                content_id=new_id(),
                domain_id=domain_id,
                return_path_domain="bounce.acme.example",
                states=[state] * len(addresses),
                content_format=(ContentFormat.RAW if raw else ContentFormat.PARTS).value,
                content=raw or encode_parts(replace(_parts(message_id, addresses), **said)),
                created_at=now,
            )
        )
        own = [
            NewDelivery(
                id=new_id(),
                token=new_token(),
                organization_id=organization_id,
                project_id=ProjectId(project_id),
                message_id=message_id,
                queue_id=queue_id(organization_id, vmta_id, address.partition("@")[2]),
                vmta_id=vmta_id,
                kind="to",
                address=address,
                address_key=address.lower(),
                domain=address.partition("@")[2],
                priority=priority,
                state=state,
                due_at=due_at or now,
                expires_at=expires_at or now + LIFETIME,
                created_at=now,
                tracks=tracks,
            )
            for address in addresses
        ]
        deliveries += own
        made.append(
            Spooled(
                message_id,
                organization,
                {each.address: each.id for each in own},
                {each.domain: each.queue_id for each in own},
            )
        )
    async with transaction() as tx:
        await spool(tx, rows, deliveries)
    return made


def _parts(message_id: uuid.UUID, addresses: Sequence[str]) -> Parts:
    return Parts(
        message_id=f"{message_id}@acme.example",
        date=clock.now(),
        sender=Mailbox("Acme", "noreply@acme.example"),
        to=tuple(Mailbox("", address) for address in addresses),
        cc=(),
        reply_to=(),
        subject="Your order",
        text="Thank you for your order.\n" * 10,
        html="<p>Thank you for your order.</p>\n" * 20,
        headers=(),
        attachments=(),
    )


_pair: list[DkimKeyPair] = []


async def make_signing_domain(organization: Organization, **values: Any) -> Any:
    """Make a verified domain with one active RSA key; all tests share the key pair."""
    if not _pair:
        _pair.append(make_key(KeyAlgorithm.RSA_2048))
    domain = await make_domain(organization.id, **values)
    await DkimKey(
        domain_id=domain.id,
        selector="pl1",
        algorithm=KeyAlgorithm.RSA_2048.value,
        state=KeyState.ACTIVE.value,
        private_key=seal(_pair[0].private_pem, purpose=KEY_PURPOSE),
        public_value=_pair[0].public_value,
        activated_at=clock.now(),
    ).save()
    return domain


async def lose_lease(spooled: Spooled) -> None:
    """Let the leases of a message's deliveries end now."""
    await fetch(
        "UPDATE deliveries SET due_at = {} WHERE message_id = {} AND state = 'sending'",
        clock.now() - timedelta(seconds=1),
        spooled.id,
    )
