"""One running Postlane for all journeys, the world around it, and people who use it."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx

from tests.dns_server import DnsServer
from tests.server.running import Up, free_port
from tests.sink import Received, Sink
from tests.stripe_server import StripeServer

HOSTNAME = "mail.postlane.test"
PASSWORD = "seven green bicycles"
FINAL = {"delivered", "bounced", "expired", "suppressed", "cancelled", "partial"}
TRIAL_BURST_PAUSE = 0.25
"""Seconds between two questions: a trial may ask 300 times a minute."""


class World:
    """`postlane up`, the DNS it asks, and the mail exchangers it delivers to.

    `sink` listens on 127.0.0.1 and `spare` on 127.0.0.3, both on the port that Postlane
    delivers to; nothing listens on 127.0.0.2. *settings* go before those for all journeys.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.dns = DnsServer()
        self.sink = Sink()
        self.spare = Sink()
        self.stripe = StripeServer()
        self.inbound_port = free_port()
        self.smtp_port = free_port()
        self._folder = folder
        self._settings = settings
        self._numbers = count(1)

    async def __aenter__(self) -> Self:
        self.dns.start()
        self.sink.start()
        self.stripe.__enter__()
        self.spare = Sink(self.sink.port, host="127.0.0.3").start()
        self.dns.set("mx.sink.example", "A", "127.0.0.1")
        self.dns.set(f"_spf.{HOSTNAME}", "TXT", "v=spf1 ip4:127.0.0.0/8 -all")
        usual = {
            "web_workers": "1",
            "smtp_listen": f"127.0.0.1:{self.smtp_port}",
            "inbound_listen": f"127.0.0.1:{self.inbound_port}",
            "hostname": HOSTNAME,
            "delivery": "direct",
            "mx_port": str(self.sink.port),
            "private_exchangers": "127.0.0.0/8",
            "dns_servers": f"{self.dns.address}:{self.dns.port}",
            # Everybody comes through a proxy, so that limits per address are everybody's own.
            "trusted_proxies": "127.0.0.1/32",
            # A trial has credits that can be counted, and spent.
            **self.stripe.settings(),
            "log_level": "warning",
        }
        self.up = Up(self._folder, **(usual | self._settings))
        await self.up.start(within=300)
        return self

    async def __aexit__(self, *_: object) -> None:
        code = await self.up.stop()
        self.sink.stop()
        self.stripe.__exit__()
        self.spare.stop()
        self.dns.stop()
        assert code == 0, self.up.log.decode()
        assert b"Traceback" not in self.up.log, self.up.log.decode()

    @property
    def url(self) -> str:
        """Where the web answers."""
        return self.up.url

    def network(self) -> str:
        """Return a network address that nobody else comes from."""
        return f"2001:db8:{next(self._numbers):x}::1"

    def name(self) -> str:
        """Return a domain that nobody has yet, and whose mail goes to `sink`."""
        name = f"d{next(self._numbers)}.example"
        self.dns.set(name, "MX", "10 mx.sink.example")
        return name

    def publish(self, records: list[dict[str, Any]]) -> dict[str, str]:
        """Publish what a domain's owner is told to; return the text records by name."""
        for record in records:
            self.dns.set(record["name"], record["type"], record["value"])
        return {each["name"]: each["value"] for each in records if each["type"] == "TXT"}

    async def mail_for(
        self, address: str, *, count: int = 1, within: float = 120
    ) -> list[Received]:
        """Return what was delivered to *address* once there are *count* messages."""
        deadline = time.monotonic() + within
        while True:
            both = [*self.sink.messages, *self.spare.messages]
            found = [each for each in both if each.recipient == address]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"{address} got {len(found)} messages"
            await asyncio.sleep(0.02)


@dataclass(slots=True)
class Account:
    """Somebody with an organization, a verified domain and an API key, over HTTP."""

    world: World
    http: httpx.AsyncClient
    """Sends the token."""
    domain: str = ""
    domain_id: str = ""
    key: str = ""
    records: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, body: Any = None, *, expect: int = 200, **options: Any
    ) -> Any:
        """Return the body of an answer that must have the status *expect*."""
        if body is not None:
            options["json"] = body
        answer = await self.http.request(method, path, **options)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def send(self, *to: str, expect: int = 202, **fields: Any) -> Any:
        """Send a message and return the receipt."""
        body = {"from": f"Shop <shop@{self.domain}>", "to": list(to), "subject": "Hello"}
        if "html" not in fields:
            body["text"] = "Hello."
        return await self.ask("POST", "/api/v1/messages/send", body | fields, expect=expect)

    async def settled(self, message_id: str, *, past: tuple[str, ...] = ()) -> Any:
        """Return a message once it is final, or deferred; not while its status is in *past*."""
        deadline = time.monotonic() + 30
        while True:
            message = await self.ask("GET", f"/api/v1/messages/{message_id}")
            if message["status"] in (FINAL | {"deferred"}) - set(past):
                return message
            assert time.monotonic() < deadline, message
            await asyncio.sleep(TRIAL_BURST_PAUSE)

    async def graphql(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        """Return the data of a document that must not fail."""
        body = await self.ask("POST", "/graphql", {"query": query, "variables": variables or {}})
        assert "errors" not in body, body
        return body["data"]


async def register(world: World, **values: str) -> Account:
    """Register somebody."""
    number = world.network()
    http = httpx.AsyncClient(
        base_url=world.url, trust_env=False, timeout=60, headers={"x-forwarded-for": number}
    )
    account = Account(world, http)
    tag = number.split(":")[2]
    body = {
        "email": f"ada-{tag}@example.org",
        "password": PASSWORD,
        "name": "Ada Admin",
        "organization_name": f"Example {tag}",
    }
    answer = await account.ask("POST", "/api/v1/auth/register", body | values, expect=201)
    http.headers["authorization"] = f"Bearer {answer['token']}"
    return account


async def open_account(world: World) -> Account:
    """Register somebody, and give them a verified domain and an API key."""
    account = await register(world)
    account.domain = world.name()
    domain = await account.ask("POST", "/api/v1/domains", {"domain": account.domain}, expect=201)
    account.domain_id = domain["id"]
    account.records = world.publish(domain["records"])
    await verified(account)
    made = await account.ask(
        "POST", "/api/v1/api-keys", {"name": "All", "scopes": ["*"]}, expect=201
    )
    account.key = made["key"]
    return account


async def verified(account: Account) -> Any:
    """Verify the account's domain, past the half minute for which an answer is remembered."""
    deadline = time.monotonic() + 60
    while True:
        found = await account.ask("POST", f"/api/v1/domains/{account.domain_id}/verify")
        if found["can_send"] or not found["cached"]:
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(11)


async def connect(world: World) -> asyncpg.Connection:
    """Open a side connection to the database, to count what is in it."""
    from postlane.server.embedded import running_url

    url = running_url(world.up.data_dir / "postgres")
    assert url is not None
    connection: asyncpg.Connection = await asyncpg.connect(url)
    return connection
