"""The policies of every table that tenants have rows in, and the role that they bind.

They are made after the migrations, not by them: what is a tenant's is found in the catalogue, so
that a table which a later migration adds has its policy the moment it is there. The role is made
where the database lets us; where not, `postlane doctor` prints the command.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import asyncpg

from ..core import tenants
from ..core.database import DB, fetch
from ..core.giving_way import run_giving_way
from ..core.row_security import bypassed
from ..core.settings import settings
from .findings import Finding, fault, ok, warning

SUBJECT = "row security"

POLICY = "tenant_2"
"""Of each table. Another text of it needs another number, and takes the older one's place."""

SHARED_POLICY = "shared_1"

_OURS = f"(SELECT nullif(current_setting('{tenants.SETTING}', true), '')::uuid[])"
# In a query of its own, so that it is read once for a statement and not once for each row.

OF_ALL = frozenset({"vmtas", "blocklist_listings"})
"""Tables whose rows without an organization are everybody's to see, and nobody's to change."""

CLOSED = ("migration", "signing_keys")
"""Tables that no tenant's statement has any business with."""


@dataclass(frozen=True, slots=True)
class Secured:
    """A table whose rows are organizations', and the column that tells whose."""

    name: str
    key: str
    whole: str | None = None
    """What its rows are part of, if that tells whose they are and they do not."""
    target: str = "id"
    """The column of the whole that the key refers to."""

    @property
    def condition(self) -> str:
        """The expression that is true of the rows that are there."""
        if self.whole is None:
            # What `= ANY` would say as well, only that the planner takes that to leave a row in
            # ten thousand, and reads a log to sort what an index has in order. Nothing is to be
            # found by a policy: statements say themselves whose rows they want.
            return f"array_position({_OURS}, {self.key}) IS NOT NULL"
        # The policies of the whole hold within as well.
        return (
            f"EXISTS (SELECT FROM {self.whole} AS whole "
            f"WHERE whole.{self.target} = {self.name}.{self.key})"
        )


async def secured() -> Sequence[Secured]:
    """Return every table with an organization, and those whose rows are part of such a row."""
    found = {
        row["name"]: Secured(row["name"], row["key"]) for row in await fetch(_WITH_ORGANIZATION)
    }
    for row in await fetch(_PARTS, list(found)):
        found.setdefault(row["name"], Secured(**row))
    return sorted(found.values(), key=lambda each: each.name)


_WITH_ORGANIZATION = """
SELECT c.relname AS name, a.attname AS key
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped AND a.attname =
    CASE c.relname WHEN 'organizations' THEN 'id' ELSE 'organization_id' END
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
"""

_PARTS = """
SELECT part.relname AS name, a.attname AS key, whole.relname AS whole, t.attname AS target
FROM pg_constraint AS k
JOIN pg_class AS part ON part.oid = k.conrelid
JOIN pg_class AS whole ON whole.oid = k.confrelid
JOIN pg_attribute AS a ON a.attrelid = part.oid AND a.attnum = k.conkey[1]
JOIN pg_attribute AS t ON t.attrelid = whole.oid AND t.attnum = k.confkey[1]
WHERE k.contype = 'f' AND k.confdeltype = 'c' AND cardinality(k.conkey) = 1 AND a.attnotnull
  AND part.relnamespace = current_schema()::regnamespace AND whole.relname = ANY({}::text[])
ORDER BY k.conname
"""


async def ensure() -> None:
    """Give every table its policy, and the role what tenants' statements need.

    Table by table, so that none is locked longer than its own change takes; what is there
    already is left alone.
    """
    rows = await fetch(
        "SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema()"
    )
    there = {(row["tablename"], row["policyname"]) for row in rows}
    for table in await secured():
        if (table.name, POLICY) not in there:
            old = [policy for name, policy in there if name == table.name]
            await run_giving_way(partial(_secure, table, old))
    await run_giving_way(_grant)


async def _secure(table: Secured, old: Sequence[str]) -> None:
    for policy in old:
        await DB.run_ddl(f"DROP POLICY {policy} ON {table.name}")
    for statement in _statements(table):
        await DB.run_ddl(statement)


async def _grant() -> None:
    if await _ensure_role():
        for statement in _GRANTS:
            await DB.run_ddl(statement)


def _statements(table: Secured) -> Sequence[str]:
    secure = f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY"
    condition = table.condition
    own = f"CREATE POLICY {POLICY} ON {table.name} USING ({condition})"
    if table.name not in OF_ALL:
        return secure, own
    shared = f"CREATE POLICY {SHARED_POLICY} ON {table.name}"
    return secure, own, f"{shared} FOR SELECT USING (organization_id IS NULL)"


_GRANTS = (
    # Restoring makes the schema anew.
    f"GRANT USAGE ON SCHEMA public TO {tenants.ROLE}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {tenants.ROLE}",
    f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {tenants.ROLE}",
    *(f"REVOKE ALL ON {name} FROM {tenants.ROLE}" for name in CLOSED),
)

_MAKE = "CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS ROLE {owner}"
_JOIN = "GRANT {role} TO {owner}"


async def _ensure_role() -> bool:
    """Make the role if it is not there and may be made; say whether we may act as it."""
    command = await _missing()
    if command is None:
        return True
    try:
        async with DB.opened().transaction():
            await DB.run_ddl(command)
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        # Roles are the server's: another database's migration has just made it.
        return await _missing() is None
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def _missing() -> str | None:
    """Return the command that lets us act as the role, None if we may."""
    [row] = await fetch(
        "SELECT quote_ident(current_user) AS owner, "
        "(SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = {}) AS member",
        tenants.ROLE,
    )
    if row["member"]:
        return None
    return (_MAKE if row["member"] is None else _JOIN).format(role=tenants.ROLE, owner=row["owner"])


async def findings() -> Sequence[Finding]:
    """Check that tenants' statements are held back by the database, if they are to be."""
    wanted = settings().row_security
    if wanted == "off":
        return [ok(SUBJECT, "Off: the code alone keeps organizations apart.")]
    found = await _fault()
    if found is None:
        return [ok(SUBJECT, f"Tenants' statements run as {tenants.ROLE}, which bypasses nothing.")]
    return [(fault if wanted == "on" else warning)(SUBJECT, *found)]


async def _fault() -> tuple[str, str] | None:
    if command := await _missing():
        return (
            f"The role {tenants.ROLE} is not there for us, so the code alone keeps organizations "
            "apart.",
            f"As a superuser of the database run `{command};`, then `postlane migrate`.",
        )
    if bare := await unsecured():
        return f"Tables have no policy: {', '.join(bare)}.", "Run `postlane migrate`."
    if why := await bypassed():
        return f"Nothing holds tenants' statements back: {why}.", "Take that from the role."
    return None


async def unsecured() -> Sequence[str]:
    """Return the tables that should have a policy and have none that is in force."""
    rows = await fetch(
        "SELECT tablename AS name FROM pg_policies JOIN pg_class AS c ON c.relname = tablename "
        "AND c.relnamespace = schemaname::regnamespace AND c.relrowsecurity "
        "WHERE schemaname = current_schema() AND policyname = {}",
        POLICY,
    )
    there = {row["name"] for row in rows}
    return [table.name for table in await secured() if table.name not in there]
