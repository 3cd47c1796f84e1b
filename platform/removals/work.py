"""Removing what nobody has taken back."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from ..accounts.operations.members import remove_member
from ..core import clock
from ..core.actor import Actor, ApiKeyId, Mode, UserId
from ..core.database import fetch
from ..core.errors import NotFound, OperationError
from ..core.ids import first_id_at
from ..core.queue import JobName, enqueue
from ..security.later import Asked, actor_of
from ..suppressions.operations import SuppressionRef, remove_suppression
from .rules import SHOWN, RemovedKind

NOBODY = "Whoever asked for it may not do it any more."


async def ask_for_removal(id: uuid.UUID, due_at: datetime) -> None:
    """Ask for the job that removes it when its time has come."""
    await enqueue(JobName.REMOVE, key=f"remove:{id}", at=due_at, removal_id=str(id))


_DUE = "SELECT id, due_at FROM removals WHERE state IN ('waiting', 'removing') AND due_at <= {}"
ANY_DUE_REMOVAL = f"EXISTS ({_DUE})"


async def ask_for_due_removals(*, limit: int) -> None:
    """Ask for the jobs of those whose time has come, in case theirs were lost."""
    rows = await fetch(f"{_DUE} ORDER BY due_at LIMIT {{}}", clock.now(), limit)
    for row in rows:
        await ask_for_removal(row["id"], row["due_at"])


async def run_removal(id: uuid.UUID) -> None:
    """Remove it if its time has come, and nobody has taken it back.

    It is marked before it is removed, so that taking it back and removing it never both happen;
    if a worker dies in between, the next removes what is left.
    """
    rows = await fetch(
        "UPDATE removals SET state = 'removing' "
        "WHERE id = {} AND state IN ('waiting', 'removing') AND due_at <= {} RETURNING *",
        id,
        clock.now(),
    )
    if not rows:
        return
    failure = await _remove(rows[0])
    await fetch(
        "UPDATE removals SET state = {}, failure = {}, name = '', completed_at = {} "
        "WHERE id = {} AND state = 'removing'",
        "done" if failure is None else "failed",
        failure,
        clock.now(),
        id,
    )


async def _remove(row: Mapping[str, Any]) -> str | None:
    """Remove it as whoever asked for it; return why that was refused, if it was."""
    actor = await actor_of(
        Asked(
            organization_id=row["organization_id"],
            project_id=row["project_id"],
            user_id=row["user_id"],
            api_key_id=row["api_key_id"],
            permissions=row["permissions"],
            mode=Mode(row["mode"]),
            request_id=f"removal-{row['id']}",
        )
    )
    if actor is None:
        return NOBODY
    try:
        await REMOVE[RemovedKind(row["kind"])](actor, row["target_id"])
    except NotFound:
        # Somebody was faster, and it is gone as it was to be.
        return None
    except OperationError as refusal:
        return refusal.sentence
    return None


async def _remove_suppression(actor: Actor, id: uuid.UUID) -> None:
    await remove_suppression(actor, SuppressionRef(id=id))


async def _delete_api_key(actor: Actor, id: uuid.UUID) -> None:
    # With it comes all that people sign in with, which no worker needs otherwise.
    from ..security.operations.api_keys import delete_api_key

    await delete_api_key(actor, ApiKeyId(id))


async def _remove_member(actor: Actor, id: uuid.UUID) -> None:
    await remove_member(actor, UserId(id))


REMOVE: Mapping[RemovedKind, Callable[[Actor, uuid.UUID], Awaitable[None]]] = {
    RemovedKind.SUPPRESSION: _remove_suppression,
    RemovedKind.API_KEY: _delete_api_key,
    RemovedKind.MEMBER: _remove_member,
}


async def forget_removals() -> None:
    """Forget what became of removals a day ago."""
    await fetch(
        "DELETE FROM removals WHERE id < {} AND state NOT IN ('waiting', 'removing')",
        first_id_at(clock.now() - SHOWN),
    )
