"""`postlane requeue`: waiting deliveries are due now, and drains come for them."""

import argparse

from ..delivery.work.hastening import make_due
from ..jobs.sweep import sweep
from ..mail.address import InvalidAddress, parse_domain
from .connection import open_database
from .faults import CommandFailed


async def run(arguments: argparse.Namespace) -> int:
    """Make deliveries due and ask for drains of their queues."""
    if bool(arguments.domain) == arguments.all:
        raise CommandFailed("Say which: `--domain example.com`, or `--all`.")
    async with open_database(queue=True):
        count = await make_due(domain=_domain(arguments.domain))
        await sweep()
    print(f"{count} deliveries are due now." if count != 1 else "1 delivery is due now.")
    return 0


def _domain(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return parse_domain(text)
    except InvalidAddress as error:
        raise CommandFailed(f"{text!r} is not a domain.") from error
