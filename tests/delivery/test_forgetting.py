"""Mail goes when it is kept no longer, with all that is known of it, and not before."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from postlane.accounts.work import terms_of
from postlane.core import clock
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id, new_token
from postlane.core.retention import Kind, Term
from postlane.delivery.tables import Attempt, Content, SpooledMessage
from postlane.delivery.work import remove_old_contents
from postlane.delivery.work.forgetting import forget_mail
from postlane.events.consuming import Start, start_consumer
from postlane.events.tables import Event, EventConsumer
from tests.analytics.setup import Recipient, id_at, make_mail, roll_up_all, tell
from tests.billing.setup import settings_with
from tests.factories import make_actor

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2016, 8, 1, 12, tzinfo=UTC)
TABLES = {
    "messages": "id = {}",
    "spooled_messages": "id = {}",
    "deliveries": "message_id = {}",
    "events": "message_id = {}",
    "attempts": "delivery_id IN (SELECT id FROM deliveries WHERE message_id = {})",
}


async def make_old(days: int, *, is_final: bool = True) -> Recipient:
    """Make a message of so many days ago, with everything that hangs on one."""
    at = NOW - timedelta(days=days)
    content = Content(id=id_at(at), organization_id=new_id(), format="raw", body=b"", created_at=at)
    await content.save()
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=at, content_id=content.id)
    await SpooledMessage.insert(
        SpooledMessage(
            id=ada.message_id,
            organization_id=actor.organization_id,
            content_id=content.id,
            status="delivered" if is_final else "queued",
            recipient_count=1,
            open_count=0 if is_final else 1,
            completed_at=at if is_final else None,
        )
    )
    await Attempt(
        organization_id=actor.organization_id,
        delivery_id=ada.delivery_id,
        number=1,
        verdict="delivered",
        started_at=at,
        duration_ms=1,
    ).save()
    await tell(ada.queued(), ada.delivered())
    return ada


async def left(message_id: UUID) -> dict[str, int]:
    found = {}
    for table, condition in TABLES.items():
        rows = await fetch(f"SELECT count(*) AS n FROM {table} WHERE {condition}", message_id)
        found[table] = rows[0]["n"]
    return found


async def catch_up() -> None:
    """Let every consumer have all events, as workers do."""
    await roll_up_all()
    await EventConsumer.delete().where(EventConsumer.name != "analytics")
    for _ in range(3):
        await roll_up_all()


ALL = {"messages": 1, "spooled_messages": 1, "deliveries": 1, "events": 2, "attempts": 1}
NOTHING = dict.fromkeys(ALL, 0)


async def test_old_mail_goes_and_what_is_younger_or_open_stays() -> None:
    old, young, waits = await make_old(31), await make_old(29), await make_old(31, is_final=False)
    await catch_up()

    with clock.frozen(NOW):
        removed = await forget_mail([Term(30)], seconds=60)

    assert removed == 1
    assert await left(old.message_id) == NOTHING
    assert await left(young.message_id) == ALL
    assert await left(waits.message_id) == ALL
    contents = await fetch("SELECT count(*) AS n FROM contents WHERE id < {}", id_at(NOW))
    assert contents[0]["n"] == 2
    await fetch("DELETE FROM contents WHERE id < {}", id_at(NOW))


async def test_mail_whose_events_somebody_has_not_had_waits() -> None:
    name = f"test-{new_token(8)}"
    await catch_up()
    async with transaction() as tx:
        await start_consumer(tx, name, start=Start.NOW)
    old = await make_old(60)

    with clock.frozen(NOW):
        await EventConsumer.update({EventConsumer.looked_at: NOW}).where(EventConsumer.name == name)
        waited = await forget_mail([Term(30)], seconds=60)
    await catch_up()
    with clock.frozen(NOW):
        gone = await forget_mail([Term(30)], seconds=60)

    assert (waited, gone) == (0, 1)
    assert await left(old.message_id) == NOTHING


async def test_old_events_of_no_message_go() -> None:
    organization = new_id()
    for days in (29, 31):
        at = NOW - timedelta(days=days)
        await Event(
            id=id_at(at), organization_id=organization, type="vmta.paused", occurred_at=at
        ).save()
    await catch_up()

    with clock.frozen(NOW):
        await forget_mail([Term(30)], seconds=60)

    rows = await Event.select(Event.occurred_at).where(Event.organization_id == organization)
    assert [row["occurred_at"] for row in rows] == [NOW - timedelta(days=29)]


async def test_a_plan_that_keeps_less_forgets_its_own_mail_only() -> None:
    old, young, elsewhere = await make_old(8), await make_old(6), await make_old(8)
    waits = await make_old(8, is_final=False)
    for mail in (old, young, waits):
        await put_on_plan(mail.organization_id, "trial")
    at = NOW - timedelta(days=8)
    for mail in (old, elsewhere):
        await Event(
            id=id_at(at),
            organization_id=mail.organization_id,
            type="vmta.paused",
            occurred_at=at,
        ).save()
    await catch_up()
    with settings_with(keep_days_by_plan="trial.messages=7,starter.messages=1,trial.audit=30"):
        terms = await terms_of(Kind.MESSAGES)

    with clock.frozen(NOW):
        removed = await forget_mail(terms, seconds=60)

    assert [term.days for term in terms] == [30, 7, 1]
    assert removed == 1
    assert await left(old.message_id) == NOTHING
    for kept in (young, elsewhere, waits):
        assert await left(kept.message_id) == ALL
    paused = Event.type == "vmta.paused"
    assert await Event.count().where(paused, Event.organization_id == old.organization_id) == 0
    assert (
        await Event.count().where(paused, Event.organization_id == elsewhere.organization_id) == 1
    )


async def test_contents_go_by_the_plan_of_whose_they_are() -> None:
    on_plan, elsewhere = await make_old(2), await make_old(2)
    await put_on_plan(on_plan.organization_id, "trial")
    with settings_with(keep_days_by_plan="trial.contents=1"):
        terms = await terms_of(Kind.CONTENTS)

    with clock.frozen(NOW):
        for term in terms:
            await remove_old_contents(term)

    rows = await fetch(
        "SELECT id FROM spooled_messages AS message WHERE id = ANY({}::uuid[]) "
        "AND EXISTS (SELECT FROM contents WHERE contents.id = message.content_id)",
        [on_plan.message_id, elsewhere.message_id],
    )
    assert [row["id"] for row in rows] == [elsewhere.message_id]
    await fetch("DELETE FROM contents WHERE id < {}", id_at(NOW))


async def put_on_plan(organization_id: UUID, plan: str) -> None:
    await fetch("UPDATE organizations SET plan = {} WHERE id = {}", plan, organization_id)
