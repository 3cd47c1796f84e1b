"""What an organization asks of encryption for a domain, and what comes of it on the wire."""

from typing import Any

import pytest

from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.delivery.tls_operations import MOST_REQUIREMENTS
from tests.client import Client
from tests.delivery.spool import make_spooled
from tests.dns_server import DnsServer
from tests.factories import make_actor, make_organization
from tests.jobs.sending import drain_queue, sending
from tests.jobs.test_sts import transport
from tests.sink import Sink

SET = """
    mutation ($domain: String!, $tls: Tls!) {
      setTlsRequirement(input: {domain: $domain, tls: $tls}) {
        requirement { id domain tls } } }
"""
REMOVE = """
    mutation ($domain: String!) { removeTlsRequirement(input: {domain: $domain}) { domain } }
"""
LIST = "{ organization { tlsRequirements { nodes { domain tls } } } }"
NAMES = ("mx.good.example", "mta-sts.good.example")


async def test_a_requirement_is_set_changed_and_removed(client: Client) -> None:
    actor, stranger = await make_actor(), await make_actor()

    await client.data(SET, {"domain": "Bücher.example", "tls": "REQUIRED"}, actor=actor)
    await client.data(SET, {"domain": "a.example", "tls": "DISABLED"}, actor=actor)
    data = await client.data(SET, {"domain": "a.example", "tls": "VERIFIED"}, actor=actor)
    listed = await client.data(LIST, {}, actor=actor)
    theirs = await client.data(LIST, {}, actor=stranger)
    refused = await client.graphql(REMOVE, {"domain": "a.example"}, actor=stranger)
    removed = await client.data(REMOVE, {"domain": "A.example"}, actor=actor)
    left = await client.data(LIST, {}, actor=actor)

    assert data["setTlsRequirement"]["requirement"]["tls"] == "VERIFIED"
    assert listed["organization"]["tlsRequirements"]["nodes"] == [
        {"domain": "a.example", "tls": "VERIFIED"},
        {"domain": "xn--bcher-kva.example", "tls": "REQUIRED"},
    ]
    assert theirs["organization"]["tlsRequirements"]["nodes"] == []
    assert refused["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert removed["removeTlsRequirement"] == {"domain": "a.example"}
    assert len(left["organization"]["tlsRequirements"]["nodes"]) == 1
    actions = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {} ORDER BY id",
        actor.organization_id,
    )
    assert [row["action"] for row in actions] == [
        *["tls_requirement.set"] * 3,
        "tls_requirement.removed",
    ]


@pytest.mark.parametrize(
    "domain", ["", "localhost", "192.0.2.1", "a b.example", "x" * 300, "*.a.b"]
)
async def test_what_is_no_domain_is_refused(client: Client, domain: str) -> None:
    actor = await make_actor()

    body = await client.graphql(SET, {"domain": domain, "tls": "REQUIRED"}, actor=actor)

    [detail] = body["errors"][0]["extensions"]["details"]
    assert (detail["field"], detail["code"]) == ("domain", "INVALID_DOMAIN")


async def test_a_developer_may_not_say_it(client: Client) -> None:
    actor = await make_actor(role=Role.DEVELOPER)

    for document in (SET, REMOVE):
        body = await client.graphql(
            document, {"domain": "a.example", "tls": "DISABLED"}, actor=actor
        )
        assert body["errors"][0]["extensions"]["code"] == "INSUFFICIENT_ROLE"


async def test_there_is_an_end_to_them(client: Client) -> None:
    actor = await make_actor()
    await fetch(
        "INSERT INTO tls_requirements (id, organization_id, domain, tls, created_at, updated_at) "
        "SELECT gen_random_uuid(), {}, n || '.example', 'required', now(), now() "
        "FROM generate_series(1, {}) AS n",
        actor.organization_id,
        MOST_REQUIREMENTS,
    )

    refused = await client.graphql(SET, {"domain": "new.example", "tls": "REQUIRED"}, actor=actor)
    changed = await client.graphql(SET, {"domain": "1.example", "tls": "VERIFIED"}, actor=actor)

    assert refused["errors"][0]["extensions"]["details"][0]["code"] == "TOO_MANY"
    assert "errors" not in changed


@pytest.mark.parametrize(
    ("tls", "manner", "made"),
    [
        ("VERIFIED", {}, ("delivered", "TLSv1.3", True, "verified")),
        ("VERIFIED", {"certificate_names": ("x.example",)}, ("deferred", None, None, "verified")),
        ("VERIFIED", {"certificate_expired": True}, ("deferred", None, None, "verified")),
        (
            "REQUIRED",
            {"certificate_names": ("x.example",)},
            ("delivered", "TLSv1.3", False, "required"),
        ),
        ("REQUIRED", {"starttls": "off"}, ("deferred", None, None, "required")),
        ("REQUIRED", {"starttls": "broken"}, ("deferred", None, None, "required")),
        ("OPPORTUNISTIC", {"starttls": "broken"}, ("delivered", None, None, "opportunistic")),
        ("DISABLED", {}, ("delivered", None, None, "disabled")),
    ],
)
async def test_mail_to_the_domain_keeps_to_it(
    client: Client,
    sink: Sink,
    dns: DnsServer,
    tls: str,
    manner: dict[str, Any],
    made: tuple[Any, ...],
) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    dns.set("good.example", "MX", "10 mx.good.example")
    dns.set("mx.good.example", "A", "127.0.0.1")
    sink.manner.starttls, sink.manner.certificate_names = "on", NAMES
    for name, value in manner.items():
        setattr(sink.manner, name, value)
    await client.data(SET, {"domain": "good.example", "tls": tls}, actor=actor)
    spooled = await make_spooled("ada@good.example", organization=organization)

    async with sending(transport(dns, sink)) as outbound:
        await drain_queue(outbound, spooled.queue_id)

    rows = await fetch(
        "SELECT verdict, tls_version, tls_verified, tls_policy FROM attempts "
        "WHERE delivery_id = {}",
        spooled.deliveries["ada@good.example"],
    )
    assert [tuple(row.values()) for row in rows] == [made]
