"""vMTAs on pages: added, paused, warmed up, and how far that is."""

import re
from collections.abc import Iterator
from itertools import count

import pytest

from postlane.core.actor import Role
from postlane.vmtas.tables import Vmta
from tests.billing.setup import settings_with
from tests.client import Client
from tests.dashboard.browser import Browser, member
from tests.vmtas.setup import INVENTORY, unused_address

NUMBERS = count(1)


@pytest.fixture(autouse=True)
def inventory() -> Iterator[None]:
    """The deployment has addresses that vMTAs may have."""
    with settings_with(source_addresses=INVENTORY):
        yield


async def added(browser: Browser, slug: str, **values: str) -> str:
    """Add a vMTA through its form and return the address of its page."""
    home = f"/o/{slug}/vmtas"
    number = next(NUMBERS)
    fields = {
        "name": f"tx-{number}",
        "ip": unused_address(),
        "hostname": f"tx-{number}.example.com",
        "schedule": "STANDARD",
    }
    answer = await browser.submit(home, home, fields | values)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"].partition("?")[0])


async def test_a_vmta_is_added_paused_and_resumed(client: Client) -> None:
    browser, organization = await member(client)
    page = await added(browser, organization.slug)

    begun = (await browser.get(page)).text
    paused = await browser.submit(page, f"{page}/pause")
    shown = (await browser.get(page)).text
    resumed = await browser.submit(page, f"{page}/resume")

    assert "Day 1 of its warm-up: 0 of 100 sent today." in begun
    assert begun.count('<line class="limit"') == 30
    assert "<title>Day 1: 0 sent of 100</title>" in begun
    assert paused.headers["location"] == f"{page}?done=vmta-paused"
    assert "Paused since" in shown
    assert resumed.headers["location"] == f"{page}?done=vmta-resumed"


async def test_a_refused_vmta_says_why_at_the_field(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/vmtas"

    answer = await browser.submit(
        home, home, {"name": "A B", "ip": "127.9.8.7", "hostname": "tx.example.com"}
    )

    assert answer.status_code == 422
    assert 'href="#name"' in answer.text
    assert 'value="A B"' in answer.text
    assert not await Vmta.exists().where(Vmta.organization_id == organization.id)


async def test_the_plan_of_a_warm_up_is_changed_and_ended(client: Client) -> None:
    browser, organization = await member(client)
    page = await added(browser, organization.slug)

    changed = await browser.submit(
        page, f"{page}/warmup", {"schedule": "EXTENDED", "volume": "5000"}
    )
    refused = [
        await browser.submit(page, f"{page}/warmup", {"schedule": "EXTENDED", "volume": volume})
        for volume in ("7", "many", "-1")
    ]
    ended = await browser.submit(page, f"{page}/warmup", {"schedule": ""})
    shown = (await browser.get(page)).text

    assert changed.headers["location"] == f"{page}?done=saved"
    assert [answer.status_code for answer in refused] == [422] * 3
    assert ended.headers["location"] == f"{page}?done=saved"
    assert "It is not warmed up" in shown


async def test_a_list_of_vmtas_is_searched(client: Client) -> None:
    browser, organization = await member(client)
    page = await added(browser, organization.slug)
    home = f"/o/{organization.slug}/vmtas"
    name = re.search(r"<h1>([^<]+)</h1>", (await browser.get(page)).text)
    assert name is not None

    found = await browser.get(f"{home}?search={name[1]}")
    missed = await browser.get(f"{home}?search=nothing-like-it")

    assert f">{name[1]}</a>" in found.text
    assert "Nothing matches" in missed.text


async def test_a_vmta_is_deleted(client: Client) -> None:
    browser, organization = await member(client)
    page = await added(browser, organization.slug)

    nowhere = await browser.submit(page, f"{page}/delete", {"to": "no-such"})
    answer = await browser.submit(page, f"{page}/delete")

    assert nowhere.status_code in (404, 422)
    assert answer.headers["location"] == f"/o/{organization.slug}/vmtas?done=vmta-deleted"
    assert (await browser.get(page)).status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
async def test_who_may_not_change_a_vmta_is_not_asked_to(client: Client, role: Role) -> None:
    owner, organization = await member(client)
    page = await added(owner, organization.slug)
    browser, _ = await member(client, organization, role=role)

    shown = (await browser.get(page)).text

    assert "Delete this vMTA" not in shown
    assert ("/pause" in shown) == (role is Role.DEVELOPER)
