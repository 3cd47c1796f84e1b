"""Protection: rules are looked at beside all other work."""

import asyncio
import logging
from datetime import timedelta

from ..protection.catalogue import all_rules
from ..protection.rules import Scope
from ..protection.work import claim_look, end_expired, look

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
"""Between two looks at networks: whoever guesses passwords does so fast."""
ALL_EVERY_SECONDS = 60.0
"""Between two looks at everything: what is counted changes by the quarter of an hour."""
EARLY_SECONDS = 1.0
"""By how much a look may come sooner, so that a worker does not just miss its own turn."""


async def keep_protecting(stopping: asyncio.Event) -> None:
    """Begin and end blocks until the process is to end.

    It is no job, so that it does not wait behind jobs. Every worker does it, and one looks at a
    time: whoever has claimed the look, for all of them.
    """
    while not stopping.is_set():
        try:
            await end_expired()
            await look_if_due()
        except Exception as error:  # an edge: the next look finds what this one missed
            log.warning("rules could not be looked at; the next look comes soon: %r", error)
        await asyncio.sleep(EVERY_SECONDS)


async def look_if_due() -> None:
    """Look at the rules whose time has come, unless another worker does."""
    if await claim_look("all", every=timedelta(seconds=ALL_EVERY_SECONDS - EARLY_SECONDS)):
        await look()
        return
    networks = Scope.SOURCE_IP
    if await claim_look(networks.value, every=timedelta(seconds=EVERY_SECONDS - EARLY_SECONDS)):
        await look([rule for rule in all_rules().values() if rule.scope is networks])
