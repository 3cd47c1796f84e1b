"""Claiming: each due delivery for one worker at a time."""

import asyncio
import random
from datetime import timedelta

import asyncpg
import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.delivery.rules import DeliveryState
from postlane.delivery.work import (
    LEASE,
    claim_batch,
    due_queues,
    find_queue,
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


async def test_for_mail_that_somebody_holds_no_drain_is_asked(
    database: None, database_url: str
) -> None:
    """It would find nothing, end, and be asked for again, as fast as a worker can."""
    spooled = await make_spooled("ada@dest.example", "bob@dest.example")
    holder = await asyncpg.connect(database_url)
    async with holder.transaction():
        await holder.execute(
            "SELECT FROM deliveries WHERE message_id = $1 FOR NO KEY UPDATE", spooled.id
        )
        while_all_are_held = await has_due(spooled.queue_id)
    async with holder.transaction():
        await holder.execute(
            "SELECT FROM deliveries WHERE id = $1 FOR NO KEY UPDATE",
            spooled.deliveries["ada@dest.example"],
        )
        while_one_is_held = await has_due(spooled.queue_id)
    await holder.close()

    assert (while_all_are_held, while_one_is_held) == (False, True)
    assert len(await claim_batch(spooled.queue_id)) == 2


async def test_for_a_vmta_that_is_gone_no_drain_is_asked(database: None) -> None:
    spooled = await make_spooled("ada@dest.example", vmta_id=new_id())

    assert await find_queue(spooled.queue_id) is None
    assert not await has_due(spooled.queue_id)


async def test_transactional_mail_overtakes_marketing(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One single place goes to marketing by chance, one time in ten.
    monkeypatch.setattr(random, "randrange", lambda upto: upto - 1)
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


async def test_marketing_has_one_place_in_ten_beside_any_amount_of_transactional_mail(
    database: None,
) -> None:
    transactional = await make_many([[f"user{n}@dest.example"] for n in range(62)])
    organization = transactional[0].organization
    queue = transactional[0].queue_id

    alone = await claim_batch(queue, 20)
    await make_many(
        [[f"reader{n}@dest.example"] for n in range(30)], organization=organization, priority=1
    )
    beside = await claim_batch(queue, 20)
    rest = await claim_batch(queue, 100)

    assert [claim.priority for claim in alone] == [0] * 20
    assert [claim.priority for claim in beside] == [0] * 18 + [1] * 2
    assert [claim.priority for claim in rest] == [0] * 24 + [1] * 28


@pytest.mark.parametrize("limit", [1, 3])
async def test_marketing_has_its_place_where_a_limit_lets_few_go_at_a_time(
    database: None, limit: int
) -> None:
    random.seed(7)
    transactional = await make_many([[f"user{n}@dest.example"] for n in range(120)])
    await make_many(
        [[f"reader{n}@dest.example"] for n in range(120)],
        organization=transactional[0].organization,
        priority=1,
    )

    claims = [
        claim
        for _ in range(120 // limit)
        for claim in await claim_batch(transactional[0].queue_id, limit)
    ]

    assert len(claims) == 120
    assert 4 <= sum(claim.priority for claim in claims) <= 24


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
