"""What a customer does with a domain after the first day, typed with curl."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import dkim
import dns.resolver
import pytest

from tests.parts import CURL, needs

from .matching import DKIM, TIME, UUID
from .shop import Shop, sign_up, verify
from .stack import World

pytestmark = [pytest.mark.slow, needs(CURL)]

KEYS_READ_AGAIN = 6.0
"""Seconds after which every worker signs with the keys of now."""


@pytest.fixture(scope="module")
async def shop(world: World) -> Shop:
    """Somebody with a verified domain."""
    owner = await sign_up(world)
    name = world.name()
    domain = (await owner("POST", "/api/v1/domains", {"domain": name}, status=201)).body
    records = world.publish(domain["records"])
    assert (await verify(owner, domain["id"]))["can_send"] is True
    return Shop(world, owner, owner, name, domain["id"], "", records)


async def signed_mail(shop: Shop) -> tuple[str, bytes]:
    """Send a message and return the selector of its signature, and its bytes as they came."""
    to = f"ada@{shop.world.name()}"
    await shop.curl("POST", "/api/v1/messages/send", shop.message(to), status=202)
    (received,) = await shop.world.mail_for(to)
    (selector,) = re.findall(rb"\bs=([\w.-]+);", received.data)
    return selector.decode(), received.data


def is_genuine(world: World, message: bytes) -> bool:
    """Return what a receiver says who asks the DNS over the network."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [world.dns.address]
    resolver.port = world.dns.port

    def look_up(name: bytes, timeout: int = 5) -> bytes | None:
        try:
            answer = resolver.resolve(name.decode(), "TXT", lifetime=timeout)
        except dns.resolver.NXDOMAIN:
            return None
        return b"".join(answer[0].strings)

    verified: bool = dkim.verify(message, dnsfunc=look_up)
    return verified


async def test_a_key_is_replaced_and_no_mail_is_ever_without_a_record(shop: Shop) -> None:
    world, path = shop.world, f"/api/v1/domains/{shop.domain_id}"
    first, before = await signed_mail(shop)

    rotating = (await shop.curl("POST", f"{path}/rotate-dkim", {})).body
    old, new = rotating["dkim"]["keys"]
    again = await shop.curl("POST", f"{path}/rotate-dkim", {}, status=409)
    unpublished = (await shop.curl("POST", f"{path}/verify", {})).body
    await asyncio.sleep(KEYS_READ_AGAIN)
    second, meanwhile = await signed_mail(shop)

    assert (first, old["state"], new["state"]) == ("pmta", "active", "pending")
    assert again.code == "rotation_in_progress"
    assert unpublished["can_send"] is True
    # Nobody could look the new key up yet.
    assert (second, is_genuine(world, meanwhile)) == ("pmta", True)

    world.publish([each for each in rotating["records"] if each["purpose"] == "dkim"])
    seen = unpublished
    # The answer of the last half minute is given again.
    while seen["cached"] or seen is unpublished:
        await asyncio.sleep(11)
        seen = (await shop.curl("POST", f"{path}/verify", {"records": ["dkim"]})).body
    domain = (await shop.curl("GET", path)).body
    await asyncio.sleep(KEYS_READ_AGAIN)
    third, after = await signed_mail(shop)

    assert seen["changed"] == ["dkim"]
    assert domain["dkim"]["keys"] == [
        {**old, "state": "retiring", "retires_at": TIME},
        {**new, "state": "active", "activated_at": TIME},
    ]
    assert [
        (each["name"], each["value"], each["required"], each["status"])
        for each in domain["records"]
        if each["purpose"] == "dkim"
    ] == [
        (f"pmta._domainkey.{shop.domain}", DKIM, False, "verified"),
        (f"{new['selector']}._domainkey.{shop.domain}", DKIM, True, "verified"),
    ]
    assert third == new["selector"] != "pmta"
    # Both keys are published, so mail that was on its way is as genuine as the newest.
    assert [is_genuine(world, each) for each in (before, meanwhile, after)] == [True, True, True]
    assert is_genuine(world, after.replace(b"Hello!", b"Hullo!")) is False


async def test_a_logo_is_set_up_and_what_is_wrong_with_it_is_told(shop: Shop) -> None:
    """The machine's metadata service is what a stranger would like to see."""
    path = f"/api/v1/domains/{shop.domain_id}/bimi"
    shop.world.dns.set("metadata.example", "A", "169.254.169.254")
    literal = {"logo_url": "https://169.254.169.254/logo.svg"}
    named = {"logo_url": "https://metadata.example/logo.svg"}

    refused = await shop.curl("PUT", path, literal, status=422)
    told = (await shop.curl("PUT", path, named)).body
    off = (await shop.curl("PUT", path, {"enabled": False, "logo_url": None})).body

    assert [(each["field"], each["code"]) for each in refused.body["error"]["details"]] == [
        ("logo_url", "not_public_ip")
    ]
    assert told["bimi"] == {
        "enabled": True,
        "selector": "default",
        "logo_url": named["logo_url"],
        "vmc_url": None,
        "status": "invalid",
        "vmc_expires_at": None,
        "issues": [
            {
                "code": "dmarc_not_enforced",
                "message": "DMARC policy is p=none; BIMI needs quarantine or reject.",
            },
            {
                "code": "logo_unreachable",
                "message": "The logo: metadata.example is not a public address.",
            },
        ],
        "record": {
            "purpose": "bimi",
            "type": "TXT",
            "name": f"default._bimi.{shop.domain}",
            "value": f"v=BIMI1; l={named['logo_url']}",
            "ttl": 3600,
            "required": False,
            "status": "pending",
            "found": [],
            "message": "No TXT record found.",
            "checked_at": TIME,
        },
        "checked_at": TIME,
    }
    assert (off["bimi"]["status"], off["bimi"]["logo_url"]) == ("disabled", None)


async def test_a_plan_allows_one_domain_and_strangers_reach_none(world: World, shop: Shop) -> None:
    stranger = await sign_up(world)
    path = f"/api/v1/domains/{shop.domain_id}"

    beyond = await shop.curl("POST", "/api/v1/domains", {"domain": world.name()}, status=403)
    answers = [
        await stranger("GET", path, status=404),
        await stranger("GET", f"/api/v1/domains/{shop.domain}", status=404),
        await stranger("POST", f"{path}/verify", {}, status=404),
        await stranger("POST", f"{path}/rotate-dkim", {}, status=404),
        await stranger("PUT", f"{path}/bimi", {"enabled": False}, status=404),
        await stranger("DELETE", path, status=404),
        await stranger("POST", "/api/v1/domains", {"domain": shop.domain}, status=409),
    ]

    assert beyond.code == "feature_not_in_plan"
    assert [each.code for each in answers] == ["not_found"] * 6 + ["domain_claimed"]


async def test_a_domain_whose_mail_is_on_its_way_stays_unless_forced(world: World) -> None:
    owner = await sign_up(world)
    name = world.name()
    domain = (await owner("POST", "/api/v1/domains", {"domain": name}, status=201)).body
    world.publish(domain["records"])
    await verify(owner, domain["id"])
    path = f"/api/v1/domains/{domain['id']}"
    message = {"from": f"shop@{name}", "to": ["ada@example.net"], "subject": "Hello", "text": "Hi."}
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    later = {**message, "send_at": tomorrow.isoformat()}
    sent = await owner("POST", "/api/v1/messages/send", later, status=202)

    kept = await owner("DELETE", path, status=409)
    gone = await owner("DELETE", f"{path}?force=true")

    assert kept.code == "domain_in_use"
    assert gone.body == {"id": UUID, "deleted": True, "cancelled_messages": 1}
    found = (await owner("GET", f"/api/v1/messages/{sent.body['id']}")).body
    assert found["status"] == "cancelled"
    assert (await owner("GET", path, status=404)).code == "not_found"
    refused = await owner("POST", "/api/v1/messages/send", message, status=403)
    assert refused.code == "domain_not_verified"
