"""Deciding about tracking for single recipients."""

from typing import Any

from ..accounts.operations import note_recipients_decide
from ..accounts.queries import get_project
from ..accounts.rules import TrackingSwitches
from ..audit import operations as audit
from ..core import clock
from ..core.actor import Actor, Permission, ProjectId
from ..core.database import fetch, transaction
from ..core.errors import DetailCode, InvalidInput
from ..core.ids import new_id
from ..mail.address import InvalidAddress, parse_mailbox
from .tables import TrackingChoice


async def choose_tracking(
    actor: Actor, *, address: str, switches: TrackingSwitches, project_id: ProjectId | None = None
) -> TrackingChoice | None:
    """Decide whether *address* is tracked, whatever is decided elsewhere; None: nothing is left.

    What waits to be sent already is not tracked where that is refused. An actor of one project
    decides for its project only.

    Raises:
        InvalidInput: it is no address.
        NotFound: the project is absent or somebody else's.
    """
    actor.require(Permission.WRITE_MESSAGES)
    try:
        mailbox = parse_mailbox(address)
    except InvalidAddress:
        message = "Write one email address."
        raise InvalidInput.of("address", DetailCode.INVALID_EMAIL, message) from None
    if project_id is not None:
        await get_project(actor, project_id)
    project = project_id or actor.project_id
    decides = switches.opens is not None or switches.clicks is not None
    now = clock.now()
    async with transaction() as tx:
        rows: list[dict[str, Any]]
        if decides:
            await note_recipients_decide(tx, actor)
            rows = list(
                await fetch(
                    "INSERT INTO tracking_choices (id, organization_id, project_id, address, "
                    "address_key, track_opens, track_clicks, created_at, updated_at) "
                    "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}) "
                    "ON CONFLICT (organization_id, address_key, project_id) DO UPDATE "
                    "SET track_opens = excluded.track_opens, "
                    "track_clicks = excluded.track_clicks, updated_at = excluded.updated_at "
                    "RETURNING *",
                    new_id(),
                    actor.organization_id,
                    project,
                    mailbox.address,
                    mailbox.key,
                    switches.opens,
                    switches.clicks,
                    now,
                    now,
                )
            )
        else:
            rows = list(
                await fetch(
                    "DELETE FROM tracking_choices WHERE organization_id = {} "
                    "AND address_key = {} AND project_id IS NOT DISTINCT FROM {}::uuid "
                    "RETURNING *",
                    actor.organization_id,
                    mailbox.key,
                    project,
                )
            )
        if rows:
            await audit.record(
                tx,
                actor,
                action="tracking.chosen",
                target_type="tracking_choice",
                target_id=rows[0]["id"],
                changes={
                    "address": mailbox.address,
                    "opens": switches.opens,
                    "clicks": switches.clicks,
                },
            )
    return TrackingChoice(_exists_in_db=True, **rows[0]) if rows and decides else None
