"""Everything that changes deliveries, at the same time, at random: none is lost or miscounted."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch, transaction
from postlane.delivery.errors import QueueHeld
from postlane.delivery.operations import cancel_deliveries
from postlane.delivery.queue_operations import flush_queue, hold_queue, release_queue
from postlane.delivery.rules import RestReason
from postlane.delivery.work import (
    Claim,
    Settlement,
    claim_batch,
    go_on_flushing,
    renew_claims,
    rest_queue,
    roll_up,
    settle_batch,
)
from postlane.mail.outcome import outcome_of_reply
from tests.delivery.spool import Spooled, make_many
from tests.factories import make_actor

SECONDS = 3.0
DOMAINS = [f"{letter}.example" for letter in "abcdefghijkl"]
REPLIES = [(250, "OK"), (451, "4.3.0 Later"), (421, "4.7.0 Too many, slow down"), (550, "5.1.1 No")]
LEASE = timedelta(seconds=0.2)
"""So short that leases end while their claims are still settled."""


@dataclass(slots=True)
class Everybody:
    """What the parts of the test share."""

    actor: Actor
    queues: list[UUID]
    sent: list[Spooled] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)

    async def accept(self) -> None:
        """Put a few messages in, some to several recipients."""
        addresses = [
            [f"user{n}@{random.choice(DOMAINS)}" for n in range(random.randint(1, 4))]
            for _ in range(random.randint(1, 5))
        ]
        self.sent += await make_many(addresses, organization=self.sent[0].organization)

    async def cancel(self) -> None:
        """Cancel one message."""
        async with transaction() as tx:
            await cancel_deliveries(tx, random.choice(self.sent).id)

    async def claim(self) -> None:
        """Claim in one queue; what is claimed is settled together with that of others."""
        self.claims += await claim_batch(random.choice(self.queues), 10, lease=LEASE)

    async def settle(self) -> None:
        """Settle some claims, and lose some."""
        random.shuffle(self.claims)
        taken, self.claims = self.claims[:40], self.claims[40:]
        await renew_claims(taken[::2], lease=LEASE)
        await settle_batch([_settlement(claim) for claim in taken if random.random() < 0.9])

    async def operate(self) -> None:
        """Hold, release, flush, or let a queue rest."""
        queue_id = random.choice(self.queues)
        what = random.randrange(4)
        if what == 0:
            await hold_queue(self.actor, queue_id)
        elif what == 1:
            await release_queue(self.actor, queue_id)
        elif what == 2:
            try:
                await flush_queue(self.actor, queue_id)
            except QueueHeld:
                await release_queue(self.actor, queue_id)
        else:
            await rest_queue(queue_id, clock.now() + timedelta(seconds=0.1), RestReason.SUSPENDED)

    async def sweep(self) -> None:
        """Count and go on flushing, as every worker does."""
        await go_on_flushing()
        await roll_up()


def _settlement(claim: Claim) -> Settlement:
    outcome = None
    if random.random() < 0.9:
        outcome = outcome_of_reply(*random.choice(REPLIES), started_at=clock.now())
    return Settlement(claim, "default", outcome)


async def test_everything_at_once_neither_waits_for_itself_nor_loses_count(
    own_database: str,
) -> None:
    first = await make_many([[f"first@{domain}"] for domain in DOMAINS])
    all_ = Everybody(
        await make_actor(first[0].organization), [each.queue_id for each in first], list(first)
    )
    await roll_up()
    parts = (all_.accept, all_.cancel, all_.claim, all_.claim, all_.settle, all_.settle)
    until = time.monotonic() + SECONDS

    # A statement that is chosen to end a deadlock raises here.
    await asyncio.gather(
        *(_again(part, until) for part in (*parts, all_.operate, all_.sweep, all_.sweep))
    )

    while await roll_up():
        pass
    assert await fetch(WRONG_QUEUES) == []
    assert await fetch(WRONG_MESSAGES) == []
    rows = await fetch("SELECT count(*) AS n FROM deliveries")
    assert rows[0]["n"] == sum(len(each.deliveries) for each in all_.sent)
    assert await fetch("SELECT FROM deliveries WHERE due_at IS NULL AND settled_at IS NULL") == []


async def _again(part: Callable[[], Awaitable[None]], until: float) -> None:
    while time.monotonic() < until:
        await part()
        await asyncio.sleep(0)


WRONG_QUEUES = """
    SELECT domain, queues.scheduled, queues.queued, queues.sending, queues.deferred, depth,
        next_due_at, real.*
    FROM queues CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE state = 'queued') AS real_queued,
            count(*) FILTER (WHERE state = 'sending') AS real_sending,
            count(*) FILTER (WHERE state = 'deferred') AS real_deferred,
            count(*) AS real_depth, min(due_at) AS real_due
        FROM deliveries WHERE queue_id = queues.id AND due_at IS NOT NULL
    ) AS real
    WHERE (queued, sending, deferred, depth)
        <> (real_queued, real_sending, real_deferred, real_depth)
    OR (real_due IS NOT NULL AND next_due_at IS NULL)
    OR next_due_at > greatest(real_due, resume_at)
    OR (depth = 0) <> (emptied_at IS NOT NULL)
"""

WRONG_MESSAGES = """
    SELECT message.id, open_count, real_open FROM spooled_messages AS message
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE due_at IS NOT NULL) AS real_open
        FROM deliveries WHERE message_id = message.id
    ) AS real
    WHERE open_count <> real_open OR (open_count = 0) <> (completed_at IS NOT NULL)
"""
