"""Changing vMTAs and pools. What moves mail too is an operation of `delivery`."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from ..accounts.plans import limits_of as limits_of_plan
from ..accounts.queries import get_plan
from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, OrganizationId, Permission
from ..core.database import Tx, fetch, fetch_of_all, transaction
from ..core.errors import Conflict, DetailCode, InvalidInput, NotFound
from ..core.ids import new_id
from ..core.queue import JobName, enqueue
from ..security import idempotency
from .errors import AddressInUse, SharedVmta, TooManyVmtas, VmtaExists
from .inventory import is_in_inventory
from .plans import Warmup, write_warmup
from .queries import VmtaRef, forget, get_vmta
from .requests import CheckedVmta, PlaceRequest, VmtaRequest, check_request
from .rules import DEFAULT_POOL
from .tables import Vmta, VmtaLimit

CREATE = "createVmta"
"""Under this name the answers of `create_vmta` are kept for repeated requests."""

NAME_INDEX = "vmtas_name"
CHECK_EVERY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class CreatedVmta:
    """A new vMTA; *replayed* when an earlier request with the same key made it."""

    vmta: Vmta
    replayed: bool = False


async def create_default_pool(tx: Tx, organization_id: OrganizationId) -> None:
    """Give a new organization its pool `default`; doing it twice makes one."""
    await _ensure_pool(organization_id, DEFAULT_POOL)


async def create_vmta(
    actor: Actor, request: VmtaRequest, *, idempotency_key: str | None = None
) -> CreatedVmta:
    """Make a vMTA, which takes its share of its pool's mail within seconds.

    A pool that is not there is made. The names of its address are looked up in the background.

    Raises:
        InvalidInput: names every field that breaks a rule.
        VmtaExists: the organization has one with the name.
        AddressInUse: another vMTA has the address.
        TooManyVmtas: the plan allows no further one.
    """
    actor.require(Permission.WRITE_VMTAS)
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


async def _create(actor: Actor, request: VmtaRequest, key: str | None, mark: bytes) -> CreatedVmta:
    if key is not None:
        kept = await idempotency.find(actor.organization_id, CREATE, key, mark)
        if kept is not None:
            return await _made_before(actor, kept)
    checked = check_request(request, today=clock.now().date())
    try:
        async with transaction() as tx:
            if key is not None:
                kept = await idempotency.claim(tx, actor.organization_id, CREATE, key, mark)
                if kept is not None:
                    return await _made_before(actor, kept)
            vmta = await _insert(tx, actor, checked)
            if key is not None:
                answer = {"vmtaId": str(vmta.id)}
                await idempotency.store(tx, actor.organization_id, CREATE, key, answer)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != NAME_INDEX:
            raise
        raise VmtaExists from None
    return CreatedVmta(vmta)


async def _made_before(actor: Actor, kept: idempotency.StoredAnswer) -> CreatedVmta:
    return CreatedVmta(await get_vmta(actor, id=uuid.UUID(kept.result()["vmtaId"])), True)


async def _insert(tx: Tx, actor: Actor, checked: CheckedVmta) -> Vmta:
    # Two who make the last one allowed at the same moment wait for each other here.
    most = limits_of_plan(await get_plan(tx, actor.organization_id)).vmtas
    own = Vmta.organization_id == actor.organization_id
    if most is not None and await Vmta.count().where(own) >= most:
        raise TooManyVmtas
    if await Vmta.exists().where(own & (Vmta.name == checked.name)):
        raise VmtaExists
    await refuse_address(tx, checked.ip_address, vmta_id=None)
    now = clock.now()
    vmta = Vmta(organization_id=actor.organization_id, created_at=now)
    _fill(vmta, checked)
    vmta.next_check_at = now
    await Vmta.insert(vmta)
    await write_places(tx, vmta.id, checked.places)
    await write_warmup(tx, vmta.id, checked.warmup, before=None)
    await _ensure_pool(actor.organization_id, checked.pool)
    await record_change(tx, actor, vmta.id, "vmta.created", shown(checked))
    tx.after_commit(lambda: after_change(actor, vmta.id))
    return vmta


async def rewrite(
    tx: Tx, actor: Actor, vmta: Vmta, checked: CheckedVmta, *, warmup: Warmup | None
) -> None:
    """Make a locked vMTA what *checked* says; its queues and their mail are not touched.

    Raises:
        VmtaExists: another of the organization's has the name.
        AddressInUse: another vMTA has the address.
        InvalidInput: the address is not ours to use, or the start of a warm-up cannot be.
    """
    has_new_address = checked.ip_address != vmta.ip_address
    same_name = (Vmta.organization_id == actor.organization_id) & (Vmta.name == checked.name)
    if await Vmta.exists().where(same_name & (Vmta.id != vmta.id)):
        raise VmtaExists
    if has_new_address:
        await refuse_address(tx, checked.ip_address, vmta_id=vmta.id)
    has_new_names = has_new_address or checked.hostname != vmta.hostname
    _fill(vmta, checked)
    if has_new_address:
        vmta.ptr = vmta.is_forward_confirmed = vmta.ehlo_matches_ptr = None
        vmta.is_listed = vmta.checked_at = None
    if has_new_names and vmta.ip_address is not None:
        # The job that is asked for may be refused: a look at the old names may go on.
        vmta.next_check_at = clock.now()
    await vmta.save()
    await fetch("DELETE FROM vmta_limits WHERE vmta_id = {}", vmta.id)
    await write_places(tx, vmta.id, checked.places)
    await write_warmup(tx, vmta.id, checked.warmup, before=warmup, has_new_address=has_new_address)
    await _ensure_pool(actor.organization_id, checked.pool)
    tx.after_commit(lambda: after_change(actor, vmta.id))


async def lock_own(tx: Tx, actor: Actor, ref: VmtaRef) -> Vmta:
    """Return the organization's vMTA that *ref* names, locked until the transaction ends.

    Raises:
        NotFound: there is none that the organization may use.
        SharedVmta: it is the deployment's.
    """
    found = await get_vmta(actor, id=ref.id, name=ref.name)
    if found.organization_id is None:
        raise SharedVmta
    await fetch("SELECT FROM vmtas WHERE id = {} FOR NO KEY UPDATE", found.id)
    locked = await Vmta.objects().where(Vmta.id == found.id).first()
    if locked is None:
        raise NotFound
    return locked


async def refuse_address(tx: Tx, address: str | None, *, vmta_id: uuid.UUID | None) -> None:
    """Do nothing if a vMTA may have the address; held for it until the transaction ends.

    Raises:
        InvalidInput: it is not in the inventory.
        AddressInUse: another vMTA has it.
    """
    if address is None:
        return
    if not is_in_inventory(address):
        message = "This is no address of this deployment that mail can leave from."
        raise InvalidInput.of("ipAddress", DetailCode.NOT_ALLOWED, message)
    # No unique index: the deployment's operator may let shared vMTAs have one address.
    await fetch("SELECT pg_advisory_xact_lock(hashtextextended({}, 7180))", address)
    taken = await fetch_of_all("SELECT id FROM vmtas WHERE ip_address = {}", address)
    if any(row["id"] != vmta_id for row in taken):
        raise AddressInUse


async def write_places(tx: Tx, vmta_id: uuid.UUID, places: tuple[PlaceRequest, ...]) -> None:
    """Write what a vMTA may do at some places."""
    if places:
        await VmtaLimit.insert(
            *(
                VmtaLimit(
                    vmta_id=vmta_id,
                    isp=place.isp,
                    domain=place.domain,
                    max_connections=place.max_connections,
                    max_messages_per_connection=place.max_messages_per_connection,
                    max_messages_per_hour=place.max_messages_per_hour,
                )
                for place in places
            )
        )


async def record_change(
    tx: Tx, actor: Actor, vmta_id: uuid.UUID, action: str, changes: dict[str, Any]
) -> None:
    """Write an audit entry about a vMTA."""
    await record(tx, actor, action=action, target_type="vmta", target_id=vmta_id, changes=changes)


async def after_change(actor: Actor, vmta_id: uuid.UUID) -> None:
    """Let this process choose by what is there now, and have the names looked up."""
    forget(actor.organization_id)
    await enqueue(JobName.CHECK_VMTA, key=f"check-vmta:{vmta_id}", vmta_id=str(vmta_id))


def shown(checked: CheckedVmta) -> dict[str, Any]:
    """Return what was asked for, as the audit log shows it."""
    return {
        "name": checked.name,
        "ip_address": checked.ip_address,
        "hostname": checked.hostname,
        "pool": checked.pool,
        "weight": checked.weight,
        "tls": checked.tls.value,
        "warmup": checked.warmup.enabled,
    }


def _fill(vmta: Vmta, checked: CheckedVmta) -> None:
    vmta.name = checked.name
    vmta.ip_address = checked.ip_address
    vmta.hostname = checked.hostname
    vmta.pool = checked.pool
    vmta.weight = checked.weight
    vmta.description = checked.description
    vmta.tls = checked.tls.value
    vmta.allowed_domains = list(checked.allowed_domains)
    vmta.max_connections = checked.limits.max_connections or 100
    vmta.max_messages_per_connection = checked.limits.max_messages_per_connection
    vmta.max_messages_per_hour = checked.limits.max_messages_per_hour
    vmta.max_messages_per_day = checked.limits.max_messages_per_day
    vmta.updated_at = clock.now()


async def _ensure_pool(organization_id: OrganizationId, name: str) -> None:
    await fetch(
        "INSERT INTO pools (id, organization_id, name, created_at) VALUES ({}, {}, {}, {}) "
        "ON CONFLICT (organization_id, name) DO NOTHING",
        new_id(),
        organization_id,
        name,
        clock.now(),
    )
