"""The page of ingress mailboxes: made, looked into, changed, and deleted."""

from postlane.core.actor import Role
from postlane.core.database import fetch
from tests.client import Client
from tests.dashboard.browser import form_fields, member
from tests.factories import make_ingress_mailbox
from tests.webhooks.receiver import Receiver

ROWS = "SELECT * FROM ingress_mailboxes WHERE organization_id = {}"
ACCOUNT = {"host": "imap.example.com", "username": "ada", "password": "hunter2"}


async def test_a_mailbox_is_made_and_its_secret_shown_once(
    client: Client, receiver: Receiver
) -> None:
    browser, organization = await member(client)
    page = f"/o/{organization.slug}/mailboxes"
    empty = (await browser.get(page)).text

    made = await browser.submit(page, page, {"url": receiver.url, "label": "Desk", **ACCOUNT})

    (row,) = await fetch(ROWS, organization.id)
    assert "No mailboxes yet" in empty
    assert "whsec_" in made.text
    assert f"in-{row['token']}@" in made.text
    listed = (await browser.get(page)).text
    assert "whsec_" not in listed
    assert "ada at imap.example.com" in listed
    assert "hunter2" not in made.text + listed


async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_made(
    client: Client, receiver: Receiver
) -> None:
    browser, organization = await member(client)
    page = f"/o/{organization.slug}/mailboxes"
    values = {"url": receiver.url, **ACCOUNT, "port": "many", "password": ""}

    refused = await browser.submit(page, page, values)

    assert refused.status_code == 422
    for field in ("port", "password"):
        assert f'<a href="#{field}">' in refused.text
    assert 'value="imap.example.com"' in refused.text
    assert await fetch(ROWS, organization.id) == []


async def test_a_mailbox_is_looked_into_changed_rotated_and_deleted(
    client: Client, receiver: Receiver
) -> None:
    browser, organization = await member(client)
    page = f"/o/{organization.slug}/mailboxes"
    await browser.submit(page, page, {"url": receiver.url, **ACCOUNT})
    (before,) = await fetch(ROWS, organization.id)
    at = f"{page}/{before['id']}"
    await fetch(
        "UPDATE ingress_mailboxes SET failure = 'No such user.', failures = 9, "
        "next_look_at = now() + interval '1 hour' WHERE id = {}",
        before["id"],
    )

    shown = (await browser.get(at)).text
    looked = await browser.submit(at, f"{at}/look")
    (due,) = await fetch(
        "SELECT next_look_at <= now() AS now FROM ingress_mailboxes WHERE id = {}", before["id"]
    )
    fields = form_fields(shown, at)
    saved = await browser.submit(at, at, {"label": "Front desk"})
    (after,) = await fetch(ROWS, organization.id)
    rotated = await browser.submit(at, f"{at}/rotate")
    deleted = await browser.submit(at, f"{at}/delete")

    assert "No such user." in shown
    assert (looked.status_code, due) == (303, {"now": True})
    # The password is no field's value, and stays where it is empty.
    assert fields["password"] == ""
    assert saved.status_code == 303
    assert (after["label"], after["host"], after["sealed_password"]) == (
        "Front desk",
        "imap.example.com",
        before["sealed_password"],
    )
    assert "whsec_" in rotated.text
    assert deleted.headers["location"].startswith(f"{page}?")
    assert await fetch(ROWS, organization.id) == []


async def test_what_came_in_is_shown_and_a_viewer_changes_nothing(client: Client) -> None:
    browser, organization = await member(client, role=Role.VIEWER)
    mailbox, _, _ = await make_ingress_mailbox(organization.id, "mine")
    at = f"/o/{organization.slug}/mailboxes/{mailbox}"

    shown = (await browser.get(at)).text

    assert "ada@example.net" in shown
    assert "Delivered" in shown
    assert "Look now" not in shown
    assert "Delete this mailbox" not in shown
