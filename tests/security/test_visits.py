"""Visits: an operator acts where they do not belong, with less than its people, for an hour."""

from datetime import timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Organization, User
from postlane.audit.tables import AuditEntry
from postlane.core import clock
from postlane.core.actor import VISITING, Permission
from postlane.core.database import fetch
from tests.client import Client
from tests.dashboard.browser import Browser, form_fields, member
from tests.people import registered

BEGIN = """mutation ($slug: String!, $reason: String!) {
  beginVisit(input: {slug: $slug, reason: $reason}) { expiresAt } }"""
END = "mutation ($slug: String!) { endVisit(input: {slug: $slug}) { ended } }"


async def operator(client: Client) -> Any:
    """Register somebody who looks after the deployment."""
    person = await registered(client)
    await fetch("UPDATE users SET platform_admin = true WHERE email = {}", person["user"]["email"])
    return person


async def victim(client: Client) -> Organization:
    _, organization = await member(client)
    return organization


async def entries(organization_id: Any, action: str) -> list[Any]:
    return await AuditEntry.objects().where(
        AuditEntry.organization_id == organization_id, AuditEntry.action == action
    )


async def test_an_operator_visits_and_leaves(client: Client) -> None:
    person, organization = await operator(client), await victim(client)
    browser, home = Browser(client, person["token"]), f"/o/{organization.slug}"
    page = f"/admin/orgs/{organization.slug}"

    before = await browser.get(home)
    begun = await browser.submit(page, f"{page}/visit", {"visit": "Ticket 77"})
    shown = await browser.get(home)
    left = await browser.submit(home, f"{page}/leave")
    after = await browser.get(home)

    assert (before.status_code, shown.status_code, after.status_code) == (404, 200, 404)
    assert begun.headers["location"] == home
    assert "as its visitor until" in shown.text
    assert "Ticket 77" in shown.text
    assert left.headers["location"] == f"{page}?done=visit-ended"
    (user,) = await User.objects().where(User.email == person["user"]["email"])
    for action in ("visit.begun", "visit.ended"):
        (entry,) = await entries(organization.id, action)
        assert entry.user_id == user.id
        assert (
            len(
                await AuditEntry.objects().where(
                    AuditEntry.user_id == user.id, AuditEntry.action == action
                )
            )
            == 2
        )


async def test_what_a_visitor_does_is_logged_with_the_reason(client: Client) -> None:
    person, organization = await operator(client), await victim(client)
    await client.data(
        BEGIN, {"slug": organization.slug, "reason": "Ticket 78"}, token=person["token"]
    )
    browser, home = Browser(client, person["token"]), f"/o/{organization.slug}"

    added = await browser.submit(
        f"{home}/suppressions", f"{home}/suppressions", {"address": "ada@dest.example"}
    )

    assert added.status_code == 303
    (entry,) = await entries(organization.id, "suppression.added")
    (user,) = await User.objects().where(User.email == person["user"]["email"])
    assert entry.user_id == user.id
    assert "Ticket 78" in str(entry.changes)


async def test_a_visitor_sees_no_secret_and_changes_neither_people_nor_security(
    client: Client,
) -> None:
    person, organization = await operator(client), await victim(client)
    await client.data(BEGIN, {"slug": organization.slug, "reason": "Why"}, token=person["token"])
    browser, home = Browser(client, person["token"]), f"/o/{organization.slug}"
    proof = form_fields((await browser.get(home)).text, "/logout")["_csrf"]

    keys = await browser.get(f"{home}/keys")
    refused = [
        await browser.post(f"{home}{path}", {"_csrf": proof, **values})
        for path, values in (
            ("/keys", {"name": "Mine"}),
            ("/members", {"email": "me@example.org", "role": "OWNER"}),
            ("/webhooks", {"url": "https://example.org/hook"}),
            ("/settings/factor", {"required": "yes"}),
            ("/settings", {"name": "Renamed"}),
        )
    ]

    assert keys.status_code == 403
    assert {answer.status_code for answer in refused} <= {403, 422}
    row = await Organization.objects().get(Organization.id == organization.id)
    assert row is not None
    assert row.name == organization.name
    assert not VISITING & {
        Permission.READ_API_KEYS,
        Permission.WRITE_API_KEYS,
        Permission.WRITE_USERS,
        Permission.WRITE_WEBHOOKS,
        Permission.WRITE_SECURITY,
        Permission.WRITE_BILLING,
        Permission.SEND_MESSAGES,
    }


async def test_a_visit_ends_by_itself(client: Client) -> None:
    person, organization = await operator(client), await victim(client)
    await client.data(BEGIN, {"slug": organization.slug, "reason": "Why"}, token=person["token"])
    browser = Browser(client, person["token"])
    during = await browser.get(f"/o/{organization.slug}")

    with clock.frozen(clock.now() + timedelta(minutes=61)):
        after = await browser.get(f"/o/{organization.slug}")

    assert during.status_code == 200
    assert after.status_code in (303, 404)


async def test_a_visit_ends_with_being_an_operator(client: Client) -> None:
    person, organization = await operator(client), await victim(client)
    await client.data(BEGIN, {"slug": organization.slug, "reason": "Why"}, token=person["token"])

    await fetch("UPDATE users SET platform_admin = false WHERE email = {}", person["user"]["email"])
    after = await Browser(client, person["token"]).get(f"/o/{organization.slug}")

    assert after.status_code == 404


@pytest.mark.parametrize("reason", ["", " ", "x" * 101])
async def test_a_visit_needs_a_reason(client: Client, reason: str) -> None:
    person, organization = await operator(client), await victim(client)

    answer = await client.graphql(
        BEGIN, {"slug": organization.slug, "reason": reason}, token=person["token"]
    )

    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    assert await entries(organization.id, "visit.begun") == []


async def test_nobody_else_visits(client: Client) -> None:
    person, organization = await registered(client), await victim(client)
    admin = await operator(client)
    values = {"slug": organization.slug, "reason": "Why"}

    refused = await client.graphql(BEGIN, values, token=person["token"])
    own = await client.graphql(
        BEGIN, values | {"slug": admin["organization"]["slug"]}, token=admin["token"]
    )
    absent = await client.graphql(BEGIN, values | {"slug": "no-such"}, token=admin["token"])
    nothing = await client.data(END, {"slug": organization.slug}, token=person["token"])

    codes = [a["errors"][0]["extensions"]["code"] for a in (refused, own, absent)]
    assert codes == ["INSUFFICIENT_ROLE", "CONFLICT", "NOT_FOUND"]
    assert nothing == {"endVisit": {"ended": False}}
