"""Exchangers that greylist, throttle, hang up, are slow, or offer broken encryption.

python -m benchmarks.misbehaviour --messages 200

Each has a domain of its own. What was deferred is made due once more, and then everything is
counted: what the exchanger has taken, and what we say became of it.
"""

import argparse
import asyncio
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from tests.server.commands import postlane_command

from .deployment import Deployment, Exchanger, until

FIRST_SECONDS = 120.0
AGAIN_SECONDS = 40.0
"""A host that hung up is asked again after half a minute."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How an exchanger misbehaves, and what has to come of it."""

    name: str
    local_part: str = "user"
    arguments: tuple[str, ...] = ()
    at_once: str = "delivered"
    """What becomes of all the mail at its first attempt."""
    in_the_end: str = "delivered"
    may_double: bool = False
    """It takes mail without saying so; nobody could know."""


MANNERS = (
    Manner("behaves"),
    Manner("greylists", "greylist", at_once="deferred"),
    Manner("throttles", arguments=("--messages-per-connection", "3")),
    Manner("hangs up in DATA", "drop-at-data", at_once="deferred", in_the_end="deferred"),
    Manner(
        "hangs up after DATA",
        "drop-after-data",
        at_once="deferred",
        in_the_end="deferred",
        may_double=True,
    ),
    Manner("answers after 2 s", "slow-2s"),
    Manner("breaks STARTTLS", arguments=("--broken-starttls",)),
    Manner("is busy", "451-at-rcpt", at_once="deferred", in_the_end="deferred"),
    Manner("knows nobody", "550-at-rcpt", at_once="bounced", in_the_end="bounced"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What came of the mail to one exchanger."""

    manner: str
    sent: int
    at_once: dict[str, int]
    in_the_end: dict[str, int]
    taken: int
    """Recipients whose message the exchanger has taken."""
    doubled: int
    lost: int
    """Said to be delivered, and never taken; or not there any more."""
    holds: bool


async def measure(*, messages: int) -> list[Found]:
    """Return what came of *messages* to each exchanger."""
    async with Deployment() as deployment:
        exchangers = [
            await deployment.exchanger(f"127.0.2.{n}", _domain(n), arguments=manner.arguments)
            for n, manner in enumerate(MANNERS, start=1)
        ]
        account = await deployment.open_account("patience")
        for n, manner in enumerate(MANNERS, start=1):
            await account.send_many(
                f"{manner.local_part}+{each}@{_domain(n)}" for each in range(messages)
            )
        await until(lambda: _none_untried(deployment), seconds=FIRST_SECONDS, every=0.5)
        at_once = await _states(deployment)
        await asyncio.sleep(AGAIN_SECONDS)
        await _once_more(deployment)
        await until(lambda: _all_tried_twice(deployment), seconds=FIRST_SECONDS, every=0.5)
        in_the_end = await _states(deployment)
        return [
            _judge(manner, messages, exchanger, at_once[_domain(n)], in_the_end[_domain(n)])
            for n, (manner, exchanger) in enumerate(zip(MANNERS, exchangers, strict=True), start=1)
        ]


async def _once_more(deployment: Deployment) -> None:
    done = await postlane_command("requeue", "--all", env=deployment.up.env)
    if done.code:
        raise RuntimeError(done.err)


async def _none_untried(deployment: Deployment) -> bool:
    states = await deployment.states()
    return not states["queued"] and not states["sending"]


async def _all_tried_twice(deployment: Deployment) -> bool:
    async with deployment.database() as connection:
        waiting = await connection.fetchval(
            "SELECT count(*) FROM deliveries WHERE state = 'sending' OR state = 'queued' "
            "OR (state = 'deferred' AND attempts < 2)"
        )
    return not waiting


async def _states(deployment: Deployment) -> dict[str, Counter[str]]:
    async with deployment.database() as connection:
        rows = await connection.fetch(
            "SELECT domain, state, count(*) FROM deliveries GROUP BY domain, state"
        )
    found: dict[str, Counter[str]] = {}
    for row in rows:
        found.setdefault(row["domain"], Counter())[row["state"]] = row["count"]
    return found


def _judge(
    manner: Manner,
    sent: int,
    exchanger: Exchanger,
    at_once: Counter[str],
    in_the_end: Counter[str],
) -> Found:
    counts = exchanger.counts()
    doubled = sum(count - 1 for count in counts.values())
    never_taken = max(in_the_end["delivered"] - len(counts), 0)
    lost = never_taken + sent - in_the_end.total()
    holds = (
        not lost
        and (manner.may_double or not doubled)
        and at_once == {manner.at_once: sent}
        and in_the_end == {manner.in_the_end: sent}
    )
    return Found(
        manner.name, sent, dict(at_once), dict(in_the_end), len(counts), doubled, lost, holds
    )


def _domain(number: int) -> str:
    return f"m{number}.dest.test"


def summary(found: list[Found]) -> dict[str, Any]:
    """Return what was counted, and whether what must hold does."""
    for each in found:
        print(
            f"{each.manner:<20} {each.sent} sent; at once {each.at_once}; in the end "
            f"{each.in_the_end}; {each.taken} taken, {each.doubled} doubled, {each.lost} lost"
        )
    return {
        "misbehaviour": {
            "exchangers": [asdict(each) for each in found],
            "holds": all(each.holds for each in found),
        }
    }


def main() -> None:
    """Run it, and exit with 1 if something does not hold."""
    from .prove import finish

    parser = argparse.ArgumentParser(prog="python -m benchmarks.misbehaviour", description=__doc__)
    parser.add_argument("--messages", type=int, default=200, help="to each exchanger")
    finish(summary(asyncio.run(measure(messages=parser.parse_args().messages))))


if __name__ == "__main__":
    main()
