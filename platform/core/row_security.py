"""Whether tenants' statements run behind the database's own policies, and whether these hold."""

import logging

import asyncpg

from . import tenants
from .database import DB, close_pool, fetch, start_pool, start_tenant_pool, stop_tenant_pool
from .reaching import is_unreachable
from .settings import SettingsError, settings

log = logging.getLogger(__name__)

REMEDY = "`postlane doctor` says what to do; POSTLANE_ROW_SECURITY=off goes without."


class WallBroken(SettingsError):
    """Tenants' statements would not be held back; the message says why, and what to do."""


async def start(url: str, *, size: int) -> None:
    """Let tenants' statements of this process run as `tenants.ROLE`, as the setting says.

    Where the setting is `auto`, a deployment whose database lacks the role goes without.

    Raises:
        WallBroken: the setting is `on`, and the role is not there or nothing binds it.
    """
    wanted = settings().row_security
    if wanted == "off":
        return
    if why := await _started(url, size=size):
        await stop_tenant_pool()
        if wanted == "on":
            raise WallBroken(f"Row-level security is not in force: {why}. {REMEDY}")
        log.warning("row-level security is not in force: %s. %s", why, REMEDY)


async def try_out(url: str) -> None:
    """Do nothing if processes can start as the setting says; for whoever starts several.

    Raises:
        WallBroken: they cannot.
    """
    if settings().row_security == "on":
        await start_pool(url, size=1)
        try:
            await start(url, size=1)
        finally:
            await close_pool()


async def _started(url: str, *, size: int) -> str | None:
    try:
        await start_tenant_pool(url, size=size)
    except asyncpg.PostgresError as error:
        if is_unreachable(error):
            # It says nothing of the role, and without the wall this process would stay without.
            raise
        return str(error)
    assert DB.tenant_pool is not None
    if await DB.tenant_pool.fetchval("SELECT current_user") != tenants.ROLE:
        # A pooler in between that drops what a session begins with.
        return f"sessions do not begin as the role {tenants.ROLE}"
    return await bypassed()


async def bypassed() -> str | None:
    """Return why no policy would bind the role, None if they all do."""
    rows = await fetch(
        "SELECT rolsuper, rolbypassrls, "
        # The last that `postlane migrate` gives it.
        "has_table_privilege(pg_roles.oid, 'organizations', 'SELECT') AS reads, "
        "EXISTS (SELECT FROM pg_class "
        "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') "
        "AND pg_has_role(pg_roles.oid, relowner, 'USAGE')) AS owns "
        "FROM pg_roles WHERE rolname = {}",
        tenants.ROLE,
    )
    for row in rows:
        if row["rolsuper"] or row["rolbypassrls"] or row["owns"]:
            return f"the role {tenants.ROLE} owns tables, bypasses policies or is a superuser"
        if not row["reads"]:
            return f"the role {tenants.ROLE} has no rights yet, which `postlane migrate` gives it"
    return None if rows else f"there is no role {tenants.ROLE}"
