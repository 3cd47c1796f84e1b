"""Every event changes the counts it should, once, whenever it comes."""

from datetime import UTC, datetime, timedelta

import pytest

from postlane.core.database import fetch
from tests.factories import make_actor

from .setup import VMTA, cells_of, make_mail, roll_up_all, tell

pytestmark = pytest.mark.usefixtures("database")

AT = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)


async def test_a_delivery_is_counted_for_everything_that_its_mail_is_told_apart_by() -> None:
    actor = await make_actor()
    [ada, bob] = await make_mail(
        actor, "ada@gmail.com", "bob@example.net", at=AT, tags=["order", "vip"], batch_id="b-1"
    )
    await tell(ada.queued(), bob.queued())
    await tell(ada.delivered(mx_host="mx.google.com"), bob.deferred("mailbox_full"))

    await roll_up_all()

    ours = {"accepted": 1, "sent": 1, "delivered": 1, "latency_1": 1}
    theirs = {"accepted": 1, "sent": 1, "deferred": 1, "deferrals": 1}
    both = {**ours, **theirs, "accepted": 2, "sent": 2}
    assert await cells_of(actor) == {"": both}
    assert await cells_of(actor, grain="quarter") == {"": both}
    assert await cells_of(actor, grain="minute") == {"": both}
    assert await cells_of(actor, kind="tag") == {"order": both, "vip": both}
    assert await cells_of(actor, kind="domain") == {"example.com": both}
    assert await cells_of(actor, kind="pool") == {"default": both}
    assert await cells_of(actor, kind="batch_id") == {"b-1": both}
    assert await cells_of(actor, kind="stream") == {"transactional": both}
    assert await cells_of(actor, kind="vmta") == {"tx-1": both}
    assert await cells_of(actor, kind="isp") == {"google": ours, "other": theirs}
    assert await cells_of(actor, kind="bounce_class") == {"mailbox_full": {"deferrals": 1}}
    assert await cells_of(actor, kind="recipient_domain") == {
        "gmail.com": ours,
        "example.net": theirs,
    }


async def test_mail_goes_with_the_provider_that_its_first_attempt_finds() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@company.example", at=AT)
    await tell(ada.queued())
    await roll_up_all()
    before = await cells_of(actor, kind="isp")

    await tell(ada.delivered(mx_host="aspmx.l.google.com"))
    await roll_up_all()

    assert before == {"other": {"accepted": 1}}
    assert await cells_of(actor, kind="isp") == {
        "google": {"accepted": 1, "sent": 1, "delivered": 1, "latency_1": 1}
    }


@pytest.mark.parametrize(
    ("bounce_class", "counter"),
    [
        ("invalid_recipient", "hard_bounced"),
        ("mailbox_full", "soft_bounced"),
        ("policy_rejected", "blocked"),
        ("unclassified", "hard_bounced"),
        ("what is this", "hard_bounced"),
    ],
)
async def test_a_bounce_is_counted_by_its_type(bounce_class: str, counter: str) -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    await tell(ada.queued(), ada.bounced(bounce_class))

    await roll_up_all()

    assert await cells_of(actor) == {"": {"accepted": 1, "sent": 1, counter: 1}}


async def test_a_recipient_is_deferred_and_sent_to_once_however_often_it_is_tried() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    await tell(ada.queued())
    for attempt in range(1, 4):
        await tell(ada.deferred("rate_limited", attempt=attempt))
        await roll_up_all()
    await tell(ada.event("expired", after=300, bounce_class="rate_limited", smtp_response="450"))

    await roll_up_all()

    assert await cells_of(actor, kind="vmta") == {
        "tx-1": {
            "accepted": 1,
            "sent": 1,
            "deferred": 1,
            "deferrals": 3,
            "expired": 1,
            "soft_bounced": 1,
        }
    }


async def test_an_attempt_that_died_with_its_worker_is_made_up_for_by_the_next() -> None:
    """Nobody said what the first attempt came to, not even that it began."""
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    await tell(ada.queued())
    await tell(ada.deferred("rate_limited", attempt=2))
    await tell(ada.delivered(attempt=3, after=400))

    await roll_up_all()

    assert await cells_of(actor) == {
        "": {
            "accepted": 1,
            "sent": 1,
            "deferred": 1,
            "deferrals": 1,
            "delivered": 1,
            "latency_10": 1,
        }
    }


@pytest.mark.parametrize("attempt", [1, 2])
async def test_mail_that_its_first_attempt_gives_up_was_sent_all_the_same(attempt: int) -> None:
    """With 2 a worker died over the first; what it came to, nobody said."""
    actor = await make_actor()
    [ada, bob] = await make_mail(actor, "ada@example.net", "bob@gmail.com", at=AT)
    await tell(ada.queued(), bob.queued())
    await roll_up_all()
    began = {**VMTA, "attempt": attempt}
    reply = {"bounce_class": "mailbox_full", "smtp_response": "452 Full"}
    await tell(ada.event("expired", after=2, **began, **reply))
    await tell(bob.event("cancelled", after=2, **began, cancelled_by=None))

    await roll_up_all()

    expired = {"accepted": 1, "sent": 1, "expired": 1, "soft_bounced": 1}
    cancelled = {"accepted": 1, "sent": 1, "cancelled": 1}
    both = {**expired, **cancelled, "accepted": 2, "sent": 2}
    assert await cells_of(actor) == {"": both}
    assert await cells_of(actor, kind="vmta") == {"tx-1": both}
    assert await cells_of(actor, kind="recipient_domain") == {
        "example.net": expired,
        "gmail.com": cancelled,
    }


async def test_mail_that_is_given_up_later_is_not_sent_again() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    await tell(ada.queued(), ada.deferred("rate_limited"))
    await roll_up_all()
    reply = {"bounce_class": "rate_limited", "smtp_response": "450 4.2.0 Try later"}
    await tell(ada.event("expired", after=300, **VMTA, attempt=2, **reply))

    await roll_up_all()

    expected = {"accepted": 1, "sent": 1, "deferred": 1, "deferrals": 1}
    assert await cells_of(actor) == {"": {**expected, "expired": 1, "soft_bounced": 1}}


async def test_a_late_bounce_takes_the_delivery_back_at_the_time_of_acceptance() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    await tell(ada.queued(), ada.delivered())
    await roll_up_all()
    late = ada.bounced("invalid_recipient", source="dsn", vmta=None, mx_host="elsewhere.example")
    await tell(late)

    await roll_up_all()

    expected = {"accepted": 1, "sent": 1, "hard_bounced": 1, "latency_1": 1}
    assert await cells_of(actor) == {"": expected}
    assert await cells_of(actor, kind="vmta") == {"tx-1": expected}
    [cell] = await fetch(
        "SELECT starts_at FROM analytics_cells JOIN analytics_sets AS sets ON set_id = sets.id "
        "WHERE organization_id = {} AND kind = 'all' AND grain = 'minute'",
        actor.organization_id,
    )
    assert cell["starts_at"] == datetime(2026, 5, 4, 10, 20, tzinfo=UTC)


async def test_people_and_machines_are_counted_apart() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    await tell(ada.queued(), ada.delivered())
    await tell(ada.opened(after=5, first=True, machine=True), ada.opened(after=6, machine=True))
    await roll_up_all()
    await tell(ada.opened(after=60, first=True), ada.opened(after=61), ada.opened(after=62))
    await tell(ada.clicked(first=True), ada.clicked(first=True, bot=True))

    await roll_up_all()

    assert await cells_of(actor, kind="vmta") == {
        "tx-1": {
            "accepted": 1,
            "sent": 1,
            "delivered": 1,
            "latency_1": 1,
            "machine_opens": 2,
            "opens": 3,
            "unique_opens": 1,
            "all_unique_opens": 1,
            "clicks": 1,
            "unique_clicks": 1,
            "bot_clicks": 1,
            "all_unique_clicks": 1,
        }
    }


async def test_opens_and_complaints_count_when_they_happen_and_leaving_does_not() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    later = 2 * 86_400
    await tell(ada.queued(), ada.delivered(), ada.opened(after=later, first=True))
    await tell(ada.event("complained", after=later), ada.event("unsubscribed", after=later))

    await roll_up_all()

    rows = await fetch(
        "SELECT starts_at::date - {}::date AS day, delivered, opens, complained, unsubscribed "
        "FROM analytics_cells JOIN analytics_sets AS sets ON set_id = sets.id "
        "WHERE organization_id = {} AND kind = 'all' AND grain = 'day' ORDER BY 1",
        AT,
        actor.organization_id,
    )
    assert [tuple(row.values()) for row in rows] == [(0, 1, 0, 0, 1), (2, 0, 1, 1, 0)]


async def test_what_is_simulated_or_concerns_no_message_is_left_out() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT, simulated=True)
    await tell(ada.queued(), ada.delivered(), ada.opened(first=True))

    await roll_up_all()

    assert await cells_of(actor) == {}


async def test_suppressed_and_cancelled_mail_goes_nowhere() -> None:
    actor = await make_actor()
    [ada, bob] = await make_mail(actor, "ada@gmail.com", "bob@gmail.com", at=AT)
    await tell(ada.event("suppressed", reason="hard_bounce"), bob.queued())
    await tell(bob.event("cancelled", after=3, cancelled_by=None))

    await roll_up_all()

    expected = {"accepted": 2, "suppressed": 1, "cancelled": 1}
    assert await cells_of(actor) == {"": expected}
    assert await cells_of(actor, kind="isp") == {"google": expected}
    assert await cells_of(actor, kind="vmta") == {}


async def test_projects_are_counted_apart() -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=AT)
    [bob] = await make_mail(actor, "bob@example.net", at=AT, project_id=actor.organization_id)
    await tell(ada.queued(), bob.queued())

    await roll_up_all()

    rows = await fetch(
        "SELECT project_id FROM analytics_sets WHERE organization_id = {} AND kind = 'all'",
        actor.organization_id,
    )
    assert {row["project_id"] for row in rows} == {ada.project_id, bob.project_id}


async def test_events_of_one_batch_or_of_many_come_to_the_same() -> None:
    actor, other = await make_actor(), await make_actor()
    for each in (actor, other):
        for nth in range(30):
            [ada] = await make_mail(each, f"a{nth}@example.net", at=AT + timedelta(minutes=nth))
            await tell(ada.queued(), ada.deferred("mailbox_full"))
            await tell(ada.delivered(attempt=2), ada.opened(first=True), ada.opened())
            if each is other:
                await roll_up_all()

    await roll_up_all()

    assert await cells_of(actor) == await cells_of(other)
    assert await cells_of(actor, kind="vmta") == await cells_of(other, kind="vmta")
