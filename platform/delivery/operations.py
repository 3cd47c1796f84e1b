"""Changes to the spool that are part of somebody's operation: putting in, cancelling."""

import asyncio
import logging
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from ..core import clock
from ..core.actor import OrganizationId, ProjectId
from ..core.database import Tx, fetch
from ..core.queue import JobName, enqueue
from ..core.records import records
from ..core.sharing import joined, shared_by, texts
from .contents import Personal, encode_personal
from .isps import isp_of
from .rules import FINAL, DeliveryState, message_status

log = logging.getLogger(__name__)

RING_INTERVAL_SECONDS = 0.1
"""A queue's job is asked for at most this often by one process, and always once at the end."""


@dataclass(slots=True)
class NewDelivery:
    """One recipient to put into the spool.

    Not frozen, which would make it take three times as long to make, of ten thousand.
    """

    id: uuid.UUID
    token: str
    organization_id: OrganizationId
    project_id: ProjectId
    message_id: uuid.UUID
    queue_id: uuid.UUID
    vmta_id: uuid.UUID
    kind: str
    address: str
    address_key: str
    domain: str
    priority: int
    state: DeliveryState
    due_at: datetime | None
    """None for what is never attempted: suppressed recipients, sandbox mail."""
    expires_at: datetime
    created_at: datetime
    tracks: int = 0
    """What is tracked of it, as `tracking` counts."""
    personal: Personal | None = None
    """What the recipient's mail is filled with, where it is not the same for everybody."""


@dataclass(slots=True)
class NewSpooledMessage:
    """One message to put into the spool, with what it says."""

    id: uuid.UUID
    organization_id: OrganizationId
    content_id: uuid.UUID
    domain_id: uuid.UUID | None
    return_path_domain: str
    states: Sequence[DeliveryState]
    """Of its deliveries."""
    content_format: str
    content: bytes
    created_at: datetime
    names_vmta: bool = False
    """It asked for its vMTA by name: no other will do."""
    null_sender: bool = False
    """Its envelope names no sender, so that nothing comes back."""


async def spool(
    tx: Tx, messages: Sequence[NewSpooledMessage], deliveries: Sequence[NewDelivery]
) -> dict[uuid.UUID, int]:
    """Put messages and their deliveries in, and return each delivery's number by its id."""
    await _insert_queues(deliveries)
    # One statement for the three tables: each costs a round trip, however little it writes.
    rows = await fetch(
        INSERT_SPOOLED,
        records([_row(message) for message in messages]),
        [message.content for message in messages],
        *_columns(deliveries),
    )
    await _insert_personal(messages, deliveries)
    ids = (delivery.id for delivery in deliveries)
    return dict(zip(ids, rows[0]["numbers"] or (), strict=True))


def _row(message: NewSpooledMessage) -> dict[str, object]:
    """Return the row of a message and of its content, but for the body."""
    open_count = sum(state not in FINAL for state in message.states)
    return {
        "content_id": message.content_id,
        "organization_id": message.organization_id,
        "format": message.content_format,
        "created_at": message.created_at,
        "id": message.id,
        "domain_id": message.domain_id,
        "return_path_domain": message.return_path_domain,
        "status": message_status(message.states),
        "recipient_count": len(message.states),
        "open_count": open_count,
        "completed_at": None if open_count else message.created_at,
        "names_vmta": message.names_vmta,
        "null_sender": message.null_sender,
    }


async def _insert_personal(
    messages: Sequence[NewSpooledMessage], deliveries: Sequence[NewDelivery]
) -> None:
    found: dict[uuid.UUID, dict[uuid.UUID, Personal]] = {}
    for each in deliveries:
        if each.personal is not None:
            found.setdefault(each.message_id, {})[each.id] = each.personal
    if not found:
        return
    contents = {message.id: message.content_id for message in messages}
    rows = [
        (first, contents[message_id], body)
        for message_id, people in found.items()
        for first, body in encode_personal(people)
    ]
    await fetch(
        "INSERT INTO personal_values (delivery_id, content_id, body) "
        "SELECT * FROM unnest({}::uuid[], {}::uuid[], {}::bytea[])",
        *map(list, zip(*rows, strict=True)),
    )


INSERT_SPOOLED = """
    WITH new AS (
        SELECT * FROM ROWS FROM (json_to_recordset({}::json) AS (content_id uuid,
            organization_id uuid, format text, created_at timestamptz, id uuid, domain_id uuid,
            return_path_domain text, status text, recipient_count integer, open_count integer,
            completed_at timestamptz, names_vmta boolean, null_sender boolean), unnest({}::bytea[]))
        AS n (content_id, organization_id, format, created_at, id, domain_id,
            return_path_domain, status, recipient_count, open_count, completed_at, names_vmta,
            null_sender, body)
    ), content AS (
        INSERT INTO contents (id, organization_id, format, body, created_at)
        SELECT content_id, organization_id, format, body, created_at FROM new
    ), message AS (
        INSERT INTO spooled_messages (id, organization_id, content_id, domain_id,
            return_path_domain, status, recipient_count, open_count, completed_at, names_vmta,
            null_sender)
        SELECT id, organization_id, content_id, domain_id, return_path_domain, status,
            recipient_count, open_count, completed_at, names_vmta, null_sender FROM new
    ), delivery AS (
        INSERT INTO deliveries (id, token, organization_id, project_id, message_id, queue_id,
            kind, address, address_key, domain, priority, state, attempts, due_at, expires_at,
            cancel_requested, settled_at, created_at, tracks)
        SELECT id, token, organization_id, project_id, message_id, queue_id, kind, address,
            coalesce(address_key, address), domain, priority, state, 0, due_at, expires_at, false,
            settled_at, created_at, tracks
        FROM unnest(string_to_array({}, E'\\n', '')::uuid[], string_to_array({}, E'\\n', ''),
            coalesce({}::text[], string_to_array({}, E'\\n')),
            coalesce({}::text[], string_to_array({}, E'\\n')),
            string_to_array({}, E'\\n', '')::int[]) WITH ORDINALITY
        AS n (id, token, address, address_key, place, nth)
        JOIN json_to_recordset({}::json)
        AS shared (place integer, organization_id uuid, project_id uuid, message_id uuid,
            queue_id uuid, kind text, domain text, priority smallint, state text,
            due_at timestamptz, expires_at timestamptz, settled_at timestamptz,
            created_at timestamptz, tracks smallint) USING (place)
        -- Their numbers are in their order.
        ORDER BY nth
        RETURNING number
    )
    SELECT array_agg(number ORDER BY number) AS numbers FROM delivery
"""

_what_is_shared = attrgetter("message_id", "queue_id", "kind", "state", "due_at", "tracks")
"""What the rest of a delivery follows from, but for its address and its names."""


def _shared(place: int, delivery: NewDelivery) -> dict[str, object]:
    return {
        "place": place,
        "organization_id": delivery.organization_id,
        "project_id": delivery.project_id,
        "message_id": delivery.message_id,
        "queue_id": delivery.queue_id,
        "kind": delivery.kind,
        "domain": delivery.domain,
        "priority": delivery.priority,
        "state": delivery.state,
        "due_at": delivery.due_at,
        "expires_at": delivery.expires_at,
        "settled_at": delivery.created_at if delivery.state in FINAL else None,
        "created_at": delivery.created_at,
        "tracks": int(delivery.tracks),
    }


def _columns(deliveries: Sequence[NewDelivery]) -> list[object]:
    shared, places = shared_by(deliveries, _what_is_shared)
    addresses = [delivery.address for delivery in deliveries]
    keys = [delivery.address_key for delivery in deliveries]
    return [
        joined(delivery.id for delivery in deliveries),
        joined(delivery.token for delivery in deliveries),
        # These may be whatever somebody wrote, empty ones among them.
        *texts(addresses),
        # Mostly they are the addresses.
        *((None, None) if keys == addresses else texts(keys)),
        joined(places),
        records([_shared(place, delivery) for place, delivery in enumerate(shared, 1)]),
    ]


_known_queues: set[uuid.UUID] = set()
"""Queues that this process has seen committed; their rows are never deleted while it runs."""


async def _insert_queues(deliveries: Sequence[NewDelivery]) -> None:
    unknown = {
        delivery.queue_id: delivery
        for delivery in deliveries
        if delivery.queue_id not in _known_queues
    }
    if not unknown:
        return
    # In id order, so that two transactions never wait for each other.
    found = {id: unknown[id] for id in sorted(unknown)}
    await fetch(
        # Empty since long ago: what concerns no queue, such as sandbox mail, lists none.
        "INSERT INTO queues (id, organization_id, vmta_id, domain, state, created_at, isp, "
        "scheduled, queued, sending, deferred, depth, emptied_at) "
        "SELECT id, organization_id, vmta_id, domain, 'active', {}, isp, 0, 0, 0, 0, 0, "
        "'epoch'::timestamptz "
        "FROM unnest({}::uuid[], {}::uuid[], {}::uuid[], {}::text[], {}::text[]) "
        "AS n (id, organization_id, vmta_id, domain, isp) ON CONFLICT DO NOTHING",
        clock.now(),
        list(found),
        [delivery.organization_id for delivery in found.values()],
        [delivery.vmta_id for delivery in found.values()],
        [delivery.domain for delivery in found.values()],
        [isp_of(delivery.domain, None).value for delivery in found.values()],
    )


RINGS_FORGOTTEN_SECONDS = 10.0
"""How long the queues that an organization asked for count against its next."""

_rings: dict[OrganizationId, tuple[float, int]] = {}
"""For each organization, since when its rings are counted, and how many there were."""

_rung_at: dict[uuid.UUID, float] = {}
_ringing: dict[uuid.UUID, asyncio.Task[None]] = {}


async def ring(
    queue_ids: Iterable[uuid.UUID], organization_id: OrganizationId | None = None
) -> None:
    """Ask for a drain of each queue that got mail; call it after the commit.

    The first queues of an organization in a while go first, whatever others have asked for.

    A burst of commits rings once at its start and once after its last commit, so that the
    job queue does not carry a job for every message.
    """
    loop = asyncio.get_running_loop()
    for queue_id in queue_ids:
        if len(_known_queues) > 100_000:
            _known_queues.clear()
        _known_queues.add(queue_id)
        if queue_id in _ringing:
            continue
        wait = _rung_at.get(queue_id, 0.0) + RING_INTERVAL_SECONDS - loop.time()
        nth = _count_ring(organization_id, loop.time())
        _ringing[queue_id] = asyncio.create_task(_ring_after(queue_id, max(wait, 0.0), nth))


def _count_ring(organization_id: OrganizationId | None, now: float) -> int:
    """Return how many queues of the organization were asked for lately, this one included."""
    if organization_id is None:
        return 0
    if len(_rings) > 100_000:
        _rings.clear()
    began, count = _rings.get(organization_id, (now, 0))
    if now - began > RINGS_FORGOTTEN_SECONDS:
        began, count = now, 0
    _rings[organization_id] = (began, count + 1)
    return min(count + 1, 1000)


async def _ring_after(queue_id: uuid.UUID, wait: float, nth: int) -> None:
    try:
        if wait:
            await asyncio.sleep(wait)
    finally:
        # Before the call, not after it: a commit during the call must ring again.
        _ringing.pop(queue_id, None)
    if len(_rung_at) > 100_000:
        _rung_at.clear()
    _rung_at[queue_id] = asyncio.get_running_loop().time()
    try:
        await enqueue(JobName.DRAIN, key=f"drain:{queue_id}", priority=nth, queue_id=str(queue_id))
    except Exception:  # an edge: the rows are committed and the sweep finds them
        log.exception("the queue could not be asked for", extra={"queue_id": str(queue_id)})


@dataclass(frozen=True, slots=True)
class CancelledDeliveries:
    """What cancelling one message did to its deliveries."""

    cancelled: Mapping[uuid.UUID, uuid.UUID]
    """Each with the vMTA in whose queue it was."""
    unattempted: int
    """Of the cancelled: those that no attempt was made for."""
    in_progress: int
    """On the wire now; they end as cancelled only if the attempt fails for the moment."""
    final: int
    already_cancelled: int
    status: str
    """Of the message now."""


async def cancel_deliveries(
    tx: Tx,
    message_id: uuid.UUID,
    *,
    cancelled_by: uuid.UUID | None = None,
    refund_entry_id: uuid.UUID | None = None,
    only: Collection[uuid.UUID] | None = None,
) -> CancelledDeliveries:
    """Cancel every delivery of a message that is not on the wire and not final.

    With *only*, of those that it names; what is counted is of them, too.

    One that a worker has now remembers who cancelled it, and the entry of the ledger that
    pays it back should it turn out that no attempt was made.
    """
    # The message before its deliveries, as settling does, so that the two never deadlock.
    await fetch("SELECT FROM spooled_messages WHERE id = {} FOR NO KEY UPDATE", message_id)
    rows = await fetch(
        "SELECT deliveries.id, deliveries.state, attempts, vmta_id "
        "FROM deliveries JOIN queues ON queues.id = queue_id "
        "WHERE message_id = {} ORDER BY deliveries.id FOR UPDATE OF deliveries",
        message_id,
    )
    stoppable = {DeliveryState.SCHEDULED, DeliveryState.QUEUED, DeliveryState.DEFERRED}
    meant = [row for row in rows if only is None or row["id"] in only]
    stopped = [row for row in meant if row["state"] in stoppable]
    sending = [row["id"] for row in meant if row["state"] == DeliveryState.SENDING]
    ids = {row["id"] for row in stopped}
    states = [DeliveryState.CANCELLED.value if row["id"] in ids else row["state"] for row in rows]
    status = message_status(states)
    if stopped:
        await fetch(
            "UPDATE deliveries SET state = 'cancelled', due_at = NULL, settled_at = {} "
            "WHERE id = ANY({}::uuid[])",
            clock.now(),
            list(ids),
        )
    if sending:
        await fetch(
            "UPDATE deliveries SET cancel_requested = true, cancelled_by = {}, "
            "refund_entry_id = {} WHERE id = ANY({}::uuid[]) AND NOT cancel_requested",
            cancelled_by,
            refund_entry_id,
            sending,
        )
    if stopped:
        await _recount(message_id, status, still_open=sum(s not in FINAL for s in states))
    return CancelledDeliveries(
        cancelled={row["id"]: row["vmta_id"] for row in stopped},
        unattempted=sum(row["attempts"] == 0 for row in stopped),
        in_progress=len(sending),
        final=sum(row["state"] in FINAL for row in meant),
        already_cancelled=sum(row["state"] == DeliveryState.CANCELLED for row in meant),
        status=status,
    )


async def _recount(message_id: uuid.UUID, status: str, *, still_open: int) -> None:
    await fetch(
        "UPDATE spooled_messages SET status = {}, open_count = {}, completed_at = {} WHERE id = {}",
        status,
        still_open,
        None if still_open else clock.now(),
        message_id,
    )
