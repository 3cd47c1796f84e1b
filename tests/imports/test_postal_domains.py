"""Domains of Postal's go on: with their keys, their records, and who may send from them."""

from typing import Any

import pytest

from postlane.core.actor import Origin
from postlane.core.database import fetch
from postlane.imports.report import Kind, Outcome
from postlane.security.credentials import actor_from_api_key
from tests.client import Client
from tests.dns_server import DnsServer
from tests.domains.setup import CREATE, HOST, ROTATE, publish, rotate, verify
from tests.factories import make_actor, make_domain, make_organization

from .acme import Acme, a_key, furnish, owner_of, told
from .installation import private_key, some_uuid

RECORD = "v=DKIM1; t=s; h=sha256; p={};"


async def test_a_domain_may_send_at_once_with_the_key_that_is_published(acme: Acme) -> None:
    domain_id = acme.installation.domain(acme.server, acme.domain)
    acme.installation.add(
        "track_domains",
        uuid=some_uuid(),
        server_id=acme.server,
        domain_id=domain_id,
        name="click",
        track_clicks=1,
        track_loads=0,
    )

    await acme.take()

    (row,) = await fetch(
        "SELECT d.status, d.return_path_domain, d.tracking_domain, d.track_clicks, d.track_opens, "
        "k.selector, k.algorithm, k.state FROM domains d JOIN dkim_keys k ON k.domain_id = d.id "
        "WHERE d.name = {}",
        acme.domain,
    )
    assert row == {
        "status": "verified",
        "return_path_domain": f"psrp.{acme.domain}",
        "tracking_domain": f"click.{acme.domain}",
        "track_clicks": True,
        "track_opens": False,
        "selector": "postal-abc123",
        "algorithm": "rsa-1024",
        "state": "active",
    }


@pytest.mark.parametrize(
    ("values", "status", "algorithm", "state", "note"),
    [
        ({"verified_at": None}, "pending", "rsa-1024", "active", None),
        (
            {"dkim_status": "Missing"},
            "verified",
            "rsa-1024",
            "pending",
            "it may send for three days; publish its record at postal-abc123._domainkey.{} "
            "until then",
        ),
        ({"dkim_private_key": private_key(1, bits=2048)}, "verified", "rsa-2048", "active", None),
        (
            {"dkim_private_key": private_key(2, bits=3072)},
            "verified",
            "rsa-2048",
            "pending",
            "its DKIM key cannot go on, for it has 3072 bits instead of 1024 or 2048; "
            "there is a new one to publish",
        ),
        (
            {"dkim_private_key": "-----BEGIN"},
            "verified",
            "rsa-2048",
            "pending",
            "its DKIM key cannot go on, for it cannot be read; there is a new one to publish",
        ),
    ],
    ids=["unverified", "unpublished", "2048 bits", "3072 bits", "broken"],
)
async def test_a_domain_is_as_far_as_it_was(
    acme: Acme,
    values: dict[str, Any],
    status: str,
    algorithm: str,
    state: str,
    note: str | None,
) -> None:
    acme.installation.domain(acme.server, acme.domain, **values)

    report = await acme.take()

    (row,) = await fetch(
        "SELECT d.status, k.algorithm, k.state FROM domains d "
        "JOIN dkim_keys k ON k.domain_id = d.id WHERE d.name = {}",
        acme.domain,
    )
    assert row == {"status": status, "algorithm": algorithm, "state": state}
    ((_, *notes),) = told(report, Kind.DOMAIN, Outcome.TAKEN)
    assert (note is None) == (not notes)
    if note is not None:
        assert notes[0] == note.format(acme.domain)


async def test_a_server_sends_from_its_own_domains_only(acme: Acme) -> None:
    second = acme.installation.server(acme.organization, "other")
    first_key, second_key = a_key(), a_key()
    acme.installation.credential(acme.server, first_key)
    acme.installation.credential(second, second_key)
    shared, own, others = (f"{name}.{acme.domain}" for name in ("shared", "own", "others"))
    owner = {"owner_type": "Organization", "owner_id": acme.organization}
    acme.installation.domain(acme.server, shared, **owner)
    acme.installation.domain(acme.server, own)
    acme.installation.domain(second, others)

    await acme.take()

    allowed = [
        (await actor_from_api_key(k, Origin())).allowed_domains for k in (first_key, second_key)
    ]
    assert allowed == [{shared, own}, {shared, others}]


async def test_one_domain_of_two_servers_is_one_domain(acme: Acme) -> None:
    second = acme.installation.server(acme.organization, "other")
    acme.installation.domain(second, acme.domain, verified_at=None, dkim_identifier_string="Second")
    acme.installation.domain(acme.server, acme.domain)

    report = await acme.take()

    rows = await fetch(
        "SELECT selector FROM dkim_keys k JOIN domains d ON d.id = domain_id WHERE d.name = {}",
        acme.domain,
    )
    assert [row["selector"] for row in rows] == ["postal-abc123"]
    ((_, note),) = told(report, Kind.DOMAIN, Outcome.LEFT)
    assert f"postal-second._domainkey.{acme.domain}" in note


async def test_a_domain_that_somebody_else_has_verified_is_refused(acme: Acme) -> None:
    await make_domain((await make_organization()).id, name=acme.domain)
    secret = furnish(acme)

    report = await acme.take()

    ((name, note),) = told(report, Kind.DOMAIN, Outcome.REFUSED)
    assert name == acme.domain
    assert "another organization" in note.lower()
    assert (await actor_from_api_key(secret, Origin())).api_key_id is not None


async def test_records_that_were_published_for_postal_go_on_verifying(
    acme: Acme, client: Client, dns: DnsServer
) -> None:
    acme.installation.domain(acme.server, acme.domain)
    await acme.take()
    organization_id, _ = await acme.ids()
    (key,) = await fetch(
        "SELECT public_value FROM dkim_keys k JOIN domains d ON d.id = domain_id "
        "WHERE organization_id = {}",
        organization_id,
    )
    dns.set(f"postal-abc123._domainkey.{acme.domain}", "TXT", RECORD.format(key["public_value"]))
    dns.set(f"psrp.{acme.domain}", "CNAME", "rp.postal.example.com")
    # What the operator changes, once for everybody.
    dns.set("rp.postal.example.com", "CNAME", f"bounce.{HOST}")
    actor = await owner_of(organization_id)

    found = await verify(client, actor, acme.domain)

    assert (found["domain"]["status"], found["domain"]["canSend"]) == ("VERIFIED", True)
    assert found["domain"]["checks"]["dkim"] == "VERIFIED"
    assert found["domain"]["checks"]["returnPath"] == "VERIFIED"
    assert [each["algorithm"] for each in found["domain"]["dkim"]["keys"]] == ["RSA_1024"]


async def test_a_rotation_puts_a_longer_key_in_the_place_of_a_short_one(
    acme: Acme, client: Client, dns: DnsServer
) -> None:
    acme.installation.domain(acme.server, acme.domain)
    await acme.take()
    organization_id, _ = await acme.ids()
    actor = await owner_of(organization_id)

    refused = await client.graphql(
        ROTATE,
        {"input": {"domain": {"name": acme.domain}, "algorithm": "RSA_1024"}},
        actor=actor,
    )
    domain = await rotate(client, actor, acme.domain)
    await publish(client, actor, dns, acme.domain)
    found = await verify(client, actor, acme.domain)

    assert refused["errors"][0]["extensions"]["details"][0]["field"] == "algorithm"
    assert [(k["algorithm"], k["state"]) for k in domain["dkim"]["keys"]] == [
        ("RSA_1024", "ACTIVE"),
        ("RSA_2048", "PENDING"),
    ]
    assert [(k["algorithm"], k["state"]) for k in found["domain"]["dkim"]["keys"]] == [
        ("RSA_1024", "RETIRING"),
        ("RSA_2048", "ACTIVE"),
    ]


async def test_nobody_can_ask_for_a_key_of_1024_bits(client: Client) -> None:
    actor = await make_actor()
    given = {"name": "short.example", "dkimAlgorithms": ["RSA_1024", "RSA_2048"]}

    answer = await client.graphql(CREATE, {"input": given}, actor=actor)

    assert answer["errors"][0]["extensions"]["details"][0]["field"] == "dkimAlgorithms"


async def test_a_domain_that_came_later_is_not_in_the_lists_of_projects(acme: Acme) -> None:
    acme.installation.domain(acme.server, acme.domain)
    await acme.take()
    acme.installation.domain(acme.server, f"late.{acme.domain}")

    report = await acme.take()

    assert told(report, Kind.DOMAIN, Outcome.TAKEN) == [
        (f"late.{acme.domain}", "projects that list their domains do not list it yet")
    ]
