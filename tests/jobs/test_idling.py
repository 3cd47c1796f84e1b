"""A worker with nothing to do asks little, and sees at once when there is something."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from postlane.analytics.rolling import roll_up as count_events
from postlane.core import clock
from postlane.core.database import fetch
from postlane.credits.work import look_at_alerts
from postlane.delivery.rules import DeliveryState
from postlane.delivery.work import claim_batch, roll_up
from postlane.ingress.rules import MailSource
from postlane.ingress.work import Arrival, take_mail
from postlane.jobs import hearing, sweep
from postlane.jobs.hearing import Signs
from postlane.jobs.sweep import find_lost
from postlane.messages.operations.erase import erase_recipient
from postlane.tracking.work.recording import RECORDER
from postlane.tracking.work.settling import AFTER
from postlane.webhooks.work import fan_out
from tests.analytics.setup import make_mail, tell
from tests.client import Client
from tests.delivery.spool import Spooled, make_spooled
from tests.factories import make_actor
from tests.ingress.mailboxes import Mailboxes
from tests.statements import count_statements
from tests.tracking.hits import ask, mailed
from tests.webhooks.conftest import Hooks

LATER = timedelta(hours=1)


@dataclass(slots=True)
class Sweeps:
    """What the sweeps of a worker were for, and the signs that it goes by."""

    signs: Signs = field(default_factory=Signs)
    seen: list[str] = field(default_factory=list)

    async def next(self, count: int) -> list[str]:
        """Return so many of those that come from now on."""
        start = len(self.seen)
        async with asyncio.timeout(20):
            while len(self.seen) < start + count:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return self.seen[start : start + count]


def which(signs: Signs) -> list[str]:
    return [
        name
        for name in ("mail", "calls", "counts", "hits", "ingress")
        if getattr(signs, name).is_set()
    ]


async def look() -> list[str]:
    """Return what one look finds to do."""
    signs = Signs()
    await signs.look()
    return which(signs)


async def mail_comes(waiting: Spooled) -> None:
    await make_spooled("new@dest.example")


async def a_flush(waiting: Spooled) -> None:
    await fetch("UPDATE queues SET flushed_at = now() WHERE id = {}", waiting.queue_id)


async def the_end_of_a_hold(waiting: Spooled) -> None:
    await fetch(
        "UPDATE queues SET state = 'held', held_until = now() - interval '1 second' WHERE id = {}",
        waiting.queue_id,
    )


async def the_end_of_a_pause(waiting: Spooled) -> None:
    await fetch(
        "UPDATE vmtas SET status = 'paused', paused_until = now() - interval '1 second'",
    )


@pytest.mark.parametrize("what", [mail_comes, a_flush, the_end_of_a_hold, the_end_of_a_pause])
async def test_whatever_a_sweep_is_for_is_seen(
    own_database: str, what: Callable[[Spooled], Awaitable[None]]
) -> None:
    waiting = await make_spooled(
        "ada@dest.example", due_at=clock.now() + LATER, state=DeliveryState.SCHEDULED
    )
    await roll_up()
    before = "mail" in await look()

    await what(waiting)

    assert (before, "mail" in await look()) == (False, True)


async def test_mail_is_seen_when_its_time_has_come_and_not_while_it_is_sent(
    own_database: str,
) -> None:
    waiting = await make_spooled(
        "ada@dest.example", due_at=clock.now() + LATER, state=DeliveryState.SCHEDULED
    )
    await roll_up()

    with clock.frozen(clock.now() + LATER):
        due = "mail" in await look()
        await claim_batch(waiting.queue_id)
        await roll_up()
        sending = "mail" in await look()

    assert (due, sending) == (True, False)


async def test_looking_at_alerts_takes_a_statement(own_database: str) -> None:
    with count_statements() as sent:
        alerts = await look_at_alerts()

    assert (alerts, len(sent)) == (0, 1)


@pytest.fixture
async def sweeps(own_database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sweeps]:
    """A worker's sweeps, of which one comes every hundredth of a second, and its signs."""
    made = Sweeps()
    whole, rest = sweep.sweep, sweep._ask_for_the_rest

    async def note_whole() -> int:
        made.seen.append("whole")
        return await whole()

    async def note_rest() -> None:
        made.seen.append("rest")
        await rest()

    monkeypatch.setattr(sweep, "sweep", note_whole)
    monkeypatch.setattr(sweep, "_ask_for_the_rest", note_rest)
    monkeypatch.setattr(sweep, "ALL_THE_SAME_SECONDS", 0.01)
    monkeypatch.setattr(sweep, "pause_after", lambda took: 0.01)
    stopping = asyncio.Event()
    running = asyncio.create_task(sweep.keep_sweeping(made.signs, stopping))
    yield made
    stopping.set()
    await running


async def test_a_sweep_is_whole_unless_a_look_has_just_found_nothing(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody has looked yet, and each sweep sees to the rest, too.
    first = await sweeps.next(4)

    await sweeps.signs.look()
    await sweeps.next(2)
    quiet = await sweeps.next(4)

    await make_spooled("ada@dest.example")
    await sweeps.signs.look()
    with_mail = await sweeps.next(2)

    # The database has not answered for a while.
    sweeps.signs.mail.clear()
    await roll_up()
    monkeypatch.setattr(hearing, "LOOK_SECONDS", 0.0)
    await sweeps.next(2)
    unknown = await sweeps.next(4)

    assert first.count("whole") == unknown.count("whole") == 2
    assert quiet == ["rest"] * 4
    assert "whole" in with_mail


async def test_looking_for_lost_work_takes_few_statements(own_database: str) -> None:
    await find_lost()

    with count_statements() as sent:
        await find_lost()

    # What is lost, activity of vMTAs, and vMTAs to be looked at, in DNS and in blocklists.
    verbs = [each.split()[0] for each in sent]
    assert verbs == ["SELECT", "WITH", "DELETE", "SELECT", "INSERT", "SELECT"]


async def a_lost_simulation(waiting: Spooled) -> None:
    await fetch(
        "INSERT INTO simulations (id, organization_id, project_id, message_id, delivery_id, "
        "outcome, code, reply, fire_webhooks, due_at) SELECT id, organization_id, project_id, "
        "message_id, id, 'delivered', 250, '', true, now() FROM deliveries"
    )


async def a_lost_erasure(waiting: Spooled) -> None:
    await erase_recipient(await make_actor(), address="ada@dest.example")
    await fetch("DELETE FROM saq_jobs")


@pytest.mark.parametrize(
    ("what", "job"), [(a_lost_simulation, "simulate:"), (a_lost_erasure, "erase:")]
)
async def test_lost_jobs_are_asked_for_again(
    own_database: str, what: Callable[[Spooled], Awaitable[None]], job: str
) -> None:
    waiting = await make_spooled("ada@dest.example")
    await find_lost()
    before = await jobs(job)
    await what(waiting)

    await find_lost()

    assert (before, len(await jobs(job))) == ([], 1)


async def jobs(name: str) -> list[str]:
    rows = await fetch("SELECT key FROM saq_jobs WHERE key LIKE {}", f"%{name}%")
    return [row["key"] for row in rows]


async def test_pauses_end_with_a_look_for_lost_work(own_database: str) -> None:
    await the_end_of_a_pause(await make_spooled("ada@dest.example"))
    await fetch("UPDATE vmtas SET organization_id = (SELECT organization_id FROM deliveries)")

    await find_lost()

    assert await fetch("SELECT FROM vmtas WHERE status = 'paused'") == []


async def test_what_cannot_be_asked_at_once_is_looked_for_one_by_one(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_lost_erasure(await make_spooled("ada@dest.example"))

    async def refuse(*_: object) -> list[dict[str, object]]:
        raise TimeoutError

    monkeypatch.setattr(sweep, "fetch", refuse)
    await find_lost()

    assert len(await jobs("erase:")) == 1


async def catch_up() -> None:
    """Let every consumer have what there is; holes go with a second look and a third."""
    for _ in range(3):
        await count_events()
        await fan_out()


async def test_one_look_tells_every_loop_beside_the_jobs(own_database: str) -> None:
    actor = await make_actor()
    [ada] = await make_mail(actor, "ada@example.net", at=clock.now())
    await catch_up()

    with count_statements() as sent:
        idle = await look()
    await tell(ada.queued())
    after_an_event = await look()
    await catch_up()
    caught_up = await look()

    assert len(sent) == 1
    assert (idle, after_an_event, caught_up) == ([], ["calls", "counts"], [])


async def test_a_look_sees_hits_that_are_ripe(own_database: str, client: Client) -> None:
    mail = await mailed()
    await catch_up()
    await ask(client, mail.pixel, at=clock.now())
    await RECORDER.flush()

    early = await look()
    with clock.frozen(clock.now() + AFTER):
        ripe = await look()

    assert (early, ripe) == ([], ["hits"])


async def test_a_look_sees_calls_whose_time_has_come(own_database: str, client: Client) -> None:
    hooks = Hooks(client, await make_actor())
    await hooks.create("https://example.com/hook")
    await hooks.emit("tx-1")
    await catch_up()
    due = await look()
    await fetch("UPDATE webhook_progress SET next_due_at = now() + interval '1 minute'")
    waiting = await look()

    with clock.frozen(clock.now() + timedelta(minutes=1)):
        due_again = await look()

    assert (due, waiting, due_again) == (["calls"], [], ["calls"])


async def test_a_look_sees_mail_that_came_in_and_accounts_that_are_due(
    own_database: str, client: Client
) -> None:
    boxes = Mailboxes(client, await make_actor())
    made, _ = await boxes.create(url="https://example.com/mail")
    before = "ingress" in await look()
    await take_mail(uuid.UUID(made["uuid"]), Arrival(b"Subject: A\r\n\r\n", MailSource.SMTP))
    came_in = "ingress" in await look()
    await fetch("UPDATE ingress_mails SET state = 'dead', due_at = NULL")
    await fetch("UPDATE ingress_mailboxes SET next_look_at = now()")
    account = "ingress" in await look()
    await fetch("UPDATE ingress_mailboxes SET looking_until = now() + interval '1 minute'")

    looked_into = "ingress" in await look()
    assert (before, came_in, account, looked_into) == (False, True, True, False)
