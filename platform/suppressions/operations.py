"""Changing suppressions by hand."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ..accounts.queries import get_project
from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, Permission, ProjectId
from ..core.database import Tx, fetch, transaction
from ..core.errors import DetailCode, InvalidInput, LimitReached, NotFound
from ..core.ids import new_id
from ..events.operations import append
from ..events.rules import EventType
from ..mail.address import InvalidAddress, Mailbox, parse_mailbox
from .files import MAX_FILE_BYTES
from .rules import (
    GIVEN_REASONS,
    MAX_DESCRIPTION,
    MAX_OPEN_IMPORTS,
    SuppressionReason,
    erased_keys,
)
from .tables import ImportedFile, Suppression, SuppressionImport
from .work import ask_for_import, changed


@dataclass(frozen=True, slots=True)
class SuppressionRef:
    """Names one suppression by its id, or all those of one address."""

    id: uuid.UUID | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Which mail a suppression stops; what is None does not matter."""

    project_id: ProjectId | None = None
    stream: str | None = None


EVERYWHERE = Scope()


async def add_suppression(
    actor: Actor,
    *,
    address: str,
    reason: SuppressionReason = SuppressionReason.MANUAL,
    scope: Scope = EVERYWHERE,
    description: str | None = None,
    expires_at: datetime | None = None,
) -> Suppression:
    """Stop sending to *address* until *expires_at*, or for good.

    An actor of one project stops the project's mail only. Adding it again changes its
    description, its end and its id.

    Raises:
        InvalidInput: no address, a long description, an end in the past, or a reason that
            nobody may give.
        NotFound: the project is absent or somebody else's.
    """
    actor.require(Permission.WRITE_MESSAGES)
    mailbox = _checked(address)
    _check_rest(reason, description, expires_at)
    project_id = await _project(actor, scope)
    async with transaction() as tx:
        rows = await fetch(
            "INSERT INTO suppressions (id, organization_id, project_id, address, address_key, "
            "stream, reason, description, expires_at, created_at) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}) "
            "ON CONFLICT (organization_id, address_key, reason, project_id, stream) DO UPDATE "
            # Another id: a removal that waits for the one before does not take this one away.
            "SET id = excluded.id, description = excluded.description, "
            "expires_at = excluded.expires_at "
            # A row that was there before has been locked by this statement; a new one has not.
            "RETURNING *, xmax = 0 AS is_new",
            new_id(),
            actor.organization_id,
            project_id,
            mailbox.address,
            mailbox.key,
            scope.stream,
            reason.value,
            description,
            expires_at,
            clock.now(),
        )
        row = dict(rows[0])
        if row.pop("is_new"):
            await append(tx, [changed(EventType.SUPPRESSION_CREATED, row)])
        suppression = Suppression(_exists_in_db=True, **row)
        await record(
            tx,
            actor,
            action="suppression.added",
            target_type="suppression",
            target_id=suppression.id,
            changes={
                "address": mailbox.address,
                "reason": reason.value,
                "expires_at": expires_at and expires_at.isoformat(),
            },
        )
    return suppression


async def import_suppressions(
    actor: Actor,
    data: bytes,
    *,
    reason: SuppressionReason = SuppressionReason.MANUAL,
    scope: Scope = EVERYWHERE,
) -> SuppressionImport:
    """Keep a CSV file whose lines are read in the background; return the import.

    *reason* and the stream of *scope* are for lines that name none.

    Raises:
        InvalidInput: the file is empty or too large, or nobody may give the reason.
        NotFound: the project is absent or somebody else's.
        LimitReached: too many files of the organization wait already.
    """
    actor.require(Permission.WRITE_MESSAGES)
    if not data.strip():
        raise InvalidInput.of("data", DetailCode.REQUIRED, "The file is empty.")
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput.of("data", DetailCode.TOO_LARGE, "A file has at most 10 MiB.")
    _check_rest(reason, None, None)
    project_id = await _project(actor, scope)
    new = SuppressionImport(
        organization_id=actor.organization_id,
        project_id=project_id,
        user_id=actor.user_id,
        api_key_id=actor.api_key_id,
        reason=reason.value,
        stream=scope.stream,
        created_at=clock.now(),
    )
    async with transaction() as tx:
        # The organization's row, so that those who come at once are counted one by one.
        await fetch(
            "SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", actor.organization_id
        )
        waiting = await fetch(
            "SELECT count(*) AS n FROM suppression_imports "
            "WHERE organization_id = {} AND completed_at IS NULL",
            actor.organization_id,
        )
        if waiting[0]["n"] >= MAX_OPEN_IMPORTS:
            message = f"{MAX_OPEN_IMPORTS} files are being read already."
            raise LimitReached(message, retry_after_seconds=60)
        await SuppressionImport.insert(new)
        await ImportedFile.insert(ImportedFile(id=new.id, data=data))
        await record(
            tx,
            actor,
            action="suppressions.imported",
            target_type="suppression_import",
            target_id=new.id,
            changes={"size_bytes": len(data), "reason": reason.value},
        )
        tx.after_commit(partial(ask_for_import, new.id))
    return new


async def _project(actor: Actor, scope: Scope) -> ProjectId | None:
    if scope.project_id is None:
        return actor.project_id
    await get_project(actor, scope.project_id)
    return scope.project_id


async def remove_suppression(actor: Actor, ref: SuppressionRef) -> int:
    """Let mail go to an address again; return how many suppressions that took away.

    By address it takes away those of every reason. An actor of one project takes away the
    project's only.

    Raises:
        NotFound: there is none that the actor may take away.
    """
    actor.require(Permission.WRITE_MESSAGES)
    key = None if ref.address is None else _checked(ref.address).key
    async with transaction() as tx:
        rows = await fetch(
            "DELETE FROM suppressions WHERE organization_id = {} "
            "AND ({}::uuid IS NULL OR project_id = {}) "
            "AND (id = {}::uuid OR address_key = ANY({}::text[])) RETURNING *",
            actor.organization_id,
            actor.project_id,
            actor.project_id,
            ref.id,
            [] if key is None else [key, *erased_keys(actor.organization_id, key)],
        )
        if not rows:
            raise NotFound
        await append(tx, [changed(EventType.SUPPRESSION_REMOVED, row) for row in rows])
        for row in rows:
            await record(
                tx,
                actor,
                action="suppression.removed",
                target_type="suppression",
                target_id=row["id"],
                changes={"address": row["address"], "reason": row["reason"]},
            )
    return len(rows)


async def lock_suppression(tx: Tx, actor: Actor, id: uuid.UUID) -> str:
    """Return the address of a suppression that the actor may take away, and lock it.

    Raises:
        NotFound: there is none.
    """
    actor.require(Permission.WRITE_MESSAGES)
    rows = await fetch(
        "SELECT address FROM suppressions WHERE organization_id = {} "
        "AND ({}::uuid IS NULL OR project_id = {}) AND id = {} FOR NO KEY UPDATE",
        actor.organization_id,
        actor.project_id,
        actor.project_id,
        id,
    )
    if not rows:
        raise NotFound
    address: str = rows[0]["address"]
    return address


def _checked(address: str) -> Mailbox:
    try:
        return parse_mailbox(address)
    except InvalidAddress:
        raise InvalidInput.of(
            "address", DetailCode.INVALID_EMAIL, "Write one email address."
        ) from None


def _check_rest(
    reason: SuppressionReason, description: str | None, expires_at: datetime | None
) -> None:
    if reason not in GIVEN_REASONS:
        message = "It begins by itself when an address keeps failing."
        raise InvalidInput.of("reason", DetailCode.NOT_ALLOWED, message)
    if description is not None and len(description) > MAX_DESCRIPTION:
        message = f"A description has at most {MAX_DESCRIPTION} characters."
        raise InvalidInput.of("description", DetailCode.TOO_LONG, message)
    if expires_at is not None and expires_at <= clock.now():
        raise InvalidInput.of("expiresAt", DetailCode.IN_PAST, "The end is in the past.")
