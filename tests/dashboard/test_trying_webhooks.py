"""The page on which webhooks are tried: what is sent is shown, and calls are checked on it."""

from html import unescape

import pytest

from postlane.core.actor import OrganizationId, Role
from postlane.dashboard.pages.trying_webhooks import headers_of
from tests.client import Client
from tests.dashboard.browser import Browser, form_fields, member
from tests.factories import make_actor
from tests.webhooks.conftest import CREATE, receiver, server
from tests.webhooks.receiver import Receiver

__all__ = ["receiver", "server"]


async def trying(client: Client, url: str, *, role: Role = Role.OWNER) -> tuple[Browser, str, str]:
    """Return a member's browser, the page of a webhook, and its secret."""
    browser, organization = await member(client, role=role)
    actor = await make_actor(organization)
    made = await client.data(CREATE, {"input": {"url": url, "events": ["*"]}}, actor=actor)
    webhook = made["createWebhook"]["webhook"]["uuid"]
    assert actor.organization_id == OrganizationId(organization.id)
    at = f"/o/{organization.slug}/webhooks/{webhook}/try"
    return browser, at, made["createWebhook"]["secret"]


async def test_a_test_is_sent_shown_and_checked(client: Client, receiver: Receiver) -> None:
    browser, at, secret = await trying(client, receiver.url)

    sent = await browser.submit(at, at, {"event": "message.bounced"})
    (asked,) = receiver.asked
    fields = form_fields_with_text(sent.text, f"{at}/check")
    checked = await browser.post(f"{at}/check", fields, sec_fetch_site="same-origin")

    assert receiver.verified(secret)["type"] == "message.bounced"
    assert "It answered 200" in sent.text
    assert asked.headers["webhook-signature"] in unescape(sent.text)
    assert fields["body"] == asked.body.decode()
    assert "It is genuine" in checked.text
    assert secret not in sent.text + checked.text


async def test_what_was_changed_is_refused_with_its_text_kept(
    client: Client, receiver: Receiver
) -> None:
    browser, at, _ = await trying(client, receiver.url)
    sent = await browser.submit(at, at, {"event": "webhook.test"})
    fields = form_fields_with_text(sent.text, f"{at}/check")

    fields["body"] = "<b>" + fields["body"]
    checked = await browser.post(f"{at}/check", fields, sec_fetch_site="same-origin")

    assert "A receiver refuses it." in checked.text
    assert "&lt;b&gt;" in checked.text
    assert "<b>" not in checked.text


async def test_a_receiver_that_fails_is_shown_as_it_answered(
    client: Client, receiver: Receiver
) -> None:
    browser, at, _ = await trying(client, receiver.url)
    receiver.then(500, body=b"<h1>out of order")

    sent = await browser.submit(at, at, {"event": "webhook.test"})

    assert "It answered 500" in sent.text
    assert "&lt;h1&gt;out of order" in sent.text


async def test_a_viewer_may_look_and_not_try(client: Client, receiver: Receiver) -> None:
    browser, at, _ = await trying(client, receiver.url, role=Role.VIEWER)

    shown = await browser.get(at)

    assert shown.status_code == 200
    assert "You may look, and not try" in shown.text
    assert f'action="{at}"' not in shown.text
    assert receiver.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "webhook-id: 1\r\nwebhook-signature: v1,a=",
        "> webhook-id: 1\n>  webhook-signature:v1,a=\n> \n",
        "POST /hooks HTTP/1.1\nwebhook-id: 1\nwebhook-signature: v1,a=\n\n",
    ],
)
def test_headers_are_read_as_tools_print_them(text: str) -> None:
    assert headers_of(text) == [
        {"name": "webhook-id", "value": "1"},
        {"name": "webhook-signature", "value": "v1,a="},
    ]


def form_fields_with_text(page: str, action: str) -> dict[str, str]:
    """Return the fields of a form with what stands in its large ones, as a browser sends them."""
    fields = form_fields(page, action)
    for name in ("headers", "body"):
        _, _, rest = page.partition(f'name="{name}"')
        fields[name] = unescape(rest.partition(">")[2].partition("</textarea>")[0]).lstrip("\n")
    return fields
