"""Saying how much encryption an organization wants for its mail to a domain."""

from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch, transaction
from ..core.errors import DetailCode, InvalidInput, NotFound
from ..core.ids import new_id
from ..mail.address import InvalidAddress, parse_domain
from ..mail.tls import Tls
from .tables import TlsRequirement

MOST_REQUIREMENTS = 1_000
"""Domains of one organization that mail is encrypted for in a way of their own."""


async def set_tls_requirement(actor: Actor, *, domain: str, tls: Tls) -> TlsRequirement:
    """Let mail to *domain* be encrypted so, in place of what its vMTA says.

    It holds from the next connection on. What the domain itself publishes is never made less of.

    Raises:
        InvalidInput: it is no mail domain, or there are too many requirements.
    """
    actor.require(Permission.WRITE_VMTAS)
    name = _checked(domain)
    async with transaction() as tx:
        # Of two at once that would be one too many, the second waits here for the first.
        await fetch(
            "SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", actor.organization_id
        )
        await _check_room(actor, name)
        rows = await fetch(
            "INSERT INTO tls_requirements "
            "(id, organization_id, domain, tls, created_at, updated_at) "
            "VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT (organization_id, domain) DO UPDATE "
            "SET tls = excluded.tls, updated_at = excluded.updated_at RETURNING *",
            new_id(),
            actor.organization_id,
            name,
            tls.value,
            clock.now(),
            clock.now(),
        )
        found = TlsRequirement(_exists_in_db=True, **rows[0])
        await record(
            tx,
            actor,
            action="tls_requirement.set",
            target_type="tls_requirement",
            target_id=found.id,
            changes={"domain": name, "tls": tls.value},
        )
    return found


async def remove_tls_requirement(actor: Actor, *, domain: str) -> str:
    """Let mail to *domain* be encrypted as its vMTA says again; return the domain.

    Raises:
        NotFound: there is no requirement for it.
    """
    actor.require(Permission.WRITE_VMTAS)
    try:
        name = parse_domain(domain)
    except InvalidAddress:
        raise NotFound from None
    async with transaction() as tx:
        rows = await fetch(
            "DELETE FROM tls_requirements WHERE organization_id = {} AND domain = {} "
            "RETURNING id, tls",
            actor.organization_id,
            name,
        )
        if not rows:
            raise NotFound
        await record(
            tx,
            actor,
            action="tls_requirement.removed",
            target_type="tls_requirement",
            target_id=rows[0]["id"],
            changes={"domain": name, "tls": rows[0]["tls"]},
        )
    return name


async def _check_room(actor: Actor, name: str) -> None:
    rows = await fetch(
        "SELECT count(*) AS others FROM tls_requirements "
        "WHERE organization_id = {} AND domain <> {}",
        actor.organization_id,
        name,
    )
    if rows[0]["others"] >= MOST_REQUIREMENTS:
        message = f"There are {MOST_REQUIREMENTS} domains with a requirement already."
        raise InvalidInput.of("domain", DetailCode.TOO_MANY, message)


def _checked(domain: str) -> str:
    try:
        return parse_domain(domain)
    except InvalidAddress:
        message = "Write one mail domain, such as example.com."
        raise InvalidInput.of("domain", DetailCode.INVALID_DOMAIN, message) from None
