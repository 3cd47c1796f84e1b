"""One worker's sending side inside a test: real SMTP to a sink, by way of a real DNS server."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network

from postlane.delivery.work import LEASE, Claim, find_queue
from postlane.jobs.delivery import Drain
from postlane.jobs.outbound import Outbound, Transport
from postlane.jobs.transports import Direct
from postlane.mail.destinations import Network
from postlane.mail.dns import Resolver
from tests.dns_server import DnsServer


@asynccontextmanager
async def sending(transport: Transport, *, lease: timedelta = LEASE) -> AsyncIterator[Outbound]:
    """Run the parts of a worker that its drains share."""
    outbound = Outbound(transport, lease=lease)
    running = [
        asyncio.create_task(outbound.settler.run()),
        asyncio.create_task(outbound.limits.keep()),
    ]
    try:
        yield outbound
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await outbound.conversations.close_idle(older_than=0)
        await outbound.limits.close()


LOOPBACK = (ip_network("127.0.0.0/8"),)


def direct(dns: DnsServer, port: int, *, exchangers: Collection[Network] = LOOPBACK) -> Direct:
    """Return the transport that looks exchangers up at *dns* and connects to *port*."""
    resolver = Resolver([dns.server], timeout=timedelta(seconds=1))
    return Direct(resolver, port=port, hostname="mail.postlane.test", exchangers=exchangers)


async def drain_queue(outbound: Outbound, queue_id: uuid.UUID) -> None:
    """Drain one queue, as its job does."""
    queue = await find_queue(queue_id)
    assert queue is not None
    await Drain(outbound, queue).run()


async def claimed(*batches: Sequence[Claim]) -> AsyncGenerator[Sequence[Claim], None]:
    """Yield claims as a drain does that claims each of *batches* at once."""
    for claims in batches:
        yield claims
