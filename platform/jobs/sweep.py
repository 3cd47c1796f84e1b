"""The sweep: finds what is due and what no job is coming for."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

from ..bulk.work import ANY_OPEN_BULK, ask_for_open_bulk
from ..core import clock
from ..core.database import fetch
from ..core.queue import JobName, enqueue
from ..delivery.work import (
    ANY_TO_TEND,
    DueQueue,
    due_queues,
    expire_waiting,
    go_on_flushing,
    go_on_releasing,
    roll_up,
    sum_up_activity,
    tend_vmtas,
)
from ..delivery.work.simulating import ANY_DUE_SIMULATION, ask_for_due_simulations
from ..domains.work import ask_for_check, due_for_check
from ..exports.work import ANY_OPEN_EXPORT, ANY_OUTDATED, ask_for_open_exports, drop_outdated
from ..messages.work import ANY_OPEN_ERASURE, ask_for_open_erasures
from ..notices.work import ask_for_due
from ..removals.work import ANY_DUE_REMOVAL, ask_for_due_removals
from ..suppressions.work import ANY_OPEN_IMPORT, ask_for_open_imports
from ..vmtas.work import due_for_check as due_vmtas
from .blocklists import ask_for_looks
from .delivery import drain_key
from .hearing import Signs, wait_for

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=1)
LARGEST_SHARE = 0.05
"""Of the time that sweeping may take: with very many queues it comes less often."""

LONGEST = timedelta(seconds=10)
"""Between two sweeps all the same: on a busy worker most of what one takes is waiting."""

OVERDUE = timedelta(seconds=10)
"""Mail due for longer is too much for the drains at work, or theirs died with its worker."""

SLOTS = 4
"""Drains that work on one queue at the same time at most, on as many workers."""

HELPED = 4
"""Queues of an organization that have more than one drain, those that wait longest. With one more
for each of many queues at once, others' first messages waited behind all their first steps."""

DOMAINS_AT_ONCE = 100
NOTICES_AT_ONCE = 100

LOST_AT_ONCE = 100
LOST_JOBS_EVERY = 15.0
"""Seconds between two looks for work that has a job of its own, which may have been lost."""

ALL_THE_SAME_SECONDS = 60.0
"""Between two sweeps while nothing waits; what no look is for is all that they look for then."""

WHOLE_EVERY = 600.0
"""Seconds between two sweeps for all, whatever the looks say, and between two looks at all that
waits in queues which send nothing."""


async def sweep() -> int:
    """Ask for a drain of every queue that has something due; return how many were put in.

    Organizations take turns, so that the first queue of each is asked for before the second of
    any. Domains that it is time to look at and notices are asked for as well. The job queue refuses
    what is waiting or running already.
    """
    asked = await _ask_for_drains()
    await _ask_for_the_rest()
    return asked


async def _ask_for_drains() -> int:
    """Do what `ANY_WAITING` tells of, and nothing else."""
    await go_on_flushing()
    await go_on_releasing()
    await roll_up()
    return sum([await _ask_for_drain(queue) for queue in await due_queues()])


async def _ask_for_the_rest() -> None:
    for domain_id in await due_for_check(limit=DOMAINS_AT_ONCE):
        await ask_for_check(domain_id)
    await ask_for_due(limit=NOTICES_AT_ONCE)


async def _ask_for_drain(queue: DueQueue) -> bool:
    is_overdue = clock.now() - queue.due_since > OVERDUE
    # More drains would only share the little that a throttled queue may send.
    is_helped = is_overdue and not queue.is_throttled and queue.nth <= HELPED
    queue_id = str(queue.queue_id)
    for slot in range(SLOTS if is_helped else 1):
        if await enqueue(
            JobName.DRAIN,
            key=drain_key(queue_id, slot),
            priority=queue.nth,
            queue_id=queue_id,
        ):
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Look:
    """A look for work that nearly always finds none, and what tells whether it would."""

    any: LiteralString
    takes: tuple[object, ...]
    """What belongs into the places of *any*."""
    find: Callable[[], Awaitable[object]]


def _looks(now: datetime) -> tuple[_Look, ...]:
    most = LOST_AT_ONCE
    return (
        _Look(ANY_DUE_SIMULATION, (now,), lambda: ask_for_due_simulations(limit=most)),
        _Look(ANY_OPEN_IMPORT, (), lambda: ask_for_open_imports(limit=most)),
        _Look(ANY_OPEN_ERASURE, (), lambda: ask_for_open_erasures(limit=most)),
        _Look(ANY_OUTDATED, (), drop_outdated),
        _Look(ANY_OPEN_EXPORT, (), lambda: ask_for_open_exports(limit=most)),
        _Look(ANY_OPEN_BULK, (), lambda: ask_for_open_bulk(limit=most)),
        _Look(ANY_DUE_REMOVAL, (now,), lambda: ask_for_due_removals(limit=most)),
        _Look(ANY_TO_TEND, (now, now.date()), tend_vmtas),
    )


async def find_lost() -> None:
    """Ask again for the jobs of what should have been done by now, and tend to vMTAs.

    They have nothing to do with each other: one that fails is logged, and holds up no other.
    """
    for look in await _worth_it(_looks(clock.now())):
        await _apart(look.find())
    await _apart(sum_up_activity())
    await _apart(_ask_for_checks())


async def _worth_it(looks: Sequence[_Look]) -> Sequence[_Look]:
    """Return those that would find something, by one statement; all of them, if it fails."""
    asked = ", ".join(f"{look.any} AS look_{n}" for n, look in enumerate(looks))
    try:
        (row,) = await fetch(f"SELECT {asked}", *(value for look in looks for value in look.takes))
    except Exception:  # an edge, as the caller says
        log.exception("lost work cannot be looked for at once; it is looked for one by one")
        return looks
    return [look for n, look in enumerate(looks) if row[f"look_{n}"]]


async def _apart(look: Awaitable[object]) -> None:
    try:
        await look
    except Exception:  # an edge, as its caller says
        log.exception("a look for lost work failed; it is done again soon")


async def _ask_for_checks() -> None:
    for vmta_id in await due_vmtas(limit=LOST_AT_ONCE):
        await enqueue(JobName.CHECK_VMTA, key=f"check-vmta:{vmta_id}", vmta_id=str(vmta_id))
    await ask_for_looks(limit=LOST_AT_ONCE)


async def keep_sweeping(signs: Signs, stopping: asyncio.Event) -> None:
    """Sweep while anything waits, and seldom otherwise, until the process is to end.

    Whoever brings mail rings, and waits for no sweep.

    It is no job, so that it does not wait behind jobs.
    """
    looked_at = -ALL_THE_SAME_SECONDS
    whole_at = -WHOLE_EVERY
    is_busy = False
    while not stopping.is_set():
        started = time.monotonic()
        try:
            is_busy, is_quiet = signs.mail.is_set(), signs.is_quiet
            signs.mail.clear()
            if is_quiet and started - whole_at < WHOLE_EVERY:
                await _ask_for_the_rest()
            else:
                await sweep()
            if started - looked_at >= LOST_JOBS_EVERY:
                await find_lost()
                looked_at = started
            if started - whole_at >= WHOLE_EVERY:
                await expire_waiting()
                whole_at = started
        except Exception as error:  # an edge: the next sweep finds what this one missed
            log.warning("the sweep failed; the next comes soon: %r", error)
        took = time.monotonic() - started
        await asyncio.sleep(pause_after(took))
        if is_busy:
            await signs.try_to_look()
        await wait_for(signs.mail, stopping, seconds=ALL_THE_SAME_SECONDS)


def pause_after(took: float) -> float:
    """Return the seconds to the next sweep after one that took so many."""
    return min(max(EVERY.total_seconds(), took / LARGEST_SHARE), LONGEST.total_seconds())
