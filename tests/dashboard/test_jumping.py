"""The palette: pages, domains and messages by a few letters, of one's own organization only."""

from postlane.core.actor import Role
from postlane.core.ids import new_id
from tests.client import Client
from tests.dashboard.browser import member
from tests.dashboard.test_live import SEND, sender
from tests.factories import make_domain


async def test_pages_are_found_by_their_name(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}"

    found = await browser.get(f"{home}/jump?q=suppr", hx_request="true", hx_target="jump")
    nothing = await browser.get(f"{home}/jump?q=xyzzy", hx_request="true", hx_target="jump")

    assert "<html" not in found.text
    assert f'href="{home}/suppressions"' in found.text
    assert f'href="{home}/queues"' not in found.text
    assert "Nothing has this name." in nothing.text


async def test_domains_and_messages_are_found(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}"
    domain = await make_domain(organization.id)
    key, message = await sender(organization)
    sent = await client.data(SEND, {"input": message}, key=key)
    uuid = sent["sendMessage"]["message"]["uuid"]

    by_domain = await browser.get(f"{home}/jump?q={domain.name[:8]}")
    by_address = await browser.get(f"{home}/jump?q=ada@example.net")
    by_id = await browser.get(f"{home}/jump?q={uuid}")
    lately = await browser.get(f"{home}/jump")

    assert f'href="{home}/domains/{domain.name}"' in by_domain.text
    for answer in (by_address, by_id, lately):
        assert f'href="{home}/messages/{uuid}"' in answer.text


async def test_a_strangers_things_are_not_found(client: Client) -> None:
    browser, organization = await member(client)
    _, theirs = await member(client)
    domain = await make_domain(theirs.id)
    key, message = await sender(theirs)
    await client.data(SEND, {"input": message}, key=key)
    home = f"/o/{organization.slug}/jump"

    answers = [
        await browser.get(f"{home}?q={asked}")
        for asked in (domain.name, "ada@example.net", "", "x" * 2_000, "%00", f"{new_id()}")
    ]

    assert {answer.status_code for answer in answers} <= {200, 404}
    for answer in answers[:3]:
        assert domain.name not in answer.text.replace(f'value="{domain.name}"', "")
        assert "Hello" not in answer.text


async def test_only_pages_that_may_be_opened_are_found(client: Client) -> None:
    browser, organization = await member(client, role=Role.BILLING)

    shown = (await browser.get(f"/o/{organization.slug}/jump")).text

    assert f'href="/o/{organization.slug}/billing"' in shown
    assert f'href="/o/{organization.slug}/queues"' not in shown
