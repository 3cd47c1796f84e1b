"""Very much waiting mail, made by the database itself out of one message that was accepted."""

import asyncio
import time
from collections.abc import Mapping

import asyncpg

STEP = 50_000
"""Messages put in by one statement for each table."""
QUIET_SECONDS = 65.0
"""Autovacuum looks at each database once a minute; what it leaves alone for longer is at rest."""
LONGEST_REST_SECONDS = 900.0

# Ids in the order of time, as the product makes them: random ones would grow the indexes worse.
_FRESH = """
    CREATE TEMPORARY TABLE fresh ON COMMIT DROP AS
    SELECT (lpad(to_hex($1::bigint + n / 1000), 12, '0') || '7' || lpad(to_hex(n % 1000), 3, '0')
        || '8' || substr(md5(random()::text), 1, 15))::uuid AS id, n
    FROM generate_series(0, $2 - 1) AS n
"""
_COPY = "INSERT INTO {table} ({columns}) SELECT {values} FROM {table} AS old, fresh WHERE {chosen}"
_AT_WORK = """
    SELECT string_agg(DISTINCT relid::regclass::text, ', ') FROM (
        SELECT relid FROM pg_stat_progress_vacuum
        UNION ALL SELECT relid FROM pg_stat_progress_analyze
    ) AS busy
"""

_TABLES: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    (
        "contents",
        "old.id = (SELECT content_id FROM spooled_messages WHERE id = '{message}')",
        {"id": "fresh.id"},
    ),
    (
        "messages",
        "old.id = '{message}'",
        {
            "id": "fresh.id",
            "content_id": "fresh.id",
            "header_message_id": "fresh.id || '@acme.example'",
        },
    ),
    ("spooled_messages", "old.id = '{message}'", {"id": "fresh.id", "content_id": "fresh.id"}),
    (
        "deliveries",
        "old.message_id = '{message}'",
        {
            "id": "fresh.id",
            "message_id": "fresh.id",
            "token": "substr(md5(fresh.id::text), 1, 16)",
            "address": "'copy' || fresh.n || '-' || old.address",
            "address_key": "'copy' || fresh.n || '-' || old.address_key",
            "refund_entry_id": "NULL",
        },
    ),
)


async def copy_message(connection: asyncpg.Connection, message_id: str, count: int) -> float:
    """Let *count* messages like one wait beside it, due as it is; return the seconds it took.

    The local part of each address says which copy it is, before what it said.
    """
    started = time.monotonic()
    begun_at = int(time.time() * 1000)
    made = 0
    while made < count:
        step = min(STEP, count - made)
        async with connection.transaction():
            await connection.execute(_FRESH, begun_at + made, step)
            for table, chosen, changed in _TABLES:
                await connection.execute(
                    await _statement(connection, table, chosen.format(message=message_id), changed)
                )
        made += step
    return time.monotonic() - started


async def look_at_tables(connection: asyncpg.Connection) -> None:
    """Let the planner know how much there is, as it does by itself after a while."""
    for table, _, _ in _TABLES:
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.execute("CHECKPOINT")


async def wait_for_autovacuum(connection: asyncpg.Connection) -> None:
    """Wait until nothing was vacuumed or analyzed for as long as autovacuum may sleep."""
    print("waiting until autovacuum is at rest", flush=True)
    begun = quiet_since = time.monotonic()
    told = ""
    while time.monotonic() - quiet_since < QUIET_SECONDS:
        if time.monotonic() - begun > LONGEST_REST_SECONDS:
            raise RuntimeError("autovacuum does not come to rest")
        if names := await connection.fetchval(_AT_WORK):
            quiet_since = time.monotonic()
            if names != told:
                print(f"autovacuum is at {names}", flush=True)
            told = names
        await asyncio.sleep(1)
    print(f"autovacuum is at rest after {time.monotonic() - begun:.0f} s", flush=True)


async def _statement(
    connection: asyncpg.Connection, table: str, chosen: str, changed: Mapping[str, str]
) -> str:
    rows = await connection.fetch(
        "SELECT column_name AS name FROM information_schema.columns WHERE table_name = $1 "
        # What counts by itself goes on counting.
        "AND coalesce(column_default, '') NOT LIKE 'nextval%' ORDER BY ordinal_position",
        table,
    )
    names = [row["name"] for row in rows]
    values = ", ".join(changed.get(name, f"old.{name}") for name in names)
    return _COPY.format(table=table, columns=", ".join(names), values=values, chosen=chosen)
