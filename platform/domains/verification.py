"""A check of a domain: what to look up, and what follows from what was found.

The network is between the two, with no transaction open. The operation and the background
job run the same steps.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch, fetch_of_all, transaction
from ..core.ids import new_id
from ..core.settings import settings
from ..core.storable import to_json
from ..events.operations import NewEvent, append
from ..events.rules import EventType
from ..mail.dkim import KeyAlgorithm
from .history import remember
from .lookups import Finding
from .records import (
    Logo,
    PublicKey,
    Publisher,
    RecordPurpose,
    RecordSpec,
    RecordStatus,
    is_proven,
    required_records,
    seen_keys,
)
from .rules import (
    CAN_SEND,
    DomainStatus,
    KeyState,
    next_status,
)
from .schedule import PENDING_CHECKED_EVERY, PENDING_CHECKED_FOR, next_check, share_of
from .tables import Domain

OWNER_INDEX = "domains_owner"
"""The unique index by which a verified domain has one owner."""

Statuses = dict[tuple[str, str], RecordStatus]
Audit = Callable[[Tx, Domain, str, Mapping[str, Any]], Awaitable[None]]
"""Writes an audit entry about a domain: the action, and what changed."""


@dataclass(frozen=True, slots=True)
class PlannedRecord:
    """A record of a domain, to be looked up."""

    id: uuid.UUID
    spec: RecordSpec
    status: RecordStatus
    checked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check changed."""

    changed: frozenset[RecordPurpose] = frozenset()
    claimed: bool = False
    """Control is proven, but another organization holds the domain."""


async def read_plan(
    domain_id: uuid.UUID, *, purposes: frozenset[RecordPurpose] | None = None
) -> list[PlannedRecord]:
    """Return the records of a domain, or those for some purposes."""
    rows = await fetch(
        "SELECT id, purpose, type, name, value, required, status, checked_at "
        "FROM domain_records WHERE domain_id = {} ORDER BY id",
        domain_id,
    )
    planned = [
        PlannedRecord(
            id=row["id"],
            spec=RecordSpec(
                RecordPurpose(row["purpose"]),
                row["type"],
                row["name"],
                row["value"],
                row["required"],
            ),
            status=RecordStatus(row["status"]),
            checked_at=row["checked_at"],
        )
        for row in rows
    ]
    return [record for record in planned if purposes is None or record.spec.purpose in purposes]


async def settle(
    domain_id: uuid.UUID, findings: Sequence[tuple[PlannedRecord, Finding]], *, audit: Audit
) -> Outcome | None:
    """Write down what was found and what follows from it; None if the domain is gone."""
    try:
        return await _settle(domain_id, findings, audit)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != OWNER_INDEX:
            raise
    # Another organization proved the same a moment earlier; by now that can be seen.
    return await _settle(domain_id, findings, audit)


async def _settle(
    domain_id: uuid.UUID, findings: Sequence[tuple[PlannedRecord, Finding]], audit: Audit
) -> Outcome | None:
    async with transaction() as tx:
        domain = await lock(tx, domain_id)
        if domain is None:
            return None
        before, now = DomainStatus(domain.status), clock.now()
        changed = await write_findings(domain_id, findings, now)
        await retire_keys(tx, domain)
        keys, statuses = await read_keys(domain_id), await _statuses(domain_id)
        seen = seen_keys(keys, domain=domain.name, statuses=statuses)
        replaced = {key.algorithm.kind for key in seen}
        active = [
            k for k in keys if k.state is KeyState.ACTIVE and k.algorithm.kind not in replaced
        ]
        proven = is_proven([*active, *seen], domain=domain.name, statuses=statuses)
        after, degraded_at = next_status(
            before, proven=proven, degraded_at=domain.degraded_at, now=now
        )
        claimed = after in CAN_SEND and before not in CAN_SEND and await _is_claimed(domain)
        if claimed:
            after, seen = before, []
        for key in seen:
            await _activate(tx, domain, key, audit=audit)
        answered = all(found.status is not RecordStatus.ERROR for _, found in findings)
        await _write_status(domain, after, degraded_at=degraded_at, now=now, answered=answered)
        await remember(tx, domain.id, status=after, at=now)
        if after is not before:
            await _announce(tx, domain, before, after, audit=audit)
    return Outcome(changed, claimed)


async def lock(tx: Tx, domain_id: uuid.UUID) -> Domain | None:
    """Return the domain, which nobody else changes until the transaction ends."""
    return await Domain.objects().where(Domain.id == domain_id).lock_rows("UPDATE").first()


async def read_keys(domain_id: uuid.UUID) -> list[PublicKey]:
    """Return every key that the domain ever had, oldest first."""
    rows = await fetch(
        "SELECT id, selector, algorithm, state, public_value FROM dkim_keys "
        "WHERE domain_id = {} ORDER BY id",
        domain_id,
    )
    return [
        PublicKey(
            id=row["id"],
            selector=row["selector"],
            algorithm=KeyAlgorithm(row["algorithm"]),
            state=KeyState(row["state"]),
            public_value=row["public_value"],
        )
        for row in rows
    ]


async def write_records(tx: Tx, domain: Domain) -> None:
    """Make the stored records those that the domain and its keys need now.

    A record whose value stays keeps what was found; one with a new value is pending again.
    """
    keys = await read_keys(domain.id)
    publisher = Publisher(
        name=domain.name,
        return_path_domain=domain.return_path_domain,
        tracking_domain=domain.tracking_domain,
        inbound_enabled=domain.inbound_enabled,
        dmarc_rua=domain.dmarc_rua,
        logo=await _read_logo(domain.id),
    )
    specs = required_records(publisher, keys, hostname=settings().hostname)
    await fetch(
        "DELETE FROM domain_records WHERE domain_id = {} AND NOT EXISTS "
        "(SELECT FROM unnest({}::text[], {}::text[]) AS kept (purpose, name) "
        "WHERE kept.purpose = domain_records.purpose AND kept.name = domain_records.name)",
        domain.id,
        [spec.purpose.value for spec in specs],
        [spec.name for spec in specs],
    )
    await fetch(
        "INSERT INTO domain_records AS old "
        "(id, domain_id, purpose, type, name, value, required, status, found) "
        "SELECT id, {}::uuid, purpose, type, name, value, required, 'pending', ARRAY[]::text[] "
        "FROM unnest({}::uuid[], {}::text[], {}::text[], {}::text[], {}::text[], {}::boolean[]) "
        "AS new (id, purpose, type, name, value, required) "
        "ON CONFLICT (domain_id, purpose, name) DO UPDATE SET required = excluded.required, "
        "type = excluded.type, value = excluded.value, "
        "status = CASE WHEN old.value = excluded.value THEN old.status ELSE 'pending' END, "
        "checked_at = CASE WHEN old.value = excluded.value THEN old.checked_at END",
        domain.id,
        [new_id() for _ in specs],
        [spec.purpose.value for spec in specs],
        [spec.type for spec in specs],
        [spec.name for spec in specs],
        [spec.value for spec in specs],
        [spec.required for spec in specs],
    )


async def _read_logo(domain_id: uuid.UUID) -> Logo | None:
    rows = await fetch(
        "SELECT selector, logo_url, vmc_url FROM domain_bimi "
        "WHERE domain_id = {} AND enabled AND logo_url IS NOT NULL",
        domain_id,
    )
    return Logo(**rows[0]) if rows else None


async def retire_keys(tx: Tx, domain: Domain) -> None:
    """Destroy the private keys whose overlap has ended; their records may go."""
    rows = await fetch(
        "UPDATE dkim_keys SET state = {}, private_key = NULL "
        "WHERE domain_id = {} AND state = {} AND retires_at <= {} RETURNING id",
        KeyState.RETIRED.value,
        domain.id,
        KeyState.RETIRING.value,
        clock.now(),
    )
    if rows:
        await write_records(tx, domain)


async def write_findings(
    domain_id: uuid.UUID, findings: Sequence[tuple[PlannedRecord, Finding]], now: datetime
) -> frozenset[RecordPurpose]:
    """Write down what was found, and return which purposes have another status than before."""
    # A record that was changed or taken away meanwhile is not what was looked up.
    rows = await fetch(
        "UPDATE domain_records AS record SET status = new.status, message = new.message, "
        "found = ARRAY(SELECT jsonb_array_elements_text(new.found::jsonb)), checked_at = {} "
        "FROM unnest({}::uuid[], {}::text[], {}::text[], {}::text[], {}::text[]) "
        "AS new (id, value, status, message, found) "
        "WHERE record.id = new.id AND record.value = new.value AND record.domain_id = {} "
        "RETURNING record.id",
        now,
        [record.id for record, _ in findings],
        [record.spec.value for record, _ in findings],
        [found.status.value for _, found in findings],
        [found.message for _, found in findings],
        [to_json(found.found) for _, found in findings],
        domain_id,
    )
    written = {row["id"] for row in rows}
    return frozenset(
        record.spec.purpose
        for record, found in findings
        if record.id in written and found.status is not record.status
    )


async def _statuses(domain_id: uuid.UUID) -> Statuses:
    return {(r.spec.purpose.value, r.spec.name): r.status for r in await read_plan(domain_id)}


async def _is_claimed(domain: Domain) -> bool:
    rows = await fetch_of_all(
        "SELECT FROM domains WHERE name = {} AND id <> {} AND status = ANY({}::text[])",
        domain.name,
        domain.id,
        [status.value for status in CAN_SEND],
    )
    return bool(rows)


async def _activate(tx: Tx, domain: Domain, key: PublicKey, *, audit: Audit) -> None:
    now = clock.now()
    replaced = await fetch(
        "UPDATE dkim_keys AS old SET state = {}, "
        "retires_at = {}::timestamptz + new.overlap_seconds * interval '1 second' "
        "FROM dkim_keys AS new WHERE new.id = {} AND old.domain_id = new.domain_id "
        "AND split_part(old.algorithm, '-', 1) = split_part(new.algorithm, '-', 1) "
        "AND old.state = {} RETURNING old.selector",
        KeyState.RETIRING.value,
        now,
        key.id,
        KeyState.ACTIVE.value,
    )
    await fetch(
        "UPDATE dkim_keys SET state = {}, activated_at = {} WHERE id = {}",
        KeyState.ACTIVE.value,
        now,
        key.id,
    )
    if domain.dkim_rotation_days:
        domain.next_rotation_at = now + timedelta(days=domain.dkim_rotation_days)
    await write_records(tx, domain)
    for old in replaced:
        told = {"selector": key.selector, "previous_selector": old["selector"]}
        await append(tx, [_event(domain, EventType.DOMAIN_DKIM_ROTATED, told)])
        await audit(tx, domain, EventType.DOMAIN_DKIM_ROTATED.value, told)


async def _write_status(
    domain: Domain,
    status: DomainStatus,
    *,
    degraded_at: datetime | None,
    now: datetime,
    answered: bool,
) -> None:
    if status in CAN_SEND and DomainStatus(domain.status) not in CAN_SEND:
        domain.verified_at = now
    domain.unanswered_checks = 0 if answered else domain.unanswered_checks + 1
    due = next_check(
        status,
        created_at=domain.created_at,
        now=now,
        unanswered=domain.unanswered_checks,
        share=share_of(domain.id),
    )
    if status.value != domain.status:
        domain.updated_at = now
    domain.status = status.value
    domain.degraded_at = degraded_at
    domain.last_checked_at = now
    domain.next_check_at = await next_look(domain, due, now=now)
    await domain.save()


async def next_look(domain: Domain, due: datetime | None, *, now: datetime) -> datetime | None:
    """Return *due*, or the time before it at which one of the domain's keys needs a look.

    A key that waits for its record is looked for every hour.
    """
    rows = await fetch(
        "SELECT min(retires_at) FILTER (WHERE state = {}) AS retires_at, "
        "max(created_at) FILTER (WHERE state = {}) AS waits_since "
        "FROM dkim_keys WHERE domain_id = {}",
        KeyState.RETIRING.value,
        KeyState.PENDING.value,
        domain.id,
    )
    times = [due, rows[0]["retires_at"]]
    if DomainStatus(domain.status) in CAN_SEND:
        times.append(domain.next_rotation_at)
    waits_since = rows[0]["waits_since"]
    if waits_since is not None and now - waits_since < PENDING_CHECKED_FOR:
        times.append(now + PENDING_CHECKED_EVERY)
    return min((at for at in times if at is not None and at > now), default=None)


_EVENTS = {
    DomainStatus.VERIFIED: EventType.DOMAIN_VERIFIED,
    DomainStatus.DEGRADED: EventType.DOMAIN_DEGRADED,
    DomainStatus.FAILED: EventType.DOMAIN_FAILED,
}


async def _announce(
    tx: Tx, domain: Domain, before: DomainStatus, after: DomainStatus, *, audit: Audit
) -> None:
    type_ = _EVENTS[after]
    records = [
        {
            "purpose": record.spec.purpose.value,
            "type": record.spec.type,
            "name": record.spec.name,
            "status": record.status.value,
        }
        for record in await read_plan(domain.id)
    ]
    await append(tx, [_event(domain, type_, {"status": after.value, "records": records})])
    changes = {"status": {"from": before.value, "to": after.value}}
    await audit(tx, domain, type_.value, changes)


def _event(domain: Domain, type_: EventType, data: Mapping[str, Any]) -> NewEvent:
    return NewEvent(
        organization_id=OrganizationId(domain.organization_id),
        project_id=None,
        message_id=None,
        delivery_id=None,
        type=type_,
        data={"domain_id": str(domain.id), "domain": domain.name, **data},
        occurred_at=clock.now(),
    )
