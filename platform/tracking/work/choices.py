"""What was decided about tracking single recipients."""

from collections.abc import Collection
from dataclasses import dataclass

from ...accounts.rules import TrackingSwitches
from ...core.actor import OrganizationId, ProjectId
from ...core.database import fetch


@dataclass(frozen=True, slots=True)
class Chooser:
    """A recipient of mail of one project; *address_key* is in lower case."""

    organization_id: OrganizationId
    project_id: ProjectId
    address_key: str


async def choices_of(choosers: Collection[Chooser]) -> dict[Chooser, TrackingSwitches]:
    """Return what was decided for each recipient, where something was; one statement for all.

    What was decided in the project counts more than what was decided in all of them.
    """
    if not choosers:
        return {}
    distinct = list(dict.fromkeys(choosers))
    rows = await fetch(
        "SELECT asked.nth, found.track_opens, found.track_clicks "
        "FROM unnest({}::uuid[], {}::uuid[], {}::text[]) WITH ORDINALITY "
        "AS asked (organization_id, project_id, address_key, nth) "
        "JOIN tracking_choices found USING (organization_id, address_key) "
        "WHERE found.project_id IS NULL OR found.project_id = asked.project_id "
        "ORDER BY found.project_id NULLS FIRST",
        [chooser.organization_id for chooser in distinct],
        [chooser.project_id for chooser in distinct],
        [chooser.address_key for chooser in distinct],
    )
    found: dict[Chooser, TrackingSwitches] = {}
    for row in rows:
        chooser = distinct[row["nth"] - 1]
        before = found.get(chooser, TrackingSwitches())
        opens, clicks = row["track_opens"], row["track_clicks"]
        found[chooser] = TrackingSwitches(
            before.opens if opens is None else opens, before.clicks if clicks is None else clicks
        )
    return found
