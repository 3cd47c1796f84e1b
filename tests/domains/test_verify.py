"""Verifying a domain: what is found in the DNS, and what follows from it."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.domains.work import signing_keys
from postlane.vmtas.tables import Vmta
from tests.client import Client
from tests.dns_server import DnsServer
from tests.domains.setup import HOST, VERIFY, create, publish, records_of, verify
from tests.factories import make_actor


def by_purpose(found: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Return status and message of each record that was checked."""
    return {r["purpose"]: (r["status"], r["message"]) for r in found["records"]}


async def later(seconds: float, client: Client, actor: Any, name: str) -> dict[str, Any]:
    """Check a domain again, some time after noon of 2026-06-01."""
    with clock.frozen(clock.now() + timedelta(seconds=seconds)):
        return await verify(client, actor, name)


async def test_published_records_verify_a_domain(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    made = await create(
        client, actor, "good.example", inboundEnabled=True, trackingDomain="t.good.example"
    )
    await publish(client, actor, dns, "good.example")

    found = await verify(client, actor, "good.example")

    assert set(by_purpose(found).values()) == {("VERIFIED", None)}
    assert found["changed"] == ["DKIM", "RETURN_PATH", "SPF", "DMARC", "MX", "TRACKING"]
    assert found["cached"] is False
    domain = found["domain"]
    assert (domain["status"], domain["canSend"]) == ("VERIFIED", True)
    assert domain["verifiedAt"] == "2026-06-01T12:00:00.000Z"
    # A day later, less this domain's own part of an hour.
    assert "2026-06-02T11:00:00.000Z" <= domain["nextCheckAt"] <= "2026-06-02T12:00:00.000Z"
    assert domain["checks"] == {
        "dkim": "VERIFIED",
        "returnPath": "VERIFIED",
        "spf": "VERIFIED",
        "dmarc": "VERIFIED",
        "mx": "VERIFIED",
        "tracking": "VERIFIED",
        "bimi": None,
    }
    (key,) = domain["dkim"]["keys"]
    assert (key["state"], key["activatedAt"]) == ("ACTIVE", "2026-06-01T12:00:00.000Z")
    events = await fetch(
        "SELECT type, data->>'domain' AS domain, data->'records'->0->>'status' AS first "
        "FROM events WHERE organization_id = {}",
        actor.organization_id,
    )
    assert events == [{"type": "domain.verified", "domain": "good.example", "first": "verified"}]
    actions = await fetch(
        "SELECT action FROM audit_entries WHERE target_id = {} ORDER BY id", made["uuid"]
    )
    assert [row["action"] for row in actions] == ["domain.created", "domain.verified"]


async def test_nothing_published_leaves_it_pending(client: Client, dns: DnsServer) -> None:
    actor = await make_actor()
    await create(client, actor, "empty.example")

    found = await verify(client, actor, "empty.example")

    assert by_purpose(found) == {
        "DKIM": ("PENDING", "No TXT record found."),
        "RETURN_PATH": ("PENDING", "No CNAME record found."),
        "SPF": ("PENDING", "No SPF record found."),
        "DMARC": ("PENDING", "No DMARC record found."),
    }
    assert (found["domain"]["status"], found["changed"]) == ("PENDING", [])


@pytest.mark.parametrize("only", [{"DKIM"}, {"RETURN_PATH"}, {"SPF", "DMARC"}])
async def test_key_and_return_path_are_both_needed(
    client: Client, dns: DnsServer, only: set[str]
) -> None:
    actor = await make_actor()
    await create(client, actor, "half.example")
    await publish(client, actor, dns, "half.example", only=only)

    found = await verify(client, actor, "half.example")

    assert found["domain"]["status"] == "PENDING"
    assert set(found["changed"]) == only


async def test_a_key_may_be_split_spaced_and_in_another_order(
    client: Client, dns: DnsServer
) -> None:
    actor = await make_actor()
    await create(client, actor, "split.example")
    await publish(client, actor, dns, "split.example")
    _, name, value = (await records_of(client, actor, "split.example"))["DKIM"]
    public = value.rpartition("p=")[2]
    # The fixture cuts a TXT value into strings of 255, in the middle of the key.
    dns.set(name, "TXT", f"k=rsa;p={public[:100]} {public[100:]} ; n=ours;")

    found = await verify(client, actor, "split.example")

    assert found["domain"]["status"] == "VERIFIED"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["v=DKIM1; k=rsa; p="], "The TXT record holds another key, or none."),
        (["v=DKIM1; k=rsa; p=AAAA"], "The TXT record holds another key, or none."),
        (["p=%%%"], "The TXT record holds another key, or none."),
        (["\0;;==\x01" * 300], "The TXT record holds another key, or none."),
        (["{key}", "v=DKIM1; p=AAAA"], "There are several TXT records; leave only this one."),
    ],
)
async def test_another_key_is_a_mismatch(
    client: Client, dns: DnsServer, values: list[str], message: str
) -> None:
    actor = await make_actor()
    await create(client, actor, "wrong.example")
    await publish(client, actor, dns, "wrong.example")
    _, name, value = (await records_of(client, actor, "wrong.example"))["DKIM"]
    dns.set(name, "TXT", *[text.replace("{key}", value) for text in values])

    found = await verify(client, actor, "wrong.example")

    assert by_purpose(found)["DKIM"] == ("MISMATCH", message)
    assert found["domain"]["status"] == "PENDING"


async def test_a_return_path_may_lead_over_other_aliases(client: Client, dns: DnsServer) -> None:
    actor = await make_actor()
    await create(client, actor, "chain.example")
    await publish(client, actor, dns, "chain.example")
    dns.set("bounce.chain.example", "CNAME", "a.dnshost.example")
    dns.set("a.dnshost.example", "CNAME", f"bounce.{HOST}")

    found = await verify(client, actor, "chain.example")

    (record,) = (r for r in found["records"] if r["purpose"] == "RETURN_PATH")
    assert record["status"] == "VERIFIED"
    assert record["found"] == ["a.dnshost.example", f"bounce.{HOST}"]


@pytest.mark.parametrize(
    ("aliases", "message"),
    [
        ({"bounce.loop.example": "bounce.loop.example"}, "does not lead"),
        ({"bounce.loop.example": "x.example", "x.example": "bounce.loop.example"}, "each other"),
        ({"bounce.loop.example": "elsewhere.example"}, "does not lead"),
    ],
)
async def test_an_alias_that_leads_elsewhere_is_a_mismatch(
    client: Client, dns: DnsServer, aliases: dict[str, str], message: str
) -> None:
    actor = await make_actor()
    await create(client, actor, "loop.example")
    for name, target in aliases.items():
        dns.set(name, "CNAME", target)

    status, said = by_purpose(await verify(client, actor, "loop.example"))["RETURN_PATH"]

    assert status == "MISMATCH"
    assert said is not None
    assert "alias" in said or "CNAME" in said


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (["v=spf1 include:_spf.mail.postlane.test ~all"], "VERIFIED"),
        (["V=SPF1 mx INCLUDE:_SPF.mail.postlane.test -all"], "VERIFIED"),
        (["v=spf1 include:deep.example -all"], "VERIFIED"),
        (["v=spf1 redirect=deep.example"], "VERIFIED"),
        (["v=spf1 +all"], "VERIFIED"),
        (["some text", "v=spf1 include:_spf.mail.postlane.test ~all"], "VERIFIED"),
        (["v=spf1 include:_spf.mail.postlane.test", "v=spf1 -all"], "MISMATCH"),
        (["v=spf1 -all include:_spf.mail.postlane.test"], "MISMATCH"),
        (["v=spf1 ?include:_spf.mail.postlane.test -all"], "MISMATCH"),
        (["v=spf1 include:absent.example -all"], "MISMATCH"),
        (["v=spf1 include:self.example -all"], "MISMATCH"),
        (["v=spf1 nonsense:x include:_spf.mail.postlane.test -all"], "MISMATCH"),
        (["v=spf1 ip4:300.1.1.1 include:_spf.mail.postlane.test -all"], "MISMATCH"),
        (["v=spf1 " + "a:a.example " * 10 + "include:_spf.mail.postlane.test"], "MISMATCH"),
        (["v=spf1 ip4:192.0.2.0/24 -all"], "MISMATCH"),
        (["v=spf10 include:_spf.mail.postlane.test"], "PENDING"),
        (["spf"], "PENDING"),
    ],
)
async def test_spf_is_one_record_that_lets_us_send(
    client: Client, dns: DnsServer, values: list[str], status: str
) -> None:
    actor = await make_actor()
    await create(client, actor, "spf.example")
    dns.set(f"_spf.{HOST}", "TXT", "v=spf1 ip4:192.0.2.0/24 -all")
    dns.set("deep.example", "TXT", f"v=spf1 a include:_spf.{HOST} -all")
    dns.set("deep.example", "A", "192.0.2.9")
    dns.set("a.example", "A", "192.0.2.9")
    dns.set("self.example", "TXT", "v=spf1 include:self.example -all")
    dns.set("spf.example", "MX", "10 a.example")
    dns.set("spf.example", "TXT", *values)

    found = await verify(client, actor, "spf.example", purposes=["SPF"])

    assert [(r["purpose"], r["status"]) for r in found["records"]] == [("SPF", status)]


@pytest.mark.parametrize(
    ("name", "values", "status"),
    [
        ("_dmarc.mail.dm.example", ["v=DMARC1; p=none"], "VERIFIED"),
        ("_dmarc.dm.example", ["v=DMARC1;p=reject;sp=none"], "VERIFIED"),
        ("_dmarc.mail.dm.example", ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "MISMATCH"),
        ("_dmarc.mail.dm.example", ["v=DMARC1; rua=mailto:a@b.example"], "MISMATCH"),
        ("_dmarc.mail.dm.example", ["v=DMARC1; p=maybe"], "MISMATCH"),
        ("_dmarc.mail.dm.example", ["p=none; v=DMARC1"], "PENDING"),
        ("_dmarc.example", ["v=DMARC1; p=none"], "PENDING"),
    ],
)
async def test_dmarc_is_one_record_here_or_at_the_registered_domain(
    client: Client, dns: DnsServer, name: str, values: list[str], status: str
) -> None:
    actor = await make_actor()
    await create(client, actor, "mail.dm.example")
    dns.set(name, "TXT", *values)

    found = await verify(client, actor, "mail.dm.example", purposes=["DMARC"])

    assert [r["status"] for r in found["records"]] == [status]


async def test_a_recent_check_is_answered_again(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    await create(client, actor, "cached.example")
    await verify(client, actor, "cached.example")
    await publish(client, actor, dns, "cached.example")
    asked = sum(dns.queries.values())

    with clock.frozen(frozen + timedelta(seconds=29)):
        soon = await verify(client, actor, "cached.example")
    with clock.frozen(frozen + timedelta(seconds=30)):
        late = await verify(client, actor, "cached.example")

    assert (soon["cached"], soon["domain"]["status"]) == (True, "PENDING")
    assert (late["cached"], late["domain"]["status"]) == (False, "VERIFIED")
    assert sum(dns.queries.values()) > asked


async def test_a_missing_record_degrades_and_later_fails(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    await create(client, actor, "fading.example")
    await publish(client, actor, dns, "fading.example")
    await verify(client, actor, "fading.example")
    dns.set("bounce.fading.example", "CNAME")

    hour = 3600
    first = await later(1 * hour, client, actor, "fading.example")
    last = await later(72 * hour, client, actor, "fading.example")
    over = await later(73 * hour, client, actor, "fading.example")
    await publish(client, actor, dns, "fading.example")
    healed = await later(74 * hour, client, actor, "fading.example")

    states = [(f["domain"]["status"], f["domain"]["canSend"]) for f in (first, last, over, healed)]
    assert states == [
        ("DEGRADED", True),
        ("DEGRADED", True),
        ("FAILED", False),
        ("VERIFIED", True),
    ]
    assert first["domain"]["degradedAt"] == "2026-06-01T13:00:00.000Z"
    assert first["domain"]["nextCheckAt"] == "2026-06-01T14:00:00.000Z"
    events = await fetch(
        "SELECT type FROM events WHERE organization_id = {} ORDER BY position",
        actor.organization_id,
    )
    assert [row["type"] for row in events] == [
        "domain.verified",
        "domain.degraded",
        "domain.failed",
        "domain.verified",
    ]


@pytest.mark.parametrize("how", ["SERVFAIL", "REFUSED"])
async def test_a_failing_name_server_never_demotes(
    client: Client, dns: DnsServer, frozen: datetime, how: str
) -> None:
    actor, name = await make_actor(), f"{how.lower()}.example"
    await create(client, actor, name)
    await publish(client, actor, dns, name)
    await verify(client, actor, name)
    for lame in (f"pmta._domainkey.{name}", f"bounce.{name}", name, f"_dmarc.{name}"):
        dns.fail(lame, how)

    found = await later(100 * 3600, client, actor, name)

    assert {status for status, _ in by_purpose(found).values()} == {"ERROR"}
    assert found["domain"]["status"] == "VERIFIED"


async def test_an_error_beside_a_missing_record_demotes(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    await create(client, actor, "partly.example")
    await publish(client, actor, dns, "partly.example")
    await verify(client, actor, "partly.example")
    dns.fail("pmta._domainkey.partly.example", "SERVFAIL")
    dns.set("bounce.partly.example", "CNAME")

    found = await later(3600, client, actor, "partly.example")

    assert found["domain"]["status"] == "DEGRADED"


@pytest.mark.slow
async def test_no_answer_at_all_changes_nothing_and_comes_in_time(
    client: Client, dns: DnsServer
) -> None:
    actor = await make_actor()
    await create(client, actor, "silent.example")
    for name in (
        HOST,
        "pmta._domainkey.silent.example",
        "bounce.silent.example",
        "silent.example",
        "_dmarc.silent.example",
    ):
        dns.fail(name, "TIMEOUT")
    started = time.monotonic()

    code = await client.refusal(
        VERIFY, {"input": {"domain": {"name": "silent.example"}}}, actor=actor
    )

    assert code == "DNS_UNAVAILABLE"
    assert time.monotonic() - started < 10
    rows = await fetch(
        "SELECT last_checked_at FROM domains WHERE organization_id = {}", actor.organization_id
    )
    assert rows == [{"last_checked_at": None}]


@pytest.mark.slow
async def test_a_slow_chain_is_given_up_in_time(client: Client, dns: DnsServer) -> None:
    actor = await make_actor()
    await create(client, actor, "slow.example")
    dns.set("slow.example", "TXT", "v=spf1 include:one.example include:two.example -all")
    dns.set("one.example", "TXT", "v=spf1 a:three.example -all")
    dns.fail("three.example", "TIMEOUT")
    dns.fail("two.example", "TIMEOUT")
    started = time.monotonic()

    found = await verify(client, actor, "slow.example")

    assert by_purpose(found)["SPF"][0] == "ERROR"
    assert time.monotonic() - started < 10


async def test_of_two_that_prove_the_same_one_wins(client: Client, dns: DnsServer) -> None:
    actors = [await make_actor() for _ in range(2)]
    for number, actor in enumerate(actors):
        await create(client, actor, "race.example", dkimSelector=f"s{number}")
        await publish(client, actor, dns, "race.example")

    answers = await asyncio.gather(
        *(
            client.graphql(VERIFY, {"input": {"domain": {"name": "race.example"}}}, actor=actor)
            for actor in actors
        )
    )

    codes = sorted(
        answer["errors"][0]["extensions"]["code"] if "errors" in answer else "won"
        for answer in answers
    )
    assert codes == ["DOMAIN_CLAIMED", "won"]
    rows = await fetch("SELECT status FROM domains WHERE name = 'race.example' ORDER BY status")
    assert [row["status"] for row in rows] == ["pending", "verified"]
    keys = await fetch(
        "SELECT state FROM dkim_keys JOIN domains ON domains.id = domain_id "
        "WHERE name = 'race.example' ORDER BY state"
    )
    assert [row["state"] for row in keys] == ["active", "pending"]


async def test_a_claimed_domain_is_refused_again_within_the_cached_time(
    client: Client, dns: DnsServer
) -> None:
    owner, late = await make_actor(), await make_actor()
    for number, actor in enumerate((owner, late)):
        await create(client, actor, "claimed.example", dkimSelector=f"s{number}")
        await publish(client, actor, dns, "claimed.example")
    await verify(client, owner, "claimed.example")
    sent = {"input": {"domain": {"name": "claimed.example"}}}

    codes = [await client.refusal(VERIFY, sent, actor=late) for _ in range(2)]

    assert codes == ["DOMAIN_CLAIMED", "DOMAIN_CLAIMED"]


async def test_a_strangers_domain_is_not_there(client: Client, dns: DnsServer) -> None:
    owner, stranger = await make_actor(), await make_actor()
    made = await create(client, owner, "private.example")

    for ref in ({"name": "private.example"}, {"id": made["id"]}, {"id": made["uuid"]}):
        code = await client.refusal(VERIFY, {"input": {"domain": ref}}, actor=stranger)
        assert code == "NOT_FOUND"


async def test_a_verified_domain_signs_with_its_key(client: Client, dns: DnsServer) -> None:
    actor = await make_actor()
    await create(client, actor, "signing.example", dkimAlgorithms=["RSA_2048", "ED25519"])
    rows = await fetch("SELECT id FROM domains WHERE name = 'signing.example'")
    await publish(client, actor, dns, "signing.example")
    for kind, name, value in [
        (r["type"], r["name"], r["value"])
        for r in await fetch(
            "SELECT type, name, value FROM domain_records WHERE domain_id = {}", rows[0]["id"]
        )
    ]:
        dns.set(name, kind, value)
    await verify(client, actor, "signing.example")

    keys = (await signing_keys([rows[0]["id"]]))[rows[0]["id"]]

    assert [(k.domain, k.selector, k.algorithm) for k in keys] == [
        ("signing.example", "pmta", "rsa-2048"),
        ("signing.example", "pmtaed", "ed25519"),
    ]
    assert all(k.private_pem.startswith(b"-----BEGIN PRIVATE KEY-----") for k in keys)


async def test_the_seventh_check_within_a_minute_is_refused(client: Client, dns: DnsServer) -> None:
    actor = await make_actor()
    name = "often.example"
    await create(client, actor, name)
    for _ in range(6):
        await verify(client, actor, name)

    refusal = await client.refusal(VERIFY, {"input": {"domain": {"name": name}}}, actor=actor)

    assert refusal == "RATE_LIMITED"


async def test_every_address_of_an_active_vmta_has_to_pass(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    await create(client, actor, "addresses.example")
    await publish(client, actor, dns, "addresses.example")
    for number, address in enumerate(("192.0.2.10", "203.0.113.10")):
        await Vmta(
            organization_id=actor.organization_id,
            name=f"v{number}",
            hostname=f"v{number}.example",
            ip_address=address,
        ).save()

    ours_only = await verify(client, actor, "addresses.example", purposes=["SPF"])
    dns.set("addresses.example", "TXT", f"v=spf1 include:_spf.{HOST} ip4:203.0.113.10 -all")
    both = await later(60, client, actor, "addresses.example")

    assert by_purpose(ours_only)["SPF"] == (
        "MISMATCH",
        "The record does not authorise 203.0.113.10.",
    )
    assert by_purpose(both)["SPF"] == ("VERIFIED", None)


DMARC = """
    query { organization { domain(ref: {name: "asks.example"}) { dmarc {
      policy subdomainPolicy percent isEnforced subdomainsAligned returnPathAligned
    } } } }
"""


async def test_what_dmarc_asks_for_is_shown(client: Client, dns: DnsServer) -> None:
    actor = await make_actor()
    await create(client, actor, "asks.example")
    unknown = await client.data(DMARC, actor=actor)
    dns.set("_dmarc.asks.example", "TXT", "v=DMARC1; p=quarantine; pct=20; adkim=s; rua=junk")

    record = by_purpose(await verify(client, actor, "asks.example"))["DMARC"]
    known = await client.data(DMARC, actor=actor)

    assert unknown["organization"]["domain"]["dmarc"] is None
    assert record == ("VERIFIED", "Receivers ignore what is malformed: rua.")
    assert known["organization"]["domain"]["dmarc"] == {
        "policy": "QUARANTINE",
        "subdomainPolicy": "QUARANTINE",
        "percent": 20,
        "isEnforced": False,
        "subdomainsAligned": False,
        "returnPathAligned": True,
    }
