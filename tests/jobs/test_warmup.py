"""A warm-up is kept to while mail is sent, and what is beyond it goes through warm members."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, LiteralString

import asyncpg
import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.core.measuring import measured
from postlane.delivery.work import sum_up_activity, tend_vmtas
from postlane.jobs.outbound import Outbound
from postlane.vmtas.tables import Vmta
from tests.client import Client
from tests.delivery.spool import make_many
from tests.dns_server import DnsServer
from tests.factories import make_actor, make_organization
from tests.jobs.sending import direct, drain_queue, sending
from tests.server.test_metrics import read
from tests.sink import Sink


@pytest.fixture
async def worker(database: None, sink: Sink, dns: DnsServer) -> AsyncIterator[Outbound]:
    """The sending side of a worker."""
    async with sending(direct(dns, sink.port)) as found:
        yield found


async def make_vmta(organization: Organization, name: str, *, limit: int | None = None) -> Vmta:
    vmta = Vmta(organization_id=organization.id, name=name, hostname="")
    await vmta.save()
    if limit is not None:
        await fetch(
            "INSERT INTO vmta_warmups (id, vmta_id, schedule, custom, target_daily_volume, "
            "start_on, state, day, day_on, repeats, rerouted) "
            "VALUES ({}, {}, 'custom', {}::jsonb, 1000, {}, 'active', 1, {}, 0, 0)",
            new_id(),
            vmta.id,
            f"[[1, {limit}], [2, 500]]",
            clock.now().date(),
            clock.now().date(),
        )
    return vmta


async def waiting(vmta: Vmta) -> int:
    rows = await fetch(
        "SELECT count(*) AS n FROM deliveries JOIN queues ON queues.id = queue_id "
        "WHERE vmta_id = {} AND due_at IS NOT NULL",
        vmta.id,
    )
    return int(rows[0]["n"])


async def spool(dns: DnsServer, organization: Organization, vmta: Vmta, count: int) -> list[Any]:
    domain = f"d{new_id().hex}.example"
    dns.set(f"mx.{domain}", "A", "127.0.0.1")
    dns.set(domain, "MX", f"10 mx.{domain}")
    return list(
        await make_many(
            [[f"user{n}@{domain}"] for n in range(count)],
            organization=organization,
            vmta_id=vmta.id,
        )
    )


async def test_what_a_day_does_not_allow_goes_through_a_warm_member(
    worker: Outbound, dns: DnsServer, sink: Sink
) -> None:
    organization = await make_organization()
    cold = await make_vmta(organization, "cold", limit=3)
    warm = await make_vmta(organization, "warm")
    made = await spool(dns, organization, cold, 10)

    await drain_queue(worker, made[0].queue_id)

    assert (len(sink.messages), await waiting(cold), await waiting(warm)) == (3, 0, 7)
    rows = await fetch("SELECT rerouted FROM vmta_warmups WHERE vmta_id = {}", cold.id)
    assert [row["rerouted"] for row in rows] == [7]


async def test_without_a_warm_member_it_waits_a_quarter_of_an_hour_at_most(
    worker: Outbound, dns: DnsServer, sink: Sink
) -> None:
    organization = await make_organization()
    cold = await make_vmta(organization, "cold", limit=3)
    await make_vmta(organization, "as-cold", limit=3)
    made = await spool(dns, organization, cold, 10)

    await drain_queue(worker, made[0].queue_id)

    assert (len(sink.messages), await waiting(cold)) == (3, 7)
    rows = await fetch("SELECT resume_at FROM queues WHERE id = {}", made[0].queue_id)
    assert clock.now() < rows[0]["resume_at"] <= clock.now() + timedelta(minutes=15)


async def test_mail_that_names_its_vmta_waits_for_it(
    worker: Outbound, dns: DnsServer, sink: Sink
) -> None:
    organization = await make_organization()
    cold = await make_vmta(organization, "cold", limit=3)
    warm = await make_vmta(organization, "warm")
    made = await spool(dns, organization, cold, 5)
    ids = [each.id for each in made]
    await fetch("UPDATE spooled_messages SET names_vmta = true WHERE id = ANY({}::uuid[])", ids)

    await drain_queue(worker, made[0].queue_id)

    assert (len(sink.messages), await waiting(cold), await waiting(warm)) == (3, 2, 0)


async def test_a_day_that_was_full_enough_leads_to_the_next(
    worker: Outbound, dns: DnsServer, sink: Sink
) -> None:
    organization = await make_organization()
    cold = await make_vmta(organization, "cold", limit=4)
    made = await spool(dns, organization, cold, 2)
    await drain_queue(worker, made[0].queue_id)
    # As if all of it had been yesterday.
    await fetch(
        "UPDATE vmta_activity SET hour_at = hour_at - interval '1 day' WHERE vmta_id = {}", cold.id
    )
    await fetch("UPDATE vmta_warmups SET day_on = day_on - 1 WHERE vmta_id = {}", cold.id)

    await sum_up_activity()
    for _ in range(2):
        await tend_vmtas()

    rows = await fetch("SELECT day, state, day_on FROM vmta_warmups WHERE vmta_id = {}", cold.id)
    assert rows == [{"day": 2, "state": "active", "day_on": clock.now().date()}]
    days = await fetch("SELECT day, sent, action FROM vmta_warmup_days WHERE vmta_id = {}", cold.id)
    assert days == [{"day": 1, "sent": 2, "action": "advance"}]


async def test_bounces_of_a_day_count_from_its_first_hour_to_its_last(database: None) -> None:
    organization = await make_organization()
    burnt, fine = [await make_vmta(organization, name, limit=100) for name in ("burnt", "fine")]
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    # The hour after midnight is the next day's.
    for vmta, hour_at in ((burnt, today - timedelta(days=1)), (fine, today)):
        await fetch(
            "INSERT INTO vmta_activity (organization_id, vmta_id, hour_at, is_sum, attempts, "
            "delivered, hard_bounced, soft_bounced, blocked, deferred) "
            "VALUES ({}, {}, {}, true, 100, 50, 50, 0, 0, 0)",
            *(organization.id, vmta.id, hour_at),
        )
    await fetch(
        "UPDATE vmta_warmups SET day_on = day_on - 1, repeats = 7 WHERE vmta_id = ANY({}::uuid[])",
        [burnt.id, fine.id],
    )

    await tend_vmtas()

    rows = await fetch(
        "SELECT vmta_id, action FROM vmta_warmup_days WHERE vmta_id = ANY({}::uuid[])",
        [burnt.id, fine.id],
    )
    assert {row["vmta_id"]: row["action"] for row in rows} == {
        burnt.id: "step_back",
        fine.id: "advance",
    }


async def test_a_day_that_ends_while_its_vmta_is_changed_waits(
    database: None, database_url: str
) -> None:
    organization = await make_organization()
    vmta = await make_vmta(organization, "changing", limit=4)
    await fetch("UPDATE vmta_warmups SET day_on = day_on - 1 WHERE vmta_id = {}", vmta.id)
    lock = "SELECT FROM vmtas WHERE id = $1::text::uuid FOR NO KEY UPDATE"
    change = "UPDATE vmta_warmups SET rerouted = 1 WHERE vmta_id = $1::text::uuid"

    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(lock, str(vmta.id))
            ending = asyncio.create_task(tend_vmtas())
            await asyncio.wait({ending}, timeout=0.5)
            # As whoever changes a warm-up goes: the vMTA first.
            await connection.execute(change, str(vmta.id))
    finally:
        await connection.close()
    await ending
    await tend_vmtas()

    days = await fetch("SELECT day, rerouted FROM vmta_warmup_days WHERE vmta_id = {}", vmta.id)
    assert days == [{"day": 1, "rerouted": 1}]


async def test_mail_that_comes_for_a_vmta_that_is_gone_goes_through_another(
    worker: Outbound, dns: DnsServer
) -> None:
    organization = await make_organization()
    gone = await make_vmta(organization, "gone")
    other = await make_vmta(organization, "other")
    await fetch(
        "INSERT INTO past_vmtas (id, organization_id, name, deleted_at) VALUES ({}, {}, {}, {})",
        *(gone.id, organization.id, "gone", clock.now()),
    )
    await fetch("DELETE FROM vmtas WHERE id = {}", gone.id)
    made = await spool(dns, organization, gone, 3)
    await fetch("UPDATE queues SET depth = 3 WHERE id = {}", made[0].queue_id)

    await tend_vmtas()

    assert (await waiting(gone), await waiting(other)) == (0, 3)


async def test_a_pause_ends_when_its_time_is_over(database: None) -> None:
    organization = await make_organization()
    vmta = await make_vmta(organization, "resting")
    await fetch(
        "UPDATE vmtas SET status = 'paused', paused_until = {} WHERE id = {}",
        clock.now() - timedelta(seconds=1),
        vmta.id,
    )

    await tend_vmtas()

    rows = await fetch("SELECT status FROM vmtas WHERE id = {}", vmta.id)
    assert [row["status"] for row in rows] == ["active"]


def warming(found: dict[Any, float]) -> dict[tuple[str, ...], float]:
    """Return the series of warm-ups, each under its name and its vMTA."""
    return {
        (name, *(value for _, value in labels)): number
        for (name, labels), number in found.items()
        if name.startswith("pmta_warmup_")
    }


async def test_metrics_tell_how_far_a_warm_up_is(
    client: Client, worker: Outbound, dns: DnsServer, sink: Sink
) -> None:
    organization = await make_organization()
    cold = await make_vmta(organization, "cold", limit=50)
    later = await make_vmta(organization, "later", limit=70)
    await fetch(
        "UPDATE vmta_warmups SET start_on = {} WHERE vmta_id = {}",
        clock.now().date() + timedelta(days=2),
        later.id,
    )
    made = await spool(dns, organization, cold, 4)

    await drain_queue(worker, made[0].queue_id)
    ours = await read(client, await make_actor(organization))
    theirs = await read(client, await make_actor())
    everybodys = await read(client, await make_actor(platform_admin=True))

    told = {("pmta_warmup_daily_limit", "cold"): 50, ("pmta_warmup_sent_today", "cold"): 4}
    assert warming(ours) == told
    assert warming(theirs) == {}
    # Others of this name are in the same series.
    assert all(warming(everybodys)[key] >= value for key, value in told.items())


async def test_connections_are_counted_by_provider(
    worker: Outbound, dns: DnsServer, sink: Sink
) -> None:
    organization = await make_organization()
    vmta = await make_vmta(organization, f"v{new_id().hex[:8]}")
    domain = f"d{new_id().hex}.example"
    dns.set("mx9.l.google.com", "A", "127.0.0.1")
    dns.set(domain, "MX", "10 mx9.l.google.com")
    (made,) = await make_many([[f"ada@{domain}"]], organization=organization, vmta_id=vmta.id)

    await drain_queue(worker, made.queue_id)

    (connections,) = [m for m in measured() if m.name == "pmta_smtp_connections"]
    ours = [s for s in connections.samples if s.labels["vmta"] == vmta.name]
    assert [(s.labels["isp"], s.value) for s in ours] == [("google", 0)]
    assert len(sink.messages) == 1


@pytest.mark.parametrize(
    "broken", ["schedule = 'by the moon'", "custom = '[]'", "custom = '[[1]]'", "state = 'odd'"]
)
async def test_a_plan_that_cannot_be_read_holds_up_no_other(
    database: None, broken: LiteralString
) -> None:
    organization = await make_organization()
    unread = await make_vmta(organization, "unread", limit=3)
    later = await make_vmta(organization, "later", limit=3)
    ids = [unread.id, later.id]
    await fetch(
        "UPDATE vmta_warmups SET day_on = day_on - 1, repeats = 7 WHERE vmta_id = ANY({}::uuid[])",
        ids,
    )
    await fetch(f"UPDATE vmta_warmups SET {broken} WHERE vmta_id = {{}}", unread.id)

    await tend_vmtas()

    rows = await fetch("SELECT vmta_id, day FROM vmta_warmups WHERE vmta_id = ANY({}::uuid[])", ids)
    await fetch("DELETE FROM vmta_warmups WHERE vmta_id = {}", unread.id)
    assert {row["vmta_id"]: row["day"] for row in rows} == {unread.id: 1, later.id: 2}
