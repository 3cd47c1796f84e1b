"""Blocks from real counts: where they begin, what they stop, how they end."""

import asyncio
import smtplib
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from postlane.accounts.tables import Organization
from postlane.blocklists.tables import Listing
from postlane.core import clock
from postlane.core.actor import Actor, Role
from postlane.core.database import fetch
from postlane.core.settings import Address
from postlane.delivery.rules import queue_id
from postlane.delivery.tables import Queue
from postlane.delivery.work import Settlement, claim_batch, settle_batch
from postlane.delivery.work.greylisted import outlasting
from postlane.domains.tables import Domain
from postlane.domains.work import BLOCKS_FRESH_SECONDS
from postlane.mail.outcome import outcome_of_reply
from postlane.protection.catalogue import all_rules
from postlane.protection.work import end_expired, look
from postlane.security import abuse
from postlane.server.smtp import admit, refused
from postlane.smtp.listener import InboundListener, SubmissionListener
from postlane.vmtas.tables import Vmta
from postlane.vmtas.work import ensure_default_vmta
from tests.analytics.setup import make_mail, roll_up_all, tell
from tests.billing.setup import settings_with
from tests.client import Client
from tests.delivery.spool import make_many, make_spooled
from tests.dns_server import DnsServer
from tests.factories import make_actor, make_api_key, make_domain, make_membership
from tests.jobs.sending import direct, drain_queue, sending
from tests.people import LOG_IN, PASSWORD, registered
from tests.sink import Sink

SMALL = """
[high_bounce_rate]
minimum_volume = 4
[high_complaint_rate]
minimum_volume = 4
[high_block_rate]
minimum_volume = 4
[deferral_spike]
minimum_volume = 4
[mail_auth_failures]
minimum_volume = 4
[volume_spike]
minimum_volume = 4
[auth_failures]
threshold = 3
[smtp_abuse]
threshold = 5
[virus_sent]
threshold = 2
[spoofing]
threshold = 2
"""
BLOCKS = """query ($filter: AutoBlockFilter) { organization { autoBlocks(filter: $filter) { nodes {
    id uuid ruleKey scope targetId targetName action status metricValue threshold sampleSize reason
    evidence expiresAt } } } }"""
RESOLVE = """mutation ($input: ResolveAutoBlockInput!) { resolveAutoBlock(input: $input) {
    block { status note resolvedBy graceUntil } } }"""
SWITCH = """mutation ($input: SwitchAutoBlockRuleInput!) { switchAutoBlockRule(input: $input) {
    rule { key enabled dryRun triggered30d } } }"""
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }"
POLICY = """mutation ($input: SetReputationPolicyInput!) {
    setReputationPolicy(input: $input) { policy } }"""
RESUME = "mutation ($input: ResumeVmtaInput!) { resumeVmta(input: $input) { vmta { status } } }"
RELEASE = "mutation ($input: ReleaseQueueInput!) { releaseQueue(input: $input) { affected } }"


@pytest.fixture(autouse=True)
def small(tmp_path: Path, database: None) -> Iterator[None]:
    """Rules that a handful of messages can breach."""
    path = tmp_path / "rules.toml"
    path.write_text(SMALL, "utf-8")
    with settings_with(auto_block_file=str(path)):
        yield


def rules(*keys: str) -> list[Any]:
    return [all_rules()[key] for key in keys]


async def blocks(client: Client, actor: Actor, **filter: str) -> list[dict[str, Any]]:
    data = await client.data(BLOCKS, {"filter": filter}, actor=actor)
    found: list[dict[str, Any]] = data["organization"]["autoBlocks"]["nodes"]
    return found


async def events(actor: Actor) -> list[str]:
    rows = await fetch(
        "SELECT type FROM events WHERE organization_id = {} AND type LIKE 'security.%' "
        "ORDER BY position",
        actor.organization_id,
    )
    return [row["type"] for row in rows]


async def bouncing(*, bounced: int = 3, delivered: int = 3) -> tuple[Actor, Domain]:
    """Return somebody whose domain's mail has just bounced."""
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    addresses = [f"u{n}@example.net" for n in range(bounced + delivered)]
    mail = await make_mail(actor, *addresses, at=clock.now(), sender_domain=domain.name)
    await tell(*(each.queued() for each in mail))
    await tell(*(each.bounced("invalid_recipient") for each in mail[:bounced]))
    await tell(*(each.delivered() for each in mail[bounced:]))
    await roll_up_all()
    return actor, domain


def message(domain: Domain) -> dict[str, Any]:
    return {
        "from": f"shop@{domain.name}",
        "to": ["ada@example.net"],
        "subject": "Hello",
        "text": "Hello there.",
    }


async def test_a_domain_whose_mail_bounces_sends_nothing_until_that_ends(client: Client) -> None:
    actor, domain = await bouncing()
    sending_key = {"input": message(domain)}
    await client.data(SEND, sending_key, actor=actor)

    await look(rules("high_bounce_rate"))

    (block,) = await blocks(client, actor)
    assert (block["ruleKey"], block["scope"], block["action"], block["status"]) == (
        "high_bounce_rate",
        "DOMAIN",
        "BLOCK_SENDING",
        "ACTIVE",
    )
    assert (block["targetId"], block["targetName"]) == (str(domain.id), domain.name)
    assert (block["metricValue"], block["threshold"], block["sampleSize"]) == (50.0, 5.0, 6)
    assert block["reason"] == "Hard bounce rate 50 % over 1 hour (threshold 5 %)."
    assert block["evidence"] == {
        "delivered": 3,
        "hard_bounced": 3,
        "soft_bounced": 0,
        "blocked": 0,
    }
    assert await client.refusal(SEND, sending_key, actor=actor) == "AUTO_BLOCK_ACTIVE"
    with clock.frozen(clock.now() + timedelta(hours=4, seconds=1)):
        await end_expired()
        await client.data(SEND, sending_key, actor=actor)
        assert await blocks(client, actor) == []
    assert await events(actor) == [
        "security.auto_block_triggered",
        "security.auto_block_resolved",
    ]


async def test_a_breach_begins_one_block_however_often_it_is_looked_at(client: Client) -> None:
    actor, _ = await bouncing()

    for _ in range(3):
        await look(rules("high_bounce_rate"))

    assert len(await blocks(client, actor)) == 1


async def test_little_mail_breaches_nothing(client: Client) -> None:
    actor, _ = await bouncing(bounced=2, delivered=1)

    await look(rules("high_bounce_rate"))

    assert await blocks(client, actor) == []


async def test_what_is_resolved_goes_on_and_is_left_alone_for_a_while(client: Client) -> None:
    actor, domain = await bouncing()
    await look(rules("high_bounce_rate"))
    (block,) = await blocks(client, actor)
    values = {"input": {"blockId": block["id"], "note": "List cleaned", "graceSeconds": 600}}

    done = await client.data(RESOLVE, values, actor=actor)
    again = await client.data(RESOLVE, values, actor=actor)
    await client.data(SEND, {"input": message(domain)}, actor=actor)
    await look(rules("high_bounce_rate"))
    in_grace = await blocks(client, actor)
    with clock.frozen(clock.now() + timedelta(seconds=601)):
        await look(rules("high_bounce_rate"))
        after = await blocks(client, actor)

    assert done["resolveAutoBlock"]["block"]["status"] == "RESOLVED"
    assert done["resolveAutoBlock"]["block"]["note"] == "List cleaned"
    assert done["resolveAutoBlock"]["block"]["resolvedBy"] == str(actor.user_id)
    assert again == done
    assert (in_grace, len(after)) == ([], 1)
    audit = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {} "
        "AND action LIKE 'auto_block.%'",
        actor.organization_id,
    )
    assert [row["action"] for row in audit] == ["auto_block.resolved"]


async def test_mail_that_waits_when_its_domain_is_blocked_goes_later(
    sink: Sink, dns: DnsServer
) -> None:
    dns.set("mx.sink.example", "A", "127.0.0.1")
    dns.set("dest.example", "MX", "10 mx.sink.example")
    actor, domain = await bouncing()
    spooled = await make_spooled("ada@dest.example", domain_id=domain.id)
    await look(rules("high_bounce_rate"))

    async with sending(direct(dns, sink.port)) as outbound:
        await drain_queue(outbound, spooled.queue_id)
    waiting, sent = await spooled.state(), len(sink.messages)
    await fetch(
        "UPDATE auto_blocks SET expires_at = {} WHERE organization_id = {}",
        clock.now(),
        actor.organization_id,
    )
    await end_expired()
    # A worker goes on by what it read two seconds ago.
    await asyncio.sleep(BLOCKS_FRESH_SECONDS + 0.1)
    with clock.frozen(clock.now() + timedelta(hours=1)):
        async with sending(direct(dns, sink.port)) as outbound:
            await drain_queue(outbound, spooled.queue_id)

    assert (waiting, sent) == ("deferred", 0)
    assert await spooled.state() == "delivered"
    told = await fetch(
        "SELECT type, data->'local' AS local FROM events WHERE message_id = {} "
        "AND data ? 'attempt' ORDER BY position",
        spooled.id,
    )
    # What was our own doing is no vMTA's deferral, by which its warm-up is slowed down.
    assert [tuple(each.values()) for each in told] == [
        ("message.deferred", "true"),
        ("message.delivered", None),
    ]
    assert await fetch(
        "SELECT sum(attempts)::int AS attempts, sum(deferred)::int AS deferred "
        "FROM vmta_activity WHERE organization_id = "
        "(SELECT organization_id FROM spooled_messages WHERE id = {})",
        spooled.id,
    ) == [{"attempts": 1, "deferred": 0}]


async def test_complaints_stop_a_domain_until_it_is_resolved(client: Client) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    mail = await make_mail(
        actor, *(f"u{n}@example.net" for n in range(5)), at=clock.now(), sender_domain=domain.name
    )
    await tell(*(each.queued() for each in mail), *(each.delivered() for each in mail))
    await tell(mail[0].event("complained", after=1))
    await roll_up_all()

    await look(rules("high_complaint_rate"))

    (block,) = await blocks(client, actor)
    assert (block["ruleKey"], block["metricValue"], block["expiresAt"]) == (
        "high_complaint_rate",
        20.0,
        None,
    )


async def refused_by_receivers(kind: str, **values: Any) -> tuple[Actor, Vmta]:
    """Return somebody whose own vMTA was refused four times of five."""
    actor = await make_actor()
    vmta = Vmta(organization_id=actor.organization_id, name="tx-1")
    await vmta.save()
    mail = await make_mail(actor, *(f"u{n}@example.net" for n in range(5)), at=clock.now())
    await tell(*(each.queued() for each in mail), mail[4].delivered())
    await tell(*(getattr(each, kind)(**values) for each in mail[:4]))
    await roll_up_all()
    return actor, vmta


async def test_a_vmta_that_receivers_block_rests_and_nobody_resumes_it(client: Client) -> None:
    actor, vmta = await refused_by_receivers("bounced", bounce_class="reputation_block")

    await look(rules("high_block_rate"))

    (block,) = await blocks(client, actor)
    assert (block["action"], block["targetId"]) == ("PAUSE_VMTA", str(vmta.id))
    refused = await client.refusal(RESUME, {"input": {"vmta": {"name": "tx-1"}}}, actor=actor)
    assert refused == "AUTO_BLOCK_ACTIVE"
    await client.data(RESOLVE, {"input": {"blockId": block["uuid"]}}, actor=actor)
    rows = await fetch("SELECT status, pause_source FROM vmtas WHERE id = {}", vmta.id)
    assert (rows[0]["status"], rows[0]["pause_source"]) == ("active", None)


@pytest.mark.parametrize(
    ("kind", "bounce_class", "rule"),
    [
        ("bounced", "content_rejected", "high_block_rate"),
        ("deferred", "temporary_failure", "deferral_spike"),
        ("bounced", "invalid_recipient", "high_bounce_rate"),
        ("bounced", "auth_failure", "mail_auth_failures"),
    ],
)
async def test_what_failed_here_is_held_against_nobody(
    client: Client, kind: str, bounce_class: str, rule: str
) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    await Vmta(organization_id=actor.organization_id, name="tx-1").save()
    addresses = [f"u{n}@example.net" for n in range(5)]
    mail = await make_mail(actor, *addresses, at=clock.now(), sender_domain=domain.name)
    await tell(*(each.queued() for each in mail), mail[4].delivered())
    await tell(*(getattr(each, kind)(bounce_class, local=True) for each in mail[:4]))
    await roll_up_all()

    await look(rules(rule))

    assert await blocks(client, actor) == []
    shown = await client.data(
        "{ organization { reputation { hardBounced blocked delivered } } }", actor=actor
    )
    assert shown["organization"]["reputation"] == {
        "hardBounced": 0,
        "blocked": 0,
        "delivered": 1,
    }


async def test_a_vmta_that_a_user_paused_stays_paused(client: Client) -> None:
    actor, vmta = await refused_by_receivers("bounced", bounce_class="reputation_block")
    await fetch("UPDATE vmtas SET status = 'paused', pause_source = 'user' WHERE id = {}", vmta.id)

    await look(rules("high_block_rate"))

    assert await blocks(client, actor) == []


async def test_a_listed_vmta_rests(client: Client) -> None:
    actor = await make_actor()
    vmta = Vmta(organization_id=actor.organization_id, name="tx-1", ip_address="11.0.0.1")
    await vmta.save()
    zones = (("zen.spamhaus.org", "high"), ("bl.other.example", "low"), ("gone.example", "high"))
    for zone, severity in zones:
        await Listing(
            organization_id=actor.organization_id,
            vmta_id=vmta.id,
            ip_address="11.0.0.1",
            zone=zone,
            severity=severity,
        ).save()

    await look(rules("dnsbl_listed"))

    (block,) = await blocks(client, actor)
    assert (block["action"], block["metricValue"]) == ("PAUSE_VMTA", 1.0)
    assert block["evidence"] == {"ip": "11.0.0.1", "zones": ["zen.spamhaus.org"]}


async def test_what_a_list_said_of_an_earlier_address_or_before_it_failed_counts_no_more(
    client: Client,
) -> None:
    actor = await make_actor()
    vmta = Vmta(organization_id=actor.organization_id, name="tx-1", ip_address="11.0.0.2")
    await vmta.save()
    for zone, ip in (("zen.spamhaus.org", "11.0.0.1"), ("bl.spamcop.net", "11.0.0.2")):
        await Listing(
            organization_id=actor.organization_id,
            vmta_id=vmta.id,
            ip_address=ip,
            zone=zone,
            severity="high",
        ).save()
    await fetch(
        "INSERT INTO blocklist_tests (zone, fault, tested_at) "
        "VALUES ('bl.spamcop.net', 'lists_everything', now()) "
        "ON CONFLICT (zone) DO UPDATE SET fault = excluded.fault"
    )
    try:
        await look(rules("dnsbl_listed"))
    finally:
        await fetch("DELETE FROM blocklist_tests WHERE zone = 'bl.spamcop.net'")

    assert await blocks(client, actor) == []


async def make_queue(actor: Actor, vmta: Vmta) -> UUID:
    """Return the id of a new queue of a vMTA, with mail for example.net."""
    id = queue_id(actor.organization_id, vmta.id, "example.net")
    await Queue(
        id=id,
        organization_id=actor.organization_id,
        vmta_id=vmta.id,
        domain="example.net",
        depth=1,
        queued=1,
    ).save()
    return id


async def test_a_queue_that_is_put_off_is_held_and_released(client: Client) -> None:
    actor, vmta = await refused_by_receivers("deferred", bounce_class="rate_limited")
    id = await make_queue(actor, vmta)

    await look(rules("deferral_spike"))

    (block,) = await blocks(client, actor)
    assert (block["action"], block["targetName"]) == ("HOLD_QUEUE", "tx-1/example.net")
    held = await fetch("SELECT state, hold_source FROM queues WHERE id = {}", id)
    assert (held[0]["state"], held[0]["hold_source"]) == ("held", "auto_block")
    assert (
        await client.refusal(RELEASE, {"input": {"queue": str(id)}}, actor=actor)
        == "AUTO_BLOCK_ACTIVE"
    )
    await client.data(RESOLVE, {"input": {"blockId": block["id"]}}, actor=actor)
    assert (await fetch("SELECT state FROM queues WHERE id = {}", id))[0]["state"] == "active"


async def test_greylisting_holds_no_queue(client: Client) -> None:
    said = {
        "bounce_class": "temporary_failure",
        "smtp_response": "450 4.2.0 Greylisted",
    }
    actor, vmta = await refused_by_receivers("deferred", **said)
    await make_queue(actor, vmta)

    await look(rules("deferral_spike"))

    assert await blocks(client, actor) == []


async def test_of_a_queue_that_is_greylisted_other_deferrals_count(client: Client) -> None:
    actor = await make_actor()
    vmta = Vmta(organization_id=actor.organization_id, name="tx-1")
    await vmta.save()
    await make_queue(actor, vmta)
    mail = await make_mail(actor, *(f"u{n}@example.net" for n in range(8)), at=clock.now())
    await tell(*(each.queued() for each in mail), mail[7].delivered())
    await tell(
        *(each.deferred("rate_limited") for each in mail[:4]),
        *(
            each.deferred("temporary_failure", smtp_response="451 4.7.1 Greylisting in action")
            for each in mail[4:7]
        ),
    )
    await roll_up_all()

    await look(rules("deferral_spike"))

    (block,) = await blocks(client, actor)
    assert (block["metricValue"], block["sampleSize"]) == (80.0, 5)
    assert block["evidence"] == {"delivered": 1, "deferrals": 4, "greylisted": 3}


@pytest.mark.parametrize(
    ("hours", "holds"),
    [
        # As the ladder of retries has it: the fifth time is no greylisting any more.
        ([0, 0.1, 0.8, 3.2, 12], True),
        ([0, 0.1, 0.8, 3.2], False),
        ([0, 4], True),
        ([0, 3.9], False),
    ],
)
async def test_a_receiver_that_greylists_for_ever_is_one_that_defers(
    client: Client, hours: list[float], holds: bool
) -> None:
    start = clock.now()
    actor = await make_actor()
    vmta = Vmta(organization_id=actor.organization_id, name="tx-1")
    await vmta.save()
    with clock.frozen(start):
        organization = await Organization.objects().get(Organization.id == actor.organization_id)
        assert organization is not None
        made = await make_many(
            [[f"u{n}@example.net"] for n in range(4)], organization=organization, vmta_id=vmta.id
        )
    id = made[0].queue_id
    for hour in hours:
        with clock.frozen(start + timedelta(hours=hour)):
            claims = await claim_batch(id)
            refused = outcome_of_reply(451, "4.7.1 Greylisted", started_at=clock.now())
            await settle_batch([Settlement(claim, "tx-1", refused) for claim in claims])
            await roll_up_all()
            assert len(claims) == 4

            await look(rules("deferral_spike"))

    found = await blocks(client, actor)
    assert [
        (each["action"], each["targetName"], each["metricValue"], each["sampleSize"])
        for each in found
    ] == ([("HOLD_QUEUE", "tx-1/example.net", 100.0, 4)] if holds else [])
    for each in found:
        assert each["evidence"]["greylisted_too_long"] == 4


async def test_what_was_put_off_too_long_before_the_window_counts_no_more(client: Client) -> None:
    start = clock.now()
    with clock.frozen(start):
        spooled = await make_spooled("ada@dest.example")
    for hour in (0, 5):
        with clock.frozen(start + timedelta(hours=hour)):
            (claim,) = await claim_batch(spooled.queue_id)
            refused = outcome_of_reply(451, "4.7.1 Greylisted", started_at=clock.now())
            await settle_batch([Settlement(claim, "default", refused)])

    async def found(at: datetime) -> list[int]:
        return [
            row["n"]
            for row in await outlasting(at)
            if row["organization_id"] == spooled.organization.id
        ]

    assert await found(start + timedelta(hours=5)) == [1]
    assert await found(start + timedelta(hours=5, seconds=1)) == []


async def test_mail_that_fails_authentication_is_told(client: Client) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    mail = await make_mail(
        actor, *(f"u{n}@example.net" for n in range(5)), at=clock.now(), sender_domain=domain.name
    )
    await tell(*(each.queued() for each in mail), mail[4].delivered())
    await tell(*(each.bounced("auth_failure") for each in mail[:4]))
    await roll_up_all()

    await look(rules("mail_auth_failures"))

    (block,) = await blocks(client, actor)
    assert (block["action"], block["metricValue"]) == ("ALERT_ONLY", 80.0)
    await client.data(SEND, {"input": message(domain)}, actor=actor)


async def bounced_with(reply: str, *, count: int, at: datetime | None = None) -> Actor:
    """Return somebody whose own vMTA has had bounces with this reply."""
    actor, at = await make_actor(), at or clock.now()
    await Vmta(organization_id=actor.organization_id, name="tx-1").save()
    mail = await make_mail(actor, *(f"u{n}@example.net" for n in range(count)), at=at)
    await tell(*(each.queued() for each in mail))
    await tell(*(each.bounced("reputation_block", smtp_response=reply) for each in mail))
    await roll_up_all()
    await fetch(
        "INSERT INTO vmta_activity (organization_id, vmta_id, hour_at, is_sum, attempts, "
        "delivered, hard_bounced, soft_bounced, blocked, deferred) "
        "SELECT organization_id, id, {}, false, {}, 0, 0, 0, {}, 0 FROM vmtas "
        "WHERE organization_id = {}",
        at.replace(minute=0, second=0, microsecond=0),
        count,
        count,
        actor.organization_id,
    )
    return actor


@pytest.mark.parametrize("words", ["Spamtrap hit", "listed for spam-trap", "a SPAM TRAP of ours"])
async def test_a_vmta_that_hits_spam_traps_is_told(client: Client, words: str) -> None:
    actor = await bounced_with(f"550 5.7.1 {words}", count=3)

    await look(rules("spamtrap_hits"))

    (block,) = await blocks(client, actor)
    assert (block["action"], block["targetName"]) == ("ALERT_ONLY", "tx-1")
    assert (block["metricValue"], block["threshold"]) == (3.0, 3.0)
    assert block["evidence"] == {"reply": f"550 5.7.1 {words}"}
    assert await events(actor) == ["security.auto_block_triggered"]


async def test_what_is_no_trap_is_too_few_or_too_old_is_not_told(client: Client) -> None:
    actors = [
        await bounced_with("550 5.1.1 No such user", count=4),
        await bounced_with("550 5.7.1 Spam trap", count=2),
        await bounced_with("550 5.7.1 Spam trap", count=4, at=clock.now() - timedelta(hours=26)),
    ]

    await look(rules("spamtrap_hits"))

    assert [await blocks(client, actor) for actor in actors] == [[], [], []]


async def test_an_operator_lets_spam_traps_stop_a_vmta(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "traps.toml"
    path.write_text('[spamtrap_hits]\naction = "pause_vmta"\nthreshold = 2\n', "utf-8")
    actor = await bounced_with("550 5.7.1 Spam trap", count=2)

    with settings_with(auto_block_file=str(path)):
        await look(rules("spamtrap_hits"))

    (block,) = await blocks(client, actor)
    assert block["action"] == "PAUSE_VMTA"
    assert await client.refusal(RESUME, {"input": {"vmta": {"name": "tx-1"}}}, actor=actor) == (
        "AUTO_BLOCK_ACTIVE"
    )


async def test_a_key_that_sends_much_more_than_usual_is_told(client: Client) -> None:
    actor, key = await make_actor(), str(uuid.uuid4())
    week_ago = clock.now() - timedelta(days=3)
    for at, count in ((week_ago, 1), (clock.now(), 5)):
        mail = await make_mail(
            actor, *(f"u{n}@example.net" for n in range(count)), at=at, api_key_id=key
        )
        await tell(*(each.queued() for each in mail))
    fresh = str(uuid.uuid4())
    new = await make_mail(
        actor, *(f"v{n}@example.net" for n in range(5)), at=clock.now(), api_key_id=fresh
    )
    await tell(*(each.queued() for each in new))
    await roll_up_all()

    await look(rules("volume_spike"))

    (block,) = await blocks(client, actor)
    assert (block["targetId"], block["action"]) == (key, "ALERT_ONLY")


async def test_a_key_that_sends_viruses_is_switched_off(client: Client) -> None:
    actor = await make_actor()
    membership = await make_membership_of(actor)
    key = await make_api_key(await organization_of(actor), membership=membership)
    for _ in range(2):
        (mail,) = await make_mail(actor, "u@example.net", at=clock.now(), api_key_id=key.row.id)
        await fetch(
            "INSERT INTO scanned_messages (id, organization_id, verdict, threats, scanned_at) "
            "VALUES ({}, {}, 'infected', ARRAY['Eicar'], {})",
            mail.message_id,
            actor.organization_id,
            clock.now(),
        )

    await look(rules("virus_sent"))

    (block,) = await blocks(client, actor)
    assert (block["action"], block["targetId"]) == ("DISABLE_API_KEY", str(key.row.id))
    answer = await client.graphql("{ viewer { __typename } }", key=key.secret)
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_API_KEY"
    await client.data(RESOLVE, {"input": {"blockId": block["id"]}}, actor=actor)
    answer = await client.graphql("{ organization { uuid } }", key=key.secret)
    assert "errors" not in answer


async def key_that_sent_viruses() -> tuple[Actor, Any]:
    """Return somebody of whom a key is kept off by a block that has just begun."""
    actor = await make_actor()
    membership = await make_membership_of(actor)
    key = await make_api_key(await organization_of(actor), membership=membership)
    for _ in range(2):
        (mail,) = await make_mail(actor, "u@example.net", at=clock.now(), api_key_id=key.row.id)
        await fetch(
            "INSERT INTO scanned_messages (id, organization_id, verdict, threats, scanned_at) "
            "VALUES ({}, {}, 'infected', ARRAY['Eicar'], {})",
            mail.message_id,
            actor.organization_id,
            clock.now(),
        )
    await look(rules("virus_sent"))
    return actor, key


UPDATE_KEY = """mutation ($input: UpdateApiKeyInput!) {
    updateApiKey(input: $input) { apiKey { status } } }"""


async def test_nobody_switches_a_key_on_that_a_block_keeps_off(client: Client) -> None:
    actor, key = await key_that_sent_viruses()
    switched = {"input": {"apiKeyId": str(key.row.id), "enabled": True}}

    refused = await client.refusal(UPDATE_KEY, switched, actor=actor)
    off_and_on = [
        await client.graphql(
            UPDATE_KEY, {"input": {"apiKeyId": str(key.row.id), "enabled": enabled}}, actor=actor
        )
        for enabled in (False, True)
    ]

    assert refused == "AUTO_BLOCK_ACTIVE"
    assert off_and_on[0]["data"]["updateApiKey"]["apiKey"] == {"status": "DISABLED"}
    assert off_and_on[1]["errors"][0]["extensions"]["code"] == "AUTO_BLOCK_ACTIVE"
    answer = await client.graphql("{ viewer { __typename } }", key=key.secret)
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_API_KEY"


async def test_the_end_of_a_block_switches_no_key_on_that_somebody_revoked(client: Client) -> None:
    actor, key = await key_that_sent_viruses()
    (block,) = await blocks(client, actor)
    revoked = {"input": {"apiKeyId": str(key.row.id), "enabled": False}}
    await client.data(UPDATE_KEY, revoked, actor=actor)

    await client.data(RESOLVE, {"input": {"blockId": block["id"]}}, actor=actor)

    answer = await client.graphql("{ viewer { __typename } }", key=key.secret)
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_API_KEY"
    on = {"input": {"apiKeyId": str(key.row.id), "enabled": True}}
    data = await client.data(UPDATE_KEY, on, actor=actor)
    assert data["updateApiKey"]["apiKey"] == {"status": "ACTIVE"}


async def organization_of(actor: Actor) -> Any:
    return await Organization.objects().get(Organization.id == actor.organization_id)


async def make_membership_of(actor: Actor) -> Any:
    return await make_membership(await organization_of(actor))


async def test_a_key_that_forges_senders_is_told(client: Client) -> None:
    organization = await organization_of(await make_actor())
    membership = await make_membership(organization)
    key = await make_api_key(organization, membership=membership)
    owner = await make_actor(organization)
    forged = {"from": "a@not-ours.example", "to": ["b@example.net"], "subject": "s", "text": "t"}
    for _ in range(2):
        answer = await client.graphql(SEND, {"input": forged}, key=key.secret)
        assert answer["errors"][0]["extensions"]["code"] == "DOMAIN_NOT_VERIFIED"

    await look(rules("spoofing"))

    (block,) = await blocks(client, owner)
    assert (block["targetId"], block["metricValue"]) == (str(key.row.id), 2.0)
    assert block["evidence"] == {"forged_sender": 2}


@pytest.mark.parametrize("mode", ["setting", "switch"])
async def test_a_dry_run_stops_nothing_and_says_what_it_would(client: Client, mode: str) -> None:
    actor, domain = await bouncing()
    if mode == "switch":
        dry = {"input": {"rule": "high_bounce_rate", "dryRun": True}}
        data = await client.data(SWITCH, dry, actor=actor)
        assert data["switchAutoBlockRule"]["rule"]["enabled"] is True
        await look(rules("high_bounce_rate"))
    else:
        with settings_with(auto_block="dry_run"):
            await look(rules("high_bounce_rate"))

    (block,) = await blocks(client, actor)
    assert block["status"] == "DRY_RUN"
    await client.data(SEND, {"input": message(domain)}, actor=actor)


async def test_a_dry_run_gives_way_to_what_counts_and_its_end_undoes_nothing(
    client: Client,
) -> None:
    actor, domain = await bouncing()
    with settings_with(auto_block="dry_run"):
        await look(rules("high_bounce_rate"))
    (tried,) = await blocks(client, actor)

    await look(rules("high_bounce_rate"))
    (real,) = await blocks(client, actor)
    await client.data(RESOLVE, {"input": {"blockId": tried["id"]}}, actor=actor)

    assert (tried["status"], real["status"]) == ("DRY_RUN", "ACTIVE")
    refused = await client.refusal(SEND, {"input": message(domain)}, actor=actor)
    assert refused == "AUTO_BLOCK_ACTIVE"


async def test_a_rule_that_is_off_stops_nothing(client: Client) -> None:
    actor, _ = await bouncing()
    id = str(all_rules()["high_bounce_rate"].id)

    off = await client.data(SWITCH, {"input": {"rule": id}}, actor=actor)
    await look(rules("high_bounce_rate"))
    stopped = await blocks(client, actor)
    on = await client.data(SWITCH, {"input": {"rule": "high_bounce_rate"}}, actor=actor)
    await look(rules("high_bounce_rate"))

    assert off["switchAutoBlockRule"]["rule"]["enabled"] is False
    assert stopped == []
    assert on["switchAutoBlockRule"]["rule"]["enabled"] is True
    assert len(await blocks(client, actor)) == 1


async def test_a_rule_that_is_locked_or_not_there_is_not_switched(
    client: Client, tmp_path: Path
) -> None:
    actor, viewer = await make_actor(), await make_actor(role=Role.VIEWER)
    path = tmp_path / "locked.toml"
    path.write_text("[virus_sent]\nlocked = true\n", "utf-8")

    with settings_with(auto_block_file=str(path)):
        locked = await client.refusal(SWITCH, {"input": {"rule": "virus_sent"}}, actor=actor)
    absent = await client.refusal(SWITCH, {"input": {"rule": "nothing"}}, actor=actor)
    not_allowed = await client.refusal(SWITCH, {"input": {"rule": "virus_sent"}}, actor=viewer)

    assert (locked, absent, not_allowed) == ("RULE_LOCKED", "INVALID_INPUT", "INSUFFICIENT_ROLE")


@pytest.mark.parametrize(
    ("policy", "action"), [("STRICT", "BLOCK_SENDING"), ("NONE", "ALERT_ONLY")]
)
async def test_the_operator_says_how_strictly_an_organization_is_judged(
    client: Client, policy: str, action: str
) -> None:
    admin = await make_actor(platform_admin=True)
    actor, _ = await bouncing()
    values = {"input": {"organizationId": str(actor.organization_id), "policy": policy}}

    assert await client.refusal(POLICY, values, actor=actor) == "INSUFFICIENT_ROLE"
    assert await client.refusal(POLICY, values, actor=await make_actor()) == "NOT_FOUND"
    await client.data(POLICY, values, actor=admin)
    await look(rules("high_bounce_rate"))

    (block,) = await blocks(client, actor)
    assert block["action"] == action
    shown = await client.data(
        "{ organization { reputation { score policy hardBounced } } }", actor=actor
    )
    assert shown["organization"]["reputation"] == {
        "score": None,
        "policy": policy,
        "hardBounced": 3,
    }


async def test_a_network_that_guesses_passwords_may_not_sign_in(client: Client) -> None:
    email = (await registered(client))["user"]["email"]
    admin = await make_actor(platform_admin=True)
    wrong = {"input": {"email": email, "password": "wrong horse battery"}}
    right = {"input": {"email": email, "password": PASSWORD}}
    for _ in range(3):
        assert await client.refusal(LOG_IN, wrong) == "INVALID_CREDENTIALS"

    await look(rules("auth_failures"))

    assert await client.refusal(LOG_IN, right) == "ADDRESS_BLOCKED"
    network = client.address.rpartition("::")[0] + "::/64"
    (block,) = await blocks(client, admin, target=network)
    assert (block["action"], block["evidence"]) == ("BLOCK_IP", {"sign_in": 3})
    assert await blocks(client, await make_actor(), target=network) == []
    await client.data(RESOLVE, {"input": {"blockId": block["id"]}}, actor=admin)
    await client.data(LOG_IN, right)


@pytest.fixture
async def listeners(database: None) -> AsyncIterator[tuple[SubmissionListener, InboundListener]]:
    submission = SubmissionListener(admit, hostname="mail.postlane.test", tell=refused)
    inbound = InboundListener(hostname="mail.postlane.test", tell=refused)
    for each in (submission, inbound):
        await each.start(Address("127.0.0.1", 0))
    await forget_loopback()
    yield submission, inbound
    for each in (submission, inbound):
        await each.stop()
    await forget_loopback()


async def forget_loopback() -> None:
    await fetch("DELETE FROM abuse_counts WHERE subject = '127.0.0.1'")
    await fetch("DELETE FROM blocked_addresses WHERE network = '127.0.0.1'")
    await fetch("DELETE FROM auto_blocks WHERE target_id = '127.0.0.1'")


async def test_a_network_that_guesses_keys_or_abuses_smtp_is_shut_out(
    listeners: tuple[SubmissionListener, InboundListener],
) -> None:
    submission, inbound = listeners

    def guess() -> None:
        with smtplib.SMTP("127.0.0.1", submission.port, timeout=20) as client:
            client.ehlo("a.example")
            # By both mechanisms, one after the other.
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("anybody", "pmta_00000000_" + "a" * 43)

    def abuse_it() -> None:
        with smtplib.SMTP("127.0.0.1", inbound.port, timeout=20) as client:
            client.ehlo("a.example")
            client.mail("a@example.com")
            for n in range(6):
                client.rcpt(f"nobody{n}@elsewhere.example")

    def knock() -> int:
        with smtplib.SMTP("127.0.0.1", inbound.port, timeout=20) as client:
            client.ehlo("a.example")
            client.mail("a@example.com")
            return client.rcpt("postmaster")[0]

    await asyncio.to_thread(guess)
    await asyncio.to_thread(guess)
    await asyncio.to_thread(abuse_it)
    await asyncio.sleep(0.3)
    kinds = (abuse.Kind.SMTP_AUTH, abuse.Kind.SMTP_REFUSALS)
    since = clock.now() - timedelta(minutes=5)
    found = await abuse.noted_since(*((since, [kind]) for kind in kinds))
    noted = dict(zip(kinds, found, strict=True))
    before = await asyncio.to_thread(knock)
    await look(rules("auth_failures"))
    after = await asyncio.to_thread(knock)

    assert [row.count for row in noted[abuse.Kind.SMTP_AUTH] if row.subject == "127.0.0.1"] == [4]
    refusals = [r.count for r in noted[abuse.Kind.SMTP_REFUSALS] if r.subject == "127.0.0.1"]
    assert refusals == [6]
    # What waits may be a bounce: it comes again when the block is over.
    assert (before, after) == (250, 451)


async def test_blocks_and_their_resolution_belong_to_their_organization(client: Client) -> None:
    actor, _ = await bouncing()
    await look(rules("high_bounce_rate"))
    (block,) = await blocks(client, actor)
    stranger = await make_actor()

    assert await blocks(client, stranger) == []
    assert (
        await client.refusal(RESOLVE, {"input": {"blockId": block["id"]}}, actor=stranger)
        == "NOT_FOUND"
    )
    assert len(await blocks(client, actor)) == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"note": "x" * 501}, "note"),
        ({"graceSeconds": -1}, "graceSeconds"),
        ({"graceSeconds": 86401}, "graceSeconds"),
    ],
)
async def test_a_resolution_that_breaks_a_rule_is_refused(
    client: Client, values: dict[str, Any], field: str
) -> None:
    actor = await make_actor()

    body = await client.graphql(
        RESOLVE, {"input": {"blockId": str(uuid.uuid4()), **values}}, actor=actor
    )

    (detail,) = body["errors"][0]["extensions"]["details"]
    assert detail["field"].removeprefix("input.") == field


async def test_the_shared_vmta_is_nobodys_to_pause(client: Client) -> None:
    await ensure_default_vmta()
    actor = await make_actor()
    mail = await make_mail(actor, *(f"u{n}@example.net" for n in range(5)), at=clock.now())
    said = {"vmta": "default"}
    await tell(*(each.bounced("reputation_block", **said) for each in mail))
    await roll_up_all()

    await look(rules("high_block_rate"))

    assert await blocks(client, actor) == []
