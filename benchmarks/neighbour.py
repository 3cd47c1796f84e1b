"""A slow and a dead destination beside a healthy one: the healthy one's mail is as quick as alone.

python -m benchmarks.neighbour --seconds 20
"""

import argparse
import asyncio
import socket
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

from .deployment import Account, Deployment, Exchanger, until

PER_SECOND = 20
NEIGHBOURS = 1000
"""Messages to each of the slow and the dead destinations."""
MOST = 1.5
"""How many times as long the healthy one's mail may take beside them."""
HEALTHY, SLOW, DEAD, MUTE = "127.0.3.1", "127.0.3.2", "127.0.3.3", "127.0.3.4"


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from the request to the exchanger's note of the message."""

    messages: int
    median: float
    p99: float


@dataclass(frozen=True, slots=True)
class Found:
    """The healthy destination alone, beside the others, and alone once more."""

    alone: Latency
    beside: Latency
    again: Latency
    waiting_beside: int
    """Deliveries to the neighbours that were not final at the end."""


async def measure(*, seconds: int) -> Found:
    """Return the latencies of mail at a steady rate for *seconds*, three times."""
    async with Deployment() as deployment:
        healthy = await deployment.exchanger(HEALTHY, "healthy.test")
        await deployment.exchanger(SLOW, "slow.test")
        deployment.lead("dead.test", DEAD)
        # It completes the handshake, as the kernel does, and never says a word.
        with socket.create_server((MUTE, deployment.mx_port), backlog=1024):
            deployment.lead("mute.test", MUTE)
            account = await deployment.open_account("neighbour")
            await _steady(account, healthy, "warm", seconds=3)
            alone = await _steady(account, healthy, "alone", seconds=seconds)
            for domain in ("slow", "dead", "mute"):
                await account.send_many(
                    f"slow-5s+{number}@{domain}.test" for number in range(NEIGHBOURS)
                )
            await until(lambda: _is_busy(deployment), seconds=30)
            beside = await _steady(account, healthy, "beside", seconds=seconds)
            waiting = await _waiting(deployment)
            async with deployment.database() as connection:
                await connection.execute(
                    "UPDATE queues SET state = 'held' WHERE domain <> $1", "healthy.test"
                )
            await asyncio.sleep(6)
            again = await _steady(account, healthy, "again", seconds=seconds)
    return Found(alone, beside, again, waiting)


async def _steady(account: Account, exchanger: Exchanger, name: str, *, seconds: int) -> Latency:
    sent: dict[str, float] = {}

    async def one(number: int) -> None:
        await asyncio.sleep(number / PER_SECOND)
        recipient = f"{name}{number}@healthy.test"
        sent[recipient] = time.time()
        await account.send(recipient)

    await asyncio.gather(*(one(number) for number in range(seconds * PER_SECOND)))

    def have_arrived() -> bool:
        return not sent.keys() - exchanger.counts().keys()

    if not await until(have_arrived, seconds=120):
        raise RuntimeError("mail to the healthy destination does not arrive")
    took = sorted(
        each.at - sent[each.recipient] for each in exchanger.taken() if each.recipient in sent
    )
    return Latency(len(took), statistics.median(took), took[int(len(took) * 0.99)])


async def _is_busy(deployment: Deployment) -> bool:
    states = await deployment.states()
    return states["sending"] > 0


async def _waiting(deployment: Deployment) -> int:
    states = await deployment.states()
    return states["queued"] + states["sending"] + states["deferred"]


def summary(found: Found) -> dict[str, Any]:
    """Return what was measured, and whether what must hold does."""
    for name, each in (("alone", found.alone), ("beside", found.beside), ("again", found.again)):
        print(
            f"{name:<8} {each.messages} messages, median {each.median * 1e3:.0f} ms, "
            f"99 of 100 within {each.p99 * 1e3:.0f} ms"
        )
    usual = (found.alone.median + found.again.median) / 2
    ratio = found.beside.median / usual
    print(f"beside {found.waiting_beside} that wait for slow, dead and mute hosts: {ratio:.2f} x")
    return {"neighbour": asdict(found) | {"ratio": round(ratio, 3), "holds": ratio <= MOST}}


def main() -> None:
    """Run it, and exit with 1 if something does not hold."""
    from .prove import finish

    parser = argparse.ArgumentParser(prog="python -m benchmarks.neighbour", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="of each of the three measurements")
    finish(summary(asyncio.run(measure(seconds=parser.parse_args().seconds))))


if __name__ == "__main__":
    main()
