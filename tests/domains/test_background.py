"""What happens to a domain without anybody asking."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.domains.rules import DomainStatus
from postlane.domains.schedule import next_check, share_of
from postlane.domains.work import check, due_for_check
from tests.client import Client
from tests.dns_server import DnsServer
from tests.domains.setup import HOST, create, publish
from tests.factories import make_actor


async def row_of(name: str) -> dict[str, object]:
    rows = await fetch(
        "SELECT id, status, last_checked_at, next_check_at FROM domains WHERE name = {}", name
    )
    return rows[0]


async def test_a_new_domain_is_looked_at_and_then_every_hour_for_two_weeks(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    made = await create(client, actor, "fresh.example")
    domain_id = uuid.UUID(made["uuid"])

    assert domain_id not in await due_for_check(limit=1000)
    first = frozen + timedelta(minutes=1)
    with clock.frozen(first):
        assert domain_id in await due_for_check(limit=1000)
        await check(domain_id)

    assert (await row_of("fresh.example"))["next_check_at"] == first + timedelta(hours=1)
    with clock.frozen(first):
        assert domain_id not in await due_for_check(limit=1000)
    with clock.frozen(frozen + timedelta(days=14)):
        await check(domain_id)
    assert (await row_of("fresh.example"))["next_check_at"] is None


async def test_the_background_check_verifies_too(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    made = await create(client, actor, "quiet.example")
    await publish(client, actor, dns, "quiet.example")
    first = frozen + timedelta(minutes=1)

    with clock.frozen(first):
        await check(uuid.UUID(made["uuid"]))

    row = await row_of("quiet.example")
    due = first + timedelta(days=1) - timedelta(hours=1) * share_of(uuid.UUID(made["uuid"]))
    assert (row["status"], row["next_check_at"]) == ("verified", due)
    entries = await fetch(
        "SELECT actor_kind, action FROM audit_entries WHERE target_id = {} ORDER BY id",
        made["uuid"],
    )
    assert [tuple(entry.values()) for entry in entries] == [
        ("user", "domain.created"),
        ("platform", "domain.verified"),
    ]


async def test_a_check_that_is_not_due_asks_nothing(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    made = await create(client, await make_actor(), "early.example")
    asked = sum(dns.queries.values())

    await check(uuid.UUID(made["uuid"]))
    await check(new_id())

    assert sum(dns.queries.values()) == asked


async def test_a_dead_resolver_puts_the_check_off(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    made = await create(client, await make_actor(), "dead.example")
    for name in (
        HOST,
        "dead.example",
        "bounce.dead.example",
        "_dmarc.dead.example",
        "pmta._domainkey.dead.example",
    ):
        dns.fail(name, "REFUSED")

    first = frozen + timedelta(minutes=1)
    with clock.frozen(first):
        await check(uuid.UUID(made["uuid"]))

    row = await row_of("dead.example")
    assert row["last_checked_at"] is None
    assert row["next_check_at"] == first + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("status", "unanswered", "minutes"),
    [
        (DomainStatus.PENDING, 0, 60),
        (DomainStatus.DEGRADED, 0, 60),
        (DomainStatus.VERIFIED, 0, 24 * 60 - 30),
        (DomainStatus.FAILED, 0, 24 * 60 - 30),
        (DomainStatus.VERIFIED, 1, 15),
        (DomainStatus.VERIFIED, 2, 30),
        (DomainStatus.VERIFIED, 5, 240),
        (DomainStatus.VERIFIED, 1_000, 24 * 60 - 30),
        (DomainStatus.PENDING, 1, 15),
        (DomainStatus.PENDING, 9, 60),
    ],
)
def test_a_silent_server_is_asked_ever_less_often(
    status: DomainStatus, unanswered: int, minutes: int
) -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)

    found = next_check(status, created_at=noon, now=noon, unanswered=unanswered, share=0.5)

    assert found == noon + timedelta(minutes=minutes)


async def test_a_lame_domain_is_put_off_for_longer_each_time_until_it_answers(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    made = await create(client, await make_actor(), "lame.example")
    domain_id = uuid.UUID(made["uuid"])
    dns.fail("lame.example", "SERVFAIL")

    waits, at = [], frozen + timedelta(minutes=1)
    for number in range(3):
        if number == 2:
            dns.set("lame.example", "TXT", "v=spf1 -all")
        with clock.frozen(at):
            await check(domain_id)
        due = (await row_of("lame.example"))["next_check_at"]
        assert isinstance(due, datetime)
        waits.append(due - at)
        at = due

    assert waits == [timedelta(minutes=15), timedelta(minutes=30), timedelta(hours=1)]
