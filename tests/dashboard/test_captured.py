"""Captured mail on pages: an inbox of one's own, with what a receiver would say."""

import re
from typing import Any

from postlane.core.ids import new_id
from postlane.delivery.tables import CapturedMessage, Delivery
from postlane.domains.tables import DkimKey
from postlane.mail.dkim import KeyAlgorithm, SigningKey, make_key, sign
from tests.client import Client
from tests.dashboard.browser import member
from tests.dashboard.test_live import SEND, sender
from tests.factories import make_api_key, make_domain, make_project

LIST = """query ($recipient: String, $first: Int, $after: String, $last: Int, $before: String) {
  organization { capturedMessages(recipient: $recipient, first: $first, after: $after,
    last: $last, before: $before) { nodes { subject content { html } }
    pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } } }"""


async def captured(organization: Any, subject: str = "Hello <b>", **values: Any) -> Any:
    """Keep a signed message of a domain of the organization."""
    domain = await make_domain(organization.id)
    pair = make_key(KeyAlgorithm.RSA_2048)
    await DkimKey(
        domain_id=domain.id,
        selector="s1",
        algorithm="rsa-2048",
        state="active",
        public_value=pair.public_value,
    ).save()
    source = (
        f"From: Shop <shop@{domain.name}>\r\nTo: ada@example.net\r\nSubject: {subject}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
        '<p>Hi <script>alert(1)</script><a href="http://x.example/">x</a></p>\r\n'
    ).encode()
    key = SigningKey(domain.name, "s1", KeyAlgorithm.RSA_2048, pair.private_pem)
    row = CapturedMessage(
        **{
            "organization_id": organization.id,
            "envelope_from": f"b+1@bounce.{domain.name}",
            "envelope_to": "ada@example.net",
            "data": sign(source, [key]),
        }
        | values
    )
    await row.save()
    return row


async def test_what_was_captured_is_shown_and_judged(client: Client) -> None:
    browser, organization = await member(client)
    row = await captured(organization)
    home = f"/o/{organization.slug}/captured"

    listed = await browser.get(home)
    found = await browser.get(f"{home}?recipient=ADA")
    missed = await browser.get(f"{home}?recipient=bob")
    shown = {
        tab: (await browser.get(f"{home}/{row.id}?tab={tab}")).text
        for tab in ("preview", "text", "headers", "raw", "nonsense")
    }
    preview = await browser.get(f"{home}/{row.id}/preview")

    for answer in (listed, found):
        assert "Hello &lt;b&gt;" in answer.text
    assert "Nothing matches" in missed.text
    assert "A good signature is of the domain in From" in shown["preview"]
    assert "The return path is of the domain in From" in shown["preview"]
    assert "1 link, 1 of them not encrypted" in shown["preview"]
    assert "It has no plain text" in shown["text"]
    assert "DKIM-Signature" in shown["headers"]
    assert "&lt;script&gt;" in shown["raw"]
    assert "<iframe" in shown["nonsense"]
    assert preview.headers["content-security-policy"].startswith("sandbox")
    assert "script-src" not in preview.headers["content-security-policy"]


async def test_a_strangers_captured_mail_is_not_there(client: Client) -> None:
    browser, organization = await member(client)
    _, theirs = await member(client)
    row = await captured(theirs)
    home = f"/o/{organization.slug}/captured"

    answers = [
        await browser.get(f"{home}/{each}{part}")
        for each in (row.id, new_id(), "nonsense")
        for part in ("", "/preview")
    ]

    assert [answer.status_code for answer in answers] == [404] * 6
    assert "Hello" not in (await browser.get(home)).text


async def test_pages_of_captured_mail_go_both_ways(client: Client) -> None:
    browser, organization = await member(client)
    key = await make_api_key(organization)
    for number in range(3):
        await captured(organization, f"Number {number}")

    async def ask(**values: Any) -> Any:
        data = await client.data(LIST, values, key=key.secret)
        found = data["organization"]["capturedMessages"]
        return [n["subject"] for n in found["nodes"]], found["pageInfo"], found["nodes"]

    first, info, nodes = await ask(first=2)
    second, after, _ = await ask(first=2, after=info["endCursor"])
    back, before, _ = await ask(last=2, before=after["startCursor"])
    shown = await browser.get(f"/o/{organization.slug}/captured")

    assert (first, second, back) == (["Number 2", "Number 1"], ["Number 0"], first)
    assert (info["hasNextPage"], after["hasNextPage"], before["hasPreviousPage"]) == (
        True,
        False,
        False,
    )
    # A list never reads whole messages.
    assert [node["content"] for node in nodes] == [None, None]
    assert shown.text.count("Number ") == 3


async def test_a_projects_key_sees_its_own_captured_mail_only(client: Client) -> None:
    _, organization = await member(client)
    key, message = await sender(organization)
    await client.data(SEND, {"input": message}, key=key)
    (delivery,) = await Delivery.objects().where(Delivery.organization_id == organization.id)
    await captured(organization, delivery_id=delivery.id)
    project = await make_project(organization)
    bound = await make_api_key(organization, project_id=project.id)

    theirs = await client.data(LIST, {}, key=bound.secret)
    all_of_it = await client.data(LIST, {}, key=key)

    assert theirs["organization"]["capturedMessages"]["nodes"] == []
    assert len(all_of_it["organization"]["capturedMessages"]["nodes"]) == 1


async def test_a_captured_message_leads_to_its_timeline(client: Client) -> None:
    browser, organization = await member(client)
    key, message = await sender(organization)
    await client.data(SEND, {"input": message}, key=key)
    (delivery,) = await Delivery.objects().where(Delivery.organization_id == organization.id)
    row = await captured(organization, delivery_id=delivery.id)
    home = f"/o/{organization.slug}"

    shown = (await browser.get(f"{home}/captured/{row.id}")).text

    assert re.search(rf'href="{home}/messages/{delivery.message_id}"', shown)
