"""What whoever looks after the deployment sees of organizations, and does to them."""

from typing import Any

import pytest

from postlane.accounts.operations import forgive_debt, suspend_for_debt
from postlane.accounts.tables import Organization
from postlane.audit.tables import AuditEntry
from postlane.core.actor import Actor, ActorKind, OrganizationId
from postlane.core.database import transaction
from postlane.core.findings import CHECKS
from postlane.core.ids import new_token
from tests.client import Client
from tests.factories import make_actor, make_domain, make_membership, make_organization

ONE = """query ($slug: String!) { overseenOrganization(slug: $slug) {
  uuid slug name status suspendedFor plan members credits volume { sent bounceRate } } }"""
LIST = """query ($filter: OverseenFilter, $after: String) {
  overseenOrganizations(filter: $filter, first: 2, after: $after) {
    nodes { slug status } pageInfo { hasNextPage endCursor } } }"""
SUSPEND = """mutation ($slug: String!, $reason: String!) {
  suspendOrganization(input: {slug: $slug, reason: $reason}) {
    organization { status suspendedFor } } }"""
RESUME = """mutation ($slug: String!) {
  resumeOrganization(input: {slug: $slug}) { organization { status suspendedFor } } }"""
DEPLOYMENT = """{ deployment { findings { subject verdict sentence remedy }
  jobQueue { queued active scheduled workers } consumers { name events seconds } } }"""
SUSPENDED = {"status": "SUSPENDED", "suspendedFor": "PLATFORM"}
ACTIVE = {"status": "ACTIVE", "suspendedFor": None}


async def entries(organization_id: Any, action: str) -> list[Any]:
    return await AuditEntry.objects().where(
        AuditEntry.organization_id == organization_id, AuditEntry.action == action
    )


async def test_an_operator_sees_every_organization(client: Client) -> None:
    operator = await make_actor(platform_admin=True)
    mark = new_token(8).lower()
    made = [await make_organization(name=f"{mark} {number}") for number in range(3)]
    await make_membership(made[0])

    first = await client.data(LIST, {"filter": {"search": mark.upper()}}, actor=operator)
    page = first["overseenOrganizations"]
    rest = await client.data(
        LIST,
        {"filter": {"search": mark.upper()}, "after": page["pageInfo"]["endCursor"]},
        actor=operator,
    )
    one = await client.data(ONE, {"slug": made[0].slug}, actor=operator)

    slugs = [n["slug"] for p in (first, rest) for n in p["overseenOrganizations"]["nodes"]]
    assert slugs == [organization.slug for organization in reversed(made)]
    assert page["pageInfo"]["hasNextPage"] is True
    assert rest["overseenOrganizations"]["pageInfo"]["hasNextPage"] is False
    found = one["overseenOrganization"]
    assert (found["uuid"], found["members"]) == (str(made[0].id), 1)
    assert found["volume"] == {"sent": 0, "bounceRate": None}


@pytest.mark.parametrize("document", [ONE, LIST, SUSPEND, RESUME, DEPLOYMENT])
@pytest.mark.parametrize("who", ["owner", "key"])
async def test_nobody_else_does(client: Client, document: str, who: str) -> None:
    victim = await make_organization()
    actor = await make_actor(
        **({"kind": ActorKind.API_KEY, "platform_admin": True} if who == "key" else {})
    )

    answer = await client.graphql(document, {"slug": victim.slug, "reason": "No."}, actor=actor)

    assert answer["errors"][0]["extensions"]["code"] == "INSUFFICIENT_ROLE"
    row = await Organization.objects().get(Organization.id == victim.id)
    assert row is not None
    assert row.status == "active"


async def test_an_organization_is_suspended_and_resumed(client: Client) -> None:
    operator = await make_actor(platform_admin=True)
    organization = await make_organization()
    values = {"slug": organization.slug, "reason": "Sends what nobody asked for."}

    suspended = await client.data(SUSPEND, values, actor=operator)
    again = await client.graphql(SUSPEND, values, actor=operator)
    resumed = await client.data(RESUME, values, actor=operator)
    twice = await client.graphql(RESUME, values, actor=operator)

    assert suspended["suspendOrganization"]["organization"] == SUSPENDED
    assert again["errors"][0]["extensions"]["code"] == "CONFLICT"
    assert resumed["resumeOrganization"]["organization"] == ACTIVE
    assert twice["errors"][0]["extensions"]["code"] == "CONFLICT"
    for whose, kind in ((operator.organization_id, "user"), (organization.id, "platform")):
        (entry,) = await entries(whose, "organization.suspended")
        assert entry.actor_kind == kind
        assert "Sends what nobody asked for." in str(entry.changes)
        assert len(await entries(whose, "organization.resumed")) == 1


async def test_a_suspension_for_debt_becomes_one_by_the_platform(client: Client) -> None:
    operator = await make_actor(platform_admin=True)
    organization = await make_organization(status="suspended", suspended_for="debt")

    suspended = await client.data(
        SUSPEND, {"slug": organization.slug, "reason": "Fraud"}, actor=operator
    )

    assert suspended["suspendOrganization"]["organization"] == SUSPENDED


async def test_of_two_suspensions_the_platforms_ends_and_the_debt_stays(client: Client) -> None:
    operator = await make_actor(platform_admin=True)
    organization = await make_organization()
    values = {"slug": organization.slug, "reason": "Fraud"}
    await client.data(SUSPEND, values, actor=operator)
    async with transaction() as tx:
        assert await suspend_for_debt(tx, OrganizationId(organization.id))

    first = await client.data(RESUME, values, actor=operator)
    second = await client.data(RESUME, values, actor=operator)

    assert first["resumeOrganization"]["organization"] == {
        "status": "SUSPENDED",
        "suspendedFor": "DEBT",
    }
    assert second["resumeOrganization"]["organization"] == ACTIVE


async def test_who_pays_meanwhile_stays_suspended_by_the_platform_alone(client: Client) -> None:
    operator = await make_actor(platform_admin=True)
    organization = await make_organization()
    values = {"slug": organization.slug, "reason": "Fraud"}
    async with transaction() as tx:
        await suspend_for_debt(tx, OrganizationId(organization.id))
    await client.data(SUSPEND, values, actor=operator)

    async with transaction() as tx:
        assert await forgive_debt(tx, OrganizationId(organization.id))
    row = await Organization.objects().get(Organization.id == organization.id)
    resumed = await client.data(RESUME, values, actor=operator)

    assert row is not None
    assert (row.status, row.suspended_for, row.in_debt) == ("suspended", "platform", False)
    assert resumed["resumeOrganization"]["organization"] == ACTIVE


@pytest.mark.parametrize(
    ("slug", "reason", "code"),
    [
        ("there-is-none", "Why", "NOT_FOUND"),
        (None, "", "INVALID_INPUT"),
        (None, "x" * 101, "INVALID_INPUT"),
        (None, "a\nb", "INVALID_INPUT"),
    ],
)
async def test_a_suspension_needs_an_organization_and_a_reason(
    client: Client, slug: str | None, reason: str, code: str
) -> None:
    operator = await make_actor(platform_admin=True)
    organization = await make_organization()

    answer = await client.graphql(
        SUSPEND, {"slug": slug or organization.slug, "reason": reason}, actor=operator
    )

    assert answer["errors"][0]["extensions"]["code"] == code
    row = await Organization.objects().get(Organization.id == organization.id)
    assert row is not None
    assert row.status == "active"
    assert await entries(organization.id, "organization.suspended") == []


async def test_the_health_of_the_deployment_is_told(client: Client) -> None:
    operator: Actor = await make_actor(platform_admin=True)
    await make_domain(operator.organization_id)

    found = (await client.data(DEPLOYMENT, {}, actor=operator))["deployment"]

    subjects = {each["subject"] for each in found["findings"]}
    assert {"database", "clock", "migrations", "job queue", "DNS"} <= subjects
    assert {"database", "migrations"} <= set(CHECKS)
    by_subject = {each["subject"]: each for each in found["findings"]}
    assert by_subject["migrations"]["verdict"] == "OK"
    assert by_subject["job queue"]["verdict"] == "WARNING"
    assert "postlane worker" in by_subject["job queue"]["remedy"]
    assert found["jobQueue"]["workers"] == 0
