"""How much mail each organization has, and how it fares, for whoever looks after the deployment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from ..core import clock
from ..core.actor import Actor, require_platform_admin
from ..core.database import fetch
from ..core.tenants import across_organizations
from .rules import Grain, per_cent
from .windows import floor

DAYS = 7


@dataclass(frozen=True, slots=True)
class Volume:
    """What an organization's mail of the last seven days came to, today included."""

    accepted: int
    sent: int
    delivered: int
    bounced: int
    complained: int

    @property
    def bounce_rate(self) -> float | None:
        """Percentage of what was sent; None if nothing was."""
        return per_cent(self.bounced, self.sent)

    @property
    def complaint_rate(self) -> float | None:
        """Percentage of what was delivered; None if nothing was."""
        return per_cent(self.complained, self.delivered)


NOTHING = Volume(0, 0, 0, 0, 0)


@across_organizations
async def volumes_of(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Volume]:
    """Return the volume of each of some organizations that had any.

    Raises:
        NotPermitted: the actor does not look after the deployment.
    """
    require_platform_admin(actor)
    rows = await fetch(
        "SELECT sets.organization_id, sum(cell.accepted)::bigint AS accepted, "
        "sum(cell.sent)::bigint AS sent, sum(cell.delivered)::bigint AS delivered, "
        "sum(cell.hard_bounced + cell.soft_bounced + cell.blocked)::bigint AS bounced, "
        "sum(cell.complained)::bigint AS complained "
        "FROM analytics_sets AS sets JOIN analytics_cells AS cell ON cell.set_id = sets.id "
        "WHERE sets.organization_id = ANY({}::uuid[]) AND sets.kind = 'all' "
        "AND cell.grain = 'day' AND cell.starts_at > {} GROUP BY 1",
        list(ids),
        floor(clock.now(), Grain.DAY) - timedelta(days=DAYS),
    )
    return {
        row["organization_id"]: Volume(
            row["accepted"], row["sent"], row["delivered"], row["bounced"], row["complained"]
        )
        for row in rows
    }
