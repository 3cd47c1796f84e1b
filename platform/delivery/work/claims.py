"""Claiming: due deliveries, each for one attempt, under a lease."""

import random
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...core import clock
from ...core.actor import OrganizationId, ProjectId
from ...core.crypto import derived_key, derived_keys
from ...core.database import fetch
from ...core.settings import settings
from ...mail.return_path import Kind, make_return_path, read_return_path
from ..contents import ContentFormat, Personal, decode_personal
from .holding import set_aside

LEASE = timedelta(seconds=60)
"""How long a claim holds unless it is renewed.

Whoever holds one renews it well before, so this is also how late a delivery gets
if its worker is killed.
"""

MARKETING_PART = 10
"""Of so many places in a batch, one is left to marketing mail: else it would never go where
transactional mail is more than the queue may send."""

RETURN_PATH_PURPOSE = "return-path"


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery, taken for its attempt number *attempt* (1 is the first)."""

    delivery_id: uuid.UUID
    queue_id: uuid.UUID
    attempt: int
    organization_id: OrganizationId
    project_id: ProjectId
    message_id: uuid.UUID
    vmta_id: uuid.UUID
    due_since: datetime
    """When it became due for this attempt."""
    content_id: uuid.UUID
    content_bytes: int | None
    """None: the content is gone."""
    domain_id: uuid.UUID | None
    return_path_domain: str
    address: str
    priority: int
    expires_at: datetime
    cancel_requested: bool
    """While another worker had it, which died: it is not to be sent any more."""
    is_untried: bool = False
    """No attempt of it was written down. One that a worker died over was not, and counts."""
    null_sender: bool = False
    """Its envelope names no sender, so that nothing comes back."""
    simulated: bool = False
    """Nobody is asked: it is sandbox mail, and what became of it was made up."""
    calls_webhooks: bool = True
    tracks: int = 0
    """What is tracked of it, as `tracking` counts."""
    is_personal: bool = False
    """Each recipient's mail is another."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one message says."""

    format: ContentFormat
    body: bytes


async def claim_batch(
    queue_id: uuid.UUID, limit: int = 100, *, lease: timedelta = LEASE
) -> list[Claim]:
    """Take up to *limit* due deliveries of one queue for one attempt each.

    Transactional mail goes first, but for one place in ten where marketing mail is due as
    well; then whatever has been due longest. A queue that is held,
    or whose vMTA is paused, gives nothing.

    A claim is a lease: if the worker dies, the deliveries are due again when the lease ends.
    A message may then go out twice; it is never lost. Rows another worker holds are skipped,
    not waited for.

    Mail of a project that is held is passed over, and set aside, so that the next look does not
    meet it again.
    """
    while True:
        claims, met_held = await _claim_due(queue_id, limit, lease)
        if not met_held or not await set_aside(queue_id) or claims:
            return claims


async def _claim_due(queue_id: uuid.UUID, limit: int, lease: timedelta) -> tuple[list[Claim], bool]:
    now = clock.now()
    # By chance where there is less than one place: a limit may let one go at a time.
    left_to_marketing = limit // MARKETING_PART + (
        random.randrange(MARKETING_PART) < limit % MARKETING_PART
    )
    rows = await fetch(
        _CLAIM.format(_DUE),
        *(queue_id, now, limit - left_to_marketing),
        queue_id,
        *(queue_id, now, limit),
        *(queue_id, now, left_to_marketing),
        *(queue_id, limit),
        now + lease,
        queue_id,
    )
    return _claims(rows)


async def claim_expired(queue_id: uuid.UUID, limit: int = 100) -> list[Claim]:
    """Take up to *limit* deliveries of a queue whose time is up, whether it may send or not."""
    now = clock.now()
    rows = await fetch(
        _CLAIM.format(_OVER),
        *(queue_id, now, now, limit),
        now + LEASE,
        queue_id,
    )
    return _claims(rows)[0]


def _claims(rows: Sequence[dict[str, Any]]) -> tuple[list[Claim], bool]:
    """Return the claims, and whether mail that is held was met."""
    met_held = rows[0]["met_held"]
    for row in rows:
        del row["met_held"]
    return [Claim(**row) for row in rows if row["delivery_id"] is not None], met_held


# The two priorities are two ranges of one index. Asked for together they would be one
# range that begins with every delivery that is not due yet. Each part is looked at where
# those before it have not filled the batch.
_DUE = """
    WITH most AS MATERIALIZED (
        SELECT id, due_at, project_id FROM deliveries
        WHERE queue_id = {} AND priority = 0 AND due_at <= {}
        ORDER BY due_at LIMIT {} FOR UPDATE SKIP LOCKED
    )
    SELECT picked.id, picked.due_at, picked.project_id IN (
        SELECT project_id FROM project_holds
        WHERE organization_id = (SELECT organization_id FROM queues WHERE id = {})
    ) AS is_held
    FROM (
        SELECT * FROM most
        UNION ALL
        SELECT * FROM (
            SELECT id, due_at, project_id FROM deliveries
            WHERE queue_id = {} AND priority = 1 AND due_at <= {}
            ORDER BY due_at LIMIT {} FOR UPDATE SKIP LOCKED
        ) AS marketing
        UNION ALL
        SELECT * FROM (
            SELECT id, due_at, project_id FROM deliveries
            WHERE queue_id = {} AND priority = 0 AND due_at <= {}
            AND due_at >= coalesce((SELECT max(due_at) FROM most), '-infinity')
            AND id <> ALL(ARRAY(SELECT id FROM most))
            ORDER BY due_at LIMIT {} FOR UPDATE SKIP LOCKED
        ) AS others
    ) AS picked
    WHERE EXISTS (
        SELECT FROM queues LEFT JOIN vmtas ON vmtas.id = queues.vmta_id
        WHERE queues.id = {} AND queues.state <> 'held'
        AND vmtas.status IS DISTINCT FROM 'paused'
    )
    LIMIT {}
"""
_OVER = """
    SELECT id, due_at, false AS is_held FROM deliveries
    WHERE queue_id = {} AND due_at IS NOT NULL AND expires_at <= {}
    AND (state <> 'sending' OR due_at <= {}) LIMIT {} FOR UPDATE SKIP LOCKED
"""
# The message's row is locked after its delivery's, and settling locks them the other way
# round; skipping locked rows is what keeps the two from waiting for each other.
_CLAIM = """
    WITH due AS ({}), claimed AS (
        UPDATE deliveries
        SET state = 'sending', attempts = attempts + 1, due_at = {{}}
        WHERE id = ANY(ARRAY(SELECT id FROM due WHERE NOT is_held))
        RETURNING id, queue_id, attempts, organization_id, project_id, message_id, address,
            expires_at, priority, cancel_requested, tracks, last_attempt_at IS NULL AS is_untried
    ), shown AS (
        UPDATE spooled_messages SET status = 'sending'
        WHERE id = ANY(ARRAY(
            SELECT id FROM spooled_messages
            WHERE id = ANY(ARRAY(SELECT message_id FROM claimed)) AND status <> 'sending'
            FOR NO KEY UPDATE SKIP LOCKED
        ))
    )
    SELECT met.held AS met_held, work.*
    FROM (SELECT EXISTS (SELECT FROM due WHERE is_held) AS held) AS met LEFT JOIN (
        SELECT claimed.id AS delivery_id, claimed.queue_id, claimed.attempts AS attempt,
            claimed.organization_id, claimed.project_id, claimed.message_id,
            claimed.address, claimed.priority, claimed.expires_at, claimed.cancel_requested,
            claimed.tracks, claimed.is_untried,
            queue.vmta_id, due.due_at AS due_since,
            message.content_id, octet_length(content.body) AS content_bytes,
            coalesce(content.format IN ('template', 'mailing'), false) AS is_personal,
            message.domain_id, message.return_path_domain, message.null_sender
        FROM claimed
        JOIN due ON due.id = claimed.id
        JOIN queues AS queue ON queue.id = {{}}
        JOIN spooled_messages AS message ON message.id = claimed.message_id
        LEFT JOIN contents AS content ON content.id = message.content_id
    ) AS work ON true
    ORDER BY work.priority, work.message_id, work.delivery_id
"""


async def renew_claims(claims: Collection[Claim], *, lease: timedelta = LEASE) -> set[uuid.UUID]:
    """Begin the lease of each claim anew and return the deliveries that are still claimed so.

    One that is missing was taken over by another worker: nothing may be done with it.
    """
    if not claims:
        return set()
    rows = await fetch(
        # Locked in the order of ids, as cancelling does, so that the two never deadlock. Their
        # queues count as changed: else each seems due since its first lease would have ended,
        # and goes before those of its organization that are.
        "WITH renewed AS (UPDATE deliveries SET due_at = {} WHERE id = ANY(ARRAY("
        "SELECT id FROM deliveries JOIN unnest({}::uuid[], {}::integer[]) AS held (id, attempt) "
        "USING (id) WHERE attempts = held.attempt AND state = 'sending' "
        "ORDER BY id FOR NO KEY UPDATE OF deliveries)) RETURNING id, queue_id"
        "), noted AS (INSERT INTO queue_changes (queue_id, scheduled, queued, sending, deferred, "
        "delivered, bounced, created_at) "
        "SELECT DISTINCT queue_id, 0, 0, 0, 0, 0, 0, now() FROM renewed) SELECT id FROM renewed",
        clock.now() + lease,
        [claim.delivery_id for claim in claims],
        [claim.attempt for claim in claims],
    )
    return {row["id"] for row in rows}


async def read_contents(content_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Content]:
    """Return what messages say; one that is gone is left out."""
    rows: Sequence[dict[str, object]] = await fetch(
        "SELECT id, format, body FROM contents WHERE id = ANY({}::uuid[])", list(content_ids)
    )
    return {_uuid(row["id"]): _content(row) for row in rows}


async def read_personal(delivery_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Personal]:
    """Return what single recipients' mail is filled with; one that is gone is left out."""
    rows = await fetch(
        "SELECT delivery_id, body FROM personal_values WHERE delivery_id IN (SELECT ("
        "SELECT own.delivery_id FROM personal_values AS own "
        "WHERE own.content_id = message.content_id AND own.delivery_id <= delivery.id "
        "ORDER BY own.delivery_id DESC LIMIT 1) FROM deliveries AS delivery "
        "JOIN spooled_messages AS message ON message.id = delivery.message_id "
        "WHERE delivery.id = ANY({}::uuid[]))",
        list(delivery_ids),
    )
    return decode_personal([(row["delivery_id"], row["body"]) for row in rows])


def _uuid(value: object) -> uuid.UUID:
    assert isinstance(value, uuid.UUID)
    return value


def _content(row: dict[str, object]) -> Content:
    body = row["body"]
    assert isinstance(body, bytes)
    return Content(ContentFormat(str(row["format"])), body)


def return_path_of(claim: Claim) -> str:
    """Return the envelope sender of one delivery, which a bounce of it comes back to."""
    if claim.null_sender:
        return ""
    domain = claim.return_path_domain or settings().hostname
    return make_return_path(derived_key(RETURN_PATH_PURPOSE), str(claim.delivery_id), domain)


def leave_address_of(claim: Claim) -> str:
    """Return where mail goes that says its recipient wants no more of it."""
    domain = claim.return_path_domain or settings().hostname
    secret = derived_key(RETURN_PATH_PURPOSE)
    return make_return_path(secret, str(claim.delivery_id), domain, kind=Kind.UNSUBSCRIBE)


def delivery_named_by(local_part: str, *, kind: Kind = Kind.BOUNCE) -> uuid.UUID | None:
    """Return the delivery that an address of ours names; None for anything else."""
    for secret in derived_keys(RETURN_PATH_PURPOSE):
        if token := read_return_path(secret, local_part, kind=kind):
            return uuid.UUID(token)
    return None
