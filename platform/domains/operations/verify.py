"""Verifying a domain now, and replacing its keys."""

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import asyncpg

from ...core import clock
from ...core.actor import Actor, OrganizationId, Permission
from ...core.database import transaction
from ...core.errors import NotFound
from ...core.settings import settings
from ...mail.dkim import KeyAlgorithm
from ...mail.dns import resolver
from ...security import limits
from ...vmtas import queries as vmtas
from ..errors import DnsUnavailable, DomainClaimed, SelectorInUse
from ..keys import SELECTOR_INDEX, choose_selector, make_sealed_key, start_rotation
from ..lookups import Sender, look_up
from ..queries import DomainRef, domain_of
from ..records import RecordPurpose, RecordStatus
from ..rules import (
    CACHED_FOR,
    CAN_SEND,
    DEFAULT_OVERLAP_SECONDS,
    DomainStatus,
    checked_overlap,
)
from ..tables import Domain
from ..verification import PlannedRecord, read_plan, settle
from .audit import record_change


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
        TooManyRequests: more than 6 checks of this domain within a minute.
    """
    actor.require(Permission.WRITE_DOMAINS)
    started = time.monotonic()
    domain = await domain_of(actor, ref)
    await limits.count(limits.VERIFY_DOMAIN, str(domain.id))
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
    outcome = await settle(domain.id, pairs, audit=partial(record_change, actor))
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
                audit=partial(record_change, actor),
            )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != SELECTOR_INDEX:
            raise
        raise SelectorInUse from None


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
