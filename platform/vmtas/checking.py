"""Looking up what the DNS says of a vMTA's address: its name, and that name's address."""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch, transaction
from ..mail.dns import LookupStatus, Resolver, resolver
from .operations import CHECK_EVERY, lock_own
from .queries import VmtaRef, ehlo_name, get_vmta
from .tables import Vmta

WITHIN_SECONDS = 9.0
SOON = timedelta(minutes=15)
"""When a look-up without an answer is tried again."""
LOOKS = 3
"""In a row, where the vMTA is changed while its names are looked up; then its next look is due."""
STILL_SO = "WHERE id = {} AND ip_address = {} AND hostname = {} RETURNING id"


@dataclass(frozen=True, slots=True)
class Names:
    """What the DNS says of an address; None: it gave no answer."""

    ptr: str | None = None
    is_forward_confirmed: bool | None = None
    ehlo_matches_ptr: bool | None = None
    is_answered: bool = True


SILENT = Names(is_answered=False)


async def check_now(actor: Actor, ref: VmtaRef) -> Vmta:
    """Look a vMTA's address up and return the vMTA with what was found.

    Raises:
        NotFound: there is no such vMTA.
        SharedVmta: it is the deployment's.
    """
    actor.require(Permission.CONTROL_VMTAS)
    async with transaction() as tx:
        vmta = await lock_own(tx, actor, ref)
    await look(vmta.id)
    return await get_vmta(actor, id=vmta.id)


async def look(vmta_id: uuid.UUID) -> None:
    """Look the address of a vMTA up and write down what was found.

    Without an answer, what was found before stays. Where address or name were changed meanwhile
    it looks again: whoever changed them asked for a job, which was refused while this one ran.
    """
    for _ in range(LOOKS):
        if await _look_once(vmta_id):
            return


async def _look_once(vmta_id: uuid.UUID) -> bool:
    """Do what `look` does, and say whether what was looked up is still what it is about."""
    vmta = await Vmta.objects().where(Vmta.id == vmta_id).first()
    if vmta is None or vmta.ip_address is None:
        return True
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            found = await names_of(resolver(), vmta.ip_address, ehlo_name(vmta))
    except TimeoutError:
        found = SILENT
    now = clock.now()
    if found.is_answered:
        written = await fetch(
            "UPDATE vmtas SET ptr = {}, is_forward_confirmed = {}, ehlo_matches_ptr = {}, "
            f"checked_at = {{}}, next_check_at = {{}} {STILL_SO}",
            found.ptr,
            found.is_forward_confirmed,
            found.ehlo_matches_ptr,
            now,
            now + CHECK_EVERY,
            *(vmta_id, vmta.ip_address, vmta.hostname),
        )
    else:
        written = await fetch(
            f"UPDATE vmtas SET next_check_at = {{}} {STILL_SO}",
            now + SOON,
            *(vmta_id, vmta.ip_address, vmta.hostname),
        )
    return bool(written)


async def names_of(dns: Resolver, address: str, ehlo: str) -> Names:
    """Return the name of an address, whether it leads back, and whether it is the EHLO name.

    Of several names, the EHLO name is shown if it is one.
    """
    reverse = await dns.ptr(address, fresh=True)
    if reverse.status is LookupStatus.FAILED:
        return SILENT
    names = [name.rstrip(".").lower() for name in reverse.values]
    if not names:
        return Names(None, False, False)
    name = ehlo if ehlo in names else names[0]
    forward = await dns.addresses(name, fresh=True)
    if forward.status is LookupStatus.FAILED:
        return SILENT
    return Names(name[:253], address in forward.values, name == ehlo)
