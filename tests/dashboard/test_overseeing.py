"""The platform's pages: for whoever looks after the deployment, and nobody else."""

import re

import pytest

from postlane.accounts.tables import Organization
from postlane.core.database import fetch
from postlane.credits.queries import balances_of
from tests.client import Client
from tests.dashboard.browser import Browser, member
from tests.factories import make_actor, make_organization
from tests.people import registered


async def operator(client: Client) -> Browser:
    person = await registered(client)
    await fetch("UPDATE users SET platform_admin = true WHERE email = {}", person["user"]["email"])
    return Browser(client, person["token"])


async def test_organizations_are_listed_found_and_shown(client: Client) -> None:
    browser = await operator(client)
    organization = await make_organization(name="Acme <b>")

    listed = await browser.get(f"/admin/orgs?search={organization.slug}")
    part = await browser.get(
        f"/admin/orgs?search={organization.slug}", hx_request="true", hx_target="found"
    )
    missed = await browser.get("/admin/orgs?search=there-is-no-such")
    shown = await browser.get(f"/admin/orgs/{organization.slug}")
    absent = await browser.get("/admin/orgs/there-is-no-such")

    for answer in (listed, part, shown):
        assert "Acme &lt;b&gt;" in answer.text
    assert "<html" not in part.text
    assert "Nothing matches" in missed.text
    assert absent.status_code == 404


async def test_an_organization_is_suspended_and_resumed(client: Client) -> None:
    browser, organization = await operator(client), await make_organization()
    page = f"/admin/orgs/{organization.slug}"

    refused = await browser.submit(page, f"{page}/suspend", {"reason": ""})
    suspended = await browser.submit(page, f"{page}/suspend", {"reason": "Spam"})
    row = await Organization.objects().get(Organization.id == organization.id)
    shown = await browser.get(page)
    resumed = await browser.submit(page, f"{page}/resume")

    assert refused.status_code == 422
    assert 'href="#reason"' in refused.text
    assert suspended.headers["location"] == f"{page}?done=organization-suspended"
    assert row is not None
    assert row.status == "suspended"
    assert "by an operator" in shown.text
    assert resumed.headers["location"] == f"{page}?done=organization-resumed"


async def test_credits_are_granted_once_however_often_it_is_clicked(client: Client) -> None:
    browser, organization = await operator(client), await make_organization()
    page = f"/admin/orgs/{organization.slug}"
    fields = {"amount": "500", "reference": "Sorry", "once": organization.slug}

    answers = [await browser.submit(page, f"{page}/credits", fields) for _ in range(2)]
    refused = [
        await browser.submit(page, f"{page}/credits", {"amount": amount, "once": ""})
        for amount in ("", "0", "-5", "many", "1e9")
    ]
    balances = await balances_of(await make_actor(platform_admin=True), [organization.id])

    assert {a.headers["location"] for a in answers} == {f"{page}?done=credits-granted"}
    assert [answer.status_code for answer in refused] == [422] * 5
    assert balances == {organization.id: 500}


async def test_health_says_what_to_do(client: Client) -> None:
    browser = await operator(client)

    shown = (await browser.get("/admin/health")).text

    assert re.search(r"Start one with `postlane worker`", shown)
    assert "migrations" in shown


@pytest.mark.parametrize("path", ["/admin/orgs", "/admin/orgs/{slug}", "/admin/health"])
async def test_a_member_is_told_that_this_is_not_theirs(client: Client, path: str) -> None:
    browser, organization = await member(client)
    path = path.replace("{slug}", organization.slug)

    answer = await browser.get(path)

    assert answer.status_code == 403
    assert "Only whoever looks after this deployment may do that" in answer.text
    home = (await browser.get(f"/o/{organization.slug}")).text
    assert 'href="/admin/orgs"' not in home
