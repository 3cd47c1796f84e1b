"""Setting a domain up."""

import uuid
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import Tx, transaction
from ...core.errors import Conflict, InvalidInput
from ...core.settings import settings
from ...security import idempotency
from ...vmtas.rules import DEFAULT_POOL
from ..errors import DomainExists
from ..keys import SealedKey, insert_keys, make_sealed_key
from ..queries import DomainRef, domain_of
from ..rules import (
    DEFAULT_OVERLAP_SECONDS,
    FIRST_CHECK_AFTER,
    CheckedDomain,
    DomainRequest,
    DomainStatus,
    check_request,
    selector_for,
)
from ..tables import Domain
from ..verification import write_records
from .audit import record_change
from .refusals import (
    refuse_beyond_plan,
    refuse_taken,
    refuse_taken_tracking,
    refuse_unknown_pool,
)

CREATE = "createDomain"
"""Under this name the answers of `create_domain` are kept for repeated requests."""

NAME_INDEX = "domains_once"
"""The unique index by which an organization has a domain once."""


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
        TooManyDomains: the plan allows no further one.
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


async def _create(
    actor: Actor, request: DomainRequest, idempotency_key: str | None, mark: bytes
) -> CreatedDomain:
    if idempotency_key is not None:
        # Before anything is checked or made: a repeat costs no keys.
        kept = await idempotency.find(actor.organization_id, CREATE, idempotency_key, mark)
        if kept is not None:
            return await _made_before(actor, kept)
    checked = check_request(request, hostname=settings().hostname)
    if idempotency_key is None:
        # Said here too, so that no keys are made for what will be refused.
        async with transaction() as tx:
            await _refuse(tx, actor, request, checked)
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
                    return await _made_before(actor, kept)
            domain = await insert_domain(tx, actor, request, checked, keys)
            if idempotency_key is not None:
                answer = {"domainId": str(domain.id)}
                await idempotency.store(tx, actor.organization_id, CREATE, idempotency_key, answer)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != NAME_INDEX:
            raise
        raise DomainExists from None
    return CreatedDomain(domain)


async def _made_before(actor: Actor, kept: idempotency.StoredAnswer) -> CreatedDomain:
    made = uuid.UUID(kept.result()["domainId"])
    return CreatedDomain(await domain_of(actor, DomainRef(id=made)), True)


async def _refuse(tx: Tx, actor: Actor, request: DomainRequest, checked: CheckedDomain) -> None:
    """Do nothing if other rows allow the domain; what is wrong with the input is said first."""
    await refuse_unknown_pool(actor, request.default_pool or DEFAULT_POOL)
    await refuse_taken_tracking(actor, checked.tracking_domain, domain_id=None)
    await refuse_taken(actor, checked.name)
    await refuse_beyond_plan(tx, actor)


async def insert_domain(
    tx: Tx, actor: Actor, request: DomainRequest, checked: CheckedDomain, keys: list[SealedKey]
) -> Domain:
    """Write a domain down, with keys and records that nobody has looked for yet.

    Raises:
        InvalidInput: there is no such pool, or another domain tracks under the name.
        DomainExists: the organization has it already.
        DomainClaimed: another organization has verified it.
        TooManyDomains: the plan allows no further one.
    """
    await _refuse(tx, actor, request, checked)
    pool = request.default_pool or DEFAULT_POOL
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
        next_check_at=now + FIRST_CHECK_AFTER,
        created_at=now,
        updated_at=now,
    )
    await Domain.insert(domain)
    await insert_keys(tx, domain.id, keys, overlap_seconds=DEFAULT_OVERLAP_SECONDS)
    await write_records(tx, domain)
    algorithms = [key.algorithm.value for key in keys]
    changes = {"name": checked.name, "dkim_algorithms": algorithms}
    await record_change(actor, tx, domain, "domain.created", changes)
    return domain
