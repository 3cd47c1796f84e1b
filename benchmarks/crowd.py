"""A queue of a million waiting deliveries beside accepting, and beside another queue's drain.

python -m benchmarks.crowd --waiting 1000000
"""

import argparse
import asyncio
import json
import statistics
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .client import flood, request_bytes
from .copies import copy_message, look_at_tables
from .deployment import Account, Deployment, Exchanger, until

MOST = 1.2
"""How many times as long anything else may take."""
MESSAGES = 2000
RUNS = 5


@dataclass(frozen=True, slots=True)
class Found:
    """Messages a second, without and beside the crowd."""

    waiting: int
    accept_before: float
    accept_beside: float
    drain_before: float
    drain_beside: float

    @property
    def accept_ratio(self) -> float:
        """How many times as long accepting takes beside it."""
        return self.accept_before / self.accept_beside

    @property
    def drain_ratio(self) -> float:
        """How many times as long another queue's drain takes beside it."""
        return self.drain_before / self.drain_beside


async def measure(*, waiting: int) -> Found:
    """Return medians over several runs before and beside *waiting* deliveries."""
    async with Deployment() as deployment:
        exchanger = await deployment.exchanger("127.0.7.1", "other.test")
        deployment.lead("crowd.test", "127.0.7.2")
        account = await deployment.open_account("crowd")
        await _run(deployment, exchanger, account, "warm")
        before = [await _run(deployment, exchanger, account, f"b{n}") for n in range(RUNS)]
        await _gather(deployment, account, waiting)
        await _run(deployment, exchanger, account, "again")
        beside = [await _run(deployment, exchanger, account, f"c{n}") for n in range(RUNS)]
    return Found(
        waiting,
        statistics.median(accept for accept, _ in before),
        statistics.median(accept for accept, _ in beside),
        statistics.median(drain for _, drain in before),
        statistics.median(drain for _, drain in beside),
    )


async def _gather(deployment: Deployment, account: Account, waiting: int) -> None:
    """Let half of them wait for a limit, due as they are, and half for another attempt."""
    async with deployment.worker_stopped(), deployment.database() as connection:
        message_id = await account.send("one@crowd.test")
        seconds = await copy_message(connection, message_id, waiting - 1)
        await connection.execute(
            "UPDATE deliveries SET state = 'deferred', attempts = 1, due_at = now() + "
            "random() * interval '8 hours' WHERE domain = 'crowd.test' AND number % 2 = 0"
        )
        await connection.execute(
            "UPDATE queues SET resume_at = now() + interval '1 day', rest_reason = 'limit' "
            "WHERE domain = 'crowd.test'"
        )
        await look_at_tables(connection)
    print(f"{waiting} deliveries made in {seconds:.0f} s", flush=True)
    await until(lambda: _is_counted(deployment, waiting), seconds=120)


async def _is_counted(deployment: Deployment, waiting: int) -> bool:
    async with deployment.database() as connection:
        depth = await connection.fetchval("SELECT depth FROM queues WHERE domain = 'crowd.test'")
    return bool(depth == waiting)


async def _run(
    deployment: Deployment, exchanger: Exchanger, account: Account, name: str
) -> tuple[float, float]:
    """Accept messages while the worker stands still, then let it deliver them; return rates."""
    recipients = {f"{name}.{number}@other.test" for number in range(MESSAGES)}
    parts = urlsplit(deployment.up.url)
    address = (str(parts.hostname), int(parts.port or 0))
    requests = [
        request_bytes(
            parts.netloc,
            "/api/v1/messages/send",
            json.dumps(
                {
                    "from": f"shop@{account.domain}",
                    "to": [recipient],
                    "subject": "Hello",
                    "text": "Hello there.\n" * 80,
                }
            ).encode(),
            key=account.key,
        )
        for recipient in recipients
    ]
    async with deployment.worker_stopped():
        seconds, _ = await flood(address, requests, connections=32)
    if not await until(lambda: recipients <= exchanger.counts().keys(), seconds=300, every=0.5):
        raise RuntimeError("the mail to the other queue does not arrive")
    times = [each.at for each in exchanger.taken() if each.recipient in recipients]
    await asyncio.sleep(1)
    return MESSAGES / seconds, MESSAGES / (max(times) - min(times))


def summary(found: Found) -> dict[str, Any]:
    """Return the entries of the report."""

    def entry(value: float, ratio: float) -> dict[str, Any]:
        return {
            "value": round(value, 1),
            "unit": "messages/s",
            "ratio": round(ratio, 3),
            "against": f"none of {found.waiting:,} waiting, {MOST:g} x slower at most",
            "runs": RUNS,
        }

    return {
        "accept_beside_crowd": entry(found.accept_beside, found.accept_ratio),
        "drain_beside_crowd": entry(found.drain_beside, found.drain_ratio),
    }


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    found = asyncio.run(measure(waiting=parser.parse_args().waiting))
    print(found)
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main()
