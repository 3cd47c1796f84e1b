"""What counting events costs, and whether a question costs more where there is more mail.

It runs in a process of its own, with settings and a database of its own. What the database
takes is the processor's time of the one process that serves it.
"""

import asyncio
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import uvloop

BUDGET_US = 20.0
"""What the database may take for an event, in batches."""
SMALL, MEDIUM, LARGE = 100_000, 1_000_000, 10_000_000
EVENTS_EACH = 4
"""Of a recipient, on average: accepted, tried, delivered, opened."""
DAYS = 30
MESSAGES = 25_000

MAIL = """
    WITH mail AS (
        INSERT INTO messages (id, organization_id, project_id, content_id, header_message_id,
            sender, sender_name, sender_key, sender_domain, recipients, subject, tags, metadata,
            stream, mode, source, track_opens, track_clicks, pool, size_bytes, credits,
            expires_at, created_at, batch_id)
        SELECT gen_random_uuid(), $1, $2, gen_random_uuid(), n::text, 'a@example.com', '',
            'a@example.com', 'mail' || n % 2 || '.example.com', '{}', 'Hello',
            ARRAY['tag-' || n % 2], '{}', 'marketing', 'live', 'batch', true, true, 'default',
            1000, 1, now(), now() - n * interval '10 milliseconds', 'batch-' || n % 2
        FROM generate_series(1, $3) AS n RETURNING id, created_at
    ), delivered AS (
        INSERT INTO deliveries (id, token, organization_id, project_id, message_id, queue_id,
            kind, address, address_key, domain, priority, state, attempts, expires_at,
            cancel_requested, mx_host, simulated, created_at)
        SELECT gen_random_uuid(), left(md5(id::text), 16), $1, $2, id, gen_random_uuid(), 'to',
            'a@example.net', 'a@example.net',
            -- Half of them at one provider, and a tail of some thousands.
            'd' || least(0.5 / random() ^ 2, 1e9)::int % 5000 || '.example',
            0, 'delivered', 1, now(), false, 'mx.example.net', false, created_at
        FROM mail RETURNING id, message_id, created_at
    )
    INSERT INTO events (id, organization_id, project_id, message_id, delivery_id, type, data,
        occurred_at, simulated)
    SELECT gen_random_uuid(), $1, $2, message_id, id, type, data, created_at + after, false
    FROM delivered CROSS JOIN (VALUES
        ('message.queued', '{}'::jsonb, interval '0'),
        ('message.sent', '{"vmta": "default"}', '1 s'),
        ('message.delivered', '{"vmta": "default", "mx_host": "mx.example.net", "attempt": 1}',
            '2 s'),
        ('message.opened', '{"first": true, "machine_open": false}', '60 s')
    ) AS event (type, data, after) ORDER BY after
"""
# Recipients spread over the days and the hours, each with what its sums would hold.
CELLS = """
    WITH recipients AS (
        SELECT date_trunc('minute', $2::timestamptz - random() * interval '30 days') AS minute,
            (random() < 0.97)::int AS delivered, (random() < 0.3)::int AS opens,
            {key} AS key
        FROM generate_series(1, $3::int)
    ), made AS (
        INSERT INTO analytics_sets (id, organization_id, project_id, kind, key, isp, domain,
            recipient_domain, vmta, pool, tags, batch_id, stream, api_key, template,
            bounce_class)
        SELECT md5($1::uuid::text || '{kind}' || key)::uuid, $1::uuid, $1::uuid, '{kind}',
            key, '', '', '', '', '', '{{}}', '', '', '', '', ''
        FROM (SELECT DISTINCT key FROM recipients) AS keys RETURNING id, key
    )
    INSERT INTO analytics_cells (set_id, grain, starts_at, {columns})
    SELECT id, grain, starts_at, {values} FROM (
        SELECT key, grain, CASE grain WHEN 'minute' THEN minute WHEN 'day'
            THEN date_trunc('day', minute) ELSE date_bin('15 minutes', minute, 'epoch') END
            AS starts_at, count(*) AS accepted, sum(delivered) AS delivered, sum(opens) AS opens
        FROM recipients CROSS JOIN unnest('{grains}'::text[]) AS grain GROUP BY 1, 2, 3
    ) AS sums JOIN made USING (key)
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Microseconds for an event, and medians in milliseconds by how many events there are."""

    database_us: float
    own_us: float
    summary: dict[int, float]
    series: dict[int, float]
    breakdown: dict[int, float]
    sizes: tuple[int, int]


async def measure(*, large: bool) -> Figures:
    """Measure in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="postlane-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, folder, str(LARGE if large else MEDIUM)),
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("POSTLANE_")},
                "POSTLANE_DATA_DIR": folder,
                "POSTLANE_SECRET_KEY": secrets.token_hex(32),
                "POSTLANE_HOSTNAME": "mail.postlane.test",
                "POSTLANE_LOG_LEVEL": "warning",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"analytics could not be measured: {printed.decode()[-500:]}")
    found = json.loads(printed.splitlines()[-1])
    for name in ("summary", "series", "breakdown"):
        found[name] = {int(size): value for size, value in found[name].items()}
    return Figures(**found)


def summary(found: Figures) -> dict[str, Any]:
    """Return the entries of the report."""
    small, large = found.sizes
    report = {
        "roll_up_database_us": {
            "value": round(found.database_us, 2),
            "unit": "us/event",
            "ratio": round(found.database_us / BUDGET_US, 3),
            "against": f"{BUDGET_US:g} us budget",
            "runs": 1,
        },
        "roll_up_own_us": {
            "value": round(found.own_us, 2),
            "unit": "us/event",
            "ratio": None,
            "against": None,
            "runs": 1,
        },
    }
    for name in ("summary", "series", "breakdown"):
        times = getattr(found, name)
        report[f"analytics_{name}"] = {
            "value": round(times[large], 2),
            "unit": f"ms at {large:.0e}",
            "ratio": round(times[large] / times[small], 3),
            "against": f"the same at {small:,} events",
            "runs": 1,
        }
    return report


async def _main(folder: Path, large: int) -> None:
    # Settings are read when the product is imported: only here, in the process that has them.
    from postlane.core.database import close_pool, start_pool
    from postlane.server.embedded import EmbeddedDatabase
    from postlane.server.migrate import migrate

    server = EmbeddedDatabase(folder / "postgres")
    url = await server.start()
    try:
        await start_pool(url, size=1)
        await migrate()
        print(json.dumps(asdict(await _measured(large))))
    finally:
        await close_pool()
        await server.stop()


async def _measured(large: int) -> Figures:
    from postlane.core.database import DB
    from tests.factories import make_actor

    database_us, own_us = await _counting()
    sizes = (SMALL, large)
    actors = {}
    for size in sizes:
        actor = await make_actor()
        await _fill(actor.organization_id, size // EVENTS_EACH)
        actors[size] = actor
    await DB.run_in_pool("VACUUM ANALYZE analytics_cells", [])
    await DB.run_in_pool("ANALYZE analytics_sets", [])
    summaries, series, breakdowns = await _asking(actors)
    return Figures(database_us, own_us, summaries, series, breakdowns, sizes)


async def _counting() -> tuple[float, float]:
    """Return what the database's process and this one work for an event, in microseconds."""
    from postlane.analytics.rolling import roll_up
    from postlane.core.database import DB
    from postlane.core.garbage import settle_down
    from postlane.core.ids import new_id

    settle_down()
    [row] = await DB.run_in_pool("SELECT pg_backend_pid() AS pid", [])
    backend = psutil.Process(row["pid"])
    for count in (500, MESSAGES):  # the first warms caches and plans
        await DB.run_in_pool(MAIL, [new_id(), new_id(), count])
        await DB.run_in_pool("ANALYZE messages, deliveries, events", [])
        events, theirs, own = 0, sum(backend.cpu_times()[:2]), time.process_time()
        while taken := await roll_up():
            events += taken
        theirs, own = sum(backend.cpu_times()[:2]) - theirs, time.process_time() - own
    return theirs / events * 1e6, own / events * 1e6


async def _fill(organization_id: UUID, recipients: int) -> None:
    from postlane.analytics.rules import COUNTERS
    from postlane.core.database import DB

    known = {"accepted": "accepted", "sent": "accepted", "delivered": "delivered", "opens": "opens"}
    kinds = {
        "all": ("''", "{minute,quarter,day}"),
        "isp": (
            "(ARRAY['google', 'microsoft', 'yahoo', 'other'])[1 + (random() * 3)::int]",
            "{quarter,day}",
        ),
        "recipient_domain": ("'d' || (random() * random() * 200)::int", "{quarter,day}"),
    }
    for kind, (key, grains) in kinds.items():
        statement = CELLS.format(
            kind=kind,
            key=key,
            grains=grains,
            columns=", ".join(COUNTERS),
            values=", ".join(known.get(name, "0") for name in COUNTERS),
        )
        now = datetime.now(UTC) - timedelta(minutes=3)
        connection = await DB.acquire()
        try:
            await connection.execute(statement, organization_id, now, recipients, timeout=900)
        finally:
            await DB.pool.release(connection)  # type: ignore[union-attr]


async def _asking(
    actors: dict[int, Any],
) -> tuple[dict[int, float], dict[int, float], dict[int, float]]:
    from postlane.analytics import queries
    from postlane.analytics.queries import Asked
    from postlane.analytics.rules import Dimension
    from postlane.analytics.windows import window_of
    from postlane.core import clock

    def asked() -> Asked:
        return Asked(window_of(clock.now(), period=f"{DAYS}d", timezone="Europe/Berlin"))

    async def summary(actor: Any) -> None:
        found = asked()
        await queries.summarize(actor, found)
        await queries.previous_of(actor, found)

    async def series(actor: Any) -> None:
        await queries.series(actor, asked())

    async def breakdown(actor: Any) -> None:
        await queries.break_down(actor, asked(), Dimension.RECIPIENT_DOMAIN, limit=50)

    return (
        await _each(actors, summary),
        await _each(actors, series),
        await _each(actors, breakdown),
    )


async def _each(actors: dict[int, Any], ask: Callable[[Any], Awaitable[None]]) -> dict[int, float]:
    """Measure in turns, so that what else the machine does touches all alike."""
    times: dict[int, list[float]] = {size: [] for size in actors}
    for turn in range(25):
        for size, actor in actors.items():
            begun = time.perf_counter()
            await ask(actor)
            if turn >= 5:
                times[size].append((time.perf_counter() - begun) * 1e3)
    return {size: statistics.median(found) for size, found in times.items()}


if __name__ == "__main__":
    uvloop.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
