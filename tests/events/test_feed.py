"""New events for subscribers, whatever happens to notifications, transactions and connections."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch, transaction
from postlane.events import announcing
from postlane.events.feed import Feed, FeedClosed, FellBehind, Subscriber
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.events.snapshots import Progress, Snapshot

INSERT = (
    "INSERT INTO events (id, organization_id, type, data, occurred_at, simulated) "
    "VALUES ($1, $2, 'message.queued', '{}', now(), false)"
)


@pytest.fixture
async def feed(database: None) -> AsyncIterator[Feed]:
    opened = Feed()
    yield opened
    await opened.close()


@pytest.fixture
async def other(database_url: str, database: None) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own, as another process has."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def write(organization_id: UUID, count: int = 1) -> list[UUID]:
    made = [uuid4() for _ in range(count)]
    async with transaction() as tx:
        events = [
            NewEvent(
                organization_id=OrganizationId(organization_id),
                project_id=None,
                message_id=each,
                delivery_id=None,
                type=EventType.MESSAGE_QUEUED,
                data={},
                occurred_at=clock.now(),
            )
            for each in made
        ]
        await append(tx, events)
    return made


async def taken(subscriber: Subscriber, count: int) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await subscriber.take(100)
    return found


async def test_events_come_in_order_and_once(feed: Feed) -> None:
    organization = uuid4()
    subscriber = await feed.subscribe(organization, lambda event: True)

    made = [each for _ in range(20) for each in await write(organization, 30)]
    found = await taken(subscriber, 600)
    await asyncio.sleep(1.2)

    assert [event.message_id for event in found] == made
    assert not subscriber._waiting


async def test_what_commits_late_is_not_missed(feed: Feed, other: asyncpg.Connection) -> None:
    """A lower position appears after higher ones have been read."""
    organization, late = uuid4(), uuid4()
    subscriber = await feed.subscribe(organization, lambda event: True)

    slow = other.transaction()
    await slow.start()
    await other.execute(INSERT, late, organization)
    first = await write(organization, 3)
    found = await taken(subscriber, 3)
    for _ in range(5):
        await write(uuid4(), 400)
        await asyncio.sleep(0.05)
    await slow.commit()
    then = await taken(subscriber, 1)
    await asyncio.sleep(1.2)

    assert [event.message_id for event in found] == first
    assert [event.id for event in then] == [late]
    assert not subscriber._waiting


async def test_what_is_open_beside_a_long_transaction_is_not_missed(
    feed: Feed, other: asyncpg.Connection, database_url: str
) -> None:
    """It has begun before the long one ends, and its positions lie below all of those."""
    organization, late = uuid4(), uuid4()
    long = await asyncpg.connect(database_url)
    subscriber = await feed.subscribe(organization, lambda event: True, room=5_000)

    first, second = long.transaction(), other.transaction()
    await first.start()
    await long.execute(INSERT, uuid4(), organization)
    await second.start()
    await other.execute(INSERT, late, organization)
    for _ in range(2_500):
        await long.execute(INSERT, uuid4(), organization)
    await first.commit()
    await long.close()
    await taken(subscriber, 2_501)
    await asyncio.sleep(1.2)
    await second.commit()
    then = await taken(subscriber, 1)

    assert [event.id for event in then] == [late]


async def test_what_is_rolled_back_is_never_seen(feed: Feed, other: asyncpg.Connection) -> None:
    organization = uuid4()
    subscriber = await feed.subscribe(organization, lambda event: True)

    slow = other.transaction()
    await slow.start()
    await other.execute(INSERT, uuid4(), organization)
    await slow.rollback()
    made = await write(organization)
    found = await taken(subscriber, 1)

    assert [event.message_id for event in found] == made


async def test_without_a_notification_it_looks_every_second(
    feed: Feed, other: asyncpg.Connection
) -> None:
    organization, quiet = uuid4(), uuid4()
    subscriber = await feed.subscribe(organization, lambda event: True)

    await other.execute(INSERT, quiet, organization)
    found = await taken(subscriber, 1)

    assert [event.id for event in found] == [quiet]


async def test_a_lost_connection_is_made_again_and_nothing_is_missed(
    feed: Feed, other: asyncpg.Connection
) -> None:
    organization = uuid4()
    subscriber = await feed.subscribe(organization, lambda event: True)

    cut = await other.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'postlane feed'"
    )
    made = await write(organization, 2)
    found = await taken(subscriber, 2)

    assert cut == 1
    assert [event.message_id for event in found] == made


async def test_a_column_of_a_later_release_stops_nobody(
    feed: Feed, other: asyncpg.Connection
) -> None:
    """A migration runs while processes of the release before still read."""
    organization = uuid4()
    subscriber = await feed.subscribe(organization, lambda event: True)

    await other.execute("ALTER TABLE events ADD COLUMN later integer")
    try:
        made = await write(organization)
        found = await taken(subscriber, 1)
    finally:
        await other.execute("ALTER TABLE events DROP COLUMN later")

    assert [event.message_id for event in found] == made


async def test_a_subscriber_that_fails_ends_alone(feed: Feed) -> None:
    organization = uuid4()

    def fails(event: Any) -> bool:
        raise RuntimeError("a fault of ours")

    broken = await feed.subscribe(organization, fails)
    subscriber = await feed.subscribe(organization, lambda event: True)

    made = await write(organization)
    found = await taken(subscriber, 1)

    assert [event.message_id for event in found] == made
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await broken.take(1)


async def test_a_look_that_breaks_off_gives_nothing_twice(
    feed: Feed, other: asyncpg.Connection
) -> None:
    """The connection is cut while more is being read than is fetched at once."""
    organization = uuid4()
    cut = asyncio.Event()

    def wants(event: Any) -> bool:
        cut.set()
        return True

    subscriber = await feed.subscribe(organization, wants, room=100_000)
    await other.execute(
        "INSERT INTO events (id, organization_id, type, data, occurred_at, simulated) "
        "SELECT gen_random_uuid(), $1, 'message.queued', '{}', now(), false "
        "FROM generate_series(1, 30000)",
        organization,
    )
    await cut.wait()
    ended = await other.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'postlane feed'"
    )
    found = await taken(subscriber, 30_000)
    await write(organization)
    last = await taken(subscriber, 1)

    assert ended == 1
    assert len({event.id for event in found}) == 30_000
    assert len(last) == 1


async def test_others_events_are_not_offered(feed: Feed) -> None:
    ours, theirs = uuid4(), uuid4()
    subscriber = await feed.subscribe(ours, lambda event: True)

    await write(theirs, 5)
    made = await write(ours)
    found = await taken(subscriber, 1)

    assert [event.message_id for event in found] == made
    assert not subscriber._waiting


async def test_one_connection_for_many_subscribers_and_none_without(feed: Feed) -> None:
    reading = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'postlane feed'"
    subscribers = [await feed.subscribe(uuid4(), lambda event: True) for _ in range(50)]

    connected = (await fetch(reading))[0]["n"]
    for subscriber in subscribers:
        feed.leave(subscriber)
    await asyncio.sleep(0.5)
    left = (await fetch(reading))[0]["n"]

    assert (connected, left) == (1, 0)


async def test_more_than_there_is_room_for_ends_a_subscriber_and_no_other(feed: Feed) -> None:
    organization = uuid4()
    small = await feed.subscribe(organization, lambda event: True, room=10)
    large = await feed.subscribe(organization, lambda event: True)

    await write(organization, 11)
    found = await taken(large, 11)

    assert len(found) == 11
    with pytest.raises(FellBehind):
        await small.take(1)


async def test_the_end_of_the_process_ends_every_subscriber(feed: Feed) -> None:
    subscriber = await feed.subscribe(uuid4(), lambda event: True)

    await feed.close()

    with pytest.raises(FeedClosed):
        await subscriber.take(1)


async def test_writing_much_announces_little(database: None, database_url: str) -> None:
    heard: list[str] = []
    organizations = [uuid4() for _ in range(100)]
    connection = await asyncpg.connect(database_url)
    await connection.add_listener(
        announcing.CHANNEL, lambda *notification: heard.append(notification[3])
    )

    for organization in organizations:
        await write(organization)
    await asyncio.sleep(0.5)
    await connection.close()

    named = [announcing.named(text) for text in heard]
    assert set(organizations) <= {each for group in named if group for each in group}
    assert len(heard) < 50


@pytest.mark.parametrize("text", ["x", "x,y", "é", ",", "0" * 8000])
def test_a_strange_notification_names_everybody(text: str) -> None:
    assert announcing.named(text) is None


def test_more_organizations_than_fit_are_not_named() -> None:
    assert announcing.payload([uuid4() for _ in range(201)]) == ""
    assert len(announcing.payload([uuid4() for _ in range(200)])) < 8000


def seen(text: str, *, next: int, position: int) -> Snapshot:
    """Return a snapshot as the database tells it, with numbers' ages in 32 bits."""
    age = (next - 3) % 2**32
    return Snapshot.of(text, age=age - 2**32 * (age >= 2**31), position=position)


def test_a_reader_begins_below_every_open_transaction() -> None:
    progress = Progress(seen("100:100:", next=100, position=5_000))

    progress.advance(seen("100:120:100", next=120, position=9_000))
    stuck = progress.begin
    progress.advance(seen("130:130:", next=130, position=9_500))

    assert stuck == 4_000
    assert progress.begin == 8_500


def test_a_reader_begins_below_what_was_open_beyond_the_last_that_had_ended() -> None:
    """Transaction 101 had begun, though the snapshot says no more than that it had not ended."""
    progress = Progress(seen("99:99:", next=99, position=5_000))

    progress.advance(seen("101:101:", next=102, position=9_000))
    stuck = progress.begin
    progress.advance(seen("102:102:", next=102, position=9_500))

    assert stuck == 4_000
    assert progress.begin == 8_500


@pytest.mark.parametrize("given", [7, 2**31 + 7, 2**32 - 1, 2**32, 2**32 + 3, 5 * 2**32 + 9])
def test_the_next_number_is_told_whichever_time_they_come_round(given: int) -> None:
    assert seen(f"{given - 2}:{given - 1}:", next=given, position=1).next == given


def test_a_database_put_back_begins_anew() -> None:
    progress = Progress(seen("1000:1000:", next=1000, position=5_000))

    progress.advance(seen("50:50:", next=50, position=100))

    assert progress.begin == 0
