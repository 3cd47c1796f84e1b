"""A million queued messages of one organization, and another's first message.

python -m benchmarks.fairness --waiting 1000000

All of the million is due, over several queues, and the worker is busy with it.
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

from .copies import copy_message, look_at_tables
from .deployment import Account, Deployment, Exchanger, until

QUEUES = 20
PROBES = 10
MOST_SECONDS = 1.0
"""How much later another's first message may be for it."""
BULK, OTHERS = "127.0.4.1", "127.0.4.2"


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds from the request to the exchanger's note of the message, for each probe."""

    waiting: int
    idle: list[float]
    beside: list[float]
    sent_meanwhile: int
    """Messages of the other organization that went out while the probes did."""

    @property
    def delay(self) -> float:
        """How much later the slowest was than it usually is."""
        return max(self.beside) - statistics.median(self.idle)


async def measure(*, waiting: int) -> Found:
    """Return how long first messages take, without and beside *waiting* ones."""
    async with Deployment() as deployment:
        bulk = await deployment.exchanger(
            BULK, *(f"q{n}.test" for n in range(QUEUES)), arguments=("--delay", "0.02")
        )
        others = await deployment.exchanger(OTHERS, *(f"first{n}.test" for n in range(2 * PROBES)))
        busy = await deployment.open_account("busy")
        late = await deployment.open_account("late")
        await late.send("warm@first0.test")
        await until(lambda: others.counts(), seconds=30)
        idle = [await _first(late, others, f"first{n}.test") for n in range(PROBES)]
        await _pile_up(deployment, busy, waiting)
        await until(lambda: len(bulk.counts()) > 500, seconds=60)
        before = len(bulk.counts())
        beside = [await _first(late, others, f"first{n + PROBES}.test") for n in range(PROBES)]
        return Found(waiting, idle, beside, len(bulk.counts()) - before)


async def _pile_up(deployment: Deployment, busy: Account, waiting: int) -> None:
    async with deployment.worker_stopped(), deployment.database() as connection:
        ids = [await busy.send(f"one@q{number}.test") for number in range(QUEUES)]
        for message_id in ids:
            await copy_message(connection, message_id, waiting // QUEUES - 1)
        await look_at_tables(connection)


async def _first(account: Account, exchanger: Exchanger, domain: str) -> float:
    recipient = f"ada@{domain}"
    started = time.time()
    await account.send(recipient)
    if not await until(lambda: recipient in exchanger.counts(), seconds=120, every=0.02):
        raise RuntimeError(f"{recipient} got nothing within two minutes")
    at = next(each.at for each in exchanger.taken() if each.recipient == recipient)
    # So that it is settled, and the next is a first one again.
    await asyncio.sleep(1)
    return at - started


def summary(found: Found) -> dict[str, Any]:
    """Return what was measured, and whether what must hold does."""
    for name, times in (("idle", found.idle), ("beside", found.beside)):
        print(
            f"{name:<8} {len(times)} first messages, median {statistics.median(times) * 1e3:.0f} "
            f"ms, slowest {max(times) * 1e3:.0f} ms"
        )
    print(
        f"beside {found.waiting} queued messages of another, of which {found.sent_meanwhile} went "
        f"out meanwhile: at most {found.delay:.2f} s later"
    )
    is_busy = found.sent_meanwhile > 0
    holds = is_busy and found.delay <= MOST_SECONDS
    return {"fairness": asdict(found) | {"delay": round(found.delay, 3), "holds": holds}}


def main() -> None:
    """Run it, and exit with 1 if something does not hold."""
    from .prove import finish

    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    finish(summary(asyncio.run(measure(waiting=parser.parse_args().waiting))))


if __name__ == "__main__":
    main()
