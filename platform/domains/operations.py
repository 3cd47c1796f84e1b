"""Changing domains."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg

from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, OrganizationId, Permission
from ..core.database import Tx, fetch, transaction
from ..core.errors import Conflict, DetailCode, InvalidInput, NotFound
from ..core.settings import settings
from ..mail.dkim import KeyAlgorithm
from ..mail.dns import resolver
from ..security import idempotency
from ..vmtas import queries as vmtas
from ..vmtas.rules import DEFAULT_POOL
from .errors import DnsUnavailable, DomainClaimed, DomainExists, SelectorInUse
from .keys import (
    SELECTOR_INDEX,
    SealedKey,
    choose_selector,
    insert_keys,
    make_sealed_key,
    start_rotation,
)
from .lookups import Sender, look_up
from .queries import DomainRef, domain_of
from .records import RecordPurpose, RecordStatus
from .rules import (
    ABSENT,
    CACHED_FOR,
    CAN_SEND,
    DEFAULT_OVERLAP_SECONDS,
    CheckedDomain,
    DomainChanges,
    DomainRequest,
    DomainStatus,
    check_request,
    check_settings,
    checked_overlap,
    selector_for,
)
from .tables import Domain
from .verification import PlannedRecord, lock, read_plan, settle, write_records
from .work import ask_for_check

CREATE = "createDomain"
"""Under this name the answers of `create_domain` are kept for repeated requests."""

NAME_INDEX = "domains_once"


@dataclass(frozen=True, slots=True)
class CreatedDomain:
    """A new domain; *replayed* when an earlier request with the same key made it."""

    domain: Domain
    replayed: bool = False


async def create_domain(
    actor: Actor, request: DomainRequest, *, idempotency_key: str | None = None
) -> CreatedDomain:
    """Set up a domain with its DKIM keys and the records to publish; it is `pending` then.

    The private keys are sealed and never leave. A first look at the DNS follows in the
    background. A repeat with the same *idempotency_key* returns the domain as it is now.

    Raises:
        InvalidInput: names every field that breaks a rule.
        DomainExists: the organization has it already.
        DomainClaimed: another organization has verified it.
    """
    actor.require(Permission.WRITE_DOMAINS)
    mark = idempotency.fingerprint(repr(request))
    try:
        return await _create(actor, request, idempotency_key, mark)
    except (idempotency.KeyReused, idempotency.StillRunning):
        raise
    except (InvalidInput, Conflict) as refusal:
        if idempotency_key is not None:
            await idempotency.store_refusal(
                actor.organization_id, CREATE, idempotency_key, mark, refusal
            )
        raise


async def update_domain(actor: Actor, ref: DomainRef, changes: DomainChanges) -> Domain:
    """Change what messages of the domain do by default, and which records it publishes.

    A change that adds records does not take away the right to send.

    Raises:
        NotFound: the domain is absent or somebody else's.
        InvalidInput: names every field that breaks a rule.
    """
    actor.require(Permission.WRITE_DOMAINS)
    found = await domain_of(actor, ref)
    async with transaction() as tx:
        domain = await lock(tx, found.id)
        if domain is None:
            raise NotFound
        changed = await _apply(actor, domain, changes)
        if changed:
            domain.updated_at = clock.now()
            await domain.save()
            await write_records(tx, domain)
            await _record(tx, actor, domain, "domain.updated", changed)
    return domain


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of a domain found and changed."""

    domain: Domain
    purposes: frozenset[RecordPurpose]
    """What was checked."""
    changed: frozenset[RecordPurpose]
    """What has another status than before."""
    cached: bool
    duration: timedelta


async def verify_domain(
    actor: Actor, ref: DomainRef, *, purposes: frozenset[RecordPurpose] | None = None
) -> Verification:
    """Look up the domain's records, or those for *purposes*, and act on what is found.

    Whatever was checked within the last 30 seconds is answered from what is stored. It
    takes ten seconds at most.

    Raises:
        NotFound: the domain is absent or somebody else's.
        DomainClaimed: control is proven, but another organization holds the domain.
        DnsUnavailable: no name server answers.
    """
    actor.require(Permission.WRITE_DOMAINS)
    started = time.monotonic()
    domain = await domain_of(actor, ref)
    plan = await read_plan(domain.id, purposes=purposes)
    checked = frozenset(planned.spec.purpose for planned in plan)
    if _is_fresh(domain, plan):
        return Verification(domain, checked, frozenset(), True, _since(started))
    addresses = await vmtas.list_addresses(OrganizationId(domain.organization_id))
    sender = Sender(settings().hostname, tuple(addresses))
    findings = await look_up(resolver(), [planned.spec for planned in plan], sender=sender)
    if findings is None:
        raise DnsUnavailable(retry_after_seconds=30)
    pairs = list(zip(plan, findings, strict=True))
    outcome = await settle(domain.id, pairs, audit=partial(_audit, actor))
    if outcome is None:
        raise NotFound
    if outcome.claimed:
        raise DomainClaimed
    domain = await domain_of(actor, DomainRef(id=domain.id))
    return Verification(domain, checked, outcome.changed, False, _since(started))


async def rotate_dkim(
    actor: Actor,
    ref: DomainRef,
    *,
    selector: str | None = None,
    algorithm: KeyAlgorithm = KeyAlgorithm.RSA_2048,
    overlap_seconds: int = DEFAULT_OVERLAP_SECONDS,
    force: bool = False,
) -> Domain:
    """Make a new key that takes over once its record was seen; return the domain.

    The key before then stays published for *overlap_seconds* and is destroyed. With *force*
    a new key that still waits is replaced; its selector is never used again.

    Raises:
        NotFound: the domain is absent or somebody else's.
        RotationInProgress: a new key waits already.
        SelectorInUse: the domain has, or had, a key with that selector.
        InvalidInput: the selector or the overlap breaks a rule.
    """
    actor.require(Permission.WRITE_DOMAINS)
    overlap = checked_overlap(overlap_seconds)
    domain = await domain_of(actor, ref)
    chosen = await choose_selector(domain, selector, algorithm, force=force)
    key = await make_sealed_key(chosen, algorithm)
    try:
        async with transaction() as tx:
            return await start_rotation(
                tx,
                domain.id,
                key,
                overlap_seconds=overlap,
                force=force,
                audit=partial(_audit, actor),
            )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != SELECTOR_INDEX:
            raise
        raise SelectorInUse from None


async def stop_sending(actor: Actor, domain_id: uuid.UUID) -> None:
    """Have no more mail from a domain accepted, because it is about to be deleted."""
    actor.require(Permission.DELETE_DOMAINS)
    await fetch(
        "UPDATE domains SET status = {}, next_check_at = NULL "
        "WHERE id = {} AND organization_id = {}",
        DomainStatus.FAILED.value,
        domain_id,
        actor.organization_id,
    )


async def delete_domain(tx: Tx, actor: Actor, domain_id: uuid.UUID) -> None:
    """Delete a domain with its records and keys; the private keys are gone with it.

    Whoever calls it has dealt with the mail that is still on its way.

    Raises:
        NotFound: the domain is absent or somebody else's.
    """
    actor.require(Permission.DELETE_DOMAINS)
    domain = await domain_of(actor, DomainRef(id=domain_id))
    await Domain.delete().where(Domain.id == domain.id)
    await _record(tx, actor, domain, "domain.deleted", {"name": domain.name})


async def _create(
    actor: Actor, request: DomainRequest, idempotency_key: str | None, mark: bytes
) -> CreatedDomain:
    checked = check_request(request, hostname=settings().hostname)
    if idempotency_key is None:
        # Said here too, so that no keys are made for what will be refused.
        await _refuse_taken(actor, checked.name)
    keys = [
        await make_sealed_key(selector_for(checked.dkim_selector, algorithm), algorithm)
        for algorithm in checked.dkim_algorithms
    ]
    try:
        async with transaction() as tx:
            if idempotency_key is not None:
                kept = await idempotency.claim(
                    tx, actor.organization_id, CREATE, idempotency_key, mark
                )
                if kept is not None:
                    made = uuid.UUID(kept.result()["domainId"])
                    return CreatedDomain(await domain_of(actor, DomainRef(id=made)), True)
            domain = await _insert(tx, actor, request, checked, keys)
            if idempotency_key is not None:
                answer = {"domainId": str(domain.id)}
                await idempotency.store(tx, actor.organization_id, CREATE, idempotency_key, answer)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != NAME_INDEX:
            raise
        raise DomainExists from None
    return CreatedDomain(domain)


async def _insert(
    tx: Tx, actor: Actor, request: DomainRequest, checked: CheckedDomain, keys: list[SealedKey]
) -> Domain:
    await _refuse_taken(actor, checked.name)
    pool = request.default_pool or DEFAULT_POOL
    await _refuse_unknown_pool(actor, pool)
    await _refuse_taken_tracking(actor, checked.tracking_domain, domain_id=None)
    now, days = clock.now(), checked.dkim_rotation_days
    domain = Domain(
        organization_id=actor.organization_id,
        name=checked.name,
        status=DomainStatus.PENDING.value,
        return_path_domain=checked.return_path_domain,
        tracking_domain=checked.tracking_domain,
        track_opens=request.track_opens,
        track_clicks=request.track_clicks,
        default_pool=pool,
        inbound_enabled=request.inbound_enabled,
        dmarc_rua=checked.dmarc_rua,
        dkim_selector=checked.dkim_selector,
        dkim_rotation_days=days,
        next_rotation_at=now + timedelta(days=days) if days else None,
        next_check_at=now,
        created_at=now,
        updated_at=now,
    )
    await Domain.insert(domain)
    await insert_keys(tx, domain.id, keys, overlap_seconds=DEFAULT_OVERLAP_SECONDS)
    await write_records(tx, domain)
    algorithms = [algorithm.value for algorithm in checked.dkim_algorithms]
    changes = {"name": checked.name, "dkim_algorithms": algorithms}
    await _record(tx, actor, domain, "domain.created", changes)
    tx.after_commit(partial(ask_for_check, domain.id))
    return domain


async def _refuse_taken(actor: Actor, name: str) -> None:
    rows = await fetch(
        "SELECT organization_id = {} AS own FROM domains "
        "WHERE name = {} AND (organization_id = {} OR status = ANY({}::text[]))",
        actor.organization_id,
        name,
        actor.organization_id,
        [status.value for status in CAN_SEND],
    )
    if any(row["own"] for row in rows):
        raise DomainExists
    if rows:
        raise DomainClaimed


async def _refuse_unknown_pool(actor: Actor, pool: str) -> None:
    if not await vmtas.has_pool(actor.organization_id, pool):
        raise InvalidInput.of(
            "defaultPool", DetailCode.NOT_FOUND, "There is no pool with this name."
        )


async def _refuse_taken_tracking(
    actor: Actor, name: str | None, *, domain_id: uuid.UUID | None
) -> None:
    if name is None:
        return
    # Of others only what is verified counts: a name alone takes nothing from its owner.
    rows = await fetch(
        "SELECT id FROM domains WHERE tracking_domain = {} AND id IS DISTINCT FROM {}::uuid "
        "AND (organization_id = {} OR status = ANY({}::text[]))",
        name,
        domain_id,
        actor.organization_id,
        [status.value for status in CAN_SEND],
    )
    if rows:
        raise InvalidInput.of(
            "trackingDomain", DetailCode.DUPLICATE, "Another domain tracks under this name."
        )


async def _apply(actor: Actor, domain: Domain, changes: DomainChanges) -> dict[str, Any]:
    """Set the changed fields of *domain* and return what they were and are."""
    wanted: dict[str, Any] = {
        name: value
        for name in (
            "track_opens",
            "track_clicks",
            "default_pool",
            "inbound_enabled",
            "tracking_domain",
            "dmarc_rua",
            "dkim_rotation_days",
        )
        if (value := getattr(changes, name)) is not ABSENT
    }
    tracking, rua = check_settings(
        domain.name,
        return_path_domain=domain.return_path_domain,
        tracking_domain=wanted.get("tracking_domain"),
        dmarc_rua=wanted.get("dmarc_rua"),
        rotation_days=wanted.get("dkim_rotation_days"),
    )
    if "tracking_domain" in wanted:
        wanted["tracking_domain"] = tracking
        await _refuse_taken_tracking(actor, tracking, domain_id=domain.id)
    if "dmarc_rua" in wanted:
        wanted["dmarc_rua"] = rua
    if "default_pool" in wanted:
        await _refuse_unknown_pool(actor, wanted["default_pool"])
    changed = {
        name: {"from": getattr(domain, name), "to": value}
        for name, value in wanted.items()
        if getattr(domain, name) != value
    }
    for name, change in changed.items():
        setattr(domain, name, change["to"])
    if "dkim_rotation_days" in changed:
        days = domain.dkim_rotation_days
        domain.next_rotation_at = clock.now() + timedelta(days=days) if days else None
    return changed


def _is_fresh(domain: Domain, plan: list[PlannedRecord]) -> bool:
    now = clock.now()
    if any(r.checked_at is None or now - r.checked_at >= CACHED_FOR for r in plan):
        return False
    # A domain whose records are right but that is not verified is somebody else's; whether
    # it still is takes a look.
    needed = (RecordPurpose.DKIM, RecordPurpose.RETURN_PATH)
    statuses = {r.status for r in plan if r.spec.purpose in needed}
    return DomainStatus(domain.status) in CAN_SEND or statuses != {RecordStatus.VERIFIED}


def _since(started: float) -> timedelta:
    return timedelta(seconds=time.monotonic() - started)


async def _audit(
    actor: Actor, tx: Tx, domain: Domain, action: str, changes: Mapping[str, Any]
) -> None:
    await _record(tx, actor, domain, action, changes)


async def _record(
    tx: Tx, actor: Actor, domain: Domain, action: str, changes: Mapping[str, Any]
) -> None:
    await record(
        tx, actor, action=action, target_type="domain", target_id=domain.id, changes=changes
    )
