"""Protection: rules are looked at beside all other work."""

import asyncio
import logging
from datetime import timedelta

from ..protection.work import end_expired, look, take_turn

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
            await look_if_due()
        except Exception as error:  # an edge: the next look finds what this one missed
            log.warning("rules could not be looked at; the next look comes soon: %r", error)
        await asyncio.sleep(EVERY_SECONDS)


async def look_if_due() -> None:
    """Look at the rules whose time has come, unless another worker does; end what is over."""
    turn = await take_turn(
        every=timedelta(seconds=ALL_EVERY_SECONDS - EARLY_SECONDS),
        networks_every=timedelta(seconds=EVERY_SECONDS - EARLY_SECONDS),
    )
    # First what this worker has claimed: if it fails, nobody else does it in its time. What has
    # ended is found by any worker's next look.
    if turn.rules:
        await look(turn.rules)
    if turn.has_ended:
        await end_expired()
