"""What an actor does to a vMTA that has queues: change it, pause it, resume it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from ..core import clock
from ..core.actor import Actor, OrganizationId, Permission
from ..core.database import Tx, fetch, transaction
from ..core.errors import DetailCode, InvalidInput
from ..mail.smtp import Tls
from ..vmtas.errors import VmtaBusy
from ..vmtas.limits import limits_of
from ..vmtas.operations import lock_own, record_change, rewrite, shown
from ..vmtas.pausing import begin_pause, end_pause, refuse_auto_block, resume_warmup
from ..vmtas.plans import Warmup, find_warmups
from ..vmtas.queries import VmtaRef, VmtaRow, active_members, forget
from ..vmtas.requests import (
    LimitsRequest,
    PlaceRequest,
    VmtaRequest,
    WarmupRequest,
    check_request,
)
from ..vmtas.rules import VmtaStatus
from .moving import Moved, has_mail, move_mail, waiting_for
from .operations import ring

LONGEST_REASON = 200
SHORTEST_PAUSE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(days=30)
SPREAD = timedelta(seconds=60)
"""Over this time the queues of a vMTA that is resumed begin again."""


@dataclass(frozen=True, slots=True)
class VmtaChanged:
    """A vMTA after it was paused or resumed, and what that means for its mail."""

    vmta: VmtaRow
    rerouted: int
    waiting: int
    in_flight: int


async def update_vmta(actor: Actor, ref: VmtaRef, changes: Mapping[str, Any]) -> VmtaRow:
    """Change those fields of a vMTA that *changes* names, by the names of `VmtaRequest`.

    None clears. What is within `limits` and `warmup` is given as a mapping, and merged.
    Limits take effect on new connections within seconds.

    Raises:
        NotFound: there is no such vMTA.
        SharedVmta: it is the deployment's.
        VmtaBusy: the address of one that is not paused, or has mail on the wire, was to change.
        VmtaExists: the organization has one with the new name.
        AddressInUse: another vMTA has the new address.
        InvalidInput: names every field that breaks a rule.
    """
    actor.require(Permission.WRITE_VMTAS)
    async with transaction() as tx:
        vmta = await lock_own(tx, actor, ref)
        warmup = (await find_warmups([vmta.id])).get(vmta.id)
        before = await _request_of(vmta, warmup)
        wanted = _merged(before, changes)
        may_be_absent = vmta.ip_address is None and "ip_address" not in changes
        today = clock.now().date()
        checked = check_request(wanted, today=today, address_may_be_absent=may_be_absent)
        if checked.ip_address != vmta.ip_address and (
            vmta.status != VmtaStatus.PAUSED or await has_mail(vmta.id, on_the_wire=True)
        ):
            raise VmtaBusy
        is_asked = "warmup" in changes
        if not is_asked:
            checked = replace(checked, warmup=before.warmup or WarmupRequest())
        await rewrite(tx, actor, vmta, checked, warmup=warmup)
        changed = {name: value for name, value in shown(checked).items() if name in changes}
        changed |= {name: True for name in changes if name not in changed}
        await record_change(tx, actor, vmta.id, "vmta.updated", changed)
    return vmta


async def pause_vmta(
    actor: Actor,
    ref: VmtaRef,
    *,
    reason: str | None = None,
    duration_seconds: int | None = None,
    reroute: bool = True,
) -> VmtaChanged:
    """Begin nothing more through a vMTA, for *duration_seconds* or until it is resumed.

    With *reroute*, mail that came by its pool goes through other active members; what asked
    for this vMTA waits. Pausing it again changes reason and duration.

    Raises:
        NotFound: there is no such vMTA.
        SharedVmta: it is the deployment's.
        PausedByAutoBlock: an auto-block holds it already.
        InvalidInput: a long reason, or a duration out of range.
    """
    actor.require(Permission.CONTROL_VMTAS)
    lasts = _checked_pause(reason, duration_seconds)
    async with transaction() as tx:
        vmta = await lock_own(tx, actor, ref)
        until = clock.now() + lasts if lasts else None
        await begin_pause(tx, actor, vmta, reason=reason, until=until, reroutes=reroute)
        moved = await move_to_pool(tx, vmta) if reroute else Moved(0, frozenset())
        said = {"reason": reason, "duration_seconds": duration_seconds, "reroute": reroute}
        await record_change(tx, actor, vmta.id, "vmta.paused", said)
        waiting, in_flight = await waiting_for(vmta.id)
        tx.after_commit(lambda: _after(actor, moved))
    return VmtaChanged(vmta, moved.count, waiting, in_flight)


async def resume_vmta(actor: Actor, ref: VmtaRef) -> VmtaChanged:
    """Let a vMTA send again, and its warm-up go on; one that does so already stays as it is.

    Its queues begin again within a minute, not all at the same moment.

    Raises:
        NotFound: there is no such vMTA.
        SharedVmta: it is the deployment's.
        PausedByAutoBlock: an auto-block paused it.
    """
    actor.require(Permission.CONTROL_VMTAS)
    async with transaction() as tx:
        vmta = await lock_own(tx, actor, ref)
        refuse_auto_block(vmta)
        await resume(tx, vmta)
        await resume_warmup(tx, vmta.id)
        waiting, in_flight = await waiting_for(vmta.id)
        await record_change(tx, actor, vmta.id, "vmta.resumed", {})
        tx.after_commit(lambda: _after(actor, Moved(0, frozenset())))
    return VmtaChanged(vmta, 0, waiting, in_flight)


async def resume(tx: Tx, vmta: VmtaRow) -> None:
    """End the pause of a locked vMTA; one without stays as it is."""
    if not await end_pause(tx, vmta):
        return
    # Spread by queue: there may be millions of deliveries, and each queue keeps its order. Locked
    # in the order of ids, as summing up does, so that the two never deadlock.
    await fetch(
        "UPDATE queues SET resume_at = later.at, rest_reason = NULL, rest_detail = NULL, "
        "next_due_at = greatest(next_due_at, later.at) "
        "FROM (SELECT id, {}::timestamptz + random() * {}::interval AS at FROM queues "
        "WHERE vmta_id = {} AND depth > 0 ORDER BY id FOR NO KEY UPDATE) AS later "
        "WHERE later.id = queues.id",
        clock.now(),
        SPREAD,
        vmta.id,
    )


async def move_to_pool(tx: Tx, vmta: VmtaRow) -> Moved:
    """Move what waits for a paused vMTA, and came by its pool, to the pool's active members."""
    owner = OrganizationId(vmta.organization_id)
    others = await active_members(owner, vmta.pool, besides=vmta.id)
    return await move_mail(tx, vmta.id, others, any_mail=False)


async def _after(actor: Actor, moved: Moved) -> None:
    forget(actor.organization_id)
    await ring(moved.queue_ids)


def _checked_pause(reason: str | None, seconds: int | None) -> timedelta | None:
    if reason is not None and len(reason) > LONGEST_REASON:
        message = f"A reason has at most {LONGEST_REASON} characters."
        raise InvalidInput.of("reason", DetailCode.TOO_LONG, message)
    if seconds is None:
        return None
    shortest, longest = int(SHORTEST_PAUSE.total_seconds()), int(LONGEST_PAUSE.total_seconds())
    if seconds < shortest:
        message = f"A pause lasts at least {shortest} seconds."
        raise InvalidInput.of("durationSeconds", DetailCode.TOO_SMALL, message)
    if seconds > longest:
        message = f"A pause lasts at most {longest} seconds."
        raise InvalidInput.of("durationSeconds", DetailCode.TOO_LARGE, message)
    return timedelta(seconds=seconds)


async def _request_of(vmta: VmtaRow, warmup: Warmup | None) -> VmtaRequest:
    limits = (await limits_of([vmta.id]))[vmta.id]
    return VmtaRequest(
        name=vmta.name,
        ip_address=vmta.ip_address,
        hostname=vmta.hostname,
        pool=vmta.pool,
        weight=vmta.weight,
        description=vmta.description,
        limits=LimitsRequest(
            limits.max_connections,
            limits.max_messages_per_connection,
            limits.max_messages_per_hour,
            limits.max_messages_per_day,
        ),
        places=[
            PlaceRequest(
                place.isp,
                place.domain,
                place.max_connections,
                place.max_messages_per_connection,
                place.max_messages_per_hour,
            )
            for place in limits.places
        ],
        warmup=warmup.request() if warmup else None,
        tls=Tls(vmta.tls),
        allowed_domains=list(vmta.allowed_domains or ()),
    )


def _merged(before: VmtaRequest, changes: Mapping[str, Any]) -> VmtaRequest:
    given = dict(changes)
    if given.get("limits") is not None:
        given["limits"] = replace(before.limits or LimitsRequest(), **given["limits"])
    if given.get("warmup") is not None:
        known = {field.name for field in fields(WarmupRequest)}
        said = {name: value for name, value in given["warmup"].items() if name in known}
        if said.get("schedule") is not None and "custom" not in said:
            # Another schedule has no use for the days of the old one.
            said["custom"] = ()
        given["warmup"] = replace(before.warmup or WarmupRequest(), **said)
    return replace(before, **given)
