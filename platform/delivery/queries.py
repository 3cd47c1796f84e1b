"""Reading the spool for an actor."""

import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from piccolo.columns.combination import WhereRaw

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.errors import NotFound
from ..core.paging import Page, PageRequest, by_id, fetch_page
from .contents import NOTHING_OF_ITS_OWN, Personal, decode_personal
from .isps import isp_sql
from .tables import Attempt, Content, Delivery, SpooledMessage
from .waiting import ProjectHeld, QueueFacts


async def find_deliveries(actor: Actor, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Delivery]:
    """Return those of *ids* that the actor may see, by id."""
    actor.require(Permission.READ_MESSAGES)
    query = Delivery.objects().where(
        Delivery.id.is_in(list(ids)), Delivery.organization_id == actor.organization_id
    )
    if actor.project_id:
        query = query.where(Delivery.project_id == actor.project_id)
    return {delivery.id: delivery for delivery in await query}


async def get_delivery(actor: Actor, delivery_id: uuid.UUID) -> Delivery:
    """Return one delivery.

    Raises:
        NotFound: there is none, or it is not the actor's.
    """
    found = await find_deliveries(actor, [delivery_id])
    if delivery_id not in found:
        raise NotFound("There is no such delivery in this organization.")
    return found[delivery_id]


async def get_delivery_by_number(actor: Actor, number: int) -> Delivery:
    """Return the delivery that foreign clients know by *number*.

    Raises:
        NotFound: there is none, or it is not the actor's.
    """
    actor.require(Permission.READ_MESSAGES)
    found = None
    if 0 < number < 2**63:
        query = Delivery.objects().where(
            Delivery.number == number, Delivery.organization_id == actor.organization_id
        )
        if actor.project_id:
            query = query.where(Delivery.project_id == actor.project_id)
        found = await query.first()
    if found is None:
        raise NotFound("There is no such delivery in this organization.")
    return found


async def list_deliveries(
    actor: Actor, page: PageRequest, *, states: Sequence[str] = (), address_key: str | None = None
) -> Page[Delivery]:
    """Return deliveries, newest first."""
    actor.require(Permission.READ_MESSAGES)
    query = Delivery.objects().where(Delivery.organization_id == actor.organization_id)
    if actor.project_id:
        query = query.where(Delivery.project_id == actor.project_id)
    if states:
        query = query.where(Delivery.state.is_in(list(states)))
    if address_key:
        query = query.where(Delivery.address_key == address_key)
    scope = f"{','.join(sorted(states))}|{address_key or ''}"
    return await fetch_page(query, page, by_id(), scope=scope)


async def deliveries_of_messages(
    actor: Actor, message_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, list[Delivery]]:
    """Return the deliveries of each message, in the order they were named in."""
    rows = (
        await Delivery.objects()
        .where(
            Delivery.message_id.is_in(list(message_ids)),
            Delivery.organization_id == actor.organization_id,
        )
        .order_by(Delivery.id)
    )
    found: dict[uuid.UUID, list[Delivery]] = {}
    for row in rows:
        found.setdefault(row.message_id, []).append(row)
    return found


async def vmta_names_of_queues(
    actor: Actor, queue_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, str]:
    """Return the name of the vMTA that each queue goes through."""
    rows = await fetch(
        "SELECT q.id, coalesce(v.name, past.name) AS name FROM queues q "
        "LEFT JOIN vmtas v ON v.id = q.vmta_id LEFT JOIN past_vmtas past ON past.id = q.vmta_id "
        "WHERE q.organization_id = {} AND q.id = ANY({}::uuid[]) "
        "AND coalesce(v.name, past.name) IS NOT NULL",
        actor.organization_id,
        list(queue_ids),
    )
    return {row["id"]: row["name"] for row in rows}


async def attempts_of_deliveries(
    actor: Actor, delivery_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, list[Attempt]]:
    """Return the attempts of each delivery, first ones first."""
    rows = (
        await Attempt.objects()
        .where(
            Attempt.delivery_id.is_in(list(delivery_ids)),
            Attempt.organization_id == actor.organization_id,
        )
        .order_by(Attempt.delivery_id, Attempt.number)
    )
    found: dict[uuid.UUID, list[Attempt]] = {}
    for row in rows:
        found.setdefault(row.delivery_id, []).append(row)
    return found


def transcript_lines(attempt: Attempt) -> list[str]:
    """Return the dialogue of an attempt, a line each."""
    found: list[str] = json.loads(attempt.transcript)
    return found


async def progress_of_messages(
    actor: Actor, message_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, SpooledMessage]:
    """Return how far each message is."""
    rows = await SpooledMessage.objects().where(
        SpooledMessage.id.is_in(list(message_ids)),
        SpooledMessage.organization_id == actor.organization_id,
    )
    return {row.id: row for row in rows}


async def sizes_of_contents(
    actor: Actor, content_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, int]:
    """Return how many bytes each content has that is still kept; none of them is read."""
    rows = await fetch(
        "SELECT id, octet_length(body) AS size FROM contents "
        "WHERE id = ANY({}::uuid[]) AND organization_id = {}",
        list(content_ids),
        actor.organization_id,
    )
    return {row["id"]: row["size"] for row in rows}


KeptContent = Content
"""What a message says, as it is kept."""


async def find_contents(
    actor: Actor, content_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, Content]:
    """Return what messages say; what is no longer kept is left out."""
    rows = await Content.objects().where(
        Content.id.is_in(list(content_ids)), Content.organization_id == actor.organization_id
    )
    return {row.id: row for row in rows}


@dataclass(frozen=True, slots=True)
class FirstRecipient:
    """Whom a message goes to before others, and what fills their mail."""

    address: str
    personal: Personal


async def first_recipients(
    actor: Actor, content_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, FirstRecipient]:
    """Return the first recipient of the message that each content is of."""
    rows = await fetch(
        "SELECT message.content_id, first.id, first.address, personal.body "
        "FROM spooled_messages AS message CROSS JOIN LATERAL ("
        "SELECT id, address FROM deliveries WHERE message_id = message.id ORDER BY id LIMIT 1"
        # Nobody comes before the first: if anything is kept of them, a row begins with it.
        ") AS first LEFT JOIN personal_values AS personal ON personal.delivery_id = first.id "
        "WHERE message.content_id = ANY({}::uuid[]) AND message.organization_id = {}",
        list(content_ids),
        actor.organization_id,
    )
    kept = decode_personal([(row["id"], row["body"]) for row in rows if row["body"] is not None])
    return {
        row["content_id"]: FirstRecipient(row["address"], kept.get(row["id"], NOTHING_OF_ITS_OWN))
        for row in rows
    }


async def counts_of_messages(
    actor: Actor, message_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, dict[str, int]]:
    """Return how many deliveries of each message are in each state."""
    rows = await fetch(
        "SELECT message_id, state, count(*)::int AS n FROM deliveries "
        "WHERE message_id = ANY({}::uuid[]) AND organization_id = {} GROUP BY 1, 2",
        list(message_ids),
        actor.organization_id,
    )
    found: dict[uuid.UUID, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["message_id"], {})[row["state"]] = row["n"]
    return found


async def find_personal(
    actor: Actor, delivery_ids: Collection[uuid.UUID]
) -> dict[uuid.UUID, Personal]:
    """Return what fills single recipients' mail, as far as it is kept."""
    rows = await fetch(
        "SELECT delivery_id, body FROM personal_values WHERE delivery_id IN (SELECT ("
        "SELECT own.delivery_id FROM personal_values AS own "
        "WHERE own.content_id = message.content_id AND own.delivery_id <= delivery.id "
        "ORDER BY own.delivery_id DESC LIMIT 1) FROM deliveries AS delivery "
        "JOIN spooled_messages AS message ON message.id = delivery.message_id "
        "WHERE delivery.id = ANY({}::uuid[]) AND delivery.organization_id = {})",
        list(delivery_ids),
        actor.organization_id,
    )
    found = decode_personal([(row["delivery_id"], row["body"]) for row in rows])
    # A row has others' beside those that are asked for.
    return {id: found[id] for id in delivery_ids if id in found}


def status_clause(statuses: Sequence[str]) -> WhereRaw:
    """Return the condition that a message (`messages.id`) has one of *statuses*."""
    return WhereRaw(
        # The organization is said again because the index begins with it.
        "EXISTS (SELECT FROM spooled_messages s WHERE s.id = messages.id "
        "AND s.organization_id = messages.organization_id "
        "AND s.status = ANY({}::text[]))",
        list(statuses),
    )


def recipient_clause(
    *,
    address_key: str | None = None,
    domain: str | None = None,
    bounce_class: str | None = None,
    isp: str | None = None,
) -> WhereRaw:
    """Return the condition that a message (`messages.id`) has such a delivery."""
    return WhereRaw(
        "EXISTS (SELECT FROM deliveries d WHERE d.message_id = messages.id "
        "AND d.organization_id = messages.organization_id "
        "AND ({}::text IS NULL OR d.address_key = {}) "
        "AND ({}::text IS NULL OR d.domain = {}) "
        "AND ({}::text IS NULL OR d.bounce_class = {}) "
        f"AND ({{}}::text IS NULL OR {_ISP} = {{}}))",
        address_key,
        address_key,
        domain,
        domain,
        bounce_class,
        bounce_class,
        isp,
        isp,
    )


async def open_mail(
    organization_id: uuid.UUID, domain_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> list[uuid.UUID]:
    """Return messages from the domain that are not final, in the order of their ids."""
    rows = await fetch(
        "SELECT id FROM spooled_messages WHERE organization_id = {} AND domain_id = {} "
        "AND completed_at IS NULL "
        "AND ({}::uuid IS NULL OR id > {}) ORDER BY id LIMIT {}",
        organization_id,
        domain_id,
        after,
        after,
        limit,
    )
    return [row["id"] for row in rows]


_ISP = isp_sql("d.domain", "d.mx_host")


async def has_open_mail(organization_id: uuid.UUID, domain_id: uuid.UUID) -> bool:
    """Say whether a message from the domain still waits for an attempt or is on the wire."""
    rows = await fetch(
        "SELECT EXISTS (SELECT FROM spooled_messages WHERE domain_id = {} "
        "AND completed_at IS NULL AND organization_id = {}) AS yes",
        domain_id,
        organization_id,
    )
    return bool(rows[0]["yes"])


async def oldest_due(actor: Actor) -> datetime | None:
    """Return since when the organization's oldest mail that may be sent has been due.

    Two index probes for each of its queues.
    """
    actor.require(Permission.READ_METRICS)
    rows = await fetch(
        "SELECT min(first.due_at) AS due_since FROM queues "
        "LEFT JOIN vmtas ON vmtas.id = queues.vmta_id "
        "CROSS JOIN (VALUES (0::smallint), (1::smallint)) AS turn (priority) "
        "CROSS JOIN LATERAL (SELECT due_at FROM deliveries WHERE queue_id = queues.id "
        "AND deliveries.priority = turn.priority AND due_at <= {} "
        "ORDER BY due_at LIMIT 1) AS first "
        "WHERE queues.organization_id = {} AND queues.state <> 'held' "
        "AND vmtas.status IS DISTINCT FROM 'paused'",
        clock.now(),
        actor.organization_id,
    )
    found: datetime | None = rows[0]["due_since"]
    return found


async def facts_of_queues(
    actor: Actor, queue_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, QueueFacts]:
    """Return what decides whether the mail of each queue is attempted."""
    rows = await fetch(
        "SELECT q.id, q.state = 'held' AS is_held, q.held_until, q.hold_reason, "
        "v.status IS NOT DISTINCT FROM 'paused' AS is_paused, v.paused_until, v.pause_reason, "
        "q.resume_at, q.rest_reason, q.rest_detail, q.backoff_until, q.last_reply "
        "FROM queues q LEFT JOIN vmtas v ON v.id = q.vmta_id "
        "WHERE q.organization_id = {} AND q.id = ANY({}::uuid[])",
        actor.organization_id,
        list(queue_ids),
    )
    return {row["id"]: QueueFacts(**{k: v for k, v in row.items() if k != "id"}) for row in rows}


async def holds_of_projects(
    actor: Actor, project_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, ProjectHeld]:
    """Return why those of the projects that auto-blocks hold are held."""
    rows = await fetch(
        "SELECT project_id, reason, held_until FROM project_holds "
        "WHERE organization_id = {} AND project_id = ANY({}::uuid[])",
        actor.organization_id,
        list(project_ids),
    )
    return {row["project_id"]: ProjectHeld(row["reason"], row["held_until"]) for row in rows}
