"""What checks of a domain found, over time."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.domains.work import check, remove_old_checks
from tests.client import Client
from tests.dns_server import DnsServer
from tests.domains.setup import create, publish, verify
from tests.factories import make_actor

CHECKS = """
    query ($domain: DomainRef, $first: Int, $after: String) { organization {
      domainChecks(domain: $domain, first: $first, after: $after) {
        nodes { domainUuid status times firstAt lastAt results { purpose name status message } }
        pageInfo { hasNextPage endCursor }
      } } }
"""


async def checks(client: Client, actor: Actor, **values: Any) -> dict[str, Any]:
    data = await client.data(CHECKS, values, actor=actor)
    found: dict[str, Any] = data["organization"]["domainChecks"]
    return found


async def test_each_change_is_kept_and_what_stays_is_counted(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    made = await create(client, actor, "story.example")
    for minutes in (1, 2, 3):
        with clock.frozen(frozen + timedelta(minutes=minutes)):
            await verify(client, actor, "story.example")
    await publish(client, actor, dns, "story.example")
    with clock.frozen(frozen + timedelta(minutes=4)):
        await verify(client, actor, "story.example")

    found = (await checks(client, actor, domain={"name": "story.example"}))["nodes"]

    assert [(c["status"], c["times"], c["firstAt"], c["lastAt"]) for c in found] == [
        ("VERIFIED", 1, "2026-06-01T12:04:00.000Z", "2026-06-01T12:04:00.000Z"),
        ("PENDING", 3, "2026-06-01T12:01:00.000Z", "2026-06-01T12:03:00.000Z"),
    ]
    assert {c["domainUuid"] for c in found} == {made["uuid"]}
    assert found[1]["results"][0] == {
        "purpose": "DKIM",
        "name": "pmta._domainkey.story.example",
        "status": "PENDING",
        "message": "No TXT record found.",
    }


async def test_the_background_check_is_kept_too_and_pages_follow_each_other(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    for name in ("one.example", "two.example"):
        made = await create(client, actor, name)
        with clock.frozen(frozen + timedelta(minutes=1)):
            await check(uuid.UUID(made["uuid"]))

    first = await checks(client, actor, first=1)
    second = await checks(client, actor, first=1, after=first["pageInfo"]["endCursor"])

    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    seen = [page["nodes"][0]["results"][0]["name"] for page in (first, second)]
    assert seen == ["pmta._domainkey.two.example", "pmta._domainkey.one.example"]


async def test_a_stranger_sees_no_check(client: Client, dns: DnsServer, frozen: datetime) -> None:
    actor, stranger = await make_actor(), await make_actor()
    await create(client, actor, "hidden.example")
    await verify(client, actor, "hidden.example")

    assert (await checks(client, stranger))["nodes"] == []
    sent = {"domain": {"name": "hidden.example"}}
    assert await client.refusal(CHECKS, sent, actor=stranger) == "NOT_FOUND"


async def test_old_checks_are_forgotten_but_for_the_last(
    client: Client, dns: DnsServer, frozen: datetime
) -> None:
    actor = await make_actor()
    made = await create(client, actor, "old.example")
    await verify(client, actor, "old.example")
    await publish(client, actor, dns, "old.example")
    with clock.frozen(frozen + timedelta(minutes=1)):
        await verify(client, actor, "old.example")

    with clock.frozen(frozen + timedelta(days=91)):
        await remove_old_checks()

    rows = await fetch(
        "SELECT status FROM domain_checks WHERE domain_id = {}", uuid.UUID(made["uuid"])
    )
    assert rows == [{"status": "verified"}]
