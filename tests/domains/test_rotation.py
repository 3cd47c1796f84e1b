"""Replacing DKIM keys: mail is never signed with a key nobody can look up."""

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

import dkim
import pytest
from dns.resolver import NXDOMAIN, Resolver

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.crypto import SealBroken, unseal
from postlane.core.database import fetch
from postlane.domains.work import KEYS_FRESH_SECONDS, check, due_for_check, signing_keys
from postlane.mail.dkim import sign
from tests.client import Client
from tests.dns_server import DnsServer
from tests.domains.setup import ROTATE, create, publish, rotate, verify
from tests.factories import make_actor


async def verified(client: Client, dns: DnsServer, name: str, **values: Any) -> Actor:
    """Return an actor whose domain *name* is verified."""
    actor = await make_actor()
    await create(client, actor, name, **values)
    await publish(client, actor, dns, name)
    found = await verify(client, actor, name)
    assert found["domain"]["status"] == "VERIFIED"
    return actor


async def stored_keys(name: str) -> list[tuple[str, str, bool]]:
    """Return selector, state and whether there is a private key, oldest first."""
    rows = await fetch(
        "SELECT selector, state, private_key IS NOT NULL AS has_private FROM dkim_keys "
        "JOIN domains ON domains.id = domain_id WHERE name = {} ORDER BY dkim_keys.id",
        name,
    )
    return [(row["selector"], row["state"], row["has_private"]) for row in rows]


async def code_of(client: Client, actor: Actor, name: str, **values: Any) -> tuple[str, Any]:
    """Return the code of a refused rotation, and the field it names."""
    sent = {"input": {"domain": {"name": name}} | values}
    body = await client.graphql(ROTATE, sent, actor=actor)
    found = body["errors"][0]["extensions"]
    return found["code"], [detail["field"] for detail in found.get("details", [])]


async def test_a_new_key_waits_for_its_record(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await verified(client, dns, "waits.example")

    domain = await rotate(client, actor, "waits.example")

    assert (domain["status"], domain["canSend"]) == ("VERIFIED", True)
    assert domain["dkim"]["keys"] == [
        {"selector": "pmta", "algorithm": "RSA_2048", "state": "ACTIVE"},
        {"selector": "pmta20260601", "algorithm": "RSA_2048", "state": "PENDING"},
    ]
    shown = [(r["name"], r["status"]) for r in domain["records"] if r["purpose"] == "DKIM"]
    assert shown == [
        ("pmta._domainkey.waits.example", "VERIFIED"),
        ("pmta20260601._domainkey.waits.example", "PENDING"),
    ]
    with clock.frozen(frozen + timedelta(minutes=1)):
        found = await verify(client, actor, "waits.example")
    assert (found["cached"], found["domain"]["status"]) == (False, "VERIFIED")
    assert found["domain"]["checks"]["dkim"] == "VERIFIED"
    assert await stored_keys("waits.example") == [
        ("pmta", "active", True),
        ("pmta20260601", "pending", True),
    ]


async def test_the_switch_retires_the_old_key_and_the_overlap_destroys_it(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await verified(client, dns, "switch.example")
    domain = await rotate(client, actor, "switch.example", overlapSeconds=86_400)
    rows = await fetch(
        "SELECT r.name, value FROM domain_records r JOIN domains d ON d.id = domain_id "
        "WHERE d.name = 'switch.example' AND purpose = 'dkim'"
    )
    for row in rows:
        dns.set(row["name"], "TXT", row["value"])
    assert domain["status"] == "VERIFIED"

    with clock.frozen(frozen + timedelta(hours=1)):
        found = await verify(client, actor, "switch.example")
    assert [(k["selector"], k["state"]) for k in found["domain"]["dkim"]["keys"]] == [
        ("pmta", "RETIRING"),
        ("pmta20260601", "ACTIVE"),
    ]
    assert found["domain"]["dkim"]["keys"][0]["retiresAt"] == "2026-06-02T13:00:00.000Z"
    assert await stored_keys("switch.example") == [
        ("pmta", "retiring", True),
        ("pmta20260601", "active", True),
    ]
    domain_id = (await fetch("SELECT id FROM domains WHERE name = 'switch.example'"))[0]["id"]

    with clock.frozen(frozen + timedelta(hours=25)):
        assert domain_id in await due_for_check(limit=1000)
        await check(domain_id)
        assert await stored_keys("switch.example") == [
            ("pmta", "retired", False),
            ("pmta20260601", "active", True),
        ]
        records = await fetch(
            "SELECT name FROM domain_records WHERE domain_id = {} AND purpose = 'dkim'", domain_id
        )
        assert [row["name"] for row in records] == ["pmta20260601._domainkey.switch.example"]
    events = await fetch(
        "SELECT data->>'selector' AS selector, data->>'previous_selector' AS previous "
        "FROM events WHERE organization_id = {} AND type = 'domain.dkim_rotated'",
        actor.organization_id,
    )
    assert events == [{"selector": "pmta20260601", "previous": "pmta"}]
    actions = await fetch(
        "SELECT action FROM audit_entries WHERE target_id = {} ORDER BY id", str(domain_id)
    )
    assert [row["action"] for row in actions] == [
        "domain.created",
        "domain.verified",
        "domain.dkim_rotation_started",
        "domain.dkim_rotated",
    ]


async def test_one_rotation_at_a_time_unless_forced(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await verified(client, dns, "forced.example")
    await rotate(client, actor, "forced.example")

    assert await code_of(client, actor, "forced.example") == ("ROTATION_IN_PROGRESS", [])
    await rotate(client, actor, "forced.example", force=True)

    assert await stored_keys("forced.example") == [
        ("pmta", "active", True),
        ("pmta20260601", "retired", False),
        ("pmta20260601a", "pending", True),
    ]


async def test_a_selector_is_never_used_again(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await verified(client, dns, "used.example")
    await rotate(client, actor, "used.example", selector="second")
    await rotate(client, actor, "used.example", selector="third", force=True)

    for selector in ("pmta", "SECOND", "third"):
        code = await code_of(client, actor, "used.example", selector=selector, force=True)
        assert code == ("SELECTOR_IN_USE", [])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"selector": "a b"}, "selector"),
        ({"selector": ""}, "selector"),
        ({"overlapSeconds": 86_399}, "overlapSeconds"),
        ({"overlapSeconds": 2_592_001}, "overlapSeconds"),
    ],
)
async def test_a_wrong_rotation_names_the_field(
    client: Client, dns: DnsServer, values: dict[str, Any], field: str
) -> None:
    actor = await make_actor()
    await create(client, actor, "fields.example")

    assert await code_of(client, actor, "fields.example", **values) == ("INVALID_INPUT", [field])


async def test_two_rotations_at_once_make_one_key(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await verified(client, dns, "twice.example")
    sent = {"input": {"domain": {"name": "twice.example"}}}

    answers = await asyncio.gather(*(client.graphql(ROTATE, sent, actor=actor) for _ in range(3)))

    codes = sorted(
        a["errors"][0]["extensions"]["code"] if "errors" in a else "done" for a in answers
    )
    assert codes == ["ROTATION_IN_PROGRESS", "ROTATION_IN_PROGRESS", "done"]
    assert len(await stored_keys("twice.example")) == 2


async def test_another_kind_of_key_is_added_beside(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await verified(client, dns, "kinds.example")

    await rotate(client, actor, "kinds.example", algorithm="ED25519")
    await publish(client, actor, dns, "kinds.example")

    with clock.frozen(frozen + timedelta(minutes=1)):
        found = await verify(client, actor, "kinds.example")
    assert [(k["selector"], k["state"]) for k in found["domain"]["dkim"]["keys"]] == [
        ("pmta", "ACTIVE"),
        ("pmtaed20260601", "ACTIVE"),
    ]


async def test_keys_are_prepared_as_often_as_asked(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    await verified(client, dns, "regular.example", dkimRotationDays=30)
    domain_id = (await fetch("SELECT id FROM domains WHERE name = 'regular.example'"))[0]["id"]

    with clock.frozen(frozen + timedelta(days=1)):
        await check(domain_id)
    assert len(await stored_keys("regular.example")) == 1
    with clock.frozen(frozen + timedelta(days=30)):
        await asyncio.gather(*(check(domain_id) for _ in range(3)))

    assert await stored_keys("regular.example") == [
        ("pmta", "active", True),
        ("pmta20260701", "pending", True),
    ]
    rows = await fetch("SELECT next_rotation_at FROM domains WHERE id = {}", domain_id)
    assert rows[0]["next_rotation_at"] == frozen + timedelta(days=60)


async def test_private_keys_are_sealed_and_shown_nowhere(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    await verified(client, dns, "secret.example")

    rows = await fetch(
        "SELECT private_key FROM dkim_keys JOIN domains ON domains.id = domain_id "
        "WHERE name = 'secret.example'"
    )
    sealed = rows[0]["private_key"]
    assert b"PRIVATE" not in sealed
    assert unseal(sealed, purpose="dkim").startswith(b"-----BEGIN PRIVATE KEY-----")
    with pytest.raises(SealBroken):
        unseal(sealed, purpose="another")
    schema = await client.graphql(
        "{ __schema { types { name fields { name } } } }", actor=await make_actor()
    )
    shown = {
        f"{kind['name']}.{field['name']}"
        for kind in schema["data"]["__schema"]["types"]
        for field in kind["fields"] or ()
    }
    assert not {name for name in shown if "private" in name.lower()}
    entries = await fetch("SELECT changes::text AS text FROM audit_entries")
    told = await fetch("SELECT data::text AS text FROM events")
    assert not [row for row in (*entries, *told) if "PRIVATE" in row["text"]]


MAIL = (
    b"From: shop@%b\r\nTo: ada@example.net\r\nSubject: Hello\r\n"
    b"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\n\r\nHello.\r\n"
)


async def signed_now(name: str, domain_id: uuid.UUID) -> bytes:
    """Return a message as a worker signs it that reads its keys now."""
    await asyncio.sleep(KEYS_FRESH_SECONDS + 0.1)
    return sign(MAIL % name.encode(), (await signing_keys([domain_id]))[domain_id])


def is_genuine(server: DnsServer, message: bytes) -> bool:
    """Return what a receiver says that asks the DNS over the network."""
    resolver = Resolver(configure=False)
    resolver.nameservers, resolver.port = [server.address], server.port

    def look_up(name: bytes, timeout: int = 5) -> bytes | None:
        try:
            found = resolver.resolve(name.decode(), "TXT", lifetime=timeout)
        except NXDOMAIN:
            return None
        return b"".join(found[0].strings)

    verified: bool = dkim.verify(message, dnsfunc=look_up)
    return verified


@pytest.mark.slow
async def test_mail_signed_before_the_switch_is_genuine_until_its_record_goes(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor, name = await verified(client, dns, "overlap.example"), "overlap.example"
    domain_id = (await fetch("SELECT id FROM domains WHERE name = {}", name))[0]["id"]
    before = await signed_now(name, domain_id)
    rotating = await rotate(client, actor, name, overlapSeconds=86_400)
    waiting = await signed_now(name, domain_id)
    await publish(client, actor, dns, name)
    with clock.frozen(frozen + timedelta(minutes=1)):
        await verify(client, actor, name)
    after = await signed_now(name, domain_id)

    new = rotating["dkim"]["keys"][1]["selector"]
    assert [b"s=pmta;" in each for each in (before, waiting, after)] == [True, True, False]
    assert f"s={new};".encode() in after
    assert [is_genuine(dns, each) for each in (before, waiting, after)] == [True, True, True]

    # The job destroys the old key after the overlap; its record may go, and then does.
    with clock.frozen(frozen + timedelta(days=1, minutes=2)):
        await check(domain_id)
    assert await stored_keys(name) == [("pmta", "retired", False), (new, "active", True)]
    assert [is_genuine(dns, each) for each in (before, after)] == [True, True]
    dns.set(f"pmta._domainkey.{name}", "TXT")
    assert [is_genuine(dns, each) for each in (before, after)] == [False, True]


async def test_a_domain_that_was_never_verified_has_a_rotation_under_way(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    """Its first key waits for its record; with force it is replaced before it ever signed."""
    actor = await make_actor()
    await create(client, actor, "unverified.example")

    assert await code_of(client, actor, "unverified.example") == ("ROTATION_IN_PROGRESS", [])
    domain = await rotate(client, actor, "unverified.example", force=True)
    await publish(client, actor, dns, "unverified.example")
    found = await verify(client, actor, "unverified.example")

    assert [(k["selector"], k["state"]) for k in domain["dkim"]["keys"]] == [
        ("pmta", "RETIRED"),
        ("pmta20260601", "PENDING"),
    ]
    assert [r["name"] for r in domain["records"] if r["purpose"] == "DKIM"] == [
        "pmta20260601._domainkey.unverified.example"
    ]
    assert found["domain"]["status"] == "VERIFIED"
    assert await stored_keys("unverified.example") == [
        ("pmta", "retired", False),
        ("pmta20260601", "active", True),
    ]
