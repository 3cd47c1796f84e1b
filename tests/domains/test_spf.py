"""SPF as receivers evaluate it: every mechanism, every limit, and records made to break them."""

import time
from datetime import timedelta

import pytest

from postlane.domains.spf_receiver import judge_spf
from postlane.mail.dns import Resolver
from tests.dns_server import DnsServer

ADDRESS = "192.0.2.7"
LOOKUPS = "The record needs more than 10 look-ups; receivers give up on it."
VOID = "The record refers to more than two names that do not exist."


async def judged(
    dns: DnsServer, *records: str, address: str = ADDRESS, name: str = "spf.example"
) -> tuple[str, str]:
    """Return result and problem for mail from *address*, with these TXT records."""
    if records:
        dns.set(name, "TXT", *records)
    resolver = Resolver([dns.server], timeout=timedelta(seconds=1))
    verdict = await judge_spf(
        resolver, name, address=address, sender=f"bo.b@{name}", helo="mail.example"
    )
    return verdict.result.value, verdict.problem


@pytest.fixture
def dns(dns_server: DnsServer) -> DnsServer:
    """Names that the records below refer to."""
    zone = dns_server
    zone.set("ours.example", "TXT", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all")
    zone.set("theirs.example", "TXT", "v=spf1 ip4:198.51.100.0/24 -all")
    zone.set("neutral.example", "TXT", "v=spf1 ?ip4:192.0.2.0/24")
    zone.set("broken.example", "TXT", "v=spf1 nonsense")
    zone.set("two.example", "TXT", "v=spf1 -all", "v=spf1 +all")
    zone.set("self.example", "TXT", "v=spf1 include:self.example -all")
    zone.set("ring.example", "TXT", "v=spf1 redirect=gnir.example")
    zone.set("gnir.example", "TXT", "v=spf1 redirect=ring.example")
    zone.set("host.example", "A", ADDRESS)
    zone.set("near.example", "A", "192.0.2.200")
    zone.set("six.example", "AAAA", "2001:db8::7")
    zone.set("exchanged.example", "MX", "10 host.example")
    zone.set("crowd.example", "MX", *(f"10 m{n}.example" for n in range(11)))
    zone.set("7.2.0.192.in-addr.arpa", "PTR", "out.pointed.example")
    zone.set("out.pointed.example", "A", ADDRESS)
    zone.set("7.2.0.192.in-addr.macro.example", "A", "127.0.0.2")
    zone.set("bo-b.spf.example.lists.example", "A", "127.0.0.2")
    return zone


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 ip4:192.0.2.7 -all", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 ip4:198.51.100.0/24 -all", "fail"),
        ("v=spf1 ip4:198.51.100.0/24 ~all", "softfail"),
        ("v=spf1 ip4:198.51.100.0/24 ?all", "neutral"),
        ("v=spf1 ip4:198.51.100.0/24", "neutral"),
        ("v=spf1", "neutral"),
        ("V=SPF1  IP4:192.0.2.7  -ALL", "pass"),
        ("v=spf1 -ip4:192.0.2.7 ip4:192.0.2.0/24 -all", "fail"),
        ("v=spf1 ip6:2001:db8::/32 -all", "fail"),
        ("v=spf1 include:ours.example -all", "pass"),
        ("v=spf1 include:theirs.example -all", "fail"),
        ("v=spf1 include:neutral.example -all", "fail"),
        ("v=spf1 -include:ours.example +all", "fail"),
        ("v=spf1 redirect=ours.example", "pass"),
        ("v=spf1 redirect=theirs.example", "fail"),
        ("v=spf1 redirect=ours.example -all", "fail"),
        ("v=spf1 ip4:192.0.2.7 redirect=theirs.example", "pass"),
        ("v=spf1 a:host.example -all", "pass"),
        ("v=spf1 a:near.example -all", "fail"),
        ("v=spf1 a:near.example/24 -all", "pass"),
        ("v=spf1 a:six.example -all", "fail"),
        ("v=spf1 mx:exchanged.example -all", "pass"),
        ("v=spf1 mx:exchanged.example//64 -all", "pass"),
        ("v=spf1 mx:host.example -all", "fail"),
        ("v=spf1 ptr:pointed.example -all", "pass"),
        ("v=spf1 ptr:other.example -all", "fail"),
        ("v=spf1 exists:%{ir}.%{v}.macro.example -all", "pass"),
        ("v=spf1 exists:%{l1r-}.absent.example -all", "fail"),
        ("v=spf1 exists:%{L.}.%{d2}.lists.example -all", "fail"),
        ("v=spf1 exists:bo-b.%{o}.lists.example -all", "pass"),
        ("v=spf1 unknown=whatever ip4:192.0.2.7 -all", "pass"),
        ("v=spf1 exp=why.example ip4:192.0.2.7 -all", "pass"),
    ],
)
async def test_a_receiver_concludes(dns: DnsServer, record: str, result: str) -> None:
    assert await judged(dns, record) == (result, "")


async def test_an_ipv6_address_is_judged_by_its_own_kind(dns: DnsServer) -> None:
    record = "v=spf1 ip4:0.0.0.0/0 a:six.example//64 -all"

    assert (await judged(dns, record, address="2001:db8::ffff"))[0] == "pass"
    assert (await judged(dns, record, address="2001:db8:0:1::1"))[0] == "fail"


@pytest.mark.parametrize("records", [[], ["some text"], ["v=spf10 +all"], ["v=spf2.0/pra +all"]])
async def test_no_record_is_no_result(dns: DnsServer, records: list[str]) -> None:
    assert await judged(dns, *records) == ("none", "")


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        (["v=spf1 -all", "v=spf1 +all"], "spf.example has several SPF records."),
        (["v=spf1 include:two.example"], "two.example has several SPF records."),
        (
            ["v=spf1 include:absent.example"],
            "It refers to absent.example, which has no SPF record.",
        ),
        (
            ["v=spf1 redirect=absent.example"],
            "It refers to absent.example, which has no SPF record.",
        ),
        (
            ["v=spf1 include:broken.example -all"],
            "The SPF record of broken.example has a term nobody knows: nonsense.",
        ),
        # What comes after a match counts too: the record is read before it is evaluated.
        (
            ["v=spf1 ip4:192.0.2.7 nonsense"],
            "The SPF record of spf.example has a term nobody knows: nonsense.",
        ),
        (["v=spf1 ip4:300.1.1.1"], "The term ip4:300.1.1.1 is malformed."),
        (["v=spf1 ip4:192.0.2.0/33"], "The term ip4:192.0.2.0/33 is malformed."),
        (["v=spf1 ip4:::1"], "The term ip4:::1 is malformed."),
        (["v=spf1 ip6:192.0.2.1"], "The term ip6:192.0.2.1 is malformed."),
        (["v=spf1 a/33"], "The term a/33 is malformed."),
        (["v=spf1 a//129"], "The term a//129 is malformed."),
        (["v=spf1 ptr/24"], "The term ptr/24 is malformed."),
        (["v=spf1 redirect="], "The SPF record of spf.example redirects to nowhere."),
        (
            ["v=spf1 redirect=ours.example redirect=ours.example"],
            "The SPF record of spf.example has redirect twice.",
        ),
        (
            ["v=spf1 exists:%{z}.example"],
            "The SPF record of spf.example has a macro nobody knows: %{.",
        ),
        (
            ["v=spf1 exists:%{d0}.example"],
            "The SPF record of spf.example has a macro nobody knows: %{d0}.",
        ),
        (["v=spf1 include:self.example"], LOOKUPS),
        (["v=spf1 redirect=ring.example"], LOOKUPS),
        (["v=spf1 " + "a:near.example " * 11 + "-all"], LOOKUPS),
        (["v=spf1 a:x1.example a:x2.example a:x3.example -all"], VOID),
        (["v=spf1 exists:x1.example mx:x2.example a:x3.example -all"], VOID),
        (["v=spf1 mx:crowd.example -all"], "crowd.example has more than 10 mail exchangers."),
    ],
)
async def test_a_broken_record_is_a_permanent_error(
    dns: DnsServer, records: list[str], problem: str
) -> None:
    assert await judged(dns, *records) == ("permerror", problem)


@pytest.mark.parametrize("count", [10, 11])
async def test_ten_look_ups_are_allowed_and_the_eleventh_is_not(dns: DnsServer, count: int) -> None:
    record = "v=spf1 " + "a:near.example " * count + "ip4:192.0.2.7 -all"

    assert (await judged(dns, record))[0] == ("pass" if count == 10 else "permerror")


@pytest.mark.parametrize("count", [2, 3])
async def test_two_names_that_do_not_exist_are_allowed_and_a_third_is_not(
    dns: DnsServer, count: int
) -> None:
    names = " ".join(f"a:x{n}.example" for n in range(count))

    found = await judged(dns, f"v=spf1 {names} ip4:192.0.2.7 -all")

    assert found[0] == ("pass" if count == 2 else "permerror")


async def test_a_silent_server_is_a_temporary_error(dns: DnsServer) -> None:
    dns.fail("lame.example", "SERVFAIL")

    found = await judged(dns, "v=spf1 include:lame.example -all")

    assert found == ("temperror", "The DNS gave no answer for lame.example.")


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 " + "%{" * 2_000,
        "v=spf1 exists:" + "%{l}" * 1_000,
        "v=spf1 " + "a" * 5_000 + "/" * 5_000,
        "v=spf1 a:" + "/1" * 5_000,
        "v=spf1 " + "x=y " * 2_000,
        "v=spf1 include:" + "a." * 500 + "example",
        "v=spf1 \x00\x01\xff",
    ],
)
async def test_no_record_takes_long(dns: DnsServer, record: str) -> None:
    started = time.process_time()

    await judged(dns, record)

    assert time.process_time() - started < 1


async def test_macros_that_unfold_to_megabytes_take_no_time(dns: DnsServer) -> None:
    """Each of these five octets stands for the 63 of an IPv6 address, in 32 labels."""
    started = time.process_time()

    found = await judged(dns, "v=spf1 exists:" + "%{i}." * 12_000, address="2001:db8::1")

    assert found == ("neutral", "")
    assert time.process_time() - started < 1
