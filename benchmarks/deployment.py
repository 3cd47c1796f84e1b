"""The product as an operator runs it, delivering straight to exchangers of ours, on loopback.

Unlike `stack`, which is for throughput through a smarthost: here mail goes to many domains with
exchangers that behave differently, and processes are killed and stopped.
"""

import asyncio
import contextlib
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx

from postlane.server.embedded import running_url
from tests.dns_server import DnsServer
from tests.server.running import ROOT, Up, free_port

UNLIMITED = "[other]\nconnections = 10\nmessages_per_connection = 100\n"
"""What the limits of the product leave when no hour is counted."""
FINAL = ("delivered", "bounced", "expired", "suppressed", "cancelled")


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that an exchanger took for one recipient, and when."""

    at: float
    recipient: str


@dataclass(slots=True)
class Exchanger:
    """A mail exchanger in a process of its own; it writes down what it takes before it says so."""

    host: str
    port: int
    log: Path
    arguments: tuple[str, ...] = ()
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.sink", "--host", self.host, "--port", str(self.port)),
            *("--log", str(self.log), *self.arguments),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        await self._process.stdout.readline()

    async def stop(self) -> None:
        """Stop it."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def taken(self) -> list[Taken]:
        """Return what it took, oldest first."""
        if not self.log.exists():
            return []
        lines = (json.loads(line) for line in self.log.read_text().splitlines())
        return [Taken(line["at"], line["to"]) for line in lines]

    def counts(self) -> Counter[str]:
        """Return how often each recipient's message was taken."""
        return Counter(each.recipient for each in self.taken())


@dataclass(slots=True)
class Account:
    """An organization with a verified domain and an API key."""

    http: httpx.AsyncClient
    domain: str
    key: str

    async def send(self, *to: str, **fields: Any) -> str:
        """Send one message and return its id."""
        body = {"from": f"Shop <shop@{self.domain}>", "to": list(to), "subject": "Hello"}
        answer = await self.ask("/api/v1/messages/send", body | {"text": "Hello."} | fields)
        return str(answer["id"])

    async def send_many(self, recipients: Iterable[str]) -> None:
        """Send one message to each recipient, in batches."""
        waiting = list(recipients)
        for start in range(0, len(waiting), 100):
            messages = [
                {
                    "from": f"Shop <shop@{self.domain}>",
                    "to": [recipient],
                    "subject": "Hello",
                    "text": "Hello.",
                }
                for recipient in waiting[start : start + 100]
            ]
            await self.ask("/api/v1/messages/batch", {"messages": messages})

    async def ask(self, path: str, body: Any) -> dict[str, Any]:
        """POST and return the answer, which must be good."""
        answer = await self.http.post(path, json=body)
        if answer.status_code >= 300:
            raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    async def graphql(self, document: str, **variables: Any) -> Any:
        """Return the data of a document that must not fail."""
        body = await self.ask("/graphql", {"query": document, "variables": variables})
        if "errors" in body:
            raise RuntimeError(str(body["errors"]))
        return body["data"]


@dataclass(slots=True)
class Deployment:
    """`postlane up` with direct delivery, a name server and, at `exchanger`, who takes mail."""

    settings: Mapping[str, str] = field(default_factory=dict)
    limits: str = UNLIMITED
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="postlane-shown-")))
    dns: DnsServer = field(default_factory=DnsServer)
    mx_port: int = field(default_factory=free_port)
    _up: Up | None = None
    _exchangers: list[Exchanger] = field(default_factory=list)
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        # The embedded database's user, if we are root, has to get to its folder.
        self.folder.chmod(0o755)
        self.dns.start()
        limits = self.folder / "limits.toml"
        limits.write_text(self.limits)
        self._up = Up(
            self.folder / "var",
            **{
                "delivery": "direct",
                "mx_port": str(self.mx_port),
                "private_exchangers": "127.0.0.0/8",
                "limits_file": str(limits),
                "hostname": "mail.postlane.test",
                "dns_servers": f"{self.dns.address}:{self.dns.port}",
                "log_level": "error",
                # What is shown is delivery, with exchangers that refuse nearly everything: the
                # rules would hold such queues back, as they should.
                "auto_block": "off",
                **self.settings,
            },
        )
        try:
            await self.up.start(within=120)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.aclose()
        if self._up is not None:
            with contextlib.suppress(TimeoutError):
                await self._up.stop()
        for exchanger in self._exchangers:
            await exchanger.stop()
        self.dns.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def up(self) -> Up:
        """The product."""
        assert self._up is not None
        return self._up

    async def exchanger(
        self, host: str, *domains: str, arguments: tuple[str, ...] = ()
    ) -> Exchanger:
        """Run an exchanger at *host* for the domains; each gets a site of its own."""
        made = Exchanger(host, self.mx_port, self.folder / f"taken-{host}.jsonl", arguments)
        self._exchangers.append(made)
        await made.start()
        for domain in domains:
            self.lead(domain, host)
        return made

    def lead(self, domain: str, host: str) -> None:
        """Publish that mail for a domain goes to the address, under a name of its own."""
        self.dns.set(f"mx.{domain}", "A", host)
        self.dns.set(domain, "MX", f"10 mx.{domain}")

    async def open_account(self, name: str) -> Account:
        """Register an organization, verify a domain of it, and make a key."""
        http = httpx.AsyncClient(base_url=self.up.url, timeout=120, trust_env=False)
        self._clients.append(http)
        account = Account(http, f"{name}.example", "")
        made = await account.ask(
            "/api/v1/auth/register",
            {
                "email": f"ada@{account.domain}",
                "password": secrets.token_urlsafe(24),
                "name": "Ada",
                "organization_name": name.capitalize(),
            },
        )
        http.headers["Authorization"] = f"Bearer {made['token']}"
        domain = await account.ask("/api/v1/domains", {"domain": account.domain})
        for record in domain["records"]:
            self.dns.set(record["name"], record["type"], record["value"])
        verified = await account.ask(f"/api/v1/domains/{domain['id']}/verify", {})
        if not verified["can_send"]:
            raise RuntimeError(f"the domain is not verified: {verified}")
        key = await account.ask("/api/v1/api-keys", {"name": "Load", "scopes": ["*"]})
        account.key = key["key"]
        return account

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """Connect beside the product, to count and to put in what would take long to send."""
        connection = await self._connected(within=60)
        try:
            yield connection
        finally:
            await connection.close()

    async def _connected(self, *, within: float) -> asyncpg.Connection:
        deadline = time.monotonic() + within
        while True:
            url = running_url(self.up.data_dir / "postgres")
            try:
                if url is not None:
                    return await asyncpg.connect(url)
            except (OSError, asyncpg.PostgresError):
                # It was killed, and is starting.
                pass
            if time.monotonic() > deadline:
                raise RuntimeError("the database does not come back")
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def worker_stopped(self) -> AsyncIterator[None]:
        """Let the worker stand still for the body."""
        worker = self.up.part("worker")
        worker.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            worker.send_signal(signal.SIGCONT)

    async def states(self) -> Counter[str]:
        """Return how many deliveries are in each state."""
        async with self.database() as connection:
            rows = await connection.fetch("SELECT state, count(*) FROM deliveries GROUP BY state")
        return Counter({row["state"]: row["count"] for row in rows})


async def until(condition: Any, *, seconds: float, every: float = 0.1) -> bool:
    """Return whether *condition*, a function or a coroutine function, came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return True
        await asyncio.sleep(every)
    return False
