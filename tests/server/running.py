"""A whole Postlane, started as people start it, with a mail exchanger beside it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil

from postlane.server import demo
from postlane.server.api import Api
from postlane.server.demo_dns import DemoNameServer
from tests.secrets_in import secrets_in
from tests.server.commands import environment, postlane_command, start

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class OwnSink:
    """A mail exchanger in a process of its own; what it took is in a file."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._log = folder / "accepted.jsonl"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.sink",
            *("--port", str(self.port), "--log", str(self._log)),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            stdout=asyncio.subprocess.DEVNULL,
        )
        for _ in range(200):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the sink does not listen")

    async def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()

    def received(self) -> Counter[str]:
        """How often each recipient got a message."""
        if not self._log.exists():
            return Counter()
        lines = self._log.read_text().splitlines()
        return Counter(json.loads(line)["to"] for line in lines)


class Up:
    """`postlane up`, running."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        self.env = environment(
            data_dir, listen=f"127.0.0.1:{self.port}", log_format="text", **settings
        )
        self.log = b""
        self.out = b""
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []

    @property
    def process(self) -> psutil.Process:
        """The supervisor."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    async def start(self, *arguments: str, within: float = 240) -> None:
        """Start it, and wait until the web answers that all is well."""
        self._process = await start("up", *arguments, env=self.env)
        self._readers = [
            asyncio.create_task(self._read(self._process.stdout, "out")),
            asyncio.create_task(self._read(self._process.stderr, "log")),
        ]
        await self.healthy(within=within)

    async def healthy(self, *, within: float = 240) -> None:
        """Wait until mail can be taken and delivered."""
        deadline = time.monotonic() + within
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/health")).status_code == 200:
                        return
                assert self._process is not None
                assert self._process.returncode is None, self.log.decode()
                assert time.monotonic() < deadline, self.log.decode()
                await asyncio.sleep(0.2)

    async def stop(self, *, ending: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(ending)
        code = await asyncio.wait_for(self._process.wait(), 120)
        await asyncio.gather(*self._readers)
        assert list(secrets_in(self.log.decode("utf-8", "backslashreplace"))) == []
        return code

    def part(self, name: str) -> psutil.Process:
        """The process of one part: web, worker or database."""
        for child in self.process.children(recursive=True):
            words = " ".join(child.cmdline()).split()
            is_database = name == "database" and child.ppid() == self.process.pid
            # The web's workers have a number behind their name.
            if words == ["postlane", name] or (is_database and "postgres" in words[0]):
                return child
        raise AssertionError(f"there is no {name}: {self.log.decode()}")

    async def _read(self, stream: asyncio.StreamReader | None, name: str) -> None:
        assert stream is not None
        while chunk := await stream.read(65536):
            setattr(self, name, getattr(self, name) + chunk)


@asynccontextmanager
async def demo_organization(data_dir: Path) -> AsyncIterator["Organization"]:
    """A name server for the demonstration's domain, and settings that make it be asked."""
    server = DemoNameServer(demo.ZONE)
    address = await server.start()
    try:
        yield Organization(server, data_dir, str(address))
    finally:
        await server.stop()


class Organization:
    """What the demonstration makes, made in a Postlane that really delivers."""

    def __init__(self, server: DemoNameServer, data_dir: Path, address: str) -> None:
        self._server = server
        self.data_dir = data_dir
        self.settings = {"dns_servers": address, "hostname": demo.HOSTNAME}

    async def prepare(self, url: str) -> str:
        """Make it at *url*, its domain verified, and return the API key."""
        kept = await demo.prepare(Api(url), self._server, self.data_dir)
        return kept.api_key

    async def make_key(self, up: Up) -> str:
        """Make the organization at the command line if it is not there, and return its key."""
        kept = self.data_dir / demo.FILE
        if not kept.exists():
            answer = await postlane_command(
                *("create-organization", "Demo", "--email", f"owner@{demo.DOMAIN}"), env=up.env
            )
            assert answer.code == 0, answer.err
            lines = dict(line.split("  ", 1) for line in answer.out.splitlines()[:4])
            key = lines["API key"].strip()
            await Api(up.url, key).graphql(demo.CREATE_DOMAIN, input={"name": demo.DOMAIN})
            values = {"email": "", "password": "", "api_key": key}
            kept.write_text(json.dumps(values))
        return await self.prepare(up.url)
