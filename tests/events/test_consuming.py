"""Every event once for each consumer, whatever happens to transactions, consumers and databases."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import Tx, fetch, transaction
from postlane.core.ids import new_token
from postlane.events.consuming import (
    LIVE_FOR,
    Start,
    Taken,
    consumer_lags,
    first_needed_position,
    read_events,
    start_consumer,
    take_positions,
    take_rows,
)
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.events.tables import Event, EventConsumer

INSERT = (
    "INSERT INTO events (id, organization_id, type, data, occurred_at, simulated) "
    "SELECT $1, $2, 'message.queued', '{}', now(), false "
    "WHERE pg_current_xact_id() IS NOT NULL"
)


def new(organization: UUID, count: int) -> list[NewEvent]:
    return [
        NewEvent(
            organization_id=OrganizationId(organization),
            project_id=None,
            message_id=uuid4(),
            delivery_id=None,
            type=EventType.MESSAGE_QUEUED,
            data={},
            occurred_at=clock.now(),
        )
        for _ in range(count)
    ]


async def write(organization: UUID, count: int = 1) -> list[UUID | None]:
    events = new(organization, count)
    async with transaction() as tx:
        await append(tx, events)
    return [event.message_id for event in events]


async def every_row(tx: Tx, consumer: str, *, limit: int) -> list[Taken]:
    """Take events as one does that reads all."""
    return [Taken(**row) for row in await take_rows(tx, consumer, limit=limit)]


async def whose_first(tx: Tx, consumer: str, *, limit: int) -> list[Taken]:
    """Take events as one does that first asks whose they are."""
    found = await take_positions(tx, consumer, limit=limit)
    return await read_events(sorted(each for positions in found.values() for each in positions))


_way = every_row


@pytest.fixture(autouse=True, params=[every_row, whose_first])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take events each way."""
    monkeypatch.setattr(f"{__name__}._way", request.param)


async def take_events(tx: Tx, consumer: str, *, limit: int) -> list[Taken]:
    """Take events the way that is tried."""
    return await _way(tx, consumer, limit=limit)


async def take(consumer: str, organization: UUID, limit: int = 1_000) -> list[Taken]:
    """Return what one look takes, but of one organization only: other tests write, too."""
    async with transaction() as tx:
        found = await take_events(tx, consumer, limit=limit)
    return [event for event in found if event.organization_id == organization]


async def take_all(consumer: str, organization: UUID, limit: int = 1_000) -> list[Taken]:
    found: list[Taken] = []
    while True:
        async with transaction() as tx:
            taken = await take_events(tx, consumer, limit=limit)
        found += [event for event in taken if event.organization_id == organization]
        if len(taken) < limit:
            return found


def messages(events: list[Taken]) -> list[UUID | None]:
    return [event.message_id for event in events]


async def place_of(consumer: str) -> EventConsumer:
    place = await EventConsumer.objects().where(EventConsumer.name == consumer).first()
    assert place is not None
    return place


@pytest.fixture
async def consumer(database: None) -> AsyncIterator[str]:
    """One that starts now, and is gone after the test: lags and retention look at all."""
    name = f"test-{new_token(8)}"
    async with transaction() as tx:
        await start_consumer(tx, name, start=Start.NOW)
    yield name
    await EventConsumer.delete().where(EventConsumer.name == name)


@pytest.fixture
async def other(database_url: str, database: None) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own, as another process has."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_events_come_in_order_and_once(consumer: str) -> None:
    organization = uuid4()
    made = [each for _ in range(7) for each in await write(organization, 30)]

    looks = [await take(consumer, organization, limit=50) for _ in range(6)]

    assert [len(each) for each in looks] == [50, 50, 50, 50, 10, 0]
    assert messages([event for look in looks for event in look]) == made


async def test_a_consumer_that_was_down_catches_up(consumer: str) -> None:
    organization = uuid4()
    first = await write(organization, 3)
    before = await take(consumer, organization)
    made = [each for _ in range(20) for each in await write(organization, 100)]

    found = await take_all(consumer, organization, limit=300)

    assert messages(before) == first
    assert messages(found) == made


async def test_consumers_do_not_touch_each_others_places(consumer: str) -> None:
    organization, second = uuid4(), f"test-{new_token(8)}"
    async with transaction() as tx:
        await start_consumer(tx, second, start=Start.NOW)
    made = await write(organization, 3)

    ours = await take(consumer, organization)
    theirs = await take(second, organization)
    await EventConsumer.delete().where(EventConsumer.name == second)

    assert messages(ours) == made
    assert messages(theirs) == made


async def test_what_commits_late_comes_once_and_later(
    consumer: str, other: asyncpg.Connection
) -> None:
    """A lower position appears after higher ones were taken, also many looks later."""
    organization, late = uuid4(), uuid4()
    slow = other.transaction()
    await slow.start()
    await other.execute(INSERT, late, organization)
    first = await write(organization, 3)

    before = await take(consumer, organization)
    for _ in range(20):
        await write(uuid4(), 2)
        assert await take(consumer, organization) == []
    await slow.commit()
    then = await take(consumer, organization)
    after = [await take(consumer, organization) for _ in range(4)]

    assert messages(before) == first
    assert [event.id for event in then] == [late]
    assert after == [[], [], [], []]


async def test_a_later_transaction_may_hold_a_lower_position(
    consumer: str, other: asyncpg.Connection, database_url: str
) -> None:
    """The one that began last writes first, and ends last; nothing after it has ended."""
    organization, low = uuid4(), uuid4()
    elder = await asyncpg.connect(database_url)
    began_first = elder.transaction()
    await began_first.start()
    await elder.execute("SELECT pg_current_xact_id()")
    began_last = other.transaction()
    await began_last.start()
    await other.execute(INSERT, low, organization)
    high = [uuid4() for _ in range(1_500)]
    await elder.executemany(INSERT, [(each, organization) for each in high])
    await began_first.commit()
    await elder.close()

    before = await take_all(consumer, organization)
    nothing = [await take(consumer, organization) for _ in range(5)]
    await began_last.commit()
    then = await take_all(consumer, organization)

    assert [event.id for event in before] == high
    assert nothing == [[], [], [], [], []]
    assert [event.id for event in then] == [low]


async def test_late_ones_come_although_more_is_new_than_a_look_takes(
    consumer: str, other: asyncpg.Connection
) -> None:
    organization = uuid4()
    late = [uuid4() for _ in range(50)]
    slow = other.transaction()
    await slow.start()
    await other.executemany(INSERT, [(each, organization) for each in late])
    first = await write(organization, 1)
    before = [await take(consumer, organization) for _ in range(3)]
    await slow.commit()
    new_ones = await write(organization, 30)

    looks = [await take(consumer, organization, limit=20) for _ in range(6)]

    assert [messages(each) for each in before] == [first, [], []]
    assert [len(each) for each in looks] == [20, 20, 20, 20, 0, 0]
    found = [event for look in looks for event in look]
    assert [event.id for event in found[:50]] == late
    assert messages(found[50:]) == new_ones


async def test_what_the_caller_rolls_back_comes_again(consumer: str) -> None:
    organization = uuid4()
    made = await write(organization, 5)

    async def take_and_fail() -> None:
        async with transaction() as tx:
            await take_events(tx, consumer, limit=3)
            raise RuntimeError("fails after taking")

    with pytest.raises(RuntimeError, match="fails after taking"):
        await take_and_fail()
    found = await take(consumer, organization)

    assert messages(found) == made


async def test_two_at_once_exclude_each_other(consumer: str, other: asyncpg.Connection) -> None:
    organization = uuid4()
    made = await write(organization, 5)
    held = other.transaction()
    await held.start()
    await other.execute("SELECT FROM event_consumers WHERE name = $1 FOR UPDATE", consumer)

    meanwhile = await take(consumer, organization)
    await held.rollback()
    afterwards = await take(consumer, organization)

    assert meanwhile == []
    assert messages(afterwards) == made


async def test_what_the_caller_appends_comes_later(consumer: str) -> None:
    organization = uuid4()
    made = await write(organization, 2)
    own = new(organization, 2)

    async with transaction() as tx:
        first = await take_events(tx, consumer, limit=1_000)
        await append(tx, own)
    then = [await take(consumer, organization) for _ in range(4)]

    assert messages([each for each in first if each.organization_id == organization]) == made
    assert [messages(each) for each in then] == [[event.message_id for event in own], [], [], []]


async def test_a_transaction_that_has_written_may_not_take(consumer: str) -> None:
    async def write_and_take() -> None:
        async with transaction() as tx:
            await append(tx, new(uuid4(), 1))
            await take_events(tx, consumer, limit=1)

    with pytest.raises(RuntimeError, match="before the transaction writes"):
        await write_and_take()


@pytest.mark.parametrize(
    ("start", "expected"), [(Start.BEGINNING, ["old", "new"]), (Start.NOW, ["new"])]
)
async def test_a_new_consumer_starts_where_it_wants(
    database: None, start: Start, expected: list[str]
) -> None:
    organization, name = uuid4(), f"test-{new_token(8)}"
    made = {"old": await write(organization, 2)}
    async with transaction() as tx:
        await start_consumer(tx, name, start=start)
        await start_consumer(tx, name, start=Start.BEGINNING)
    made["new"] = await write(organization, 2)

    found = await take_all(name, organization)
    await EventConsumer.delete().where(EventConsumer.name == name)

    assert messages(found) == [each for part in expected for each in made[part]]


async def test_a_consumer_that_never_came_is_started_by_taking(database: None) -> None:
    organization, name = uuid4(), f"test-{new_token(8)}"
    made = await write(organization, 2)

    found = await take_all(name, organization)
    await EventConsumer.delete().where(EventConsumer.name == name)

    assert messages(found) == made


async def test_one_that_starts_now_gets_what_was_open_then(
    database: None, other: asyncpg.Connection
) -> None:
    organization, name, late = uuid4(), f"test-{new_token(8)}", uuid4()
    slow = other.transaction()
    await slow.start()
    await other.execute(INSERT, late, organization)
    await write(organization, 3)
    async with transaction() as tx:
        await start_consumer(tx, name, start=Start.NOW)

    before = [await take(name, organization) for _ in range(4)]
    await slow.commit()
    then = await take(name, organization)
    await EventConsumer.delete().where(EventConsumer.name == name)

    assert before == [[], [], [], []]
    assert [event.id for event in then] == [late]


async def test_holes_of_what_was_rolled_back_go(consumer: str, other: asyncpg.Connection) -> None:
    organization = uuid4()
    for _ in range(5):
        gone = other.transaction()
        await gone.start()
        await other.executemany(INSERT, [(uuid4(), organization) for _ in range(20)])
        await gone.rollback()
        await write(organization)

    await take(consumer, organization)
    found = await place_of(consumer)
    for _ in range(3):
        await take(consumer, organization)
    later = await place_of(consumer)

    assert found.holes.count("[") >= 5
    assert (later.holes, later.waiting) == ("{}", "{}")


async def test_a_restored_database_neither_repeats_nor_loses(consumer: str) -> None:
    """Its transactions have other numbers, lower or higher ones, and its rows new ones."""
    organization = uuid4()
    first = await write(organization, 3)
    taken = await take(consumer, organization)
    unseen = await write(organization, 3)
    # What a dump and its restore do: every row is written anew by one transaction.
    await fetch("UPDATE events SET simulated = simulated WHERE organization_id = {}", organization)
    await EventConsumer.update({EventConsumer.waiting_below: 2**62}).where(
        EventConsumer.name == consumer
    )

    looks = [await take(consumer, organization) for _ in range(3)]
    place = await place_of(consumer)

    assert messages(taken) == first
    assert [messages(each) for each in looks] == [unseen, [], []]
    assert place.waiting_below < 2**62


async def test_rows_that_were_frozen_are_neither_new_nor_lost(
    consumer: str, other: asyncpg.Connection
) -> None:
    organization = uuid4()
    first = await write(organization, 3)
    taken = await take(consumer, organization)
    unseen = await write(organization, 3)
    await other.execute("VACUUM (FREEZE) events")

    looks = [await take(consumer, organization) for _ in range(3)]

    assert messages(taken) == first
    assert [messages(each) for each in looks] == [unseen, [], []]


async def test_many_writers_and_consumers_at_once_miss_and_repeat_nothing(
    consumer: str, database_url: str
) -> None:
    """Transactions of all lengths, a fifth of them rolled back; takers that fail, too."""
    organization, chance = uuid4(), random.Random(7)
    committed: set[UUID] = set()
    had: list[UUID] = []
    writing = True

    async def writer(seed: int) -> None:
        own = random.Random(seed)
        connection = await asyncpg.connect(database_url)
        for _ in range(40):
            made = [uuid4() for _ in range(own.randint(1, 30))]
            opened = connection.transaction()
            await opened.start()
            for each in made:
                await connection.execute(INSERT, each, organization)
                if own.random() < 0.1:
                    await asyncio.sleep(own.random() * 0.02)
            if own.random() < 0.2:
                await opened.rollback()
            else:
                await opened.commit()
                committed.update(made)
        await connection.close()

    async def taker() -> None:
        while True:
            done = not writing
            try:
                async with transaction() as tx:
                    found = await take_events(tx, consumer, limit=chance.randint(1, 60))
                    if chance.random() < 0.2:
                        raise RuntimeError("killed")
            except RuntimeError:
                continue
            had.extend(event.id for event in found if event.organization_id == organization)
            if done and not found and len(had) >= len(committed):
                return
            await asyncio.sleep(0.001)

    takers = [asyncio.create_task(taker()) for _ in range(2)]
    await asyncio.gather(*(writer(seed) for seed in range(6)))
    writing = False
    async with asyncio.timeout(60):
        await asyncio.gather(*takers)

    assert len(had) == len(set(had))
    assert set(had) == committed


async def test_a_look_reads_no_more_than_it_takes(consumer: str, other: asyncpg.Connection) -> None:
    """However much lies before its place, and however much waits behind it."""
    organization = uuid4()
    await write(organization, 500)
    await take_all(consumer, organization)
    await other.execute(
        "INSERT INTO events (id, organization_id, type, data, occurred_at, simulated) "
        "SELECT gen_random_uuid(), $1, 'message.queued', '{}', now(), false "
        "FROM generate_series(1, 20000)",
        organization,
    )
    await other.execute("ANALYZE events")
    read = "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'events'"

    async with transaction() as tx:
        [before] = await fetch(read)
        if _way is every_row:
            count = len(await take_rows(tx, consumer, limit=100))
        else:
            count = sum(map(len, (await take_positions(tx, consumer, limit=100)).values()))
        [after] = await fetch(read)

    assert count == 100
    assert after["seq_scan"] == before["seq_scan"]
    assert after["idx_tup_fetch"] - before["idx_tup_fetch"] <= 101


async def test_a_lag_is_told_in_events_and_seconds(consumer: str) -> None:
    organization = uuid4()
    await take_all(consumer, organization)
    await write(organization, 4)

    behind = {lag.consumer: lag for lag in await consumer_lags()}[consumer]
    await take_all(consumer, organization)
    caught_up = {lag.consumer: lag for lag in await consumer_lags()}[consumer]

    assert behind.events == 4
    assert 0 <= behind.seconds < 60
    assert (caught_up.events, caught_up.seconds) == (0, 0)


async def test_what_a_live_consumer_has_not_had_is_needed(consumer: str) -> None:
    organization = uuid4()
    # The product's own consumers look when other tests let them, and are far behind.
    await EventConsumer.update(
        {EventConsumer.looked_at: clock.now() - LIVE_FOR - timedelta(hours=1)}
    ).where(EventConsumer.name != consumer)
    await take_all(consumer, organization)
    await write(organization, 2)
    first = (
        await Event.select(Event.position)
        .where(Event.organization_id == organization)
        .order_by(Event.position)
        .first()
    )
    assert first is not None

    needed = await first_needed_position()
    # Other tests leave consumers behind that are live, too.
    for other in await EventConsumer.select(EventConsumer.name):
        for _ in range(3):
            await take_all(other["name"], organization)
    then = await first_needed_position()

    assert needed is not None
    assert needed <= first["position"]
    assert then is not None
    assert then > first["position"] + 1


async def test_nothing_is_kept_for_a_consumer_that_is_gone(consumer: str, frozen: datetime) -> None:
    await EventConsumer.update(
        {EventConsumer.upto: 0, EventConsumer.looked_at: frozen - LIVE_FOR - timedelta(hours=1)}
    ).where(EventConsumer.name == consumer)

    assert await first_needed_position() != 1
