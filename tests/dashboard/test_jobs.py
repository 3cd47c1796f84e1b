"""Long work on pages: files that are asked for where the list is, and how far they are."""

import re
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from postlane.bulk.work import run_bulk
from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.exports.work import run_export
from postlane.graphql.export_pages import pages_for
from postlane.server.auth import actor_for_export
from tests.client import Client
from tests.dashboard.browser import member
from tests.dashboard.test_live import SEND, sender
from tests.factories import make_suppression


async def exports(organization: Any) -> list[UUID]:
    rows = await fetch(
        "SELECT id FROM exports WHERE organization_id = {} ORDER BY id", organization.id
    )
    return [row["id"] for row in rows]


async def test_what_was_searched_is_written_into_a_file(client: Client) -> None:
    browser, organization = await member(client)
    key, message = await sender(organization)
    for subject in ("Apples", "Pears"):
        await client.data(SEND, {"input": message | {"subject": subject}}, key=key)
    home = f"/o/{organization.slug}"

    begun = await browser.submit(f"{home}/messages?q=Apples", f"{home}/jobs")
    waiting = (await browser.get(f"{home}/jobs")).text
    (export_id,) = await exports(organization)
    await run_export(export_id, pages_for(actor_for_export))
    shown = (await browser.get(f"{home}/jobs")).text
    link = re.search(r'href="http://postlane\.test([^"]+)" data-no-prefetch', shown)
    assert link is not None
    file = await client.get(link[1])

    assert begun.headers["location"] == f"{home}/jobs?done=export-begun"
    assert "<progress" in waiting
    assert "Done" in shown
    assert file.status_code == 200
    assert "Apples" in file.text
    assert "Pears" not in file.text


async def test_suppressions_and_the_audit_log_are_exported_too(client: Client) -> None:
    browser, organization = await member(client)
    await make_suppression(organization.id, "gone@example.net")
    home = f"/o/{organization.slug}"
    await browser.submit(f"{home}/settings", f"{home}/settings", {"name": "Renamed"})

    answers = [
        await browser.submit(f"{home}/{page}", f"{home}/jobs") for page in ("suppressions", "audit")
    ]

    assert {a.headers["location"] for a in answers} == {f"{home}/jobs?done=export-begun"}
    rows = await fetch(
        "SELECT dataset FROM exports WHERE organization_id = {} ORDER BY id", organization.id
    )
    assert [row["dataset"] for row in rows] == ["suppressions", "audit_log"]


async def test_a_file_is_stopped_and_thrown_away(client: Client) -> None:
    browser, organization = await member(client)
    await make_suppression(organization.id, "gone@example.net")
    home = f"/o/{organization.slug}"
    await browser.submit(f"{home}/suppressions", f"{home}/jobs")
    (export_id,) = await exports(organization)

    stopped = await browser.submit(f"{home}/jobs", f"{home}/jobs/{export_id}/cancel")
    shown = (await browser.get(f"{home}/jobs")).text

    assert stopped.headers["location"] == f"{home}/jobs?done=export-cancelled"
    assert "Cancelled" in shown


async def test_a_strangers_file_is_neither_shown_nor_stopped(client: Client) -> None:
    browser, organization = await member(client)
    other, theirs = await member(client)
    await make_suppression(theirs.id, "gone@example.net")
    away = f"/o/{theirs.slug}"
    await other.submit(f"{away}/suppressions", f"{away}/jobs")
    (export_id,) = await exports(theirs)
    await make_suppression(organization.id, "gone@example.net")
    home = f"/o/{organization.slug}"
    shown = await browser.get(f"{home}/suppressions")
    proof = re.search(r'name="_csrf" value="([^"]+)"', shown.text)
    assert proof is not None

    answers = [
        await browser.post(f"{home}/jobs/{each}/cancel", {"_csrf": proof[1]})
        for each in (export_id, new_id())
    ]

    assert {answer.status_code for answer in answers} <= {404, 422}
    rows = await fetch("SELECT state FROM exports WHERE id = {}", export_id)
    assert rows[0]["state"] == "queued"
    assert str(export_id) not in (await browser.get(f"{home}/jobs")).text


async def test_many_addresses_are_handed_in(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}"

    taken = await browser.submit(
        f"{home}/suppressions", f"{home}/jobs/import", {"lines": "a@x.example\nb@x.example\n"}
    )
    refused = await browser.submit(f"{home}/suppressions", f"{home}/jobs/import", {"lines": ""})
    shown = (await browser.get(f"{home}/jobs")).text

    assert taken.headers["location"] == f"{home}/jobs?done=import-begun"
    assert refused.status_code == 422
    assert "Suppressions that were handed in" in shown


async def test_who_may_read_nothing_of_it_is_told_so(client: Client) -> None:
    browser, organization = await member(client, role=Role.BILLING)

    answer = await browser.get(f"/o/{organization.slug}/jobs")

    assert answer.status_code == 403


async def test_something_is_done_to_all_that_match(client: Client) -> None:
    browser, organization = await member(client)
    key, message = await sender(organization)
    for subject in ("Apples", "Pears"):
        values = message | {"subject": subject, "to": [f"{subject.lower()}@example.net"]}
        await client.data(SEND, {"input": values}, key=key)
    home = f"/o/{organization.slug}"
    page = f"{home}/messages/bulk?q=Apples"

    linked = (await browser.get(f"{home}/messages?q=Apples")).text
    asked = (await browser.get(page)).text
    nothing = await browser.submit(page, f"{home}/messages/bulk", {"kind": "NONSENSE"})
    begun = await browser.submit(page, f"{home}/messages/bulk", {"kind": "SUPPRESS"})
    [row] = await fetch("SELECT id FROM bulk_actions WHERE organization_id = {}", organization.id)
    waiting = (await browser.get(f"{home}/jobs")).text
    await run_bulk(row["id"])
    shown = (await browser.get(f"{home}/jobs")).text

    assert "/messages/bulk?q=Apples" in linked
    assert "Apples" in asked
    assert "Pears" not in asked
    assert nothing.status_code == 422
    assert "Apples" in nothing.text
    assert begun.headers["location"] == f"{home}/jobs?done=bulk-begun"
    assert "<progress" in waiting
    assert "Suppress their recipients" in shown
    rows = await fetch(
        "SELECT address FROM suppressions WHERE organization_id = {}", organization.id
    )
    assert [row["address"] for row in rows] == ["apples@example.net"]


@pytest.mark.parametrize(
    "search",
    [
        {"q": "Apples is:bounced"},
        {"q": "status:nonsense"},
        {"q": "00000000-0000-4000-8000-000000000000"},
        {"q": "Apples " * 50},
        {"status": "nonsense"},
        {"range": "100y"},
    ],
)
async def test_nothing_is_done_to_what_a_search_does_not_say(
    client: Client, search: dict[str, str]
) -> None:
    browser, organization = await member(client)
    key, message = await sender(organization)
    await client.data(SEND, {"input": message | {"subject": "Apples"}}, key=key)
    home = f"/o/{organization.slug}"

    shown = (await browser.get(f"{home}/messages/bulk?{urlencode(search)}")).text
    answer = await browser.submit(
        f"{home}/messages/bulk", f"{home}/messages/bulk", {"kind": "CANCEL", **search}
    )

    assert "Not understood, and left out" in shown
    assert "Do it" not in shown
    assert 'name="kind"' not in shown
    assert answer.status_code == 422
    rows = await fetch("SELECT FROM bulk_actions WHERE organization_id = {}", organization.id)
    assert rows == []


async def test_what_is_done_in_bulk_is_stopped(client: Client) -> None:
    browser, organization = await member(client)
    key, message = await sender(organization)
    await client.data(SEND, {"input": message}, key=key)
    home = f"/o/{organization.slug}"
    everything = (await browser.get(f"{home}/messages/bulk")).text
    await browser.submit(f"{home}/messages/bulk", f"{home}/messages/bulk", {"kind": "CANCEL"})
    [row] = await fetch("SELECT id FROM bulk_actions WHERE organization_id = {}", organization.id)

    stopped = await browser.submit(f"{home}/jobs", f"{home}/jobs/bulk/{row['id']}/cancel")

    assert "every message of the organization is meant" in everything
    assert stopped.headers["location"] == f"{home}/jobs?done=bulk-cancelled"
    assert "Cancelled" in (await browser.get(f"{home}/jobs")).text


async def test_a_viewer_does_nothing_in_bulk(client: Client) -> None:
    browser, organization = await member(client, role=Role.VIEWER)
    key, message = await sender(organization)
    await client.data(SEND, {"input": message}, key=key)
    home = f"/o/{organization.slug}"

    assert "/messages/bulk" not in (await browser.get(f"{home}/messages")).text
    page = (await browser.get(f"{home}/messages/bulk")).text
    assert "Your role may look at messages" in page


async def test_a_message_that_did_not_arrive_is_sent_again(client: Client) -> None:
    browser, organization = await member(client)
    key, message = await sender(organization)
    sent = await client.data(SEND, {"input": message}, key=key)
    uuid = sent["sendMessage"]["message"]["uuid"]
    page = f"/o/{organization.slug}/messages/{uuid}"
    await fetch("UPDATE deliveries SET state = 'bounced' WHERE message_id = {}", UUID(uuid))
    await fetch("UPDATE spooled_messages SET status = 'bounced' WHERE id = {}", UUID(uuid))

    again = await browser.submit(page, f"{page}/resend")
    shown = await browser.get(again.headers["location"])

    assert "?done=message-resent" in again.headers["location"]
    assert uuid not in again.headers["location"]
    assert "It is sent again, as this new message." in shown.text
