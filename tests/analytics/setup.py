"""Mail with a known fate: rows as the product writes them, and events as it appends them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from postlane.analytics.rolling import roll_up
from postlane.core.actor import Actor, OrganizationId, ProjectId
from postlane.core.database import fetch, transaction
from postlane.core.ids import first_id_at, new_id, new_token
from postlane.delivery.tables import Delivery
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.messages.tables import Message

VMTA = {"vmta": "tx-1", "mx_host": "mx.example.net"}


@dataclass(frozen=True)
class Recipient:
    """One recipient of one message."""

    organization_id: UUID
    project_id: UUID
    message_id: UUID
    delivery_id: UUID
    accepted_at: datetime
    simulated: bool = False

    def event(
        self, kind: str, *, after: float = 0, at: datetime | None = None, **data: Any
    ) -> NewEvent:
        """Return an event so many seconds after it was accepted."""
        return NewEvent(
            organization_id=OrganizationId(self.organization_id),
            project_id=ProjectId(self.project_id),
            message_id=self.message_id,
            delivery_id=self.delivery_id,
            type=EventType(f"message.{kind}"),
            data=data,
            occurred_at=at or self.accepted_at + timedelta(seconds=after),
            simulated=self.simulated,
        )

    def queued(self) -> NewEvent:
        return self.event("queued", scheduled_at=None)

    def delivered(self, *, after: float = 1.5, attempt: int = 1, **data: Any) -> NewEvent:
        said = {**VMTA, "attempt": attempt, "smtp_code": 250, **data}
        return self.event("delivered", after=after, **said)

    def deferred(self, bounce_class: str, *, attempt: int = 1, **data: Any) -> NewEvent:
        said = {**VMTA, "attempt": attempt, "bounce_class": bounce_class, "smtp_code": 450}
        said["smtp_response"] = "450 4.2.0 Try later"
        return self.event("deferred", after=1, **{**said, **data})

    def bounced(self, bounce_class: str, *, attempt: int = 1, **data: Any) -> NewEvent:
        said = {**VMTA, "attempt": attempt, "bounce_class": bounce_class, "source": "session"}
        said |= {"smtp_code": 550, "enhanced_code": "5.1.1", "smtp_response": "550 5.1.1 No"}
        return self.event("bounced", after=2, **{**said, **data})

    def opened(self, *, after: float = 60, first: bool = False, machine: bool = False) -> NewEvent:
        return self.event("opened", after=after, first=first, machine_open=machine)

    def clicked(self, *, after: float = 90, first: bool = False, bot: bool = False) -> NewEvent:
        return self.event("clicked", after=after, first=first, bot=bot, url="https://example.com")


async def make_mail(
    actor: Actor,
    *addresses: str,
    at: datetime,
    project_id: UUID | None = None,
    simulated: bool = False,
    **message: Any,
) -> list[Recipient]:
    """Make a message to *addresses* that was accepted at a time, and nothing of its fate."""
    if project_id is None:
        rows = await fetch(
            "SELECT id FROM projects WHERE organization_id = {} AND slug = 'default'",
            actor.organization_id,
        )
        project_id = rows[0]["id"]
    row = Message(
        **{
            "id": id_at(at),
            "organization_id": actor.organization_id,
            "project_id": project_id,
            "content_id": new_id(),
            "header_message_id": f"{new_token()}@example.com",
            "sender": "a@example.com",
            "sender_key": "a@example.com",
            "sender_domain": "example.com",
            "subject": "Hello",
            "source": "api",
            "size_bytes": 1,
            "pool": "default",
            "expires_at": at + timedelta(days=3),
            "created_at": at,
        }
        | message
    )
    await row.save()
    made = []
    for address in addresses:
        delivery = Delivery(
            token=new_token(),
            organization_id=actor.organization_id,
            project_id=project_id,
            message_id=row.id,
            queue_id=new_id(),
            kind="to",
            address=address,
            address_key=address.lower(),
            domain=address.rpartition("@")[2],
            state="delivered",
            expires_at=at + timedelta(days=3),
            created_at=at,
        )
        await delivery.save()
        made.append(
            Recipient(
                actor.organization_id,
                project_id,
                row.id,
                delivery.id,
                at,
                simulated,
            )
        )
    return made


def id_at(at: datetime) -> UUID:
    """Return an id as one that was made at a time: what is accepted has such a one."""
    return UUID(int=first_id_at(at).int | (new_id().int & (2**80 - 1)))


async def tell(*events: NewEvent) -> None:
    """Write events down, in their order."""
    async with transaction() as tx:
        await append(tx, events)


async def roll_up_all() -> None:
    """Add everything to the counts that was not added yet."""
    while await roll_up():
        pass


async def cells_of(actor: Actor, *, kind: str = "all", grain: str = "day") -> dict[str, Any]:
    """Return the sums of each key of a kind, without what is 0."""
    rows = await fetch(
        "SELECT sets.key AS found_key, cell.* FROM analytics_sets AS sets JOIN analytics_cells "
        "AS cell ON cell.set_id = sets.id WHERE sets.organization_id = {} AND kind = {} "
        "AND grain = {}",
        actor.organization_id,
        kind,
        grain,
    )
    sums: dict[str, dict[str, int]] = {}
    for row in rows:
        key, counts = row.pop("found_key"), sums.setdefault(row["set_id"], {})
        del counts
        for name, value in row.items():
            if isinstance(value, int) and name != "id" and value:
                each = sums.setdefault(key, {})
                each[name] = each.get(name, 0) + value
    return {key: value for key, value in sums.items() if isinstance(key, str)}
