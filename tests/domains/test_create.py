"""Setting up a domain: what it may be called, and what comes with it."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from postlane.core.actor import Actor, Permission, Role
from postlane.core.database import fetch
from tests.client import Client
from tests.domains.setup import CREATE, HOST, create
from tests.factories import make_actor, make_domain, make_organization


async def details(client: Client, actor: Actor, **values: Any) -> list[tuple[str, str]]:
    """Return field and code of each thing that is wrong with a domain's input."""
    body = await client.graphql(CREATE, {"input": {"name": "example.com"} | values}, actor=actor)
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    return [(each["field"], each["code"]) for each in error["extensions"]["details"]]


async def test_a_new_domain_shows_what_to_publish(client: Client, frozen: datetime) -> None:
    actor = await make_actor()

    domain = await create(client, actor, "Example.COM.")

    assert domain["name"] == "example.com"
    assert (domain["status"], domain["canSend"]) == ("PENDING", False)
    (key,) = domain["dkim"].pop("keys")
    assert domain["dkim"] == {"selector": "pmta", "rotationDays": None, "nextRotationAt": None}
    assert (key["selector"], key["algorithm"], key["state"]) == ("pmta", "RSA_2048", "PENDING")
    shown = [(r["purpose"], r["type"], r["name"], r["required"]) for r in domain["records"]]
    assert shown == [
        ("DKIM", "TXT", "pmta._domainkey.example.com", True),
        ("RETURN_PATH", "CNAME", "bounce.example.com", True),
        ("SPF", "TXT", "example.com", False),
        ("DMARC", "TXT", "_dmarc.example.com", False),
    ]
    values = [r["value"] for r in domain["records"]]
    assert values[0].startswith("v=DKIM1; k=rsa; p=MII")
    assert values[1:] == [
        f"bounce.{HOST}",
        f"v=spf1 include:_spf.{HOST} ~all",
        "v=DMARC1; p=none",
    ]
    assert {r["status"] for r in domain["records"]} == {"PENDING"}


async def test_every_choice_is_kept(client: Client, frozen: datetime) -> None:
    actor = await make_actor()

    domain = await create(
        client,
        actor,
        "bücher.example",
        dkimSelector="s1.mail",
        dkimAlgorithms=["ED25519", "RSA_2048", "ED25519"],
        dkimRotationDays=90,
        returnPathDomain="return.bücher.example",
        trackingDomain="t.xn--bcher-kva.example",
        trackOpens=True,
        inboundEnabled=True,
        dmarcRua="dmarc+reports@example.org",
    )

    assert domain["name"] == "xn--bcher-kva.example"
    assert domain["dkim"]["nextRotationAt"] == "2026-08-30T12:00:00.000Z"
    assert [(k["selector"], k["algorithm"]) for k in domain["dkim"]["keys"]] == [
        ("s1.mailed", "ED25519"),
        ("s1.mail", "RSA_2048"),
    ]
    shown = {(r["purpose"], r["name"]): (r["value"], r["required"]) for r in domain["records"]}
    ed25519 = shown.pop(("DKIM", "s1.mailed._domainkey.xn--bcher-kva.example"))
    assert ed25519[0].startswith("v=DKIM1; k=ed25519; p=")
    assert ed25519[1] is False
    del shown["DKIM", "s1.mail._domainkey.xn--bcher-kva.example"]
    assert shown == {
        ("RETURN_PATH", "return.xn--bcher-kva.example"): (f"bounce.{HOST}", True),
        ("SPF", "xn--bcher-kva.example"): (f"v=spf1 include:_spf.{HOST} ~all", False),
        ("DMARC", "_dmarc.xn--bcher-kva.example"): (
            "v=DMARC1; p=none; rua=mailto:dmarc+reports@example.org",
            False,
        ),
        ("MX", "xn--bcher-kva.example"): (f"10 mx.{HOST}", True),
        ("TRACKING", "t.xn--bcher-kva.example"): (f"track.{HOST}", True),
    }


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "INVALID_DOMAIN"),
        ("localhost", "INVALID_DOMAIN"),
        ("192.0.2.1", "INVALID_DOMAIN"),
        ("[192.0.2.1]", "INVALID_DOMAIN"),
        ("[IPv6:2001:db8::1]", "INVALID_DOMAIN"),
        ("exa mple.com", "INVALID_DOMAIN"),
        ("*.example.com", "INVALID_DOMAIN"),
        ("-a.example.com", "INVALID_DOMAIN"),
        ("a..example.com", "INVALID_DOMAIN"),
        ("http://example.com/", "INVALID_DOMAIN"),
        ("user@example.com", "INVALID_DOMAIN"),
        ("xn--a.example", "INVALID_DOMAIN"),
        ("a" * 64 + ".example.com", "INVALID_DOMAIN"),
        ("a." * 200 + "example", "INVALID_DOMAIN"),
        (".".join(["a" * 60] * 4), "TOO_LONG"),
        ("com", "INVALID_DOMAIN"),
        ("co.uk", "NOT_ALLOWED"),
        ("github.io", "NOT_ALLOWED"),
        ("公司.cn", "NOT_ALLOWED"),
        (HOST, "NOT_ALLOWED"),
        (f"deep.{HOST}", "NOT_ALLOWED"),
    ],
)
async def test_a_name_that_is_no_domain_of_ones_own_is_refused(
    client: Client, name: str, code: str
) -> None:
    actor = await make_actor()

    assert await details(client, actor, name=name) == [("name", code)]


async def test_every_wrong_field_is_named(client: Client) -> None:
    actor = await make_actor()

    found = await details(
        client,
        actor,
        dkimSelector="under_score",
        dkimAlgorithms=["ED25519"],
        dkimRotationDays=29,
        returnPathDomain="bounce.example.org",
        trackingDomain="t.example.org",
        dmarcRua="Ada <ada@example.com>",
    )

    assert sorted(found) == [
        ("dkimAlgorithms", "REQUIRED"),
        ("dkimRotationDays", "TOO_SMALL"),
        ("dkimSelector", "INVALID_FORMAT"),
        ("dmarcRua", "INVALID_EMAIL"),
        ("returnPathDomain", "NOT_ALLOWED"),
        ("trackingDomain", "NOT_ALLOWED"),
    ]


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"dkimSelector": "a" * 64}, ("dkimSelector", "INVALID_FORMAT")),
        ({"dkimSelector": "a" * 62}, ("dkimSelector", "TOO_LONG")),
        ({"dkimSelector": "a..b"}, ("dkimSelector", "INVALID_FORMAT")),
        ({"dkimSelector": "-a"}, ("dkimSelector", "INVALID_FORMAT")),
        ({"dkimAlgorithms": []}, ("dkimAlgorithms", "REQUIRED")),
        ({"dkimRotationDays": 366}, ("dkimRotationDays", "TOO_LARGE")),
        ({"returnPathDomain": "example.com"}, ("returnPathDomain", "NOT_ALLOWED")),
        ({"returnPathDomain": "badexample.com"}, ("returnPathDomain", "NOT_ALLOWED")),
        ({"returnPathDomain": "a b.example.com"}, ("returnPathDomain", "INVALID_DOMAIN")),
        ({"trackingDomain": "example.com"}, ("trackingDomain", "NOT_ALLOWED")),
        ({"trackingDomain": "bounce.example.com"}, ("trackingDomain", "DUPLICATE")),
        ({"trackingDomain": "not a name"}, ("trackingDomain", "INVALID_DOMAIN")),
        ({"defaultPool": "absent"}, ("defaultPool", "NOT_FOUND")),
        ({"dmarcRua": "nobody"}, ("dmarcRua", "INVALID_EMAIL")),
    ],
)
async def test_a_wrong_field_is_named(
    client: Client, values: dict[str, Any], detail: tuple[str, str]
) -> None:
    actor = await make_actor()

    assert await details(client, actor, **values) == [detail]
    assert (
        await fetch("SELECT FROM domains WHERE organization_id = {}", actor.organization_id) == []
    )


async def test_a_domain_is_set_up_once(client: Client) -> None:
    actor = await make_actor()
    await create(client, actor, "once.example")

    code = await client.refusal(CREATE, {"input": {"name": "ONCE.example"}}, actor=actor)

    assert code == "DOMAIN_EXISTS"


async def test_two_organizations_may_wait_for_one_name(client: Client) -> None:
    await create(client, await make_actor(), "contested.example")

    domain = await create(client, await make_actor(), "contested.example")

    assert domain["status"] == "PENDING"


@pytest.mark.parametrize("status", ["verified", "degraded"])
async def test_a_name_that_somebody_has_verified_is_refused(client: Client, status: str) -> None:
    owner = await make_organization()
    taken = await make_domain(owner.id, status=status)

    code = await client.refusal(CREATE, {"input": {"name": taken.name}}, actor=await make_actor())

    assert code == "DOMAIN_CLAIMED"


async def test_a_tracking_domain_is_used_by_one_domain(client: Client) -> None:
    actor = await make_actor()
    await create(client, actor, "shop.tracked.example", trackingDomain="t.tracked.example")

    found = await details(client, actor, name="tracked.example", trackingDomain="t.tracked.example")

    assert found == [("trackingDomain", "DUPLICATE")]


async def test_a_repeated_request_sets_up_one_domain(client: Client) -> None:
    actor = await make_actor()
    again = {"Idempotency-Key": "the-same"}
    variables = {"input": {"name": "repeated.example"}}

    first = await client.graphql(CREATE, variables, actor=actor, headers=again)
    second = await client.graphql(CREATE, variables, actor=actor, headers=again)

    assert first["data"] == second["data"]
    other = {"input": {"name": "other.example"}}
    reused = await client.graphql(CREATE, other, actor=actor, headers=again)
    assert reused["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_KEY_REUSE"


async def test_a_refusal_is_repeated_too(client: Client) -> None:
    actor = await make_actor()
    existing = await make_domain(actor.organization_id)
    again = {"Idempotency-Key": "refused"}
    variables = {"input": {"name": existing.name}}
    first = await client.graphql(CREATE, variables, actor=actor, headers=again)
    await fetch("DELETE FROM domains WHERE id = {}", existing.id)

    second = await client.graphql(CREATE, variables, actor=actor, headers=again)

    codes = [body["errors"][0]["extensions"]["code"] for body in (first, second)]
    assert codes == ["DOMAIN_EXISTS", "DOMAIN_EXISTS"]


async def test_a_viewer_may_look_but_not_touch(client: Client) -> None:
    viewer = await make_actor(role=Role.VIEWER)

    code = await client.refusal(CREATE, {"input": {"name": "example.com"}}, actor=viewer)

    assert code == "INSUFFICIENT_ROLE"
    assert viewer.may(Permission.READ_DOMAINS)


async def test_setting_up_is_written_to_the_audit_log(client: Client) -> None:
    actor = await make_actor()

    domain = await create(client, actor, "audited.example")

    rows = await fetch(
        "SELECT action, target_id, user_id FROM audit_entries WHERE organization_id = {}",
        actor.organization_id,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("domain.created", domain["uuid"], actor.user_id)
    ]


async def test_what_is_wrong_with_the_input_is_said_before_that_the_domain_is_there(
    client: Client,
) -> None:
    actor = await make_actor()
    await create(client, actor, "already-there.example")

    assert await details(client, actor, name="already-there.example", defaultPool="absent") == [
        ("defaultPool", "NOT_FOUND")
    ]
    sent = {"input": {"name": "already-there.example"}}
    assert await client.refusal(CREATE, sent, actor=actor) == "DOMAIN_EXISTS"


@pytest.mark.parametrize(("plan", "allowed"), [("trial", 1), ("starter", 1), ("professional", 3)])
async def test_a_plan_allows_so_many_domains(client: Client, plan: str, allowed: int) -> None:
    organization = await make_organization(plan=plan)
    actor = await make_actor(organization)

    codes = []
    for number in range(3):
        sent = {"input": {"name": f"n{number}.{plan}-limit.example"}}
        body = await client.graphql(CREATE, sent, actor=actor)
        codes += [error["extensions"]["code"] for error in body.get("errors", ())]

    assert codes == ["FEATURE_NOT_IN_PLAN"] * (3 - allowed)
    rows = await fetch("SELECT FROM domains WHERE organization_id = {}", organization.id)
    assert len(rows) == allowed


async def test_the_last_domain_of_a_plan_is_set_up_once(client: Client) -> None:
    organization = await make_organization(plan="trial")
    actor = await make_actor(organization)

    bodies = await asyncio.gather(
        *(
            client.graphql(CREATE, {"input": {"name": f"r{n}.last.example"}}, actor=actor)
            for n in range(4)
        )
    )

    refused = [body["errors"][0]["extensions"]["code"] for body in bodies if "errors" in body]
    assert refused == ["FEATURE_NOT_IN_PLAN"] * 3
