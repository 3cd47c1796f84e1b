"""Tracked mail from sending to erasing: over HTTP, SMTP and DNS, as everybody else sees it."""

import asyncio
import re
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.parts import needs_npm_package
from tests.sink import Received

from .signatures import verdicts
from .stack import Account, World, open_account, verified

pytestmark = pytest.mark.slow

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0"
HTML = (
    "<html><body><p>Dear friend, <a href='https://shop.example/offer?a=1&amp;b=2'>look</a>."
    '</p><p><a href="https://shop.example/unsubscribe">Leave</a></p></body></html>'
)
SETTINGS = """
mutation ($domain: UpdateDomainInput!) {
  updateDomain(input: $domain) { domain { records { purpose name type value } } }
}
"""
ERASE = """
mutation ($address: EmailAddress!) {
  eraseRecipient(input: {address: $address}) { erasure { uuid } }
}
"""
ERASURES = "{ organization { erasures { nodes { completedAt deliveries } } } }"


def html_of(received: Received) -> str:
    message = message_from_bytes(received.data, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    (part,) = [each for each in message.walk() if each.get_content_type() == "text/html"]
    return str(part.get_content())


class Reader:
    """Somebody who reads mail with a program, from a network of their own."""

    def __init__(self, world: World) -> None:
        self.http = httpx.AsyncClient(
            base_url=world.url,
            trust_env=False,
            timeout=60,
            headers={"x-forwarded-for": "203.0.113.9", "user-agent": PERSON},
        )

    async def follow(self, url: str) -> httpx.Response:
        """Ask for an address of the mail, at the machine that its name leads to."""
        parts = urlsplit(url)
        return await self.http.get(parts.path, headers={"host": parts.netloc})


async def engaged(account: Account, message_id: str, address: str, *, clicks: int) -> Any:
    """Return a recipient once so many clicks are known."""
    deadline = time.monotonic() + 60
    while True:
        message = await account.ask("GET", f"/api/v1/messages/{message_id}")
        (found,) = [each for each in message["recipients"] if each["email"] == address]
        if found["clicks"] >= clicks:
            return found
        assert time.monotonic() < deadline, message
        await asyncio.sleep(0.3)


@needs_npm_package("mailauth")
async def test_tracked_mail_from_sending_to_erasing(world: World) -> None:
    account = await open_account(world)
    host = f"t.{account.domain}"
    changes = {"domain": {"name": account.domain}, "trackingDomain": host, "trackOpens": True}
    changed = await account.graphql(SETTINGS, {"domain": changes})
    (alias,) = [
        each
        for each in changed["updateDomain"]["domain"]["records"]
        if each["purpose"] == "TRACKING"
    ]
    world.dns.set(alias["name"], alias["type"], alias["value"])
    await verified(account)
    name = world.name()
    ada, bob = f"ada@{name}", f"bob@{name}"

    sent = await account.send(ada, bob, html=HTML, track_clicks=True)
    mails = {who: (await world.mail_for(who))[0] for who in (ada, bob)}
    await account.settled(sent["id"])

    links, pixels = {}, {}
    for who, mail in mails.items():
        assert set((await verdicts(mail.data, account.records)).values()) == {"pass"}
        said = html_of(mail)
        (pixels[who],) = re.findall(r'<img src="([^"]+)"', said)
        (links[who],) = re.findall(r'href="(http[^"]+/track/click/[^"]+)"', said)
        assert urlsplit(links[who]).hostname == urlsplit(pixels[who]).hostname == host
        rest = re.sub(r"<img [^>]+>", "", said).replace(f'"{links[who]}"', "'LINK'")
        assert rest.strip() == HTML.replace("https://shop.example/offer?a=1&amp;b=2", "LINK")
    assert links[ada] != links[bob]

    reader = Reader(world)
    # Nobody reads mail in the moment in which it arrives.
    await asyncio.sleep(2.5)
    opened = await reader.follow(pixels[ada])
    clicked = await reader.follow(links[ada])
    assert (opened.status_code, opened.headers["content-type"]) == (200, "image/gif")
    assert clicked.status_code == 302
    assert clicked.headers["location"] == "https://shop.example/offer?a=1&b=2"
    found = await engaged(account, sent["id"], ada, clicks=1)
    assert (found["opens"], found["clicks"]) == (1, 1)
    message = await account.ask("GET", f"/api/v1/messages/{sent['id']}")
    events = {each["type"]: each["data"] for each in message["events"]}
    assert events["message.opened"]["ip"] == "203.0.113.0"
    assert events["message.clicked"]["url"] == "https://shop.example/offer?a=1&b=2"

    await account.graphql(ERASE, {"address": ada})
    async with asyncio.timeout(60):
        while True:
            data = await account.graphql(ERASURES)
            (erasure,) = data["organization"]["erasures"]["nodes"]
            answer = await reader.follow(links[ada])
            if erasure["completedAt"] is not None and answer.status_code == 410:
                break
            await asyncio.sleep(0.3)
    assert erasure["deliveries"] == 1
    assert (await reader.follow(links[bob])).status_code == 302
    await engaged(account, sent["id"], bob, clicks=1)
    message = await account.ask("GET", f"/api/v1/messages/{sent['id']}")
    assert ada not in str(message)
    named = [each for each in message["events"] if each["recipient_id"] == found["id"]]
    assert {"message.opened", "message.clicked"} <= {each["type"] for each in named}
    assert "203.0.113" not in str(named)
    await reader.http.aclose()
