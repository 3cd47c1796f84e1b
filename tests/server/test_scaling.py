"""The page about several machines, done: two of each process, and one of each goes away."""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from postlane.jobs.kumomta import PATH
from tests.dns_server import DnsServer
from tests.parts import CURL, REDIS, needs
from tests.people import PASSWORD
from tests.reading import DOCS, Shell, blocks, read, replaced, shell
from tests.server.commands import SOURCE, environment, put_program
from tests.serving import free_port
from tests.sink import Received, Sink
from tests.web_server import WebServer
from tests.workers import redis

pytestmark = [pytest.mark.slow, needs(CURL), needs(REDIS)]

PAGE = (DOCS / "scaling.md").read_text("utf-8")
KUMO = next(each.text for each in blocks("scaling.md") if "KUMOMTA" in each.text)
TAKEN = {"success_count": 1, "fail_count": 0, "failed_recipients": [], "errors": []}


@dataclass(slots=True)
class Hosts:
    """Machines of one deployment: processes that share nothing but what the page says."""

    folder: Path
    own: dict[str, str]
    """What the settings of every one have beside the page's file."""
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    async def start(self, name: str, command: str, setting: str = "") -> None:
        """Start a process on a machine called *name*; *setting* is where it listens, if it does."""
        env = {**environment(self.folder / name), **self.own}
        self.ports[name] = free_port()
        if setting:
            env[setting] = f"127.0.0.1:{self.ports[name]}"
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "postlane.server.cli", command),
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def url(self, name: str) -> str:
        """Where a web host answers."""
        return f"http://127.0.0.1:{self.ports[name]}"

    async def listening(self, *names: str) -> None:
        """Wait until these take connections."""
        for name in names:
            async with asyncio.timeout(180):
                while True:
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", self.ports[name])
                    except OSError:
                        log = self.folder / f"{name}.log"
                        assert self.processes[name].returncode is None, log.read_text("utf-8")
                        await asyncio.sleep(0.1)
                    else:
                        writer.close()
                        break

    async def kill(self, *names: str) -> None:
        """Let machines lose their power."""
        for name in names:
            self.processes[name].kill()
            await self.processes[name].wait()

    async def stop(self) -> dict[str, int]:
        """Tell all that still run to stop, and return their exit codes."""
        left = {name: each for name, each in self.processes.items() if each.returncode is None}
        for each in left.values():
            each.terminate()
        await asyncio.gather(*(asyncio.wait_for(each.wait(), 90) for each in left.values()))
        return {name: each.returncode or 0 for name, each in left.items()}


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the page made, and the world around it."""

    hosts: Hosts
    database_url: str
    sink: Sink
    kumo: WebServer
    key: str
    domain: str

    async def send(self, host: str, to: str, **more: str) -> None:
        """Send a message by way of a web host."""
        body = {"from": f"hello@{self.domain}", "to": [to], "subject": "Hello", "text": "Hello."}
        async with client(self.hosts.url(host), self.key) as http:
            answer = await http.post("/api/v1/messages/send", json=body | more)
            assert answer.status_code == 202, answer.text

    async def mail_for(self, address: str) -> list[Received]:
        """Return what was delivered to an address, once something was."""
        await until(lambda: any(m.recipient == address for m in self.sink.messages))
        return [m for m in self.sink.messages if m.recipient == address]


def client(url: str, key: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False, headers={"x-api-key": key}, timeout=30)


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened in another process."""
    for _ in range(900):
        if happened():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it has not happened")


@asynccontextmanager
async def empty_database(url: str) -> AsyncIterator[str]:
    """Give the URL of a database that nobody has migrated, beside the tests' own."""
    name = f"hosts_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(url)
    await connection.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C.UTF-8' LOCALE_PROVIDER 'builtin' "
        "ENCODING 'UTF8'"
    )
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


@pytest.fixture(scope="module")
async def deployment(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    """Everything that the page says, done once."""
    folder = tmp_path_factory.mktemp("hosts")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(empty_database(database_url))
        queue = await stack.enter_async_context(redis(folder / "redis"))
        dns = stack.enter_context(DnsServer())
        sink = stack.enter_context(Sink())
        # KumoMTA comes in no package of the system: what listens is a stand-in.
        kumo = stack.enter_context(WebServer())
        kumo.set(PATH, json.dumps(TAKEN).encode(), "application/json")
        dns.set("example.net", "MX", "10 mx.sink.example")
        dns.set("mx.sink.example", "A", "127.0.0.1")
        instead = {
            "postgresql://postlane@db.internal/postlane": url,
            "redis://queue.internal:6379": queue,
            "198.51.100.0/28": "127.0.0.0/8",
            "http://postlane:password@kumo.internal:8000": f"http://p:w@127.0.0.1:{kumo.port}",
            # The test's own world, which readers do not have.
            "POSTLANE_LOG_FORMAT=json\n": "POSTLANE_LOG_FORMAT=json\n"
            f"POSTLANE_DNS_SERVERS={dns.address}:{dns.port}\nPOSTLANE_MX_PORT={sink.port}\n"
            f"POSTLANE_PRIVATE_EXCHANGERS=127.0.0.0/8\nPOSTLANE_WEB_WORKERS=1\n",
        }
        hosts = Hosts(folder, {"POSTLANE_ENV_FILE": str(folder / "postlane.env")})
        stack.push_async_callback(hosts.stop)
        path = {"PATH": put_program(folder), "PYTHONPATH": SOURCE}
        running = await stack.enter_async_context(
            shell(folder, POSTLANE_DATA_DIR=str(folder / "first"), **path)
        )
        key = ""
        async for command, _ in read("scaling.md", running, instead=instead):
            if command.text.startswith("cat > postlane.env"):
                with (folder / "postlane.env").open("a", encoding="utf-8") as file:
                    file.write(replaced(KUMO, instead))
            elif command.text == "postlane migrate\n":
                key = await begin(hosts, dns, running)
        yield Deployment(hosts, url, sink, kumo, key, "acme.example")


async def begin(hosts: Hosts, dns: DnsServer, running: Shell) -> str:
    """Start two of each process, as the page says, and return a key that can send."""
    for number in (1, 2):
        await hosts.start(f"web-{number}", "web", "POSTLANE_LISTEN")
        await hosts.start(f"worker-{number}", "worker")
        await hosts.start(f"smtp-{number}", "smtp", "POSTLANE_SMTP_LISTEN")
    await hosts.listening("web-1", "web-2", "smtp-1", "smtp-2")
    async with client(hosts.url("web-1")) as http:
        person = {
            "email": "ada@acme.example",
            "password": PASSWORD,
            "name": "Ada",
            "organization_name": "Acme",
        }
        registered = (await http.post("/api/v1/auth/register", json=person)).json()
        http.headers = {"authorization": f"Bearer {registered['token']}"}
        domain = (await http.post("/api/v1/domains", json={"domain": "acme.example"})).json()
        for record in domain["records"]:
            dns.set(record["name"], record["type"], record["value"])
        checked = (await http.post(f"/api/v1/domains/{domain['id']}/verify")).json()
        assert checked["can_send"], checked
        asked = {"name": "All", "scopes": ["*"]}
        made = (await http.post("/api/v1/api-keys", json=asked)).json()
        # In a pool of its own: what names none goes on by the one that all share.
        vmta = {"name": "bulk-1", "ip_address": "127.0.0.5", "pool": "bulk"}
        vmta["hostname"] = "bulk-1.example.com"
        answer = await http.post("/api/v1/vmtas", json=vmta)
        assert answer.status_code == 201, answer.text
    await running.run(f"KEY={made['key']} WEB_1={hosts.url('web-1')} WEB_2={hosts.url('web-2')}")
    key: str = made["key"]
    return key


async def test_what_both_accepted_is_delivered_once(deployment: Deployment) -> None:
    await deployment.mail_for("grace@example.net")
    await asyncio.sleep(1)

    assert len(await deployment.mail_for("grace@example.net")) == 1


async def test_mail_of_vmtas_that_are_named_goes_to_kumomta(deployment: Deployment) -> None:
    await deployment.send("web-2", "kumo@example.net", vmta="bulk-1")

    await until(lambda: bool(deployment.kumo.asked))
    await asyncio.sleep(1)
    (asked,) = deployment.kumo.asked
    assert json.loads(asked.body)["recipients"] == [{"email": "kumo@example.net"}]
    assert [m for m in deployment.sink.messages if m.recipient == "kumo@example.net"] == []


async def test_no_process_has_more_connections_than_the_page_says(deployment: Deployment) -> None:
    connection = await asyncpg.connect(deployment.database_url)
    found = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
    await connection.close()

    web = "10 and 10 behind row-level security, and 1 that listens"
    assert f"| each worker of `postlane web` | {web} |" in PAGE
    assert "| `postlane worker` | 10, and 1 that listens |" in PAGE
    assert "| `postlane smtp` | 5 and 5 behind row-level security |" in PAGE
    assert 0 < found <= 2 * (21 + 11 + 10)


async def test_a_machine_of_each_kind_may_go_away(deployment: Deployment) -> None:
    await deployment.hosts.kill("web-1", "worker-1", "smtp-1")

    await deployment.send("web-2", "after@example.net")

    assert len(await deployment.mail_for("after@example.net")) == 1
    codes = await deployment.hosts.stop()
    assert codes == {"web-2": 0, "worker-2": 0, "smtp-2": 0}
