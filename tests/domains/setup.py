"""Documents and steps that the tests of domains share."""

from typing import Any

from postlane.core.actor import Actor
from tests.client import Client
from tests.dns_server import DnsServer

HOST = "mail.postlane.test"
"""POSTLANE_HOSTNAME of the tests."""

CREATE = """
    mutation ($input: CreateDomainInput!) { createDomain(input: $input) { domain {
      id uuid name status canSend returnPathDomain trackingDomain trackOpens trackClicks
      defaultPool inboundEnabled dmarcRua verifiedAt lastCheckedAt
      dkim { selector rotationDays nextRotationAt
             keys { uuid selector algorithm state activatedAt retiresAt } }
      records { purpose type name value ttl required status found message checkedAt }
    } } }
"""
VERIFY = """
    mutation ($input: VerifyDomainInput!) { verifyDomain(input: $input) {
      cached durationMs changed
      domain { status canSend degradedAt verifiedAt nextCheckAt
               dkim { keys { selector algorithm state activatedAt retiresAt } }
               checks { dkim returnPath spf dmarc mx tracking bimi } }
      records { purpose name status found message }
    } }
"""
ROTATE = """
    mutation ($input: RotateDomainDkimInput!) { rotateDomainDkim(input: $input) { domain {
      status canSend dkim { keys { selector algorithm state } }
      records { purpose name required status }
    } } }
"""


async def create(client: Client, actor: Actor, name: str, **values: Any) -> dict[str, Any]:
    """Set up a domain and return it."""
    data = await client.data(CREATE, {"input": {"name": name} | values}, actor=actor)
    domain: dict[str, Any] = data["createDomain"]["domain"]
    return domain


async def verify(client: Client, actor: Actor, name: str, **values: Any) -> dict[str, Any]:
    """Check a domain and return what was found."""
    sent = {"domain": {"name": name}} | values
    data = await client.data(VERIFY, {"input": sent}, actor=actor)
    found: dict[str, Any] = data["verifyDomain"]
    return found


async def rotate(client: Client, actor: Actor, name: str, **values: Any) -> dict[str, Any]:
    """Begin a rotation and return the domain."""
    sent = {"domain": {"name": name}} | values
    data = await client.data(ROTATE, {"input": sent}, actor=actor)
    domain: dict[str, Any] = data["rotateDomainDkim"]["domain"]
    return domain


async def records_of(client: Client, actor: Actor, name: str) -> dict[str, tuple[str, str, str]]:
    """Return type, name and value of a domain's records, by purpose; the newest of each."""
    data = await client.data(
        "query ($name: String!) { organization { domain(ref: {name: $name}) "
        "{ records { purpose type name value } } } }",
        {"name": name},
        actor=actor,
    )
    records = data["organization"]["domain"]["records"]
    return {r["purpose"]: (r["type"], r["name"], r["value"]) for r in records}


async def publish(
    client: Client, actor: Actor, dns: DnsServer, name: str, *, only: set[str] | None = None
) -> None:
    """Put the records that the product asks for into the DNS, as a customer would."""
    dns.set(f"_spf.{HOST}", "TXT", "v=spf1 ip4:192.0.2.0/24 -all")
    for purpose, (kind, record, value) in (await records_of(client, actor, name)).items():
        if only is None or purpose in only:
            dns.set(record, kind, value)
