"""kill -9 of worker, web and database at random moments: nothing accepted is lost.

python -m benchmarks.chaos                       5,000 messages, three rounds; some ten minutes
python -m benchmarks.chaos --messages 500 --rounds 1

A message may be taken twice only where the exchanger had answered 250 within a lease before a
kill: between that answer and our note of it lies the one moment that SMTP leaves open.
"""

import argparse
import asyncio
import os
import random
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field

import httpx
import psutil

from postlane.delivery.work import LEASE

from .deployment import Account, Deployment, Exchanger, until

SENDERS = 16
PAUSES = (0.2, 2.0)
"""Seconds between one process that is well again and the next kill."""
ARRIVE_SECONDS = 600.0
GRACE_SECONDS = 2.0
"""What the kernel still hands over after a kill, and two processes' idea of the same moment."""


@dataclass(slots=True)
class Round:
    """What one round came to."""

    messages: int
    accepted: int = 0
    refused_tries: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0
    unexplained: int = 0
    not_settled: int = 0
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether everything is as it must be."""
        is_whole = self.accepted == self.messages
        return is_whole and not (self.lost or self.unexplained or self.not_settled)


@dataclass(slots=True)
class Load:
    """Sends each message until it was accepted, with a key that makes a repeat the same one."""

    account: Account
    accepted: set[str] = field(default_factory=set)
    refused: int = 0

    async def send_all(self, recipients: list[str]) -> None:
        """Return when every one was accepted."""
        waiting = list(recipients)

        async def sender() -> None:
            while waiting:
                await self._send(waiting.pop())

        await asyncio.gather(*(sender() for _ in range(SENDERS)))

    async def _send(self, recipient: str) -> None:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        body = {
            "from": f"shop@{self.account.domain}",
            "to": [recipient],
            "subject": "Load",
            "text": "Hello.\n" * 50,
        }
        while True:
            try:
                answer = await self.account.http.post(
                    "/api/v1/messages/send", json=body, headers=headers
                )
            except httpx.HTTPError:
                pass
            else:
                if answer.status_code == 202:
                    self.accepted.add(recipient)
                    return
                if answer.status_code not in (409, 429, 500, 502, 503):
                    raise RuntimeError(f"{answer.status_code}: {answer.text}")
            self.refused += 1
            await asyncio.sleep(random.uniform(0.05, 0.2))


class Killer:
    """Kills one process after the other, at random, for as long as it runs."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.kills: list[tuple[float, str]] = []
        self._misfortunes: dict[str, Callable[[], Awaitable[None]]] = {
            "worker": lambda: self._part("worker"),
            "web": lambda: self._part("web"),
            "web worker": self._web_worker,
            "database": lambda: self._part("database"),
            "backend": self._backend,
        }

    async def run(self, done: asyncio.Event) -> None:
        """Kill each once in some order, and go on in another order until *done*."""
        while True:
            for name in random.sample(list(self._misfortunes), len(self._misfortunes)):
                await asyncio.sleep(random.uniform(*PAUSES))
                if done.is_set() and len({each for _, each in self.kills}) == 5:
                    return
                await self._misfortunes[name]()
                self.kills.append((time.time(), name))
                await self._deployment.up.healthy()

    async def _part(self, name: str) -> None:
        (await self._running(name)).kill()

    async def _web_worker(self) -> None:
        web = await self._running("web")
        await until(web.children, seconds=30)
        random.choice(web.children()).kill()

    async def _running(self, name: str) -> psutil.Process:
        """Return the process of a part, which may be starting again just now."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self._deployment.up.part(name)
            except (AssertionError, psutil.NoSuchProcess):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def _backend(self) -> None:
        async with self._deployment.database() as connection:
            pid = await connection.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'postlane' "
                "ORDER BY random() LIMIT 1"
            )
        if pid is not None:
            os.kill(pid, signal.SIGKILL)


async def measure(*, messages: int, rounds: int) -> list[Round]:
    """Return what each round came to."""
    found = []
    async with Deployment() as deployment:
        exchanger = await deployment.exchanger("127.0.0.1", *_domains())
        account = await deployment.open_account("chaos")
        for number in range(1, rounds + 1):
            done = await _round(deployment, exchanger, account, number, messages)
            print(f"round {number} of {rounds}: {_line(done)}", flush=True)
            found.append(done)
    return found


async def _round(
    deployment: Deployment, exchanger: Exchanger, account: Account, number: int, messages: int
) -> Round:
    started = time.monotonic()
    load, killer, done = Load(account), Killer(deployment), asyncio.Event()
    domains = _domains()
    recipients = [f"r{number}-{n}@{domains[n % len(domains)]}" for n in range(messages)]
    killing = asyncio.create_task(killer.run(done))
    await load.send_all(recipients)

    async def have_arrived() -> bool:
        counts = await asyncio.to_thread(exchanger.counts)
        return len(load.accepted - counts.keys()) == 0

    # The kills go on while the mail goes out.
    await until(have_arrived, seconds=30, every=1)
    done.set()
    await killing
    await until(have_arrived, seconds=ARRIVE_SECONDS, every=1)

    async def are_settled() -> bool:
        return set(await deployment.states()) == {"delivered"}

    await until(are_settled, seconds=ARRIVE_SECONDS, every=1)
    found = Round(messages, len(load.accepted), load.refused)
    found.seconds = round(time.monotonic() - started, 1)
    for _, name in killer.kills:
        found.kills[name] = found.kills.get(name, 0) + 1
    _count(found, exchanger, load.accepted, [at for at, _ in killer.kills])
    states = await deployment.states()
    found.not_settled = states.total() - states["delivered"]
    return found


def _count(found: Round, exchanger: Exchanger, accepted: set[str], kills: list[float]) -> None:
    times: dict[str, list[float]] = {}
    for taken in exchanger.taken():
        if taken.recipient in accepted:
            times.setdefault(taken.recipient, []).append(taken.at)
    found.lost = len(accepted - times.keys())
    for ats in times.values():
        for first in sorted(ats)[:-1]:
            found.doubled += 1
            lease = LEASE.total_seconds()
            if not any(first - GRACE_SECONDS <= kill <= first + lease for kill in kills):
                found.unexplained += 1


def _domains() -> list[str]:
    return [f"d{number}.dest.test" for number in range(7)]


def _line(found: Round) -> str:
    kills = ", ".join(f"{name} {count}" for name, count in sorted(found.kills.items()))
    return (
        f"{found.accepted} of {found.messages} accepted, {found.lost} lost, "
        f"{found.doubled} doubled ({found.unexplained} without a kill within the lease), "
        f"{found.not_settled} not settled; killed: {kills}; {found.refused_tries} refused tries; "
        f"{found.seconds:.0f} s"
    )


def summary(rounds: list[Round]) -> dict[str, object]:
    """Return the sums, and whether what must hold does."""
    return {
        "chaos": {
            "rounds": [asdict(each) for each in rounds],
            "lost": sum(each.lost for each in rounds),
            "doubled": sum(each.doubled for each in rounds),
            "unexplained": sum(each.unexplained for each in rounds),
            "holds": all(each.holds for each in rounds),
        }
    }


def main() -> None:
    """Run it, and exit with 1 if something does not hold."""
    from .prove import finish

    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--messages", type=int, default=5000, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    finish(summary(asyncio.run(measure(messages=chosen.messages, rounds=chosen.rounds))))


if __name__ == "__main__":
    main()
