"""Draining: what each misfortune at the other side makes of a delivery."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import asyncpg
import dkim
import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.measuring import measured
from postlane.delivery.work import Claim, claim_batch, find_queue
from postlane.jobs.delivery import BATCH, Drain
from postlane.jobs.memory import ByteWindow
from postlane.jobs.outbound import Outbound
from postlane.jobs.preparing import MESSAGES_AT_ONCE
from postlane.mail.return_path import read_return_path
from tests.delivery.spool import (
    make_many,
    make_organization,
    make_signing_domain,
    make_spooled,
)
from tests.dns_server import DnsServer
from tests.jobs.sending import direct, drain_queue, sending
from tests.sink import Sink


async def test_a_delivery_goes_out_signed_under_a_return_path_of_its_own(
    outbound: Outbound, sink: Sink
) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    spooled = await make_spooled(
        "ada@dest.example", "bob@dest.example", organization=organization, domain_id=domain.id
    )

    await drain_queue(outbound, spooled.queue_id)

    first, second = sink.messages
    assert {first.recipient, second.recipient} == {"ada@dest.example", "bob@dest.example"}
    assert first.data == second.data
    assert first.envelope_from != second.envelope_from
    local_part, _, host = first.envelope_from.rpartition("@")
    assert host == "bounce.acme.example"
    assert read_return_path(_secret(), local_part) == str(spooled.deliveries[first.recipient])
    assert first.ehlo == "mail.postlane.test"
    assert dkim.verify(first.data, dnsfunc=await _published(domain.id))
    assert (await spooled.message()).status == "delivered"


def _connections() -> float:
    """Return how many connections mail goes over now."""
    found = [metric for metric in measured() if metric.name == "pmta_smtp_connections"]
    return sum(sample.value for metric in found for sample in metric.samples)


async def test_connections_count_while_somebody_has_them(outbound: Outbound, sink: Sink) -> None:
    """However they end: given back, broken, or cut off with their drain."""
    spooled = await make_spooled(
        *("ok@dest.example", "drop-at-rcpt@dest.example", "drop-at-data@dest.example"),
        *("421-at-rcpt@dest.example", "drop-after-data@dest.example"),
    )
    before = _connections()
    await drain_queue(outbound, spooled.queue_id)
    after = _connections()

    slow = await make_spooled("slow-20s@dest.example")
    drain = asyncio.create_task(drain_queue(outbound, slow.queue_id))
    async with asyncio.timeout(10):
        while _connections() == before:  # noqa: ASYNC110 the drain changes it
            await asyncio.sleep(0.01)
    meanwhile = _connections()
    drain.cancel()
    await asyncio.gather(drain, return_exceptions=True)

    assert (after, meanwhile, _connections()) == (before, before + 1, before)


@pytest.mark.parametrize(
    ("local_part", "state", "bounce_class", "suppressed"),
    [
        ("ok", "delivered", None, 0),
        ("550-at-rcpt", "bounced", "invalid_recipient", 1),
        ("550-at-data", "bounced", "invalid_recipient", 1),
        ("552-at-data", "bounced", "mailbox_full", 0),
        ("554-at-data", "bounced", "content_rejected", 0),
        ("451-at-rcpt", "deferred", "temporary_failure", 0),
        ("452-at-data", "deferred", "mailbox_full", 0),
        ("421-at-rcpt", "deferred", "rate_limited", 0),
        ("drop-at-rcpt", "deferred", "connection_failure", 0),
        ("drop-at-data", "deferred", "connection_failure", 0),
        ("drop-after-data", "deferred", "connection_failure", 0),
        ("greylist", "deferred", "temporary_failure", 0),
    ],
)
async def test_what_the_host_does_decides_what_happens_next(
    outbound: Outbound,
    sink: Sink,
    local_part: str,
    state: str,
    bounce_class: str | None,
    suppressed: int,
) -> None:
    spooled = await make_spooled(f"{local_part}@dest.example")

    await drain_queue(outbound, spooled.queue_id)

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.bounce_class, delivery.attempts) == (state, bounce_class, 1)
    assert delivery.mx_host == "mx.sink.example"
    assert await spooled.events() == ["message.sent", f"message.{state}"]
    if state == "deferred":
        assert delivery.due_at is not None
        wait = delivery.due_at - clock.now()
        assert timedelta(minutes=4, seconds=50) < wait <= timedelta(minutes=5, seconds=30)
    else:
        assert delivery.due_at is None
    rows = await fetch(
        "SELECT FROM suppressions WHERE organization_id = {}", spooled.organization.id
    )
    assert len(rows) == suppressed
    (attempt,) = await spooled.attempts()
    assert attempt["mx_address"] == "127.0.0.1"


async def test_greylisted_mail_is_delivered_at_the_second_attempt(
    outbound: Outbound, sink: Sink
) -> None:
    spooled = await make_spooled("greylist+ada@dest.example")
    await drain_queue(outbound, spooled.queue_id)
    assert await spooled.state() == "deferred"

    await fetch("UPDATE deliveries SET due_at = now() WHERE message_id = {}", spooled.id)
    await drain_queue(outbound, spooled.queue_id)

    assert await spooled.state() == "delivered"
    assert await spooled.events() == ["message.sent", "message.deferred", "message.delivered"]
    assert [each["verdict"] for each in await spooled.attempts()] == ["deferred", "delivered"]


async def test_one_connection_carries_many_messages(outbound: Outbound, sink: Sink) -> None:
    spooled = (await make_many([[f"user{n}@dest.example"] for n in range(250)]))[0]
    await fetch("UPDATE vmtas SET max_connections = 1 WHERE name = 'default'")

    try:
        await drain_queue(outbound, spooled.queue_id)
    finally:
        await fetch("UPDATE vmtas SET max_connections = 100 WHERE name = 'default'")

    assert len(sink.count_by_recipient) == len(sink.messages) == 250
    assert (sink.book.connections, sink.book.most_open) == (3, 1)


async def test_a_drain_keeps_to_ten_connections(outbound: Outbound, sink: Sink) -> None:
    spooled = (await make_many([[f"slow-0.05s+{n}@dest.example"] for n in range(100)]))[0]

    await drain_queue(outbound, spooled.queue_id)

    assert len(sink.messages) == 100
    # A busy machine is done before all of them are open.
    assert 5 <= sink.book.most_open <= 10


async def test_the_next_drain_goes_on_over_the_same_connection(
    outbound: Outbound, sink: Sink
) -> None:
    first = await make_spooled("ada@dest.example")
    await drain_queue(outbound, first.queue_id)
    second = await make_spooled("bob@dest.example", organization=first.organization)

    await drain_queue(outbound, second.queue_id)

    assert [message.recipient for message in sink.messages] == [
        "ada@dest.example",
        "bob@dest.example",
    ]
    assert sink.book.connections == 1


async def test_a_connection_the_host_has_closed_meanwhile_costs_no_attempt(
    outbound: Outbound, sink: Sink
) -> None:
    first = await make_spooled("ada@dest.example")
    await drain_queue(outbound, first.queue_id)
    sink.hang_up_on_all()
    second = await make_spooled("bob@dest.example", organization=first.organization)

    await drain_queue(outbound, second.queue_id)

    assert await second.state() == "delivered"
    assert len(await second.attempts()) == 1
    assert sink.book.connections == 2


async def test_a_host_that_takes_few_messages_per_connection_gets_more_connections(
    outbound: Outbound, sink: Sink
) -> None:
    sink.manner.messages_per_connection = 3
    made = await make_many([[f"user{n}@dest.example"] for n in range(20)])

    await drain_queue(outbound, made[0].queue_id)

    deliveries = [await each.delivery() for each in made]
    assert {(each.state, each.attempts) for each in deliveries} == {("delivered", 1)}
    assert len(sink.messages) == 20


async def test_the_next_exchanger_is_tried_within_the_attempt(
    database: None, sink: Sink, dns: DnsServer
) -> None:
    dns.set("dead.sink.example", "A", "127.0.0.2")
    dns.set("two.example", "MX", "10 dead.sink.example", "20 mx.sink.example")
    spooled = await make_spooled("ada@two.example")

    async with sending(direct(dns, sink.port)) as outbound:
        await drain_queue(outbound, spooled.queue_id)

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.attempts) == ("delivered", 1)
    assert delivery.mx_host == "mx.sink.example"


@pytest.mark.parametrize(
    ("domain", "state", "bounce_class"),
    [
        ("gone.example", "bounced", "bad_domain"),
        ("null.example", "bounced", "bad_domain"),
        ("servfail.example", "deferred", "connection_failure"),
        ("refused.example", "deferred", "connection_failure"),
    ],
)
async def test_the_way_there_decides_too(
    outbound: Outbound, dns: DnsServer, domain: str, state: str, bounce_class: str
) -> None:
    dns.set("null.example", "MX", "0 .")
    dns.fail("servfail.example", "SERVFAIL")
    dns.set("closed.sink.example", "A", "127.0.0.3")
    dns.set("refused.example", "MX", "10 closed.sink.example")
    spooled = await make_spooled(f"ada@{domain}")

    await drain_queue(outbound, spooled.queue_id)

    delivery = await spooled.delivery()
    assert (delivery.state, delivery.bounce_class) == (state, bounce_class)
    assert await spooled.events() == ["message.sent", f"message.{state}"]


async def test_a_broken_starttls_falls_back_to_clear(database: None, dns: DnsServer) -> None:
    spooled = await make_spooled("ada@dest.example")
    with Sink(starttls="broken") as sink:
        async with sending(direct(dns, sink.port)) as outbound:
            await drain_queue(outbound, spooled.queue_id)

        assert await spooled.state() == "delivered"
        (message,) = sink.messages
        assert not message.tls


async def test_tls_is_used_where_it_is_offered(database: None, dns: DnsServer) -> None:
    spooled = await make_spooled("ada@dest.example")
    with Sink(starttls="on") as sink:
        async with sending(direct(dns, sink.port)) as outbound:
            await drain_queue(outbound, spooled.queue_id)

        (message,) = sink.messages
        assert message.tls
    (attempt,) = await spooled.attempts()
    assert attempt["tls_version"] == "TLSv1.3"


async def test_two_drains_at_once_send_each_message_once(outbound: Outbound, sink: Sink) -> None:
    spooled = (await make_many([[f"user{n}@dest.example"] for n in range(300)]))[0]

    await asyncio.gather(*(drain_queue(outbound, spooled.queue_id) for _ in range(4)))
    await drain_queue(outbound, spooled.queue_id)

    assert set(sink.count_by_recipient.values()) == {1}
    assert len(sink.messages) == 300


async def test_mail_that_comes_during_a_drain_goes_with_it(outbound: Outbound, sink: Sink) -> None:
    first = await make_spooled("slow-0.5s@dest.example")
    draining = asyncio.create_task(drain_queue(outbound, first.queue_id))
    await asyncio.sleep(0.1)

    await make_spooled("ada@dest.example", organization=first.organization)
    await draining

    assert [message.recipient for message in sink.messages] == [
        "ada@dest.example",
        "slow-0.5s@dest.example",
    ]


async def test_a_delivery_taken_over_is_not_sent_by_the_first_worker(
    database: None, sink: Sink, dns: DnsServer
) -> None:
    first = await make_spooled("slow-1s@dest.example")
    second = await make_spooled("ada@dest.example", organization=first.organization, priority=1)
    await fetch("UPDATE vmtas SET max_connections = 1 WHERE name = 'default'")
    queue = await find_queue(first.queue_id)
    await fetch("UPDATE vmtas SET max_connections = 100 WHERE name = 'default'")
    assert queue is not None

    async with sending(direct(dns, sink.port), lease=timedelta(seconds=0.4)) as outbound:
        draining = asyncio.create_task(Drain(outbound, queue).run())
        await sink_hears(sink, "DATA")
        # What another worker's claim does once the leases have ended, in one moment.
        await fetch(
            "UPDATE deliveries SET attempts = attempts + 1, due_at = now() + interval '1 minute' "
            "WHERE queue_id = {} AND state = 'sending'",
            first.queue_id,
        )
        await draining

    assert [(await each.delivery()).attempts for each in (first, second)] == [2, 2]
    assert [await each.state() for each in (first, second)] == ["sending", "sending"]
    assert [message.recipient for message in sink.messages] == ["slow-1s@dest.example"]


async def test_a_lease_is_renewed_for_as_long_as_the_conversation_takes(
    database: None, sink: Sink, dns: DnsServer
) -> None:
    spooled = await make_spooled("slow-1.5s@dest.example")

    async with sending(direct(dns, sink.port), lease=timedelta(seconds=0.4)) as outbound:
        draining = asyncio.create_task(drain_queue(outbound, spooled.queue_id))
        await sink_hears(sink, "DATA")
        while not draining.done():
            assert await claim_batch(spooled.queue_id) == []
            await asyncio.sleep(0.1)

    assert (await spooled.state(), len(sink.messages)) == ("delivered", 1)


@pytest.mark.parametrize(("count", "slow", "beforehand"), [(60, "0.3s", 0.0), (250, "1s", 0.6)])
async def test_stopping_finishes_what_is_on_the_wire_and_puts_back_the_rest(
    outbound: Outbound, sink: Sink, count: int, slow: str, beforehand: float
) -> None:
    made = await make_many([[f"slow-{slow}+{n}@dest.example"] for n in range(count)])
    draining = asyncio.create_task(drain_queue(outbound, made[0].queue_id))
    await sink_hears(sink, "DATA")
    await asyncio.sleep(beforehand)  # until all that is claimed waits for a conversation

    outbound.stopping.set()
    await asyncio.wait_for(draining, 2)

    states = [await each.delivery() for each in made]
    sent = [each for each in states if each.state == "delivered"]
    back = [each for each in states if each.state == "queued"]
    assert len(sent) == len(sink.messages) <= 10
    assert len(sent) + len(back) == count
    assert all(each.attempts == 0 and each.due_at <= clock.now() for each in back)


async def test_a_slow_destination_does_not_delay_another(
    outbound: Outbound, sink: Sink, dns: DnsServer
) -> None:
    dns.set("mx.other.example", "A", "127.0.0.1")
    dns.set("other.example", "MX", "10 mx.other.example")
    slow = (await make_many([[f"slow-3s+{n}@dest.example"] for n in range(40)]))[0]
    quick = (await make_many([[f"user{n}@other.example"] for n in range(40)]))[0]
    alone = (await make_many([[f"user{n}@other.example"] for n in range(40)]))[0]
    started = time.monotonic()
    await drain_queue(outbound, alone.queue_id)
    alone_seconds = time.monotonic() - started
    draining = asyncio.create_task(drain_queue(outbound, slow.queue_id))
    await sink_hears(sink, "DATA", 41)

    started = time.monotonic()
    await drain_queue(outbound, quick.queue_id)
    beside_seconds = time.monotonic() - started

    # Waiting for a place among the slow ones takes three seconds and more.
    assert beside_seconds < max(1.5 * alone_seconds, alone_seconds + 2)
    assert not draining.done()
    await draining


async def test_what_is_claimed_is_sent_though_the_database_fails_while_it_is_read(
    outbound: Outbound, sink: Sink, database_url: str
) -> None:
    organization = await make_organization()
    domain = await make_signing_domain(organization)
    made = await make_many(
        [[f"user{n}@dest.example"] for n in range(5)],
        organization=organization,
        domain_id=domain.id,
    )
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE dkim_keys IN ACCESS EXCLUSIVE MODE")
            draining = asyncio.create_task(drain_queue(outbound, made[0].queue_id))
            assert await _end_reading()
            assert await _end_reading()
            assert not draining.done()
        await draining
    finally:
        await other.close()

    # In the same run: nothing waits for the end of a lease.
    assert [await each.state() for each in made] == ["delivered"] * 5
    assert len(sink.messages) == 5


class LastGroup(ByteWindow):
    """A window that the last group of the first claim gets nothing of until it is told what to do.

    By then the next deliveries have been claimed, and nobody has been told.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(1_000_000)
        self._groups = 0
        self._claims = 0
        self.claimed = asyncio.Event()
        self.told = asyncio.Event()
        self.error: Exception | None = None
        monkeypatch.setattr("postlane.jobs.delivery.claim_batch", self._claim)

    async def acquire(self, size: int) -> None:
        self._groups += 1
        if self._groups == BATCH // MESSAGES_AT_ONCE:
            await self.claimed.wait()
            if self.error is not None:
                asyncio.get_running_loop().call_later(0.3, self.told.set)
                raise self.error
            await self.told.wait()
        await super().acquire(size)

    async def _claim(self, *args: Any, **options: Any) -> list[Claim]:
        found = await claim_batch(*args, **options)
        self._claims += 1
        if self._claims == 2:
            self.claimed.set()
            if self.error is not None:
                await self.told.wait()
        return found


async def test_what_is_being_claimed_when_preparing_fails_is_sent_in_the_same_run(
    outbound: Outbound, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make_many([[f"user{n}@dest.example"] for n in range(BATCH + 20)])
    outbound.building = group = LastGroup(monkeypatch)
    group.error = ConnectionResetError("the database is away")

    async with asyncio.timeout(30):  # nothing waits for the end of a lease
        await drain_queue(outbound, made[0].queue_id)

    assert group.told.is_set()
    assert {await each.state() for each in made} == {"delivered"}
    assert len(sink.messages) == BATCH + 20


async def test_stopping_puts_back_what_is_claimed_ahead(
    outbound: Outbound, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make_many([[f"user{n}@dest.example"] for n in range(2 * BATCH)])
    outbound.building = group = LastGroup(monkeypatch)
    draining = asyncio.create_task(drain_queue(outbound, made[0].queue_id))
    await asyncio.wait_for(group.claimed.wait(), 30)

    outbound.stopping.set()
    group.told.set()
    await asyncio.wait_for(draining, 10)

    states = [await each.delivery() for each in made]
    back = [each for each in states if each.state == "queued"]
    assert len(sink.messages) == len(states) - len(back) <= BATCH - MESSAGES_AT_ONCE
    assert all(each.attempts == 0 and each.due_at <= clock.now() for each in back)


async def _end_reading() -> int:
    """End the connections that wait for the locked table of keys, once there are some."""
    for _ in range(500):
        ended = await fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND query LIKE '%dkim_keys%'"
        )
        if ended:
            return len(ended)
        await asyncio.sleep(0.02)
    return 0


async def test_a_host_that_asks_for_less_gets_a_tenth_over_one_connection(
    outbound: Outbound, sink: Sink
) -> None:
    sink.manner.delay = 0.02
    first = await make_spooled("421-at-rcpt@dest.example")
    await drain_queue(outbound, first.queue_id)
    made = await make_many(
        [[f"user{n}@dest.example"] for n in range(5)], organization=first.organization
    )
    sink.book.most_open = 0

    started = time.monotonic()
    await drain_queue(outbound, first.queue_id)
    took = time.monotonic() - started

    assert {await each.state() for each in made} == {"delivered"}
    assert sink.book.most_open == 1
    assert took >= 5 * 10 * 0.02


async def test_a_message_that_cannot_be_built_does_not_stop_the_others(
    outbound: Outbound, sink: Sink
) -> None:
    bad = await make_spooled("bad@dest.example")
    await fetch(
        "UPDATE contents SET body = '\\x00' WHERE id = (SELECT content_id FROM spooled_messages "
        "WHERE id = {})",
        bad.id,
    )
    good = await make_spooled("good@dest.example", organization=bad.organization)

    await drain_queue(outbound, bad.queue_id)

    # Kept and tried again: the fault is ours, and what was accepted is not given up for it.
    assert (await bad.state(), await good.state()) == ("deferred", "delivered")
    assert [message.recipient for message in sink.messages] == ["good@dest.example"]


async def test_mail_whose_time_is_up_is_not_sent(outbound: Outbound, sink: Sink) -> None:
    spooled = await make_spooled("ada@dest.example", expires_at=clock.now() - timedelta(seconds=1))

    await drain_queue(outbound, spooled.queue_id)

    assert await spooled.state() == "expired"
    assert sink.messages == []


async def sink_hears(sink: Sink, command: str, times: int = 1) -> None:
    """Wait until the sink was told *command* so often."""
    async with asyncio.timeout(10):
        while sink.book.commands[command] < times:  # noqa: ASYNC110 it is another thread's
            await asyncio.sleep(0.01)


def _secret() -> bytes:
    from postlane.core.crypto import derived_key

    return derived_key("return-path")


async def _published(domain_id: object) -> object:
    rows = await fetch("SELECT public_value FROM dkim_keys WHERE domain_id = {}", domain_id)
    record = f"v=DKIM1; k=rsa; p={rows[0]['public_value']}".encode()
    return lambda name, timeout=5: record
