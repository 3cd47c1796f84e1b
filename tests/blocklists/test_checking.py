"""Asking lists on demand: what they say, what is kept of it, what is refused."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from postlane.blocklists.catalogue import check_settings
from postlane.blocklists.work import test_lists as run_tests
from postlane.core import clock
from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.core.settings import SettingsError, settings
from tests.billing.setup import settings_with
from tests.client import Client
from tests.dns_server import DnsServer
from tests.factories import make_actor

from .zones import ZONES, list_subject, public_address, publish_test_points

CHECK = """
    mutation ($input: CheckBlocklistsInput!) { checkBlocklists(input: $input) {
      subject listed listedCount checkedCount errorCount vmtaUuid
      results { zone status codes meaning reason cached } } }
"""
CLEAR = """
    mutation ($input: ClearBlocklistCacheInput!) { clearBlocklistCache(input: $input) { cleared } }
"""
ZEN, SPAMCOP = ZONES


@pytest.fixture
def lists(dns: DnsServer) -> Iterator[DnsServer]:
    """A deployment that asks two lists, which have their test points; no test was made yet."""
    with settings_with(blocklists=",".join(ZONES)):
        for zone in ZONES:
            publish_test_points(dns, zone)
        yield dns


@pytest.fixture(autouse=True)
async def untested(database: None) -> None:
    await fetch("DELETE FROM blocklist_tests")


async def checked(client: Client, actor: Any, **values: Any) -> Any:
    data = await client.data(CHECK, {"input": values}, actor=actor)
    return data["checkBlocklists"]


def statuses(found: Any) -> dict[str, str]:
    return {each["zone"]: each["status"] for each in found["results"]}


async def test_a_listing_is_told_with_its_meaning_and_reason(
    client: Client, lists: DnsServer
) -> None:
    actor, address = await make_actor(), public_address()
    list_subject(lists, address, ZEN, "127.0.0.3", reason="Snowshoe")

    found = await checked(client, actor, ip=address)

    assert (found["listed"], found["listedCount"], found["checkedCount"]) == (True, 1, 2)
    assert found["results"][0] == {
        "zone": ZEN,
        "status": "LISTED",
        "codes": ["127.0.0.3"],
        "meaning": ["CSS"],
        "reason": "Snowshoe",
        "cached": False,
    }
    assert found["results"][1]["status"] == "NOT_LISTED"


async def test_ipv6_and_domains_are_looked_up_where_they_are_listed(
    client: Client, dns: DnsServer
) -> None:
    actor = await make_actor()
    with settings_with(blocklists=f"{ZEN},{SPAMCOP},dbl.spamhaus.org"):
        list_subject(dns, "2a00:1::5", ZEN, "127.0.0.4")
        list_subject(dns, "spam.example", "dbl.spamhaus.org", "127.0.1.2")

        address = await checked(client, actor, ip="2a00:1:0::5")
        domain = await checked(client, actor, domain="Spam.Example")

    assert address["subject"] == "2a00:1::5"
    assert statuses(address) == {
        ZEN: "LISTED",
        SPAMCOP: "UNSUPPORTED",
        "dbl.spamhaus.org": "UNSUPPORTED",
    }
    assert domain["subject"] == "spam.example"
    assert statuses(domain)["dbl.spamhaus.org"] == "LISTED"


async def test_an_answer_is_kept_an_hour_and_a_listing_a_quarter(
    client: Client, lists: DnsServer, frozen: datetime
) -> None:
    actor, address = await make_actor(), public_address()
    list_subject(lists, address, ZEN, "127.0.0.2")
    await checked(client, actor, ip=address)
    asked = sum(lists.queries.values())

    again = await checked(client, actor, ip=address)
    assert sum(lists.queries.values()) == asked
    with clock.frozen(frozen + timedelta(minutes=16)):
        later = await checked(client, actor, ip=address)
    with clock.frozen(frozen + timedelta(minutes=62)):
        much_later = await checked(client, actor, ip=address)

    assert [each["cached"] for each in again["results"]] == [True, True]
    assert [each["cached"] for each in later["results"]] == [False, True]
    assert [each["cached"] for each in much_later["results"]] == [False, False]


async def test_the_cache_is_passed_by_and_cleared(client: Client, lists: DnsServer) -> None:
    actor, address, other = await make_actor(), public_address(), public_address()
    await checked(client, actor, ip=address)
    await checked(client, actor, ip=other)

    fresh = await checked(client, actor, ip=address, useCache=False)
    by_zone = await client.data(CLEAR, {"input": {"zone": ZEN, "ip": address}}, actor=actor)
    rest = await client.data(CLEAR, {"input": {}}, actor=actor)

    assert [each["cached"] for each in fresh["results"]] == [False, False]
    assert by_zone["clearBlocklistCache"]["cleared"] == 1
    assert rest["clearBlocklistCache"]["cleared"] == 3
    audit = await fetch(
        "SELECT action, target_id FROM audit_entries WHERE organization_id = {} ORDER BY id",
        actor.organization_id,
    )
    assert [(row["action"], row["target_id"]) for row in audit] == [
        ("dnsbl.cache_cleared", ZEN),
        ("dnsbl.cache_cleared", "all"),
    ]


async def test_answers_of_one_organization_are_not_anothers(
    client: Client, lists: DnsServer
) -> None:
    one, other, address = await make_actor(), await make_actor(), public_address()
    await checked(client, one, ip=address)

    found = await checked(client, other, ip=address)
    cleared = await client.data(CLEAR, {"input": {}}, actor=other)
    again = await checked(client, one, ip=address)

    assert [each["cached"] for each in found["results"]] == [False, False]
    assert cleared["clearBlocklistCache"]["cleared"] == 2
    assert [each["cached"] for each in again["results"]] == [True, True]


async def test_a_refused_question_is_no_listing_and_is_not_kept(
    client: Client, lists: DnsServer
) -> None:
    actor, address = await make_actor(), public_address()
    list_subject(lists, address, ZEN, "127.255.255.254")

    first = await checked(client, actor, ip=address)
    list_subject(lists, address, ZEN)
    second = await checked(client, actor, ip=address)

    assert (first["listed"], first["errorCount"]) == (False, 1)
    assert first["results"][0]["reason"] == "The list refused the question: 127.255.255.254."
    assert statuses(second)[ZEN] == "NOT_LISTED"


async def test_a_list_that_is_silent_keeps_nobody_waiting(client: Client, lists: DnsServer) -> None:
    actor, address = await make_actor(), public_address()
    lists.fail(f"{'.'.join(reversed(address.split('.')))}.{ZEN}", "TIMEOUT")

    found = await checked(client, actor, ip=address)

    assert statuses(found) == {ZEN: "TIMEOUT", SPAMCOP: "NOT_LISTED"}


async def test_where_no_list_answers_nothing_is_told(client: Client, lists: DnsServer) -> None:
    actor, address = await make_actor(), public_address()
    backwards = ".".join(reversed(address.split(".")))
    for zone in ZONES:
        lists.fail(f"{backwards}.{zone}", "SERVFAIL")

    code = await client.refusal(CHECK, {"input": {"ip": address}}, actor=actor)

    assert code == "DNS_UNAVAILABLE"


async def test_a_list_that_fails_its_test_is_not_believed(client: Client, lists: DnsServer) -> None:
    """Somebody has bought the domain, and everything is listed."""
    actor, address = await make_actor(), public_address()
    list_subject(lists, address, SPAMCOP, "127.0.0.2")
    lists.set(f"1.0.0.127.{SPAMCOP}", "A", "127.0.0.2")
    await run_tests()

    found = await checked(client, actor, ip=address)
    shown = await client.data(
        "{ organization { blocklists(enabled: true) { zone healthy problem } } }", actor=actor
    )

    assert (found["listed"], statuses(found)[SPAMCOP]) == (False, "ERROR")
    assert shown["organization"]["blocklists"] == [
        {"zone": ZEN, "healthy": True, "problem": None},
        {
            "zone": SPAMCOP,
            "healthy": False,
            "problem": "It lists what no list has: it lists everybody.",
        },
    ]


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({}, ("ip", "REQUIRED")),
        ({"ip": "11.0.0.1", "domain": "a.example"}, ("ip", "REQUIRED")),
        ({"ip": "11.0.0"}, ("ip", "INVALID_IP")),
        ({"ip": "192.168.0.1"}, ("ip", "NOT_PUBLIC_IP")),
        ({"domain": "not a domain"}, ("domain", "INVALID_DOMAIN")),
        ({"ip": "11.0.0.1", "blocklists": [ZEN, "no.such"]}, ("blocklists[1]", "NOT_FOUND")),
        (
            {"ip": "11.0.0.1", "blocklists": ["dnsbl.dronebl.org"]},
            ("blocklists[0]", "NOT_ALLOWED"),
        ),
        ({"ip": "11.0.0.1", "blocklists": [ZEN] * 301}, ("blocklists", "TOO_MANY")),
    ],
)
async def test_what_cannot_be_looked_up_is_refused(
    client: Client, lists: DnsServer, values: dict[str, Any], detail: tuple[str, str]
) -> None:
    actor = await make_actor()

    body = await client.graphql(CHECK, {"input": values}, actor=actor)

    (error,) = body["errors"]
    (found,) = error["extensions"]["details"]
    assert (found["field"].removeprefix("input."), found["code"]) == detail
    assert sum(lists.queries.values()) == 0


async def test_lists_are_asked_sixty_times_a_minute(client: Client, lists: DnsServer) -> None:
    actor = await make_actor()
    for _ in range(60):
        await checked(client, actor, ip="127.0.0.2")

    assert await client.refusal(CHECK, {"input": {"ip": "127.0.0.2"}}, actor=actor) == (
        "RATE_LIMITED"
    )


async def test_a_viewer_sees_lists_and_asks_none(client: Client, lists: DnsServer) -> None:
    viewer = await make_actor(role=Role.VIEWER)

    shown = await client.data("{ organization { blocklists { zone enabled } } }", actor=viewer)
    refused = await client.refusal(CHECK, {"input": {"ip": "127.0.0.2"}}, actor=viewer)
    not_cleared = await client.refusal(CLEAR, {"input": {}}, actor=viewer)

    assert len(shown["organization"]["blocklists"]) > 200
    assert (refused, not_cleared) == ("INSUFFICIENT_ROLE", "INSUFFICIENT_ROLE")


def test_a_list_that_is_not_known_is_told_at_the_start() -> None:
    with (
        settings_with(blocklists="no.such.list"),
        pytest.raises(SettingsError, match=r"no\.such\.list, which is not known"),
    ):
        check_settings(settings())


def test_a_list_that_needs_a_key_is_told_at_the_start(tmp_path: Path) -> None:
    zone = "zen.dq.spamhaus.net"
    path = tmp_path / "lists.toml"
    path.write_text(f'[keys]\n"{zone}" = "abcdef"\n', "utf-8")

    with (
        settings_with(blocklists=zone),
        pytest.raises(SettingsError, match="needs a key"),
    ):
        check_settings(settings())
    with settings_with(blocklists=zone, blocklists_file=str(path)):
        check_settings(settings())


async def test_a_key_is_part_of_the_question_and_is_shown_to_nobody(
    client: Client, dns: DnsServer, tmp_path: Path
) -> None:
    actor, zone = await make_actor(), "zen.dq.spamhaus.net"
    path = tmp_path / "lists.toml"
    path.write_text(f'[keys]\n"{zone}" = "s3cret"\n', "utf-8")
    dns.set(f"9.0.0.11.s3cret.{zone}", "A", "127.0.0.2")

    with settings_with(blocklists=zone, blocklists_file=str(path)):
        body = await client.graphql(CHECK, {"input": {"ip": "11.0.0.9"}}, actor=actor)

    assert body["data"]["checkBlocklists"]["listed"] is True
    assert "s3cret" not in str(body)


async def test_an_operators_own_list_is_asked(
    client: Client, dns: DnsServer, tmp_path: Path
) -> None:
    actor = await make_actor()
    path = tmp_path / "lists.toml"
    path.write_text(
        '[own]\nname = "Own"\nsite = ""\ndelist = ""\nterms = "free"\nnote = ""\n'
        'lists = [{ zone = "bl.own.test", name = "Own", kinds = ["ipv4"], severity = "high", '
        'codes = { "127.0.0.7" = "mine" } }]\n',
        "utf-8",
    )
    dns.set("9.0.0.11.bl.own.test", "A", "127.0.0.7")

    with settings_with(blocklists="bl.own.test", blocklists_file=str(path)):
        found = await checked(client, actor, ip="11.0.0.9")

    assert found["results"][0]["meaning"] == ["mine"]
