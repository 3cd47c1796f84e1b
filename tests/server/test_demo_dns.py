"""The demonstration's name server, asked by the resolver that the product uses."""

import asyncio
from collections.abc import AsyncIterator

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from postlane.core.settings import Address
from postlane.mail.dns import Answer, Exchanger, LookupStatus, Resolver
from postlane.server.demo_dns import DemoNameServer, Record

LONG = "v=DKIM1; k=rsa; p=" + "A" * 400
RECORDS = (
    Record("postlane.test", "MX", "10 mail.postlane.test."),
    Record("pmta._domainkey.demo.postlane.test", "TXT", LONG),
    Record("quoted.postlane.test", "TXT", 'a "quoted" \\ value; and more'),
    Record("bounce.demo.postlane.test", "CNAME", "bounce.mail.postlane.test."),
    Record("big.postlane.test", "TXT", "x" * 2000),
)


@pytest.fixture
async def server() -> AsyncIterator[Address]:
    served = DemoNameServer("postlane.test")
    served.publish(RECORDS)
    yield await served.start()
    await served.stop()


@pytest.fixture
def resolver(server: Address) -> Resolver:
    return Resolver([(server.host, server.port)])


async def test_what_is_published_is_found(resolver: Resolver) -> None:
    assert await resolver.txt("PMTA._domainkey.demo.postlane.test") == Answer(
        LookupStatus.FOUND, (LONG,)
    )
    assert await resolver.txt("quoted.postlane.test") == Answer(
        LookupStatus.FOUND, ('a "quoted" \\ value; and more',)
    )
    assert await resolver.cname("bounce.demo.postlane.test") == Answer(
        LookupStatus.FOUND, ("bounce.mail.postlane.test",)
    )
    assert await resolver.mx("postlane.test") == Answer(
        LookupStatus.FOUND, (Exchanger(10, "mail.postlane.test"),)
    )


async def test_what_is_not_published_is_told_apart(resolver: Resolver) -> None:
    assert (await resolver.txt("nothing.postlane.test")).status is LookupStatus.NO_NAME
    assert (await resolver.txt("demo.postlane.test")).status is LookupStatus.NO_DATA
    assert (await resolver.mx("quoted.postlane.test")).status is LookupStatus.NO_DATA


async def test_an_answer_too_long_for_a_datagram_comes_over_tcp(
    resolver: Resolver, server: Address
) -> None:
    query = dns.message.make_query("big.postlane.test", "TXT")
    short = await dns.asyncquery.udp(query, server.host, port=server.port, timeout=5)

    assert short.flags & dns.flags.TC
    assert await resolver.txt("big.postlane.test") == Answer(LookupStatus.FOUND, ("x" * 2000,))


async def test_what_is_no_question_is_ignored_and_the_next_one_answered(
    resolver: Resolver, server: Address
) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(server.host, server.port)
    )
    for garbage in (b"", b"\0", b"\xff" * 600, bytes(12), b"\0\0\x80" + bytes(9)):
        transport.sendto(garbage)
    transport.close()
    _, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"\xff\xffshort")
    writer.close()

    assert (await resolver.mx("postlane.test")).status is LookupStatus.FOUND


async def test_publishing_again_replaces_everything() -> None:
    served = DemoNameServer("postlane.test")
    address = await served.start()
    served.publish(RECORDS)
    served.publish([Record("new.postlane.test", "TXT", "new")])
    try:
        resolver = Resolver([(address.host, address.port)])
        assert (await resolver.mx("postlane.test")).status is LookupStatus.NO_DATA
        assert (await resolver.txt("new.postlane.test")).values == ("new",)
    finally:
        await served.stop()
