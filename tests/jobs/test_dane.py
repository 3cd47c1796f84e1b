"""DANE: certificates that the DNS speaks of, and DNS that may not be believed."""

from collections.abc import AsyncIterator
from hashlib import sha256, sha512
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from postlane.core import clock
from postlane.core.database import fetch
from postlane.delivery.work import KeptPolicy, keep_policy
from postlane.jobs.outbound import Outbound
from tests.certificates import Certificate, make_certificate
from tests.delivery.spool import make_spooled
from tests.dns_server import DnsServer
from tests.jobs.sending import direct, drain_queue, sending
from tests.sink import Sink

NAMES = ("mx.dane.example",)
PINNED = ("delivered", True, "dane")
REFUSED = ("deferred", None, "dane")


@pytest.fixture
async def outbound(database: None, sink: Sink, dns: DnsServer) -> AsyncIterator[Outbound]:
    """The sending side of a worker that knows no authority of the tests.

    The sink serves `dane.example` as `mx.dane.example`; DNSSEC protects all of it.
    """
    await fetch("DELETE FROM sts_policies")
    dns.set("dane.example", "MX", "10 mx.dane.example")
    dns.set("mx.dane.example", "A", "127.0.0.1")
    dns.sign("dane.example")
    sink.manner.starttls = "on"
    sink.manner.certificate_names = NAMES
    async with sending(direct(dns, sink.port)) as opened:
        yield opened


def record(made: Certificate, *, usage: int, selector: int, matching: int) -> str:
    """Return the TLSA value for the server of *made*, or with usage 2 for its authority."""
    file = made.ca_file if usage == 2 else made.chain_file
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    chosen = certificate.public_bytes(Encoding.DER)
    if selector == 1:
        key = certificate.public_key()
        chosen = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = {0: chosen, 1: sha256(chosen).digest(), 2: sha512(chosen).digest()}[matching]
    return f"{usage} {selector} {matching} {digest.hex()}"


def pin(dns: DnsServer, sink: Sink, *values: str) -> None:
    """Publish TLSA records for the sink."""
    dns.set(f"_{sink.port}._tcp.mx.dane.example", "TLSA", *values)


async def attempt(outbound: Outbound) -> tuple[Any, ...]:
    """Send one message to `dane.example`, and return how, and what the last attempt said."""
    spooled = await make_spooled("ada@dane.example")
    await drain_queue(outbound, spooled.queue_id)
    rows = await fetch(
        "SELECT verdict, tls_verified, tls_policy FROM attempts WHERE delivery_id = {}",
        spooled.deliveries["ada@dane.example"],
    )
    assert len(rows) == 1
    return tuple(rows[0].values())


@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("usage", [2, 3])
async def test_the_certificate_that_the_dns_speaks_of_is_good(
    outbound: Outbound, sink: Sink, dns: DnsServer, usage: int, selector: int, matching: int
) -> None:
    other = record(make_certificate("x.example"), usage=3, selector=1, matching=1)
    right = record(sink.manner.certificate, usage=usage, selector=selector, matching=matching)
    pin(dns, sink, other, right)

    assert await attempt(outbound) == PINNED
    assert [message.tls for message in sink.messages] == [True]


@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("usage", [2, 3])
async def test_any_other_certificate_gets_nothing(
    outbound: Outbound, sink: Sink, dns: DnsServer, usage: int, matching: int
) -> None:
    other = make_certificate("mx.dane.example", "another.example")
    pin(dns, sink, record(other, usage=usage, selector=1, matching=matching))

    assert await attempt(outbound) == REFUSED
    assert sink.messages == []


@pytest.mark.parametrize("starttls", ["off", "broken", "refused"])
async def test_no_encryption_gets_nothing(
    outbound: Outbound, sink: Sink, dns: DnsServer, starttls: str
) -> None:
    pin(dns, sink, record(sink.manner.certificate, usage=3, selector=1, matching=1))
    sink.manner.starttls = starttls  # type: ignore[assignment]

    assert await attempt(outbound) == REFUSED
    assert sink.messages == []


@pytest.mark.parametrize(
    ("usage", "manner", "outcome"),
    [
        (3, {"certificate_expired": True}, PINNED),
        (3, {"certificate_names": ("x.example",)}, PINNED),
        (2, {"certificate_expired": True}, REFUSED),
        (2, {"certificate_names": ("x.example",)}, REFUSED),
        (2, {"certificate_names": ("dane.example",)}, PINNED),
    ],
)
async def test_names_and_dates_count_for_an_authority_only(
    outbound: Outbound,
    sink: Sink,
    dns: DnsServer,
    usage: int,
    manner: dict[str, Any],
    outcome: tuple[Any, ...],
) -> None:
    for name, value in manner.items():
        setattr(sink.manner, name, value)
    pin(dns, sink, record(sink.manner.certificate, usage=usage, selector=0, matching=1))

    assert await attempt(outbound) == outcome


@pytest.mark.parametrize(
    "value", ["1 1 1 " + "00" * 32, "0 0 1 " + "00" * 32, "3 1 9 00", "3 7 1 " + "00" * 32]
)
async def test_records_that_say_nothing_still_ask_for_encryption(
    outbound: Outbound, sink: Sink, dns: DnsServer, value: str
) -> None:
    pin(dns, sink, value)

    verdict, _, policy = await attempt(outbound)
    sink.manner.starttls = "off"
    async with sending(direct(dns, sink.port)) as another:
        refused = await attempt(another)

    assert (verdict, policy) == ("delivered", "dane")
    assert refused == REFUSED
    assert [message.tls for message in sink.messages] == [True]


@pytest.mark.parametrize("signed", [(), ("mx.dane.example",), ("_tcp.mx.dane.example",)])
async def test_records_count_only_where_all_is_signed(
    outbound: Outbound, sink: Sink, dns: DnsServer, signed: tuple[str, ...]
) -> None:
    dns.sign(*signed)
    pin(dns, sink, "3 1 1 " + "00" * 32)

    verdict, _, policy = await attempt(outbound)

    assert (verdict, policy) == ("delivered", "opportunistic")


@pytest.mark.parametrize("how", ["SERVFAIL", "TIMEOUT"])
async def test_records_that_cannot_be_had_defer(
    outbound: Outbound, sink: Sink, dns: DnsServer, how: str
) -> None:
    """A validating resolver answers SERVFAIL for what is forged."""
    dns.fail(f"_{sink.port}._tcp.mx.dane.example", how)

    assert await attempt(outbound) == ("deferred", None, None)
    assert sink.book.connections == 0


async def test_a_record_that_is_malformed_defers(
    outbound: Outbound, sink: Sink, dns: DnsServer
) -> None:
    pin(dns, sink, "3 1 1 00")

    assert await attempt(outbound) == ("deferred", None, None)


async def test_a_forged_exchanger_defers(outbound: Outbound, sink: Sink, dns: DnsServer) -> None:
    dns.fail("dane.example", "SERVFAIL")

    assert await attempt(outbound) == ("deferred", None, None)
    assert sink.book.connections == 0


async def test_the_next_host_is_tried(outbound: Outbound, sink: Sink, dns: DnsServer) -> None:
    dns.set("dane.example", "MX", "5 bad.dane.example", "10 mx.dane.example")
    dns.set("bad.dane.example", "A", "127.0.0.1")
    dns.set(f"_{sink.port}._tcp.bad.dane.example", "TLSA", "3 1 1 " + "00" * 32)
    pin(dns, sink, record(sink.manner.certificate, usage=3, selector=1, matching=1))

    assert await attempt(outbound) == PINNED


async def test_records_come_before_a_policy(outbound: Outbound, sink: Sink, dns: DnsServer) -> None:
    now = clock.now()
    text = "version: STSv1\nmode: enforce\nmx: mx.elsewhere.example\nmax_age: 60\n"
    await keep_policy(KeptPolicy("dane.example", "one", text, now, now.replace(year=2100)))
    pin(dns, sink, record(sink.manner.certificate, usage=3, selector=1, matching=1))

    assert await attempt(outbound) == PINNED
