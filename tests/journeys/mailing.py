"""Whom a campaign is sent to, and how far their mail has come."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx

from .campaign import Person
from .stack import HOSTNAME, Account, World, verified

BATCHES = 10
IN_BATCH = 92
"""Messages for one recipient in a batch; two more are for four recipients each."""
HTML = "<p>" + " ".join(f'<a href="https://shop.example/{n}">{n}</a>' for n in range(3)) + "</p>"
FATES: dict[int, tuple[str, str | None]] = {
    0: ("550-at-rcpt", "invalid_recipient"),
    1: ("552-at-data", "mailbox_full"),
    2: ("554-at-rcpt", "content_rejected"),
    3: ("closed", None),
    4: ("451-at-rcpt", None),
    5: ("suppressed", None),
    6: ("cancelled", None),
}
"""What becomes of every fiftieth recipient, from this one on; everybody else gets the mail."""
SUPPRESS = "mutation ($a: EmailAddress!) { addSuppression(input: {address: $a}) { __typename } }"


class Mailing:
    """The world, the ledger, and everybody who is written to."""

    def __init__(self, world: World, account: Account, books: asyncpg.Connection) -> None:
        self.world, self.account, self.books = world, account, books
        self.people: list[Person] = []
        self.waiting: list[Person] = []
        """Who has the mail and has not done anything yet."""
        self.reader = httpx.AsyncClient(base_url=world.url, trust_env=False, timeout=60)

    async def prepare(self) -> None:
        """Make domains of senders and recipients, vMTAs and keys."""
        world, account = self.world, self.account
        other = world.name()
        made = await account.ask("POST", "/api/v1/domains", {"domain": other}, expect=201)
        world.publish(made["records"])
        await verified(account_with(account, made["id"]))
        self.senders = [account.domain, other]
        hosts = {
            "aspmx.l.google.com": "google",
            "a-example.mail.protection.outlook.com": "microsoft",
        }
        self.receivers = [(world.name(), "other") for _ in range(2)]
        for host, isp in hosts.items():
            world.dns.set(host, "A", "127.0.0.1")
            name = world.name()
            world.dns.set(name, "MX", f"10 {host}")
            self.receivers.append((name, isp))
        self.keys = {}
        for name in ("Shop", "News"):
            body = {"name": name, "scopes": ["*"]}
            made = await account.ask("POST", "/api/v1/api-keys", body, expect=201)
            self.keys[made["id"]] = made["key"]
        for number, name in enumerate(("tx", "bulk")):
            body = {
                "name": f"{name}-1",
                "pool": name,
                "hostname": HOSTNAME,
                "ip_address": f"127.0.0.{number + 4}",
            }
            await account.ask("POST", "/api/v1/vmtas", body, expect=201)

    def message(self, people: Sequence[Person]) -> dict[str, Any]:
        """Return what is asked for to send to *people*."""
        traits = people[0].traits
        body = {
            "from": f"shop@{traits['domain'][0]}",
            "to": [person.address for person in people],
            "subject": "Spring",
            "html": HTML,
            "track_opens": True,
            "track_clicks": True,
            "pool": traits["pool"][0],
            "stream": traits["stream"][0],
            "tags": traits["tag"],
        }
        if people[0].fate == "cancelled":
            later = datetime.now(UTC) + timedelta(hours=2)
            body["send_at"] = later.isoformat().replace("+00:00", "Z")
        return body

    def batch(self, number: int) -> list[list[Person]]:
        """Return the recipients of the messages of one batch."""
        key_id = list(self.keys)[number % 2]
        sizes = [1] * IN_BATCH + [4, 4]
        found = []
        for nth, size in enumerate(sizes):
            is_bulk = nth % 3 > 0
            traits: dict[str, Sequence[str]] = {
                "domain": [self.senders[nth % 2]],
                "pool": ["bulk" if is_bulk else "tx"],
                "vmta": ["bulk-1" if is_bulk else "tx-1"],
                "stream": ["marketing" if is_bulk else "transactional"],
                "tag": ["spring", "vip"] if nth % 5 == 0 else ["spring"],
                "batch_id": ["first" if number < BATCHES / 2 else "second"],
                "api_key": [key_id],
            }
            found.append([self._person(traits) for _ in range(size)])
        return found

    def _person(self, traits: dict[str, Sequence[str]]) -> Person:
        number = len(self.people)
        domain, isp = self.receivers[number % 4]
        fate, bounce_class = FATES.get(number % 50, ("ok", None))
        local_part = "ok" if fate in ("suppressed", "cancelled") else fate
        person = Person(
            number=number,
            address=f"{local_part}+{number}@{domain}",
            fate=fate,
            traits=traits | {"recipient_domain": [domain]},
            mx_isp=isp,
            bounce_class=bounce_class,
            deferrals=int(fate in ("closed", "451-at-rcpt")),
        )
        self.people.append(person)
        return person

    async def send(self, number: int) -> None:
        """Hand a batch in, again and again until it is answered, as a client does."""
        messages = self.batch(number)
        for person in (person for people in messages for person in people):
            if person.fate == "suppressed":
                asked = {"query": SUPPRESS, "variables": {"a": person.address}}
                await persistently(
                    lambda asked=asked: self.account.http.post("/graphql", json=asked)
                )
        key = self.keys[messages[0][0].traits["api_key"][0]]
        body = {
            "batch_id": messages[0][0].traits["batch_id"][0],
            "messages": [self.message(people) for people in messages],
        }
        headers = {"x-api-key": key, "idempotency-key": f"batch-{number}"}
        answer = await persistently(
            lambda: self.reader.post("/api/v1/messages/batch", json=body, headers=headers)
        )
        assert answer.status_code == 202, answer.text
        receipt = answer.json()
        assert receipt["accepted"] == len(messages), receipt
        for people, result in zip(messages, receipt["results"], strict=True):
            for person in people:
                person.message_id = result["id"]
                person.accepted_at = read_time(receipt["created_at"])
            if people[0].fate == "cancelled":
                path = f"/api/v1/messages/{result['id']}/cancel"
                await persistently(
                    lambda path=path: self.reader.post(path, headers={"x-api-key": key})
                )

    async def more_received(self, count: int) -> None:
        """Wait until so many more recipients have their mail."""
        before = len(self.world.sink.messages)
        while len(self.world.sink.messages) < before + count:  # noqa: ASYNC110 in a thread
            await asyncio.sleep(0.01)

    async def settled(self, *states: str) -> set[str]:
        """Return whose mail is in one of these states, as the database has it."""
        rows = await self.books.fetch(
            "SELECT address FROM deliveries WHERE state = ANY($1::text[])", list(states)
        )
        return {row["address"] for row in rows}

    async def await_fates(
        self, *, also: AbstractSet[str] = frozenset(), within: float = 240
    ) -> None:
        """Wait until everybody has what was meant for them; note who has the mail."""
        deadline = time.monotonic() + within
        meant = {
            "delivered": {
                p.address for p in self.people if p.fate in {"ok", *also} and not p.bounce_class
            },
            "bounced": {p.address for p in self.people if p.bounce_class is not None},
        }
        while True:
            missing = {
                state: addresses - await self.settled(state) for state, addresses in meant.items()
            }
            if not any(missing.values()):
                break
            assert time.monotonic() < deadline, await self.explain(missing)
            await asyncio.sleep(0.3)
        self.find_delivered(meant["delivered"])

    async def explain(self, missing: dict[str, set[str]]) -> list[dict[str, Any]]:
        """Return what is known of the mail to those who have not what was meant for them."""
        rows = await self.books.fetch(
            "SELECT address, state, attempts, code, reply, due_at - now() AS due_in "
            "FROM deliveries WHERE address = ANY($1::text[]) LIMIT 20",
            [address for addresses in missing.values() for address in addresses],
        )
        return [dict(row) for row in rows]

    async def some_delivered(self, count: int, *, within: float = 180) -> None:
        """Wait until so many have the mail, as the database has it; note who they are."""
        deadline = time.monotonic() + within
        while len(found := await self.settled("delivered")) < count:
            assert time.monotonic() < deadline, len(found)
            await asyncio.sleep(0.2)
        self.find_delivered(found)

    def find_delivered(self, addresses: set[str]) -> None:
        """Note who has the mail."""
        for person in self.people:
            if person.address in addresses and not person.is_delivered:
                person.is_delivered = True
                self.waiting.append(person)

    def take(self, count: int, *, stream: str | None = None) -> list[Person]:
        """Return so many of those who have the mail and did nothing yet."""
        found = [p for p in self.waiting if stream is None or p.traits["stream"] == [stream]][
            :count
        ]
        assert len(found) == count
        self.waiting = [person for person in self.waiting if person not in found]
        return found


def account_with(account: Account, domain_id: str) -> Account:
    """Return the account, looking at another of its domains."""
    return Account(account.world, account.http, domain_id=domain_id)


async def persistently(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask until somebody answers."""
    deadline = time.monotonic() + 180
    while True:
        try:
            answer = await ask()
            if answer.status_code < 500:
                return answer
        except httpx.TransportError:
            assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def read_time(text: str) -> datetime:
    return datetime.fromisoformat(text)
