"""A queue of a million waiting deliveries beside accepting, and beside another queue's drain.

python -m benchmarks.crowd --waiting 1000000

Two products run side by side, each with a database of its own, and only one of them has the
crowd. They take turns, each first as often as second, because a machine's speed changes within
minutes; what is told is the median of what each pair of turns differs by. Beside it stands how
much processor time a product took, which hardly depends on what else the machine does.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil

from .client import flood, request_bytes
from .copies import copy_message, look_at_tables, wait_for_autovacuum
from .deployment import Account, Deployment, Exchanger, until

MOST = 1.2
"""How many times as long anything else may take."""
MESSAGES = 2000
RUNS = 10
"""An even number, so that each side goes first as often as the other."""


@dataclass(frozen=True, slots=True)
class Found:
    """Messages a second, without and beside the crowd, and medians of each run's ratio."""

    waiting: int
    accept_before: float
    accept_beside: float
    drain_before: float
    drain_beside: float
    accept_ratio: float
    """How many times as long accepting takes beside it."""
    drain_ratio: float
    """How many times as long another queue's drain takes beside it."""
    accept_cpu: float
    """Seconds of processor time of a turn beside it."""
    drain_cpu: float
    accept_cpu_ratio: float
    """How much processor time accepting takes beside it, of what it takes without."""
    drain_cpu_ratio: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Messages a second of one turn, and the seconds of processor time of the product."""

    accept: float
    drain: float
    accept_cpu: float
    drain_cpu: float


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two products, with who sends and who takes."""

    deployment: Deployment
    account: Account
    exchanger: Exchanger


async def measure(*, waiting: int) -> Found:
    """Return medians over several runs without and beside *waiting* deliveries."""
    async with Deployment() as first, Deployment() as second:
        alone, crowded = await _open(first), await _open(second)
        for side in (alone, crowded):
            await _turn(side, "warm")
        await _gather(crowded, waiting)
        await asyncio.gather(_rest(alone), _rest(crowded))
        for side in (alone, crowded):
            await _turn(side, "again")
        runs = [await _run(alone, crowded, number) for number in range(RUNS)]
    return _found(waiting, runs)


async def _open(deployment: Deployment) -> Side:
    exchanger = await deployment.exchanger("127.0.7.1", "other.test")
    deployment.lead("crowd.test", "127.0.7.2")
    return Side(deployment, await deployment.open_account("crowd"), exchanger)


async def _gather(side: Side, waiting: int) -> None:
    """Let half of them wait for a limit, due as they are, and half for another attempt."""
    async with side.deployment.worker_stopped(), side.deployment.database() as connection:
        message_id = await side.account.send("one@crowd.test")
        seconds = await copy_message(connection, message_id, waiting - 1)
        await connection.execute(
            "UPDATE deliveries SET state = 'deferred', attempts = 1, due_at = now() + "
            "random() * interval '8 hours' WHERE domain = 'crowd.test' AND number % 2 = 0"
        )
        await connection.execute(
            "UPDATE queues SET resume_at = now() + interval '1 day', rest_reason = 'limit' "
            "WHERE domain = 'crowd.test'"
        )
    print(f"{waiting} deliveries made in {seconds:.0f} s", flush=True)
    if not await until(lambda: _depth_is(side, "crowd.test", waiting), seconds=120):
        raise RuntimeError("the crowd is not counted")


async def _rest(side: Side) -> None:
    """Leave nothing to be vacuumed, for the planner to find out, or to be written to disk."""
    async with side.deployment.database() as connection:
        await look_at_tables(connection)
        await wait_for_autovacuum(connection)


async def _depth_is(side: Side, domain: str, depth: int) -> bool:
    async with side.deployment.database() as connection:
        found = await connection.fetchval("SELECT depth FROM queues WHERE domain = $1", domain)
    return bool(found == depth)


async def _run(alone: Side, crowded: Side, number: int) -> tuple[Rates, Rates]:
    """Let both take a turn, and return the rates of *alone* and of *crowded*."""
    # Whoever is second pays for what the first has left to the machine, such as dirty pages.
    order = (alone, crowded) if number % 2 else (crowded, alone)
    found = {id(side): await _turn(side, f"run{number}") for side in order}
    without, beside = found[id(alone)], found[id(crowded)]
    print(
        f"run {number + 1} of {RUNS}: accepted {without.accept:.0f} and {beside.accept:.0f} a "
        f"second, drained {without.drain:.0f} and {beside.drain:.0f}; processor time "
        f"{without.accept_cpu:.1f} and {beside.accept_cpu:.1f} s, then {without.drain_cpu:.1f} "
        f"and {beside.drain_cpu:.1f} s",
        flush=True,
    )
    return without, beside


async def _turn(side: Side, name: str) -> Rates:
    """Accept messages while the worker stands still, then let it deliver them; return rates."""
    recipients = {f"{name}.{number}@other.test" for number in range(MESSAGES)}
    parts = urlsplit(side.deployment.up.url)
    address = (str(parts.hostname), int(parts.port or 0))
    requests = [_request(side.account, parts.netloc, recipient) for recipient in recipients]
    begun = _cpu_seconds(side)
    async with side.deployment.worker_stopped():
        seconds, _ = await flood(address, requests, connections=32)
        accepted = _cpu_seconds(side)
    taken = side.exchanger.counts
    if not await until(lambda: recipients <= taken().keys(), seconds=300, every=0.5):
        raise RuntimeError("the mail to the other queue does not arrive")
    times = [each.at for each in side.exchanger.taken() if each.recipient in recipients]
    # What this product has left to do is not to run in the other's turn.
    if not await until(lambda: _depth_is(side, "other.test", 0), seconds=60):
        raise RuntimeError("the other queue does not become empty")
    await asyncio.sleep(2)
    return Rates(
        MESSAGES / seconds,
        MESSAGES / (max(times) - min(times)),
        accepted - begun,
        _cpu_seconds(side) - accepted,
    )


def _cpu_seconds(side: Side) -> float:
    """Return the processor time of a product and its database so far."""
    root = side.deployment.up.process
    seconds = 0.0
    for each in (root, *root.children(recursive=True)):
        # What ends meanwhile is in its parent's time, and so is what has ended before.
        with contextlib.suppress(psutil.NoSuchProcess):
            seconds += sum(each.cpu_times()[:4])
    return seconds


def _request(account: Account, host: str, recipient: str) -> bytes:
    body = {
        "from": f"shop@{account.domain}",
        "to": [recipient],
        "subject": "Hello",
        "text": "Hello there.\n" * 80,
    }
    sent = json.dumps(body).encode()
    return request_bytes(host, "/api/v1/messages/send", sent, key=account.key)


def _found(waiting: int, runs: list[tuple[Rates, Rates]]) -> Found:
    return Found(
        waiting,
        accept_before=statistics.median(alone.accept for alone, _ in runs),
        accept_beside=statistics.median(beside.accept for _, beside in runs),
        drain_before=statistics.median(alone.drain for alone, _ in runs),
        drain_beside=statistics.median(beside.drain for _, beside in runs),
        accept_ratio=statistics.median(alone.accept / beside.accept for alone, beside in runs),
        drain_ratio=statistics.median(alone.drain / beside.drain for alone, beside in runs),
        accept_cpu=statistics.median(beside.accept_cpu for _, beside in runs),
        drain_cpu=statistics.median(beside.drain_cpu for _, beside in runs),
        accept_cpu_ratio=statistics.median(b.accept_cpu / a.accept_cpu for a, b in runs),
        drain_cpu_ratio=statistics.median(b.drain_cpu / a.drain_cpu for a, b in runs),
    )


def summary(found: Found) -> dict[str, Any]:
    """Return the entries of the report."""

    def entry(value: float, unit: str, ratio: float, what: str) -> dict[str, Any]:
        against = f"none of {found.waiting:,} waiting and vacuumed; {what}"
        values = {"value": round(value, 1), "unit": unit, "ratio": round(ratio, 3)}
        return values | {"against": against, "runs": RUNS}

    slower, dearer = f"{MOST:g} x slower at most", "processor time of the product"
    return {
        "accept_beside_crowd": entry(found.accept_beside, "messages/s", found.accept_ratio, slower),
        "drain_beside_crowd": entry(found.drain_beside, "messages/s", found.drain_ratio, slower),
        "accept_beside_crowd_cpu": entry(found.accept_cpu, "s", found.accept_cpu_ratio, dearer),
        "drain_beside_crowd_cpu": entry(found.drain_cpu, "s", found.drain_cpu_ratio, dearer),
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
