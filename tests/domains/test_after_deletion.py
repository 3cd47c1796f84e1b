"""What goes on, and what does not, once a domain is deleted."""

import pytest

from postlane.core.database import fetch
from tests.client import Client
from tests.dns_server import DnsServer
from tests.factories import make_actor, make_domain
from tests.jobs.sending import direct, drain_queue, sending
from tests.sink import Sink
from tests.smtp.test_inbound import HARD, hand_over, listening

SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }"
DELETE = "mutation ($input: DeleteDomainInput!) { deleteDomain(input: $input) { deletedUuid } }"
MESSAGE = "query ($id: ID!) { organization { message(id: $id) { status } } }"


@pytest.fixture
def exchanger(dns: DnsServer) -> str:
    """A domain whose mail the sink takes."""
    dns.set("mx.sink.example", "A", "127.0.0.1")
    dns.set("dest.example", "MX", "10 mx.sink.example")
    return "dest.example"


async def test_mail_that_went_out_before_still_bounces(
    client: Client, sink: Sink, dns: DnsServer, exchanger: str
) -> None:
    actor = await make_actor()
    domain = await make_domain(actor.organization_id)
    message = {"from": f"shop@{domain.name}", "to": [f"ada@{exchanger}"], "text": "Hello."}
    sent = await client.data(SEND, {"input": message | {"subject": "Hello"}}, actor=actor)
    id_ = sent["sendMessage"]["receipt"]["uuid"]
    (queue,) = await fetch(
        "SELECT id FROM queues WHERE organization_id = {}", domain.organization_id
    )
    async with sending(direct(dns, sink.port)) as outbound:
        await drain_queue(outbound, queue["id"])
    (received,) = sink.messages
    assert received.envelope_from.endswith(f"@bounce.{domain.name}")

    await client.data(DELETE, {"input": {"domain": {"name": domain.name}}}, actor=actor)
    async with listening() as listener:
        replies = await hand_over(listener, received.envelope_from, HARD)

    assert replies == [250, 250, 250]
    found = await client.data(MESSAGE, {"id": id_}, actor=actor)
    assert found["organization"]["message"]["status"] == "BOUNCED"
