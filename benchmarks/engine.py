"""What the delivery engine has to show in `make bench` beside its throughput."""

import asyncio
from typing import Any

from . import crowd, destinations, statements

FEW = 20_000
MANY = 1_000_000


def measure(*, messages: int, is_large: bool) -> dict[str, Any]:
    """Return the entries of the report; with *is_large* beside a million waiting deliveries."""
    report = destinations.summary(asyncio.run(destinations.measure(messages=messages)))
    report |= statements.summary(asyncio.run(statements.measure(messages=messages)))
    waiting = MANY if is_large else FEW
    return report | crowd.summary(asyncio.run(crowd.measure(waiting=waiting)))
