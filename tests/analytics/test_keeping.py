"""Counts are right after a crash, can be proved, and are kept as long as they are to be."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from postlane.analytics import rolling
from postlane.analytics.queries import Asked, series, summarize
from postlane.analytics.rules import Dimension, Metric
from postlane.analytics.windows import Interval, window_of
from postlane.analytics.work import disagreements, remove_old_counts
from postlane.core import clock
from postlane.core.database import fetch, transaction
from postlane.events.consuming import take_rows
from postlane.server.counting_checks import consumers, counts
from postlane.server.findings import Verdict
from tests.factories import make_actor

from .setup import cells_of, make_mail, roll_up_all, tell

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def test_what_is_killed_while_it_counts_is_counted_once() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=NOW)
    await roll_up_all()
    await tell(ada.queued(), ada.delivered())

    class Killed(Exception):
        pass

    async def count_and_die() -> None:
        async with transaction() as tx:
            rows = await take_rows(tx, rolling.CONSUMER, limit=100)
            await rolling.add(tx, rolling.cells_of(await rolling.group(rows)))
            raise Killed

    with pytest.raises(Killed):
        await count_and_die()
    nothing = await cells_of(actor)
    await roll_up_all()

    assert nothing == {}
    assert await cells_of(actor) == {"": {"accepted": 1, "sent": 1, "delivered": 1, "latency_1": 1}}


async def test_a_message_that_is_gone_stops_nobody() -> None:
    actor = await make_actor()
    [ada, bob] = [
        (await make_mail(actor, f"{name}@example.net", at=NOW))[0] for name in ("ada", "bob")
    ]
    await tell(ada.queued(), bob.queued())
    await fetch("DELETE FROM messages WHERE id = {}", ada.message_id)

    await roll_up_all()

    assert await cells_of(actor) == {"": {"accepted": 1}}


async def test_a_day_is_counted_again_and_what_is_wrong_is_found() -> None:
    """Ten years before anybody else's mail, so that it is the only one of its day."""
    day = datetime(2016, 3, 5, 14, tzinfo=UTC)
    with clock.frozen(day):
        actor = await make_actor()
        [ada, bob] = await make_mail(
            actor, "ada@gmail.com", "bob@example.net", at=day - timedelta(days=1)
        )
        await tell(ada.queued(), bob.queued(), ada.delivered(), bob.deferred("mailbox_full"))
        await tell(ada.opened(after=5, first=True), ada.bounced("bad_domain", source="dsn"))
        await roll_up_all()

        right = await disagreements()
        healthy = await counts()
        await fetch(
            "UPDATE analytics_cells SET deferred = 7 WHERE grain = 'day' AND set_id IN "
            "(SELECT id FROM analytics_sets WHERE organization_id = {})",
            actor.organization_id,
        )
        wrong = await disagreements()
        [ill] = await counts()

    assert right == []
    assert [finding.verdict for finding in healthy] == [Verdict.OK]
    assert [(each.metric, each.counted, each.events) for each in wrong] == [("deferred", 7, 1)]
    assert ill.verdict in (Verdict.FAULT, Verdict.WARNING)
    assert f"deferred of organization {actor.organization_id}: 7 instead of 1" in ill.sentence


async def test_consumers_that_are_behind_are_found() -> None:
    actor = await make_actor()
    await roll_up_all()
    [ada] = await make_mail(actor, "ada@example.net", at=NOW)
    await tell(ada.queued())

    now = clock.now()
    in_time = await consumers()
    with clock.frozen(now + timedelta(minutes=10)):
        late = await consumers()
    await roll_up_all()

    assert all("analytics" not in finding.sentence for finding in in_time)
    [ours] = [finding for finding in late if finding.sentence.startswith("analytics")]
    assert ours.verdict is Verdict.FAULT
    assert "1 event behind" in ours.sentence


async def test_counts_are_kept_by_their_grain() -> None:
    actor = await make_actor()
    for days in (10, 40, 100, 800):
        [ada] = await make_mail(actor, "ada@example.net", at=NOW - timedelta(days=days))
        await tell(ada.queued())
    await roll_up_all()

    with clock.frozen(NOW):
        await remove_old_counts()

    rows = await fetch(
        "SELECT kind, grain, count(*) AS cells FROM analytics_cells JOIN analytics_sets AS sets "
        "ON sets.id = set_id WHERE organization_id = {} AND kind IN ('all', 'isp') "
        "GROUP BY 1, 2 ORDER BY 1, 2",
        actor.organization_id,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("all", "day", 3),
        ("all", "minute", 1),
        ("all", "quarter", 3),
        ("isp", "day", 3),
        ("isp", "quarter", 2),
    ]


@pytest.mark.parametrize(
    ("zone", "filters", "accepted"),
    [
        ("UTC", {}, {100: 1, 200: 2}),
        ("UTC", {Dimension.ISP: ["other"]}, {100: 1, 200: 2}),
        ("UTC", {Dimension.ISP: ["other"], Dimension.STREAM: ["transactional"]}, {100: 1, 200: 2}),
        # At half past eleven in the evening, which in Tokyo is the next day.
        ("Asia/Tokyo", {}, {99: 1, 199: 2}),
    ],
    ids=str,
)
async def test_old_days_are_told_when_their_quarters_are_gone(
    zone: str, filters: dict[Dimension, list[str]], accepted: dict[int, int]
) -> None:
    midnight = datetime(2026, 6, 1, tzinfo=ZoneInfo(zone))
    actor = await make_actor()
    for days in (100, 200, 200):
        at = datetime(2026, 6, 1, 23, 30, 5, tzinfo=UTC) - timedelta(days=days)
        [ada] = await make_mail(actor, "ada@example.net", at=at)
        await tell(ada.queued())
    await roll_up_all()

    with clock.frozen(NOW):
        await remove_old_counts()
        window = window_of(NOW, period="365d", timezone=zone)
        points = await series(actor, Asked(window, filters), Interval.DAY)
        total = await summarize(actor, Asked(window, filters))

    assert {
        (midnight.date() - point.at.astimezone(ZoneInfo(zone)).date()).days: point.metrics[
            Metric.ACCEPTED
        ]
        for point in points
        if point.metrics[Metric.ACCEPTED]
    } == accepted
    assert total.metrics[Metric.ACCEPTED] == 3
