"""Settings and account: what an organization and a person decide for themselves."""

import re

import pytest

from postlane.accounts.tables import Organization, Project, User
from postlane.core.actor import Role
from tests.client import Client
from tests.dashboard.browser import Browser, member
from tests.people import registered


async def test_an_organization_is_renamed(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/settings"

    saved = await browser.submit(home, home, {"name": "Acme & Sons"})
    refused = await browser.submit(home, home, {"name": ""})
    row = await Organization.objects().get(Organization.id == organization.id)

    assert saved.headers["location"] == f"{home}?done=saved"
    assert refused.status_code == 422
    assert 'href="#name"' in refused.text
    assert row is not None
    assert row.name == "Acme & Sons"


async def test_tracking_is_decided_and_shown(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/settings"

    saved = await browser.submit(
        home, f"{home}/tracking", {"opens": "yes", "clicks": "no", "textLinks": "", "sums": "yes"}
    )
    shown = (await browser.get(home)).text

    assert saved.headers["location"] == f"{home}?done=saved"
    assert re.search(r'id="opens".*?value="yes" selected', shown, re.S)
    assert re.search(r'id="clicks".*?value="no" selected', shown, re.S)
    assert re.search(r'name="sums" value="yes" checked', shown)


async def test_encryption_to_a_domain_is_required_and_no_longer(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/settings"

    added = await browser.submit(
        home, f"{home}/encryption", {"domain": "bank.example", "tls": "VERIFIED"}
    )
    wrong = await browser.submit(home, f"{home}/encryption", {"domain": "no domain", "tls": "x"})
    shown = (await browser.get(home)).text
    removed = await browser.submit(home, f"{home}/encryption/remove", {"domain": "bank.example"})
    after = (await browser.get(home)).text

    assert added.headers["location"] == f"{home}?done=saved"
    assert wrong.status_code == 422
    assert "bank.example" in shown
    assert "Always, with a good certificate</td>" in shown
    assert removed.headers["location"] == f"{home}?done=saved"
    assert "bank.example" not in after


async def test_a_project_is_made_archived_and_restored(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/settings"

    made = await browser.submit(home, f"{home}/projects", {"project": "Night mail"})
    refused = await browser.submit(home, f"{home}/projects", {"project": ""})
    (row,) = await Project.objects().where(
        Project.organization_id == organization.id, Project.name == "Night mail"
    )
    archived = await browser.submit(home, f"{home}/projects/{row.id}/archive")
    shown = (await browser.get(home)).text
    restored = await browser.submit(home, f"{home}/projects/{row.id}/restore")

    assert made.headers["location"] == f"{home}?done=saved"
    assert refused.status_code == 422
    assert 'href="#project"' in refused.text
    assert archived.headers["location"] == f"{home}?done=saved"
    assert "archived</span>" in shown
    assert restored.headers["location"] == f"{home}?done=saved"


async def test_a_second_factor_is_asked_of_all_only_by_who_has_one(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/settings"

    refused = await browser.submit(home, f"{home}/factor", {"required": "yes"})
    row = await Organization.objects().get(Organization.id == organization.id)

    assert refused.status_code == 422
    assert row is not None
    assert row.requires_second_factor is False


async def test_a_viewer_sees_settings_and_changes_none(client: Client) -> None:
    browser, organization = await member(client, role=Role.VIEWER)
    home = f"/o/{organization.slug}/settings"

    shown = await browser.get(home)

    assert shown.status_code == 200
    assert "How long mail is kept" in shown.text
    assert not re.search(rf'action="{home}', shown.text)


@pytest.mark.parametrize(("theme", "seen"), [("DARK", "dark"), ("LIGHT", "light")])
async def test_pages_look_as_a_person_wants(client: Client, theme: str, seen: str) -> None:
    person = await registered(client)
    browser = Browser(client, person["token"])
    home = f"/o/{person['organization']['slug']}"

    saved = await browser.submit("/account", "/account/looks", {"theme": theme, "shortcuts": ""})
    shown = (await browser.get(home)).text
    (row,) = await User.objects().where(User.email == person["user"]["email"])

    assert saved.headers["location"] == "/account?done=saved"
    assert f'<html lang="en" data-theme="{seen}">' in shown
    assert 'data-keys="off"' in shown
    assert (row.theme, row.shortcuts) == (seen, False)
