"""Mail that was delivered, its pixel and its links, and what is known of who asked for them."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from postlane.core import clock
from postlane.core.actor import OrganizationId, ProjectId
from postlane.core.database import fetch, transaction
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.tracking.rules import Tracks
from postlane.tracking.tokens import Recipient
from postlane.tracking.work.linking import Links, links_of
from postlane.tracking.work.recording import RECORDER
from postlane.tracking.work.settling import settle_hits
from tests.client import Client
from tests.factories import default_project, make_organization

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0"
BOTH = Tracks.OPENS | Tracks.CLICKS


@dataclass(frozen=True, slots=True)
class Mailed:
    """A delivery whose mail its recipient has."""

    recipient: Recipient
    links: Links
    delivered_at: datetime

    @property
    def pixel(self) -> str:
        """The path of its pixel."""
        return _path(self.links.pixel().partition('"')[2].partition('"')[0])

    def link(self, number: int = 0, target: str = "https://shop.example/a") -> str:
        """Return the path of one of its links."""
        return _path(self.links.link(number, target))

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return its opens and clicks, in the order in which they were written."""
        rows = await fetch(
            "SELECT type, data FROM events WHERE delivery_id = {} "
            "AND type IN ('message.opened', 'message.clicked') ORDER BY position",
            self.recipient.delivery_id,
        )
        return [(row["type"], json.loads(row["data"])) for row in rows]


async def mailed(
    address: str = "ada@dest.example",
    *,
    organization_id: OrganizationId | None = None,
    project_id: ProjectId | None = None,
    tracks: Tracks = BOTH,
    aggregate: bool = False,
    delivered: bool = True,
    message_id: uuid.UUID | None = None,
) -> Mailed:
    """Return a delivery of which events say that it was delivered half an hour ago."""
    if organization_id is None or project_id is None:
        organization = await make_organization()
        organization_id = OrganizationId(organization.id)
        project_id = ProjectId((await default_project(organization)).id)
    recipient = Recipient(
        organization_id, project_id, message_id or uuid.uuid4(), uuid.uuid4(), address
    )
    at = clock.now() - timedelta(minutes=30)
    types = [EventType.MESSAGE_QUEUED] + [EventType.MESSAGE_DELIVERED] * delivered
    async with transaction() as tx:
        await append(
            tx,
            [
                NewEvent(
                    organization_id=organization_id,
                    project_id=project_id,
                    message_id=recipient.message_id,
                    delivery_id=recipient.delivery_id,
                    type=type,
                    data={},
                    occurred_at=at,
                )
                for type in types
            ],
        )
    return Mailed(recipient, links_of(recipient, tracks, host=None, aggregate=aggregate), at)


async def ask(
    client: Client, path: str, *, at: datetime, agent: str = PERSON, **headers: str
) -> Any:
    """Ask for a path of ours at some time."""
    sent: Mapping[str, str] = {"user-agent": agent, **headers}
    with clock.frozen(at):
        return await client.get(path, headers=sent)


async def settle(*, at: datetime) -> None:
    """Write down what was asked for, and make events of it as late as *at*."""
    await RECORDER.flush()
    with clock.frozen(at):
        while await settle_hits():
            pass


def _path(url: str) -> str:
    return url.removeprefix("http://postlane.test")
