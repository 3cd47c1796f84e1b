"""The product as an operator runs it, beside a sink and a name server, all on loopback."""

import asyncio
import base64
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from tests.dns_server import DnsServer

DOMAIN = "bench.postlane.test"
START_SECONDS = 90
PARTS = ("web", "worker", "smtp", "up", "nursery")


def free_port() -> int:
    """Return a port on loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass(slots=True)
class Stack:
    """`postlane up` with relay delivery to a sink, and an API key for a verified domain."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="postlane-bench-")))
    web: tuple[str, int] = ("127.0.0.1", 0)
    key: str = ""
    _processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    _dns: DnsServer = field(default_factory=DnsServer)
    _token: str = ""
    # One for all looks, and without certificates: making one each time took more of the two cores
    # than any of our processes, for as long as somebody waited for mail to settle.
    _client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(
            timeout=60, trust_env=False, verify=False, limits=httpx.Limits(keepalive_expiry=1)
        )
    )

    async def __aenter__(self) -> Self:
        self._dns.start()
        self.web = ("127.0.0.1", free_port())
        sink = free_port()
        await self._spawn(*sink_command(sink))
        log = (self.folder / "log").open("wb")
        await self._spawn(
            *(sys.executable, "-m", "postlane.server.cli", "up"),
            stdout=log,
            stderr=log,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("POSTLANE_")},
                "POSTLANE_DATA_DIR": str(self.folder / "var"),
                "POSTLANE_LISTEN": f"127.0.0.1:{self.web[1]}",
                "POSTLANE_SMTP_LISTEN": "",
                "POSTLANE_INBOUND_LISTEN": "",
                "POSTLANE_HOSTNAME": "mail.postlane.test",
                "POSTLANE_DNS_SERVERS": f"127.0.0.1:{self._dns.port}",
                "POSTLANE_DELIVERY": "relay",
                "POSTLANE_RELAY_URL": f"smtp://127.0.0.1:{sink}",
                "POSTLANE_LOG_LEVEL": "warning",
            },
        )
        try:
            await asyncio.wait_for(self._set_up(), START_SECONDS)
        except (TimeoutError, httpx.HTTPError) as error:
            text = (self.folder / "log").read_text(errors="replace")
            await self.__aexit__()
            raise RuntimeError(f"`postlane up` did not come up:\n{text[-2000:]}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        for process in reversed(self._processes):
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.wait()
        self._dns.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _spawn(self, *command: str, **options: Any) -> None:
        self._processes.append(await asyncio.create_subprocess_exec(*command, **options))

    async def _set_up(self) -> None:
        url = f"http://{self.web[0]}:{self.web[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
            while True:
                try:
                    if (await client.get("/health")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.2)
            account = await _post(
                client,
                "/api/v1/auth/register",
                {
                    "email": "bench@postlane.test",
                    "password": secrets.token_urlsafe(24),
                    "name": "Bench",
                    "organization_name": "Bench",
                },
            )
            self._token = account["token"]
            client.headers["Authorization"] = f"Bearer {self._token}"
            domain = await _post(client, "/api/v1/domains", {"domain": DOMAIN})
            for record in domain["records"]:
                self._dns.set(record["name"], record["type"], record["value"])
            verified = await _post(client, f"/api/v1/domains/{domain['id']}/verify", {})
            if not verified["can_send"]:
                raise RuntimeError(f"the domain is not verified: {json.dumps(verified)}")
            made = await _post(client, "/api/v1/api-keys", {"name": "Bench", "scopes": ["*"]})
            self.key = made["key"]

    async def project_key(self) -> str:
        """Return a new API key that is bound to the project `default`."""
        projects = "{ organization { projects(first: 1) { nodes { id } } } }"
        found = await self._graphql(projects, {})
        create = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key } }"
        project = found["organization"]["projects"]["nodes"][0]["id"]
        given = {"name": "Bench", "scopes": ["*"], "projectId": project}
        key: str = (await self._graphql(create, {"input": given}))["createApiKey"]["key"]
        return key

    async def delivered(self) -> int:
        """Return how many deliveries of the benchmark are delivered; reads the ledger of events."""
        return await self._count("DELIVERED")

    async def waiting(self) -> int:
        """Return 1 while a message is not final, 0 afterwards."""
        for status in ("QUEUED", "SENDING", "DEFERRED"):
            if await self._count(status):
                return 1
        return 0

    async def _count(self, status: str) -> int:
        document = (
            "query ($s: [MessageStatus!]) { organization { messages(first: 1, "
            "filter: { statuses: $s }) { nodes { uuid } } } }"
        )
        data = await self._graphql(document, {"s": [status]})
        return len(data["organization"]["messages"]["nodes"])

    async def _graphql(self, document: str, variables: dict[str, Any]) -> Any:
        answer = await self._client.post(
            f"http://{self.web[0]}:{self.web[1]}/graphql",
            json={"query": document, "variables": variables},
            headers={"Authorization": f"Bearer {self._token}"},
        )
        return answer.json()["data"]

    def memory(self) -> dict[str, int]:
        """Return the proportional memory of each of our Python processes, in bytes."""
        root = self._processes[1].pid
        return {f"{name} {pid}": size for pid, name, size in _tree(root) if size}


def message(number: int, *, size_bytes: int) -> dict[str, Any]:
    """Return a message of about *size_bytes*, each another."""
    text = base64.b64encode(secrets.token_bytes(size_bytes * 3 // 4)).decode()
    lines = "\r\n".join(text[i : i + 70] for i in range(0, len(text), 70))
    return {
        "from": f"Bench <bench@{DOMAIN}>",
        "to": [f"user{number}@dest.postlane.test"],
        "subject": f"Message {number}",
        "text": lines,
    }


def sink_command(port: int) -> list[str]:
    """Return the command of a sink: Postfix's where it is installed, as the baseline uses it."""
    found = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found:
        # As root it wants a user to become; Postfix's own is there with it.
        user = ["-u", "postfix"] if os.geteuid() == 0 else []
        return [found, *user, f"127.0.0.1:{port}", "2000"]
    return [sys.executable, "-m", "tests.sink", "--port", str(port), "--log", os.devnull]


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    if answer.status_code >= 300:
        raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text}")
    found: dict[str, Any] = answer.json()
    return found


def _tree(root: int) -> list[tuple[int, str, int]]:
    """Return pid, role and proportional size of *root*'s Python descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        todo += children.get(pid, [])
        try:
            command = (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ")
            rollup = (Path("/proc") / str(pid) / "smaps_rollup").read_text()
        except OSError:
            continue
        size = next(int(line.split()[1]) for line in rollup.splitlines() if line[:4] == "Pss:")
        if b"postgres" not in command:
            found.append((pid, _role(command.decode(errors="replace")), size * 1024))
    return found


def _role(command: str) -> str:
    words = command.split()
    return next((word for word in PARTS if word in words), "web")
