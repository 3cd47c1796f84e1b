"""Look-ups against a real server on loopback, and the ways they lead to."""

import asyncio
from datetime import timedelta

import pytest

from postlane.mail.dns import Answer, Exchanger, LookupStatus, Resolver, Route, RouteHost, route
from postlane.mail.outcome import BounceClass, Verdict
from tests.dns_server import DnsServer

SHORT = timedelta(seconds=0.5)
NO_NAME = Answer(LookupStatus.NO_NAME)
NO_DATA = Answer(LookupStatus.NO_DATA)
FAILED = Answer(LookupStatus.FAILED)


@pytest.fixture
def resolver(dns_server: DnsServer) -> Resolver:
    return Resolver([dns_server.server], timeout=SHORT)


def found(*values):
    return Answer(LookupStatus.FOUND, values)


async def test_every_kind_of_record_is_found(dns_server, resolver):
    dns_server.set("example.com", "TXT", "v=spf1 -all", "x" * 600)
    dns_server.set("example.com", "MX", "20 B.example.com", "10 a.example.com")
    dns_server.set("a.example.com", "A", "192.0.2.1", "192.0.2.2")
    dns_server.set("a.example.com", "AAAA", "2001:db8::1")
    dns_server.set("www.example.com", "CNAME", "a.example.com")
    dns_server.set("1.2.0.192.in-addr.arpa", "PTR", "a.example.com")

    assert await resolver.txt("Example.COM.") == found("v=spf1 -all", "x" * 600)
    assert await resolver.mx("example.com") == found(
        Exchanger(20, "b.example.com"), Exchanger(10, "a.example.com")
    )
    addresses = found("192.0.2.1", "192.0.2.2", "2001:db8::1")
    assert await resolver.addresses("a.example.com") == addresses
    assert await resolver.addresses("www.example.com") == addresses
    assert await resolver.cname("www.example.com") == found("a.example.com")
    assert await resolver.ptr("192.0.2.1") == found("a.example.com")


async def test_absence_has_two_kinds(dns_server, resolver):
    dns_server.set("sub.example.com", "A", "192.0.2.1")

    assert await resolver.mx("sub.example.com") == NO_DATA
    assert await resolver.mx("example.com") == NO_DATA
    assert await resolver.cname("sub.example.com") == NO_DATA
    assert await resolver.mx("nothing.example.com") == NO_NAME
    assert await resolver.addresses("nothing.example.com") == NO_NAME


@pytest.mark.parametrize("how", ["SERVFAIL", "REFUSED", "TIMEOUT"])
async def test_no_answer_is_a_value(dns_server, resolver, how):
    dns_server.fail("example.com", how)

    assert await resolver.txt("example.com") == FAILED
    assert await resolver.addresses("example.com") == FAILED


@pytest.mark.parametrize("name", ["", ".", "a..example", "x" * 64 + ".x", "\ud800", "é" * 300])
async def test_a_name_that_is_none_is_not_found(resolver, name):
    assert (await resolver.txt(name)).status is not LookupStatus.FOUND


async def test_no_server_at_all_is_a_value():
    assert await Resolver([("127.0.0.1", 9)], timeout=SHORT).mx("example.com") == FAILED


async def test_one_family_of_addresses_is_enough(dns_server, resolver):
    dns_server.set("v6.example.com", "AAAA", "2001:db8::1")

    assert await resolver.addresses("v6.example.com") == found("2001:db8::1")


async def test_a_long_answer_comes_over_tcp(dns_server, resolver):
    values = [f"record {number} " + "x" * 200 for number in range(20)]
    dns_server.set("example.com", "TXT", *values)

    assert await resolver.txt("example.com") == found(*values)
    assert dns_server.tcp_queries["example.com", "TXT"] == 1


async def test_a_circle_of_aliases_has_an_end(dns_server, resolver):
    dns_server.set("a.example.com", "CNAME", "b.example.com")
    dns_server.set("b.example.com", "CNAME", "a.example.com")

    assert (await resolver.txt("a.example.com")).status is not LookupStatus.FOUND


async def test_an_answer_is_asked_for_once(dns_server, resolver):
    dns_server.set("example.com", "TXT", "one")

    answers = await asyncio.gather(*(resolver.txt("example.com") for _ in range(20)))
    again = await resolver.txt("EXAMPLE.com.")

    assert {*answers, again} == {found("one")}
    assert dns_server.queries["example.com", "TXT"] == 1


async def test_an_absence_is_asked_for_once(dns_server, resolver):
    for _ in range(3):
        await resolver.txt("example.com")

    assert dns_server.queries["example.com", "TXT"] == 1


async def test_a_failure_is_believed_for_a_moment(dns_server, resolver):
    dns_server.fail("example.com", "SERVFAIL")
    await resolver.txt("example.com")
    dns_server.set("example.com", "TXT", "one")

    assert await resolver.txt("example.com") == FAILED
    assert await resolver.txt("example.com", fresh=True) == found("one")


async def test_a_fresh_answer_replaces_the_kept_one(dns_server, resolver):
    dns_server.set("example.com", "TXT", "one")
    await resolver.txt("example.com")
    dns_server.set("example.com", "TXT", "two")

    assert await resolver.txt("example.com") == found("one")
    assert await resolver.txt("example.com", fresh=True) == found("two")
    assert await resolver.txt("example.com") == found("two")


async def test_a_record_is_kept_for_its_ttl(dns_server, resolver):
    dns_server.set("example.com", "TXT", "one", ttl=0)
    await resolver.txt("example.com")
    await resolver.txt("example.com")

    assert dns_server.queries["example.com", "TXT"] == 2


async def test_the_cache_has_an_end(dns_server):
    resolver = Resolver([dns_server.server], timeout=SHORT, cache_size=2)
    for name in ("a.example", "b.example", "c.example", "a.example", "c.example"):
        await resolver.txt(name)

    assert dns_server.queries["a.example", "TXT"] == 2
    assert dns_server.queries["c.example", "TXT"] == 1


async def test_whoever_gives_up_waiting_takes_nothing_from_the_others(dns_server, resolver):
    dns_server.set("example.com", "TXT", "one")
    impatient = asyncio.create_task(resolver.txt("example.com"))
    patient = asyncio.create_task(resolver.txt("example.com"))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient == found("one")


async def test_mail_goes_to_the_best_exchanger_first(dns_server, resolver):
    dns_server.set("example.com", "MX", "20 c.example.com", "10 a.example.com", "10 B.example.com")
    for number, name in enumerate("abc"):
        dns_server.set(f"{name}.example.com", "A", f"192.0.2.{number}")

    routes = [await route(resolver, "example.com") for _ in range(40)]

    orders = {tuple(host.name[0] for host in each.hosts) for each in routes}
    assert orders == {("a", "b", "c"), ("b", "a", "c")}
    assert {each.site for each in routes} == {"a.example.com,b.example.com,c.example.com"}
    assert routes[0].hosts[2] == RouteHost("c.example.com", 20, ("192.0.2.2",))


async def test_without_an_exchanger_mail_goes_to_the_domain_itself(dns_server, resolver):
    dns_server.set("example.com", "A", "192.0.2.1")

    assert await route(resolver, "example.com") == Route(
        (RouteHost("example.com", 0, ("192.0.2.1",)),)
    )


async def test_an_exchanger_without_an_address_is_passed_over(dns_server, resolver):
    dns_server.set("example.com", "MX", "10 gone.example.com", "20 a.example.com")
    dns_server.set("a.example.com", "A", "192.0.2.1")

    assert [host.name for host in (await route(resolver, "example.com")).hosts] == ["a.example.com"]


@pytest.mark.parametrize(
    "host",
    [".".join(["\\255" * 60] * 3) + ".example.com", "a\\000b.example.com", "a\\032b.example.com"],
)
async def test_an_exchanger_with_a_name_that_is_no_host_name_is_passed_over(
    dns_server, resolver, host
):
    dns_server.set("example.com", "MX", f"10 {host}", "20 a.example.com")
    for name in (host, "a.example.com"):
        dns_server.set(name, "A", "192.0.2.1")
    dns_server.set("only.example.com", "MX", f"10 {host}")

    found, only = [await route(resolver, name) for name in ("example.com", "only.example.com")]

    assert (found.site, [each.name for each in found.hosts]) == (
        "a.example.com",
        ["a.example.com"],
    )
    assert only.failure is not None
    assert (only.failure.verdict, only.failure.enhanced_code) == (Verdict.BOUNCED, "5.4.4")


@pytest.mark.parametrize(
    ("records", "verdict", "bounce_class", "enhanced_code"),
    [
        ({}, Verdict.BOUNCED, BounceClass.BAD_DOMAIN, "5.1.2"),
        ({"MX": "0 ."}, Verdict.BOUNCED, BounceClass.BAD_DOMAIN, "5.1.10"),
        ({"TXT": "x"}, Verdict.BOUNCED, BounceClass.BAD_DOMAIN, "5.4.4"),
        ({"MX": "10 gone.example.com"}, Verdict.BOUNCED, BounceClass.BAD_DOMAIN, "5.4.4"),
        ({"MX": "10 dead.example.com"}, Verdict.DEFERRED, BounceClass.CONNECTION_FAILURE, "4.4.3"),
        ({"MX": "10 us.example.net"}, Verdict.BOUNCED, BounceClass.POLICY_REJECTED, "5.4.6"),
    ],
)
async def test_a_domain_may_lead_nowhere(
    dns_server, resolver, records, verdict, bounce_class, enhanced_code
):
    dns_server.fail("dead.example.com", "SERVFAIL")
    dns_server.set("us.example.net", "A", "192.0.2.1")
    for kind, value in records.items():
        dns_server.set("example.com", kind, value)

    way = await route(resolver, "example.com", own_names={"Us.example.net."})

    assert way.hosts == ()
    assert way.failure is not None
    assert (way.failure.verdict, way.failure.bounce_class) == (verdict, bounce_class)
    assert way.failure.enhanced_code == enhanced_code


@pytest.mark.parametrize("how", ["SERVFAIL", "TIMEOUT"])
async def test_a_dns_failure_is_not_a_bounce(dns_server, resolver, how):
    dns_server.fail("example.com", how)

    way = await route(resolver, "example.com")

    assert way.failure is not None
    assert way.failure.verdict is Verdict.DEFERRED


async def test_only_hosts_better_than_us_are_tried(dns_server, resolver):
    dns_server.set(
        "example.com", "MX", "5 a.example.com", "10 us.example.net", "10 b.example.com", "20 c.x"
    )
    for name in ("a.example.com", "b.example.com", "c.x"):
        dns_server.set(name, "A", "192.0.2.1")
    dns_server.set("us.example.net", "A", "192.0.2.9")

    way = await route(resolver, "example.com", own_names=["us.example.net"])

    assert [host.name for host in way.hosts] == ["a.example.com"]


@pytest.mark.parametrize("alias", ["address", "CNAME"])
async def test_our_address_under_another_name_is_us(dns_server, resolver, alias):
    dns_server.set("us.example.net", "A", "192.0.2.9")
    dns_server.set("example.com", "MX", "5 a.example.com", "10 not-us.example.com", "20 c.x")
    dns_server.set("loop.example.com", "MX", "10 not-us.example.com", "20 a.example.com")
    dns_server.set("a.example.com", "A", "192.0.2.1")
    dns_server.set("c.x", "A", "192.0.2.2")
    if alias == "CNAME":
        dns_server.set("not-us.example.com", "CNAME", "us.example.net")
    else:
        dns_server.set("not-us.example.com", "A", "192.0.2.3", "192.0.2.9")

    way = await route(resolver, "example.com", own_names=["us.example.net"])
    loop = await route(resolver, "loop.example.com", own_names=["us.example.net"])

    assert [host.name for host in way.hosts] == ["a.example.com"]
    assert loop.failure is not None
    assert loop.failure.enhanced_code == "5.4.6"
