"""How many statements reach the database: of a deployment that idles, and for each delivery.

The database writes each one into its log for as long as they are counted.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from .deployment import Deployment, until

IDLE_SECONDS = 60
"""A whole minute, so that what comes every minute is among it."""
MOST_IDLE = 2.0
"""Statements a second."""
MOST_SETTLED = 0.2
"""Statements for a message."""
_EMPTY = re.compile(r"statement: *\n\d{4}-")
"""An empty one, by which a driver sees that its connection lives; the next line follows."""

SETTLING = "INSERT INTO attempts"
"""What is in the statement that writes outcomes down, and in no other."""


@dataclass(slots=True)
class Counted:
    """Statements by what is counted of them."""

    lines: list[str]

    def having(self, text: str = "") -> int:
        """Return how many begin and have *text* in their first line."""
        return sum(text in line for line in self.lines)


@dataclass(frozen=True, slots=True)
class Found:
    """Statements a second without anything to do, and for each message that is delivered."""

    idle: float
    delivering: float
    """All that the worker sends, from the job to the outcome."""
    settling: float


async def measure(*, messages: int) -> Found:
    """Count an idle deployment for a while, and then one that delivers so many messages."""
    # As it is for whoever sets nothing: rules are looked at, too.
    async with Deployment({"auto_block": "on"}) as deployment:
        exchanger = await deployment.exchanger("127.0.6.1", "count.test")
        account = await deployment.open_account("count")
        await account.send_many(f"warm{number}@count.test" for number in range(200))
        await until(lambda: len(exchanger.counts()) == 200, seconds=60)
        # The first hours of usage are summed up in the first minute.
        await asyncio.sleep(75)
        async with counting(deployment) as idle:
            await asyncio.sleep(IDLE_SECONDS)
        async with deployment.worker_stopped():
            await account.send_many(f"u{number}@count.test" for number in range(messages))
            counter = counting(deployment)
            busy = await counter.__aenter__()
        await until(lambda: len(exchanger.counts()) == 200 + messages, seconds=300)
        await asyncio.sleep(1)
        await counter.__aexit__(None, None, None)
    return Found(
        idle.having() / IDLE_SECONDS, busy.having() / messages, busy.having(SETTLING) / messages
    )


@asynccontextmanager
async def counting(deployment: Deployment) -> AsyncIterator[Counted]:
    """Count the statements that begin within the body."""
    log = deployment.up.data_dir / "postgres.log"
    found = Counted([])
    async with deployment.database() as connection:
        await connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        await connection.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(0.5)
        start = log.stat().st_size
        try:
            yield found
        finally:
            with log.open(errors="replace") as file:
                file.seek(start)
                text = file.read()
            await connection.execute("ALTER SYSTEM RESET log_statement")
            await connection.execute("SELECT pg_reload_conf()")
    # A statement may go over many lines; what begins one says how it was sent.
    found.lines += [
        " ".join(part.split())
        for part in text.split(" LOG:  ")
        if part.startswith(("statement: ", "execute ")) and not _EMPTY.match(part)
    ]


def summary(found: Found) -> dict[str, Any]:
    """Return the entries of the report."""

    def entry(value: float, most: float, unit: str) -> dict[str, Any]:
        return {
            "value": round(value, 3),
            "unit": unit,
            "ratio": round(value / most, 3),
            "against": f"{most:g} at most",
            "runs": 1,
        }

    return {
        "idle_statements": entry(found.idle, MOST_IDLE, "a second"),
        "settling_statements": entry(found.settling, MOST_SETTLED, "a message"),
        "delivery_statements": {
            "value": round(found.delivering, 3),
            "unit": "a message",
            "ratio": None,
            "against": None,
            "runs": 1,
        },
    }


async def _main() -> None:
    for name, found in summary(await measure(messages=2000)).items():
        print(f"{name}: {found['value']} {found['unit']} ({found['against'] or 'no bound'})")


if __name__ == "__main__":
    asyncio.run(_main())
