"""Limits over all workers: whatever they do at the same time, no more than is allowed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from contextvars import Context
from datetime import timedelta

import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.delivery.isps import Isp
from postlane.delivery.limits import SiteLimits, limits_at, throttled
from postlane.delivery.rules import rate_share
from postlane.delivery.windows import DAY, HOUR, Claimant, Window, fair_share
from postlane.delivery.work import (
    QueueRoute,
    ScopeKey,
    Wish,
    ensure_scopes,
    find_queue,
    give_back_messages,
    has_due,
    lease_connections,
    remove_old_scopes,
    suspend,
    take_messages,
)
from postlane.jobs.limits import Limits
from postlane.jobs.outbound import Conversation, Outbound, Way
from postlane.jobs.pace import Pace
from postlane.mail.outcome import BounceClass, Failure, Verdict
from postlane.vmtas.rules import PlaceLimits, VmtaLimits
from postlane.vmtas.tables import Vmta, VmtaLimit
from tests.delivery.spool import make_many, make_spooled
from tests.dns_server import DnsServer
from tests.factories import make_organization
from tests.jobs.sending import direct, drain_queue, sending
from tests.sink import Sink

NOON = clock.now().replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
async def workers(database: None, sink: Sink, dns: DnsServer) -> AsyncIterator[list[Outbound]]:
    """The sending sides of three workers, to one sink."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(sending(direct(dns, sink.port))) for _ in range(3)]


def own_site(dns: DnsServer) -> str:
    """Return a domain with an exchanger that no other test sends to."""
    name = f"d{new_id().hex}.example"
    dns.set(f"mx.{name}", "A", "127.0.0.1")
    dns.set(name, "MX", f"10 mx.{name}")
    return name


async def make_vmta(**values: int) -> Vmta:
    organization = await make_organization()
    vmta = Vmta(organization_id=organization.id, name="limited", hostname="", **values)
    await vmta.save()
    return vmta


def test_a_window_lets_no_more_through_in_any_hour_than_its_limit() -> None:
    window = Window(NOON, 0, 0)
    sent = []
    for minute in range(0, 300, 5):
        now = NOON + timedelta(minutes=minute)
        window = window.at(now, HOUR)
        count = window.left(100, now, HOUR)
        window = window.plus(count)
        sent.append((now, count))

    for start, _ in sent:
        within = sum(count for at, count in sent if start <= at < start + HOUR)
        assert within <= 110, "a tenth more than the limit is what two numbers may be wrong by"


@pytest.mark.parametrize(
    ("window", "free_in"),
    [
        (Window(NOON, 100, 0), timedelta(minutes=15)),
        (Window(NOON - timedelta(minutes=59), 100, 0), timedelta(minutes=1)),
        (Window(NOON - timedelta(minutes=30), 50, 100), timedelta(seconds=36)),
        (Window(NOON, 50, 0), timedelta(seconds=1)),
    ],
)
def test_a_full_window_says_when_it_is_free(window: Window, free_in: timedelta) -> None:
    assert window.free_at(100, NOON, HOUR) == NOON + free_in


def test_a_window_that_nobody_looked_at_for_long_is_empty() -> None:
    window = Window(NOON, 100, 100).at(NOON + 3 * DAY, DAY)

    assert (window.count, window.before, window.started_at) == (0, 0, NOON + 3 * DAY)


@pytest.mark.parametrize(
    ("mine", "others", "share"),
    [
        (Claimant(0, 20, 1), [], 10),
        (Claimant(0, 4, 1), [], 4),
        (Claimant(0, 20, 1), [Claimant(10, 10, 1)], 0),
        (Claimant(10, 10, 1), [Claimant(0, 1, 1)], 9),
        (Claimant(10, 10, 1), [Claimant(0, 10, 1)], 5),
        (Claimant(10, 10, 1), [Claimant(0, 10, 3)], 3),
        (Claimant(0, 10, 1), [Claimant(3, 3, 1), Claimant(3, 3, 1)], 4),
        (Claimant(0, 1, 1), [Claimant(1, 1, 1, str(n)) for n in range(9)], 1),
        # Who wants nothing gets nothing, however many want more than there is.
        (Claimant(2, 0, 1), [Claimant(4, 20, 1, "a"), Claimant(4, 20, 1, "b")], 0),
    ],
)
def test_connections_are_shared_by_need_and_organizations(
    mine: Claimant, others: list[Claimant], share: int
) -> None:
    assert fair_share(10, mine, others) == share


def test_the_most_specific_limit_counts() -> None:
    vmta = VmtaLimits(
        100,
        places=(
            PlaceLimits("google", None, 5, None, 500),
            PlaceLimits(None, "gmail.com", None, 7, 0),
        ),
    )

    assert limits_at(vmta, isp=Isp.GOOGLE, domain="gmail.com") == SiteLimits(5, 7, None, None)
    assert limits_at(vmta, isp=Isp.GOOGLE, domain="a.example") == SiteLimits(5, 100, None, 500)
    assert limits_at(vmta, isp=Isp.GMX, domain="gmx.net") == SiteLimits(5, 50, None, 3000)
    assert limits_at(VmtaLimits(3), isp=Isp.OTHER, domain="b.example").connections == 3
    assert throttled(SiteLimits(10, 100, None, 5000)).messages_per_hour == 500


def test_a_throttled_rate_is_a_tenth_and_climbs_again() -> None:
    until = NOON

    shares = [rate_share(until, NOON + timedelta(minutes=m)) for m in (-9, 0, 1, 2, 3, 60)]

    assert shares == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert rate_share(None, NOON) == 1.0


def test_more_workers_than_connections_take_turns() -> None:
    workers = [Claimant(n < 2, 5, 1, f"worker {n}") for n in range(3)]

    shares = [fair_share(2, each, [o for o in workers if o is not each]) for each in workers]

    assert shares[2] == 0, "nothing is free yet"
    assert sorted(shares) == [0, 0, 1], "one of those that hold one has to give it up"


async def test_workers_that_lease_at_once_never_get_more_than_there_is(database: None) -> None:
    scope = ScopeKey("192.0.2.1", f"mx.{new_id().hex}.example")
    await ensure_scopes([scope])
    workers = [new_id() for _ in range(8)]

    # Lots are drawn by the second: who has lost one gives back when it asks again.
    with clock.frozen(clock.now()):
        for _ in range(3):
            wishes = [Wish(scope, 10, 0, 10, 1)]
            await asyncio.gather(*(lease_connections(worker, wishes) for worker in workers))

    rows = await fetch(
        "SELECT sum(connections) AS held, min(connections) AS least FROM connection_leases "
        "WHERE scope_id = {}",
        scope.id,
    )
    assert 8 <= rows[0]["held"] <= 10
    assert rows[0]["least"] >= 1


async def test_the_lease_of_a_dead_worker_runs_out(database: None) -> None:
    scope = ScopeKey("192.0.2.1", f"mx.{new_id().hex}.example")
    await ensure_scopes([scope])
    dead, alive = new_id(), new_id()
    await lease_connections(dead, [Wish(scope, 10, 0, 10, 1)])

    before = await lease_connections(alive, [Wish(scope, 10, 0, 10, 1)])
    with clock.frozen(clock.now() + timedelta(seconds=16)):
        after = await lease_connections(alive, [Wish(scope, 10, 0, 10, 1)])

    assert (before[scope].connections, after[scope].connections) == (0, 10)


async def test_messages_taken_at_once_are_never_more_than_the_limit(database: None) -> None:
    scope = ScopeKey("192.0.2.1", f"mx.{new_id().hex}.example")
    limits = SiteLimits(messages_per_minute=500, messages_per_hour=95, messages_per_day=10_000)

    taken = await asyncio.gather(*(take_messages(scope, limits, 10) for _ in range(20)))

    assert sum(each.count for each in taken) == 95
    assert {each.retry_at is None for each in taken} == {True, False}
    await give_back_messages(scope, 5)
    assert (await take_messages(scope, limits, 10)).count == 5


async def test_connections_hold_over_all_drains_of_all_workers(
    workers: list[Outbound], sink: Sink, dns: DnsServer
) -> None:
    domain = own_site(dns)
    vmta = await make_vmta(max_connections=4)
    organization = await _organization_of(vmta)
    made = await make_many(
        [[f"slow-0.05s+{n}@{domain}"] for n in range(120)],
        organization=organization,
        vmta_id=vmta.id,
    )

    async with asyncio.timeout(30):
        await asyncio.gather(
            *(drain_queue(worker, made[0].queue_id) for worker in workers for _ in range(2))
        )

    assert sink.book.most_open <= 4
    assert set(sink.count_by_recipient.values()) == {1}
    assert len(sink.messages) == 120


async def test_a_connection_carries_no_more_messages_than_it_may(
    workers: list[Outbound], sink: Sink, dns: DnsServer
) -> None:
    domain = own_site(dns)
    vmta = await make_vmta(max_connections=1, max_messages_per_connection=3)
    made = await make_many(
        [[f"user{n}@{domain}"] for n in range(9)],
        organization=await _organization_of(vmta),
        vmta_id=vmta.id,
    )

    await drain_queue(workers[0], made[0].queue_id)

    assert (sink.book.commands["EHLO"], len(sink.messages)) == (3, 9)


async def test_a_rate_that_is_reached_delays_and_fails_nothing(
    workers: list[Outbound], sink: Sink, dns: DnsServer
) -> None:
    domain = own_site(dns)
    vmta = await make_vmta()
    await VmtaLimit(vmta_id=vmta.id, domain=domain, max_messages_per_hour=20).save()
    made = await make_many(
        [[f"user{n}@{domain}"] for n in range(30)],
        organization=await _organization_of(vmta),
        vmta_id=vmta.id,
    )

    await asyncio.gather(*(drain_queue(worker, made[0].queue_id) for worker in workers))

    states = [await each.state() for each in made]
    assert (states.count("delivered"), states.count("queued")) == (len(sink.messages), 10)
    assert len(sink.messages) == 20
    queue = await find_queue(made[0].queue_id)
    assert queue is not None
    assert queue.resume_at is not None
    with clock.frozen(clock.now() + timedelta(hours=2)):
        await drain_queue(workers[0], made[0].queue_id)
    assert len(sink.messages) == 30


async def test_an_address_that_is_listed_rests_at_that_site_on_every_worker(
    workers: list[Outbound], sink: Sink, dns: DnsServer
) -> None:
    listed, other = own_site(dns), own_site(dns)
    vmta = await make_vmta(max_connections=1)
    organization = await _organization_of(vmta)
    first = await make_spooled(f"a@{listed}", organization=organization, vmta_id=vmta.id)
    usual = sink.manner.greeting
    sink.manner.greeting = "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org"
    await drain_queue(workers[0], first.queue_id)
    sink.manner.greeting = usual
    rest = await make_spooled(f"b@{listed}", organization=organization, vmta_id=vmta.id)
    goes = await make_spooled(f"c@{other}", organization=organization, vmta_id=vmta.id)

    for spooled in (rest, goes):
        await drain_queue(workers[1], spooled.queue_id)

    assert (await first.state(), await rest.state()) == ("deferred", "queued")
    assert await goes.state() == "delivered"
    queue = await find_queue(rest.queue_id)
    assert queue is not None
    assert queue.is_throttled
    assert not await has_due(rest.queue_id)
    with clock.frozen(clock.now() + timedelta(minutes=31)):
        assert await has_due(rest.queue_id)


async def test_organizations_take_turns_on_a_full_site(
    workers: list[Outbound], sink: Sink, dns: DnsServer
) -> None:
    domain = own_site(dns)
    # In a pool of its own, and shared no longer than this takes: all tests have one database.
    vmta = Vmta(name=f"shared-{new_id().hex}", hostname="", pool="turns", max_connections=2)
    await vmta.save()
    busy = await make_many([[f"slow-0.05s+{n}@{domain}"] for n in range(200)], vmta_id=vmta.id)
    draining = [asyncio.create_task(drain_queue(worker, busy[0].queue_id)) for worker in workers]
    await sink.received(10)
    late = await make_spooled(f"first@{domain}", vmta_id=vmta.id)

    started = time.monotonic()
    await drain_queue(workers[0], late.queue_id)
    took = time.monotonic() - started

    assert await late.state() == "delivered"
    # All that the other one has takes five seconds.
    assert took < 2.5
    assert sink.book.most_open <= 2
    for task in draining:
        task.cancel()
    await asyncio.gather(*draining, return_exceptions=True)
    await Vmta.update({Vmta.organization_id: late.organization.id}).where(Vmta.id == vmta.id)


async def _organization_of(vmta: Vmta) -> Organization:
    found = await Organization.objects().get(Organization.id == vmta.organization_id)
    assert found is not None
    return found


async def test_a_site_without_limits_is_suspended_all_the_same(
    workers: list[Outbound], dns: DnsServer
) -> None:
    vmta, domain = await make_vmta(max_connections=0), own_site(dns)
    await VmtaLimit(vmta_id=vmta.id, domain=domain, max_connections=0).save()
    listed = await make_spooled(f"572-at-rcpt@{domain}", vmta_id=vmta.id)
    await drain_queue(workers[0], listed.queue_id)
    later = await make_spooled(f"a@{domain}", organization=listed.organization, vmta_id=vmta.id)

    await drain_queue(workers[1], later.queue_id)

    assert (await listed.state(), await later.state()) == ("bounced", "queued")


async def test_scopes_that_nobody_uses_are_forgotten(database: None) -> None:
    counted, held, rested = (ScopeKey("192.0.2.1", f"mx.{new_id().hex}.example") for _ in range(3))
    worker = new_id()
    await ensure_scopes([counted, held, rested])
    await suspend(rested, clock.now() + timedelta(days=4), "no more")
    later = clock.now() + timedelta(days=3)

    with clock.frozen(later):
        await lease_connections(worker, [Wish(held, 1, 0, 1, 1)])
        await remove_old_scopes()
        rows = await fetch(
            "SELECT id FROM sending_scopes WHERE id = ANY({}::uuid[])",
            [counted.id, held.id, rested.id],
        )
        again = await lease_connections(worker, [Wish(counted, 1, 0, 1, 1)])

    assert {row["id"] for row in rows} == {held.id, rested.id}
    assert again[counted].connections == 1


async def test_what_was_not_counted_is_not_taken_back(outbound: Outbound, dns: DnsServer) -> None:
    vmta, domain = await make_vmta(), own_site(dns)
    await VmtaLimit(vmta_id=vmta.id, domain=domain, max_messages_per_hour=20).save()
    spooled = await make_spooled(
        f"ada@{domain}", organization=await _organization_of(vmta), vmta_id=vmta.id
    )
    queue = await find_queue(spooled.queue_id)
    assert queue is not None
    pace, usual = Pace(outbound, queue), outbound.transport
    allowed = [await pace.allow(100)]

    outbound.transport = NoWay()
    allowed.append(await pace.allow(100))
    pace.unused(100)
    outbound.transport = usual
    allowed.append(await pace.allow(100))

    assert allowed == [20, 100, 0]


class NoWay:
    """A transport while DNS does not answer."""

    async def find_way(self, queue: QueueRoute) -> Failure:
        """Return why there is no way."""
        return Failure(Verdict.DEFERRED, BounceClass.CONNECTION_FAILURE, "DNS gave no answer")


async def test_a_connection_of_a_notice_counts_once_mail_of_a_queue_takes_it(
    outbound: Outbound, sink: Sink, dns: DnsServer
) -> None:
    domain = own_site(dns)
    spooled = await make_spooled(f"ada@{domain}")
    queue = await find_queue(spooled.queue_id)
    assert queue is not None
    way = await outbound.transport.find_way(queue)
    assert isinstance(way, Way)
    notice = await outbound.conversations.take(way)
    assert isinstance(notice, Conversation)
    await outbound.conversations.give_back(notice)

    gate = await outbound.limits.gate(ScopeKey("", way.site), 1)
    taken = await outbound.conversations.take(way, gate=gate)

    assert taken is notice
    assert (gate.open, gate.has_room()) == (1, False)


async def test_no_connection_is_opened_that_a_lease_being_written_may_give_away(
    database: None,
) -> None:
    limits, scope = Limits(), ScopeKey("192.0.2.1", f"mx{new_id().hex}.example")
    gate = await limits.gate(scope, 3)
    gate.open = 2
    await limits.ask_for_more(gate)
    gate.open = 1
    before, gate.leased_at = gate.has_room(), 0.0

    async with transaction():
        await fetch("SELECT FROM sending_scopes WHERE id = {} FOR UPDATE", scope.id)
        renewing = asyncio.create_task(limits.look(), context=Context())
        await asyncio.sleep(0.2)
        during = gate.has_room()
    await renewing

    assert (before, during) == (True, False)
    assert gate.allowed == 1
    await limits.close()


async def test_a_gate_that_somebody_uses_is_not_given_up(database: None) -> None:
    limits, scope = Limits(), ScopeKey("192.0.2.1", f"mx{new_id().hex}.example")
    gate = await limits.gate(scope, 3)

    gate.leased_at -= 60
    await limits.look()
    while_used = await leases(scope), await limits.gate(scope, 3) is gate
    gate.users = 0
    gate.leased_at -= 60
    await limits.look()

    # A second one beside it would count for itself, and both together would be too many.
    assert while_used == (1, True)
    assert await leases(scope) == 0
    assert await limits.gate(scope, 3) is not gate
    await limits.close()


async def leases(scope: ScopeKey) -> int:
    rows = await fetch("SELECT count(*) AS n FROM connection_leases WHERE scope_id = {}", scope.id)
    return int(rows[0]["n"])
