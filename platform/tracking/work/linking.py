"""The pixel and the links of one delivery."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...accounts.rules import TrackingSwitches
from ...accounts.work import aggregates
from ...core import clock
from ...core.actor import ProjectId
from ...core.settings import settings
from ..rules import Tracks
from ..tokens import Recipient, click_token, mark_of, open_token
from .choices import Chooser, choices_of

OPEN_PATH = "/track/open/"
CLICK_PATH = "/track/click/"
PIXEL = (
    '<img src="{url}" width="1" height="1" alt="" '
    'style="display:block;width:1px;height:1px;border:0">'
)


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the pixel and the links of one delivery."""

    origin: str
    """Scheme and host in front of their paths."""
    mark: bytes

    def pixel(self) -> str:
        """Return the picture by which it can be seen that the message was opened."""
        return PIXEL.format(url=f"{self.origin}{OPEN_PATH}{open_token(self.mark)}.gif")

    def link(self, number: int, target: str) -> str:
        """Return what leads to *target*, by way of us."""
        token = click_token(self.mark, url=target, link_index=number)
        return f"{self.origin}{CLICK_PATH}{token}"


async def aggregate_projects(project_ids: Collection[ProjectId]) -> frozenset[ProjectId]:
    """Return those of whose recipients nothing may be kept singly."""
    return await aggregates(project_ids)


async def still_tracked(recipients: Sequence[tuple[Recipient, int]]) -> list[Tracks]:
    """Return what is tracked of each delivery: what was noted, unless its recipient minds.

    Mail waits, and meanwhile somebody may have said no.
    """
    choosers = [
        Chooser(each.organization_id, each.project_id, each.address.lower())
        for each, _ in recipients
    ]
    choices = await choices_of(choosers)
    found = []
    for chooser, (_, noted) in zip(choosers, recipients, strict=True):
        tracks, choice = Tracks(noted), choices.get(chooser, TrackingSwitches())
        if choice.opens is False:
            tracks &= ~Tracks.OPENS
        if choice.clicks is False:
            tracks &= ~(Tracks.CLICKS | Tracks.TEXT_LINKS)
        found.append(tracks)
    return found


def links_of(recipient: Recipient, tracks: Tracks, *, host: str | None, aggregate: bool) -> Links:
    """Return what makes the links of one delivery; *host* is a tracking domain in use."""
    made_at = int(clock.now().timestamp())
    opens = bool(tracks & Tracks.OPENS)
    mark = mark_of(recipient, made_at=made_at, aggregate=aggregate, opens=opens)
    return Links(origin_of(host), mark)


def origin_of(host: str | None) -> str:
    """Return scheme and host of links; a tracking domain is spoken to as we are."""
    public = settings().public_url
    if host is None:
        return public
    parts = urlsplit(public)
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def own_addresses(hosts: Collection[str]) -> tuple[str, ...]:
    """Return how addresses of ours begin that are in no need of another way to us."""
    return tuple(f"{origin}/track/" for origin in {origin_of(None), *map(origin_of, hosts)})
