"""Claiming: each due delivery for one worker at a time."""

import asyncio
from datetime import timedelta

from postlane.core import clock
from postlane.core.database import fetch
from postlane.delivery.rules import DeliveryState
from postlane.delivery.work import (
    LEASE,
    claim_batch,
    due_queues,
    has_due,
    read_contents,
    renew_claims,
    roll_up,
)
from postlane.vmtas.tables import Vmta
from tests.delivery.spool import lose_lease, make_many, make_spooled
from tests.factories import make_organization


async def test_a_due_delivery_is_claimed_under_a_lease(database: None) -> None:
    spooled = await make_spooled("ada@dest.example")

    before = clock.now()
    claims = await claim_batch(spooled.queue_id)

    delivery = await spooled.delivery()
    assert [(claim.delivery_id, claim.attempt) for claim in claims] == [(delivery.id, 1)]
    assert (delivery.state, delivery.attempts) == ("sending", 1)
    assert delivery.due_at is not None
    assert before + LEASE <= delivery.due_at <= clock.now() + LEASE
    assert (await spooled.message()).status == "sending"
    contents = await read_contents([claims[0].content_id])
    assert claims[0].content_bytes == len(contents[claims[0].content_id].body)


async def test_two_workers_never_claim_the_same_delivery(database: None) -> None:
    spooled = (await make_many([[f"user{n}@dest.example"] for n in range(60)]))[0]

    batches = await asyncio.gather(*(claim_batch(spooled.queue_id, 25) for _ in range(4)))

    claimed = [claim.delivery_id for batch in batches for claim in batch]
    assert len(claimed) == len(set(claimed)) == 60


async def test_mail_that_is_not_due_is_left_alone(database: None) -> None:
    soon = clock.now() + timedelta(minutes=5)
    spooled = await make_spooled("ada@dest.example", due_at=soon, state=DeliveryState.SCHEDULED)

    assert await claim_batch(spooled.queue_id) == []
    assert not await has_due(spooled.queue_id)
    with clock.frozen(soon):
        assert await has_due(spooled.queue_id)
        assert len(await claim_batch(spooled.queue_id)) == 1


async def test_transactional_mail_overtakes_marketing(database: None) -> None:
    marketing = await make_many(
        [[f"user{n}@dest.example"] for n in range(5)],
        priority=1,
        due_at=clock.now() - timedelta(hours=1),
    )
    organization = marketing[0].organization
    transactional = await make_spooled("ada@dest.example", organization=organization)

    first = await claim_batch(transactional.queue_id, 1)
    rest = await claim_batch(transactional.queue_id)

    assert [claim.message_id for claim in first] == [transactional.id]
    assert len(rest) == 5


async def test_a_held_queue_gives_nothing(database: None) -> None:
    spooled = await make_spooled("ada@dest.example")
    await fetch("UPDATE queues SET state = 'held' WHERE id = {}", spooled.queue_id)

    assert await claim_batch(spooled.queue_id) == []
    assert not await has_due(spooled.queue_id)
    await roll_up()
    assert spooled.queue_id not in {queue.queue_id for queue in await due_queues()}


async def test_a_paused_vmta_gives_nothing(database: None) -> None:
    # One of the organization's own: a shared one would be listed in everybody's tests.
    organization = await make_organization()
    vmta = Vmta(organization_id=organization.id, name="resting", status="paused")
    await vmta.save()
    spooled = await make_spooled("ada@dest.example", organization=organization, vmta_id=vmta.id)

    assert await claim_batch(spooled.queue_id) == []
    await roll_up()
    assert spooled.queue_id not in {queue.queue_id for queue in await due_queues()}


async def test_a_claim_whose_lease_ran_out_is_taken_over(database: None) -> None:
    spooled = await make_spooled("ada@dest.example")
    (first,) = await claim_batch(spooled.queue_id)
    assert await renew_claims([first]) == {first.delivery_id}
    await lose_lease(spooled)

    (second,) = await claim_batch(spooled.queue_id)

    assert (first.attempt, second.attempt) == (1, 2)
    assert await renew_claims([first]) == set()
    assert await renew_claims([second]) == {second.delivery_id}


async def test_the_sweep_sees_each_queue_with_something_due_once(database: None) -> None:
    due = await make_spooled("a@one.example", "b@one.example", "c@two.example")
    await make_spooled("d@three.example", due_at=clock.now() + timedelta(hours=1))

    await roll_up()
    found = {queue.queue_id: queue.due_since for queue in await due_queues()}

    assert set(due.queues.values()) <= found.keys()
    own = [queue for queue in await due_queues() if queue.queue_id in due.queues.values()]
    assert len(own) == 2
