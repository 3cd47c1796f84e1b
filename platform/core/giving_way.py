"""Changing tables that are in use, without stopping or breaking what uses them.

A change of a table waits for every statement on it, and whatever comes after waits behind the
change. So it waits for a moment only, gives up what it has, and tries again a little later.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from .database import DB

Result = TypeVar("Result")
log = logging.getLogger(__name__)

LOCK_TIMEOUT = "700ms"
"""Less than the second after which the database looks for deadlocks: of two that wait for each
other it is the change that gives way, not somebody's request."""
TIMES = 120
APART_SECONDS = 1.0
IN_THE_WAY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


async def run_giving_way(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run *work* in a transaction of its own, again and again until nothing is in its way.

    Raises:
        asyncpg.LockNotAvailableError: something was for some minutes; nothing is changed.
    """
    left = TIMES
    while True:
        try:
            async with DB.transaction(allow_nested=False):
                await DB.run_ddl(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                return await work()
        except IN_THE_WAY as error:
            left -= 1
            if not left:
                raise
            log.info("tables are in use; their change is tried again soon: %s", error)
        await asyncio.sleep(APART_SECONDS)
