"""What deciding about strangers costs beside how much is known of them.

A look-up among 1,000,000 greylist triplets beside one among 1,000, and one among 100,000 blocked
networks beside 1,000. Both are measured in the same run on the same database, in turns; it runs in
a process of its own, whose settings switch greylisting on.
"""

import asyncio
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

FEW, TRIPLETS, NETWORKS = 1_000, 1_000_000, 100_000
LOOKUPS = 2_000
RUNS = 5
BUDGET = 1.5
"""Times as long as among few."""


async def measure() -> dict[str, list[float]]:
    """Return the median milliseconds of a look-up for each table and size, run by run."""
    with tempfile.TemporaryDirectory(prefix="postlane-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, folder),
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("POSTLANE_")},
                "POSTLANE_DATA_DIR": folder,
                "POSTLANE_SECRET_KEY": secrets.token_hex(32),
                "POSTLANE_HOSTNAME": "mail.postlane.test",
                "POSTLANE_LOG_LEVEL": "warning",
                "POSTLANE_GREYLISTING": "on",
                # Nobody is asked who a client is: that is the DNS's time.
                "POSTLANE_DNS_SERVERS": "127.0.0.1:9",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"protection could not be measured: {printed.decode()[-500:]}")
    found: dict[str, list[float]] = json.loads(printed.splitlines()[-1])
    return found


def summary(found: dict[str, list[float]]) -> dict[str, Any]:
    """Return the entries of the report: medians, and each run's many beside its few."""

    def entry(name: str, many: int) -> dict[str, Any]:
        pairs = zip(found[f"{name}_many"], found[f"{name}_few"], strict=True)
        return {
            "value": round(statistics.median(found[f"{name}_many"]), 3),
            "unit": "ms",
            "ratio": round(statistics.median(ours / other for ours, other in pairs), 3),
            "against": f"{many:,} rows beside {FEW:,}; at most {BUDGET}",
            "runs": len(found[f"{name}_many"]),
        }

    return {
        "greylist_lookup": entry("greylist", TRIPLETS),
        "blocked_address_lookup": entry("blocks", NETWORKS),
    }


async def _main(folder: Path) -> None:
    # Settings are read when the product is imported: only here, in the process that has them.
    from postlane.core.database import close_pool, fetch, start_pool
    from postlane.server.embedded import EmbeddedDatabase
    from postlane.server.migrate import migrate

    server = EmbeddedDatabase(folder / "postgres")
    await start_pool(await server.start(), size=2)
    await migrate()
    found: dict[str, list[float]] = {}
    try:
        for size in ("few", "many"):
            await _fill(FEW if size == "few" else TRIPLETS, FEW if size == "few" else NETWORKS)
            for _ in range(RUNS):
                # What the run before left dead is no matter of how many rows there are.
                await fetch("VACUUM (ANALYZE) greylist_triplets")
                found.setdefault(f"greylist_{size}", []).append(await _timed(_triplet))
                found.setdefault(f"blocks_{size}", []).append(await _timed(_network))
    finally:
        await close_pool()
        await server.stop()
    print(json.dumps(found))


async def _timed(look: Callable[[int], Awaitable[Any]]) -> float:
    taken = []
    for number in range(LOOKUPS):
        begun = time.perf_counter()
        await look(number)
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


def _arrival(number: int) -> Any:
    from postlane.greylisting.rules import Arrival

    # Of one network each; among them the first of those that are in the table.
    peer = f"10.{number % FEW // 250}.{number % 250}.1"
    return Arrival(None, peer, f"{'abcdefghij'[number % 10]}@example.org", "postmaster")


async def _triplet(number: int) -> None:
    from postlane.greylisting.policies import default_policy
    from postlane.greylisting.work import look_up

    await look_up(_arrival(number), default_policy())


async def _network(number: int) -> None:
    from postlane.security.abuse import is_blocked

    await is_blocked(f"11.{number % 200}.{number % 250}.1")


async def _fill(triplets: int, networks: int) -> None:
    from postlane.core.database import fetch

    for number in range(FEW):
        await _triplet(number)
    await fetch(
        "INSERT INTO greylist_triplets (id, network, first_seen_at, last_seen_at, tries) "
        "SELECT gen_random_uuid(), '198.51.100.0/24', now(), now(), 1 "
        "FROM generate_series((SELECT count(*) FROM greylist_triplets) + 1, {}::integer)",
        triplets,
    )
    await fetch(
        "INSERT INTO blocked_addresses (id, network, block_id, created_at) "
        "SELECT gen_random_uuid(), '12.' || n / 65536 || '.' || n / 256 % 256 || '.' || n % 256, "
        "{}, now() FROM generate_series((SELECT count(*) FROM blocked_addresses), {}::integer) "
        "AS n ON CONFLICT DO NOTHING",
        uuid.uuid4(),
        networks,
    )
    await fetch("ANALYZE greylist_triplets")
    await fetch("ANALYZE blocked_addresses")


if __name__ == "__main__":
    uvloop.run(_main(Path(sys.argv[1])))
