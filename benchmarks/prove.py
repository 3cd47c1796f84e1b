"""What must hold of delivery, shown: chaos, misbehaving exchangers, a slow neighbour, fairness.

make prove                                       all of it, some twenty minutes
make prove ARGS="--quick"                        a tenth of it
make prove ARGS="--only chaos neighbour"
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from . import chaos, fairness, misbehaviour, neighbour

NAMES = ("chaos", "misbehaviour", "neighbour", "fairness")


async def measure(names: list[str], *, quick: bool) -> dict[str, Any]:
    """Run what is named, one after the other, and return what was counted."""
    found: dict[str, Any] = {}
    if "chaos" in names:
        rounds = await chaos.measure(messages=500 if quick else 5000, rounds=1 if quick else 3)
        found |= chaos.summary(rounds)
    if "misbehaviour" in names:
        found |= misbehaviour.summary(await misbehaviour.measure(messages=20 if quick else 200))
    if "neighbour" in names:
        found |= neighbour.summary(await neighbour.measure(seconds=5 if quick else 20))
    if "fairness" in names:
        waiting = 100_000 if quick else 1_000_000
        found |= fairness.summary(await fairness.measure(waiting=waiting))
    return found


def finish(found: Mapping[str, Any]) -> None:
    """Print what was counted as one JSON object, and exit with 1 if something does not hold."""
    for name, each in found.items():
        print(f"{name}: {'holds' if each['holds'] else 'DOES NOT HOLD'}")
    print(json.dumps(found))
    sys.exit(0 if all(each["holds"] for each in found.values()) else 1)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        prog="make prove", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the mail, one round")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    chosen = parser.parse_args()
    finish(asyncio.run(measure(chosen.only, quick=chosen.quick)))


if __name__ == "__main__":
    main()
