"""Ten destinations that take their time, beside a single one."""

import asyncio
import statistics
from dataclasses import dataclass
from typing import Any

from .deployment import Deployment, Exchanger, until

DELAY = "0.05"
"""Seconds that an exchanger takes for each message."""
DESTINATIONS = 10
LEAST = 3.0
"""How many times as much goes to ten of them."""


@dataclass(frozen=True, slots=True)
class Found:
    """Messages a second."""

    single: float
    ten: float

    @property
    def ratio(self) -> float:
        """How many times as much went to ten."""
        return self.ten / self.single


async def measure(*, messages: int, runs: int = 3) -> Found:
    """Return medians over *runs* of sending so many messages to one and to ten destinations."""
    single, ten = [], []
    async with Deployment() as deployment:
        # One process answers for all of them, at addresses of their own.
        exchanger = await deployment.exchanger("0.0.0.0", arguments=("--delay", DELAY))
        for number in range(DESTINATIONS + 1):
            deployment.lead(f"far{number}.test", f"127.0.5.{number + 1}")
        account = await deployment.open_account("far")
        for run in range(-1, runs):
            count = messages if run >= 0 else 100  # the first one warms caches and plans
            one = [f"one{run}.{n}@far0.test" for n in range(count // 4)]
            many = [f"ten{run}.{n}@far{n % DESTINATIONS + 1}.test" for n in range(count)]
            rates = []
            for recipients in (one, many):
                async with deployment.worker_stopped():
                    await account.send_many(recipients)
                rates.append(await _rate(exchanger, set(recipients)))
            if run >= 0:
                single.append(rates[0])
                ten.append(rates[1])
    return Found(statistics.median(single), statistics.median(ten))


async def _rate(exchanger: Exchanger, recipients: set[str]) -> float:
    def have_arrived() -> bool:
        return recipients <= exchanger.counts().keys()

    if not await until(have_arrived, seconds=300, every=0.5):
        raise RuntimeError("the mail does not arrive")
    times = [each.at for each in exchanger.taken() if each.recipient in recipients]
    return len(times) / (max(times) - min(times))


def summary(found: Found) -> dict[str, Any]:
    """Return the entries of the report."""
    return {
        "to_ten_far_destinations": {
            "value": round(found.ten, 1),
            "unit": "messages/s",
            "ratio": round(found.ratio, 3),
            "against": f"a single one, {LEAST:g} at least",
            "runs": 3,
        }
    }


if __name__ == "__main__":
    print(asyncio.run(measure(messages=2000)))
