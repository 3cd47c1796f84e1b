"""The wall behind the code: with every filter gone, the database gives a tenant its own rows only.

Statements here are those of code that forgot to filter. The tables are found in the catalogue.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_network
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from postlane.accounts import queries as accounts_queries
from postlane.accounts.tables import Project
from postlane.core import row_security as core_row_security
from postlane.core import tenants
from postlane.core.database import (
    DB,
    TransactionOfOthers,
    close_pool,
    fetch,
    fetch_of_all,
    start_pool,
    start_tenant_pool,
    stop_tenant_pool,
    transaction,
)
from postlane.core.tenants import across_organizations, acting_for
from postlane.graphql.nodes import global_id
from postlane.server import row_security
from postlane.server.findings import Verdict
from postlane.server.migrate import migrate
from tests.client import Client
from tests.factories import make_actor, make_domain, make_organization

NOT_TENANTS = {
    "analytics_cells": "numbers under the random id of a set, which has a policy",
    "auto_block_looks": "when each rule was looked at",
    "blocked_addresses": "networks that may not sign in anywhere",
    "blocklist_tests": "what the deployment knows of lists",
    "blocklist_watches": "which addresses are looked at, whoever sends from them",
    "connection_leases": "which worker talks to whom",
    "credit_packages": "the catalogue, which everybody sees",
    "event_consumers": "how far each consumer has read",
    "imported_rows": "what an operator took over",
    "infrastructure_reports": "what receivers say of our addresses",
    "invoice_counters": "numbers of a whole deployment's invoices",
    "login_attempts": "by an address that may be nobody's",
    "migration": "which have run; closed to tenants",
    "password_resets": "a person's",
    "passkeys": "a person's",
    "postal_signing_keys": "the deployment's",
    "provider_identities": "a person's",
    "queue_changes": "numbers under the id of a queue, which has a policy",
    "queue_work": "numbers under the id of a queue, which has a policy",
    "rate_buckets": "by a hashed or named credential",
    "recovery_codes": "a person's",
    "second_factors": "a person's",
    "sending_scopes": "limits that all of a deployment's mail shares",
    "signing_keys": "the deployment's; closed to tenants",
    "spent_challenges": "a browser's",
    "sts_policies": "what receivers publish",
    "token_revocations": "by the random name of a token",
    "usage_marks": "how far usage has been added up",
    "used_passwords": "a person's",
    "users": "people belong to several organizations",
}
"""Tables that no organization owns rows of, and whose they are instead."""


async def test_every_table_is_a_tenants_and_has_a_policy_or_says_whose_it_is(wall: None) -> None:
    rows = await fetch(
        "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() "
        "AND NOT starts_with(tablename, 'saq_')"
    )
    names = {row["name"] for row in rows}
    found = {table.name for table in await row_security.secured()}

    assert await row_security.unsecured() == []
    assert names - found == set(NOT_TENANTS)
    assert names & {"organizations", "messages", "deliveries", "events", "api_keys"} <= found


async def test_a_table_that_a_later_migration_adds_gets_its_policy(wall: None) -> None:
    await fetch("CREATE TABLE later (id uuid, organization_id uuid)")
    try:
        assert await row_security.unsecured() == ["later"]
        await row_security.ensure()
        assert await row_security.unsecured() == []
    finally:
        await fetch("DROP TABLE later")


async def test_the_role_owns_nothing_and_bypasses_nothing(wall: None) -> None:
    with acting_for([uuid.uuid4()]):
        [row] = await fetch(
            "SELECT current_user AS name, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, "
            "rolreplication, rolcanlogin FROM pg_roles WHERE rolname = current_user"
        )
        owned = await fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
            "AND pg_has_role(current_user, relowner, 'USAGE')"
        )
        active = await fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
            "AND relrowsecurity AND NOT row_security_active(oid)"
        )

    assert row.pop("name") == tenants.ROLE
    assert not any(row.values()), row
    assert (list(owned), list(active)) == ([], [])


async def test_what_a_session_begins_as_is_what_it_goes_back_to(wall: None) -> None:
    with acting_for([uuid.uuid4()]):
        async with transaction():
            await fetch("RESET ROLE")
            await fetch("RESET ALL")
            [row] = await fetch("SELECT current_user AS name")

    assert row["name"] == tenants.ROLE


@pytest.mark.parametrize("name", row_security.CLOSED)
async def test_what_no_tenant_has_business_with_is_closed(wall: None, name: str) -> None:
    with acting_for([uuid.uuid4()]), pytest.raises(asyncpg.InsufficientPrivilegeError):
        await DB.run_ddl(f"SELECT * FROM {name}")


async def test_a_stranger_is_not_there_in_any_table(wall: None) -> None:
    """Of each table: not seen, not changed, not removed, not added, nor one's own given away."""
    tables = {table.name: table for table in await row_security.secured()}
    made = Maker(tables)
    try:
        wrong = [f"{name}: {hole}" for name in tables async for hole in _holes(made, name)]
    finally:
        await made.remove()

    assert len(tables) > 60
    assert wrong == []


async def _holes(made: "Maker", name: str) -> AsyncIterator[str]:
    own, stranger, other = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    mine, theirs = await made.row(name, own), await made.row(name, stranger)
    await made.row(name, other)
    with acting_for([own]):
        if [row["ctid"] for row in await _seen(name)] != [mine.place]:
            yield f"it sees {len(await _seen(name))} rows, and has one"
        for statement in (f"UPDATE {name} SET {mine.key} = {mine.key}", f"DELETE FROM {name}"):
            done = await raw(
                f"{statement} WHERE ctid = $1::text::tid RETURNING 1 AS n", theirs.place
            )
            if done:
                yield f"it runs {statement!r} on a stranger's row"
        if not await _is_refused(*made.insert(name, await made.values(name, stranger))):
            yield "it adds a row to a stranger's"
        away = f"UPDATE {name} SET {mine.key} = $1 WHERE ctid = $2::text::tid"
        if not await _is_refused(away, theirs.values[mine.key], mine.place):
            yield "it gives a row of its own away"
    with acting_for([own, stranger]):
        if len(await _seen(name)) != 2:
            yield "a batch of two organizations does not see both"
    with acting_for([]):
        if await _seen(name):
            yield "nobody sees rows"


async def _seen(name: str) -> Any:
    # Some rows are everybody's to see, such as a vMTA that all share.
    own = "WHERE organization_id IS NOT NULL" if name in row_security.OF_ALL else ""
    return await raw(f"SELECT ctid::text AS ctid FROM {name} {own}")


async def _is_refused(statement: str, *arguments: Any) -> bool:
    try:
        await raw(statement, *arguments)
    except asyncpg.InsufficientPrivilegeError as error:
        return "row-level security" in str(error)
    return False


@dataclass(frozen=True)
class Made:
    """A row that was put in past the wall."""

    place: str
    key: str
    """The column that says whose it is, by itself or by what it is part of."""
    values: dict[str, Any]


class Maker:
    """Puts rows into any table as its owner, without what they refer to."""

    def __init__(self, tables: dict[str, row_security.Secured]) -> None:
        self._tables = tables
        self._made: list[tuple[str, str, Any]] = []

    @across_organizations
    async def row(self, name: str, organization_id: uuid.UUID) -> Made:
        """Make a row of an organization's, and what it is part of."""
        values = await self.values(name, organization_id)
        statement, *arguments = self.insert(name, values)
        async with transaction():
            await fetch("SET LOCAL session_replication_role = replica")
            [row] = await raw(f"{statement} RETURNING ctid::text AS place", *arguments)
        key = self._tables[name].key
        self._made.append((name, key, values[key]))
        return Made(row["place"], key, values)

    async def values(self, name: str, organization_id: uuid.UUID) -> dict[str, Any]:
        """Return what a row of an organization's has to hold."""
        table = self._tables[name]
        found = {column["name"]: _value(column) for column in await fetch(_COLUMNS, name)} | {
            column: fitting() for column, fitting in FITTING.get(name, {}).items()
        }
        if table.whole is None:
            return {**found, table.key: organization_id}
        whole = await self.row(table.whole, organization_id)
        target = table.target
        return {**found, table.key: whole.values[target]}

    def insert(self, name: str, values: dict[str, Any]) -> tuple[Any, ...]:
        """Return the statement that puts a row in, and its arguments."""
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        return f"INSERT INTO {name} ({', '.join(values)}) VALUES ({places})", *values.values()

    async def remove(self) -> None:
        """Take every row away again."""
        async with transaction():
            await fetch("SET LOCAL session_replication_role = replica")
            for name, key, value in self._made:
                await raw(f"DELETE FROM {name} WHERE {key} = $1", value)


NUMBERS = count(1)

FITTING: dict[str, dict[str, Callable[[], Any]]] = {
    "credit_entries": {"amount": lambda: 1},
    "invoices": {"nth": lambda: next(NUMBERS)},
    "tls_requirements": {"tls": lambda: "required"},
    "vmta_limits": {"domain": lambda: "example.net"},
}
"""Values of columns that take only some."""

_COLUMNS = """
SELECT attname AS name, format_type(atttypid, NULL) AS type, atttypmod - 4 AS size
FROM pg_attribute
WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped
    AND (attnotnull OR attname = 'id') AND attidentity = '' AND attgenerated = ''
    AND NOT (atthasdef AND format_type(atttypid, NULL) IN ('integer', 'bigint'))
"""


def _value(column: Any) -> Any:
    kind = column["type"]
    if kind.endswith("[]"):
        return []
    if kind in ("text", "character varying"):
        return uuid.uuid4().hex[: column["size"] if column["size"] > 0 else 8]
    return {
        "uuid": uuid.uuid4,
        "boolean": lambda: False,
        "smallint": lambda: 1,
        "integer": lambda: next(NUMBERS),
        "bigint": lambda: next(NUMBERS),
        "double precision": lambda: 1.0,
        "numeric": lambda: 1,
        "date": lambda: date(2026, 1, 1),
        "timestamp with time zone": lambda: datetime(2026, 1, 1, tzinfo=UTC),
        "interval": lambda: timedelta(hours=1),
        "jsonb": lambda: "{}",
        "json": lambda: "{}",
        "bytea": lambda: uuid.uuid4().bytes,
        "cidr": lambda: ip_network("192.0.2.0/24"),
    }[kind]()


async def raw(statement: str, *arguments: Any) -> Any:
    """Run a statement as code that forgot to filter would."""
    if (opened := DB.opened()) is not None:
        return await opened.fetch(statement, *arguments)
    return await DB.run_in_pool(statement, arguments)


async def test_a_query_that_forgets_its_filter_finds_nothing_of_others(
    client: Client, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the request on, and with teeth: without the wall it does find it."""
    actor, stranger = await make_actor(), await make_organization()
    monkeypatch.setattr(accounts_queries, "_projects", lambda actor: Project.objects())

    async def found(organization_id: uuid.UUID) -> Any:
        [row] = await fetch("SELECT id FROM projects WHERE organization_id = {}", organization_id)
        node = {"id": global_id("Project", row["id"])}
        return (await client.data(NODE, node, actor=actor))["node"]

    await stop_tenant_pool()
    assert await found(stranger.id) is not None
    await start_tenant_pool(database_url, size=3)
    try:
        assert await found(stranger.id) is None
        assert await found(actor.organization_id) is not None
    finally:
        await stop_tenant_pool()
        await core_row_security.start(database_url, size=10)


NODE = "query ($id: ID!) { node(id: $id) { id } }"


async def test_mail_of_several_organizations_is_accepted_together_behind_the_wall(
    wall: None, client: Client
) -> None:
    actors = [await make_actor() for _ in range(4)]
    domains = [await make_domain(actor.organization_id) for actor in actors]

    answers = await asyncio.gather(
        *(
            client.data(SEND, {"input": {"from": f"a@{domain.name}", **MAIL}}, actor=actor)
            for actor, domain in zip(actors, domains, strict=True)
        )
    )

    kept = await fetch(
        "SELECT id, organization_id FROM messages WHERE organization_id = ANY({}::uuid[])",
        [actor.organization_id for actor in actors],
    )
    assert {(str(row["id"]), row["organization_id"]) for row in kept} == {
        (answer["sendMessage"]["message"]["uuid"], actor.organization_id)
        for answer, actor in zip(answers, actors, strict=True)
    }


MAIL = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hello there."}
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { uuid } } }"


async def test_a_step_for_others_than_its_transaction_is_a_fault(database: None) -> None:
    @across_organizations
    async def look() -> None:
        await fetch("SELECT 1")

    with acting_for([uuid.uuid4()]):
        async with transaction():
            with pytest.raises(TransactionOfOthers):
                await look()
        await look()


async def test_a_connection_that_was_another_tenants_is_so_no_longer(wall: None) -> None:
    made = Maker({table.name: table for table in await row_security.secured()})
    first, second = uuid.uuid4(), uuid.uuid4()
    try:
        await made.row("projects", first)
        await made.row("projects", second)
        for own in (first, second, first):
            with acting_for([own]):
                rows = await raw("SELECT organization_id FROM projects")
            assert [row["organization_id"] for row in rows] == [own]
    finally:
        await made.remove()


async def test_a_transactions_tenants_are_its_own_however_it_ends(wall: None) -> None:
    """What its beginning says does not hold for what comes after it."""
    made = Maker({table.name: table for table in await row_security.secured()})
    first, second = uuid.uuid4(), uuid.uuid4()

    async def seen() -> set[uuid.UUID]:
        return {row["organization_id"] for row in await raw("SELECT organization_id FROM projects")}

    async def within(organizations: set[uuid.UUID], *, fails: bool) -> set[uuid.UUID]:
        found: set[uuid.UUID] = set()
        with acting_for(organizations), suppress(ZeroDivisionError):
            async with transaction():
                found = await seen()
                if fails:
                    raise ZeroDivisionError
        return found

    try:
        await made.row("projects", first)
        await made.row("projects", second)
        for fails in (False, True, False, True):
            assert await within({first, second}, fails=fails) == {first, second}
            with acting_for([first]):
                assert await seen() == {first}
            assert await within({second}, fails=fails) == {second}
            with acting_for([first]):
                assert await seen() == {first}
            assert await within(set(), fails=fails) == set()
    finally:
        await made.remove()


@dataclass(frozen=True)
class Chosen:
    """The settings that matter here."""

    row_security: str


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def to(value: str) -> None:
        for module in (core_row_security, row_security):
            monkeypatch.setattr(module, "settings", lambda: Chosen(value))

    return to


@pytest.fixture
async def humble(database: None, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """This process is connected to a database whose owner may make no roles; yields one who may."""
    name = f"humble_{uuid.uuid4().hex[:8]}"
    superuser = await asyncpg.connect(database_url)
    await superuser.execute(f"CREATE ROLE {name} LOGIN")
    await superuser.execute(f"CREATE DATABASE {name} OWNER {name}")
    own = urlsplit(database_url)._replace(path=f"/{name}").geturl().replace("postgres@", f"{name}@")
    await close_pool()
    await start_pool(own)
    try:
        await migrate()
        yield superuser
    finally:
        await close_pool()
        await superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await superuser.execute(f"DROP ROLE {name}")
        await superuser.close()
        await start_pool(database_url)
        await core_row_security.start(database_url, size=10)


async def test_where_roles_cannot_be_made_the_doctor_says_how(
    humble: asyncpg.Connection, choose: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    own = DB.config["dsn"]
    choose("auto")
    await core_row_security.start(own, size=1)
    assert DB.tenant_pool is None
    assert "row-level security is not in force" in caplog.text
    assert [each.verdict for each in await row_security.findings()] == [Verdict.WARNING]

    choose("on")
    with pytest.raises(core_row_security.WallBroken, match="POSTLANE_ROW_SECURITY=off"):
        await core_row_security.start(own, size=1)
    [finding] = await row_security.findings()
    assert (finding.verdict, DB.tenant_pool) == (Verdict.FAULT, None)

    await humble.execute(finding.remedy.split("`")[1])
    await migrate()
    await core_row_security.start(own, size=1)
    assert [each.verdict for each in await row_security.findings()] == [Verdict.OK]
    with acting_for([uuid.uuid4()]):
        assert await raw("SELECT FROM messages") == []
        assert (await raw("SELECT current_user AS name"))[0]["name"] == tenants.ROLE

    choose("off")
    [finding] = await row_security.findings()
    assert (finding.verdict, finding.sentence[:4]) == (Verdict.OK, "Off:")


async def test_a_role_that_bypasses_is_no_wall(
    humble: asyncpg.Connection, choose: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, owner = f"bypasser_{uuid.uuid4().hex[:8]}", urlsplit(DB.config["dsn"]).username
    monkeypatch.setattr(tenants, "ROLE", name)
    choose("on")
    [missing] = await row_security.findings()
    assert f"CREATE ROLE {name} NOLOGIN NOSUPERUSER NOBYPASSRLS" in missing.remedy

    await humble.execute(f"CREATE ROLE {name} BYPASSRLS ROLE {owner}")
    try:
        with pytest.raises(core_row_security.WallBroken, match="bypasses policies"):
            await core_row_security.start(DB.config["dsn"], size=1)
        [finding] = await row_security.findings()
    finally:
        await humble.execute(f"DROP ROLE {name}")

    assert (finding.verdict, DB.tenant_pool) == (Verdict.FAULT, None)
    assert "Nothing holds tenants' statements back" in finding.sentence


async def test_what_is_asked_of_all_is_seen_and_nothing_after_it(wall: None) -> None:
    own, other = await make_organization(), await make_organization()
    domain = await make_domain(other.id)
    statement = "SELECT id FROM domains WHERE id = {}"

    with acting_for([own.id]):
        outside = await fetch_of_all(statement, domain.id)
        async with transaction():
            within = await fetch_of_all(statement, domain.id)
            after = await fetch(statement, domain.id)
            with suppress(asyncpg.DataError):
                await fetch_of_all(statement, "no id")
            after_a_mistake = await fetch(statement, domain.id)
        later = await fetch(statement, domain.id)

    assert [len(each) for each in (outside, within)] == [1, 1]
    assert [len(each) for each in (after, after_a_mistake, later)] == [0, 0, 0]


async def test_without_the_wall_all_are_asked_just_the_same(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DB, "tenant_pool", None)
    own, other = await make_organization(), await make_organization()
    domain = await make_domain(other.id)
    statement = "SELECT id FROM domains WHERE id = {}"

    with acting_for([own.id]):
        outside = await fetch_of_all(statement, domain.id)
        async with transaction():
            within = await fetch_of_all(statement, domain.id)
    async with transaction():
        as_platform = await fetch_of_all(statement, domain.id)

    assert [len(each) for each in (outside, within, as_platform)] == [1, 1, 1]
