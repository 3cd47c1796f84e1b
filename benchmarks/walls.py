"""What the walls around tenants cost: row-level security, and with it every protection of the web.

Three web processes on one database take the same mail over the same connections, in turn: as
shipped with row-level security, as shipped without, and bare. Nothing is delivered meanwhile.

Rounds are short, so that what else the machine does meets all three alike, and the processor time
that a message takes, of the web process and the database together, is told beside the rates.

python -m benchmarks.walls                     thirty rounds of 200 messages through each
python -m benchmarks.walls --rounds 9 --messages 100
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from postlane.server.embedded import running_url
from tests.server.running import ROOT, free_port

from .client import flood, request_bytes
from .deployment import Account, Deployment
from .stack import message

CONNECTIONS = 32
SIZE_BYTES = 2000
ROUNDS, MESSAGES = 30, 200
ORGANIZATIONS = 4
"""Whose mail comes mixed: a connection that changes its tenant pays for that, one tenant's not."""
PER_MINUTE = 1_000_000
"""A limit that is never reached: what has none costs no statement."""

COMMANDS = {
    "walled": (("postlane.server.cli", "web"), "on"),
    "shipped": (("postlane.server.cli", "web"), "off"),
    "bare": (("benchmarks.bare_web",), "off"),
}
"""By its name: the module that serves, and whether row-level security is on."""

START_SECONDS = 180
Address = tuple[str, int]


@dataclass(slots=True)
class Figures:
    """What one process did, round by round."""

    rates: list[float] = field(default_factory=list)
    """Messages accepted a second."""
    costs: list[float] = field(default_factory=list)
    """Milliseconds of processor time for a message."""


async def measure(*, rounds: int = ROUNDS, messages: int = MESSAGES) -> dict[str, Figures]:
    """Return what each process did."""
    found = {name: Figures() for name in COMMANDS}
    async with Deployment() as deployment:
        accounts = [await _account(deployment, n) for n in range(ORGANIZATIONS)]
        async with deployment.worker_stopped(), contextlib.AsyncExitStack() as stack:
            webs = {
                name: await stack.enter_async_context(_web(deployment, name)) for name in COMMANDS
            }
            for _, address in webs.values():  # caches and plans
                await flood(address, _requests(address, accounts, 400), connections=CONNECTIONS)
            for number in range(rounds):
                # Each stands at every place of the row: what comes first finds less in the tables.
                order = [list(webs)[(number + turn) % len(webs)] for turn in range(len(webs))]
                for name in order:
                    web, address = webs[name]
                    requests = _requests(address, accounts, messages)
                    before = _processor_seconds(deployment, web)
                    seconds, _ = await flood(address, requests, connections=CONNECTIONS)
                    spent = _processor_seconds(deployment, web) - before
                    found[name].rates.append(messages / seconds)
                    found[name].costs.append(1000 * spent / messages)
    return found


def _processor_seconds(deployment: Deployment, web: psutil.Process) -> float:
    """Return what the web process, its workers and the database have used so far."""
    running = (*_tree(web), *_tree(deployment.up.part("database")))
    return sum(sum(each.cpu_times()[:2]) for each in running)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def summary(found: Mapping[str, Figures]) -> dict[str, Any]:
    """Return the entries of the report: rates, and then what a message costs."""

    def entry(ours: list[float], others: list[float], unit: str, against: str) -> dict[str, Any]:
        pairs = zip(ours, others, strict=True)
        return {
            "value": round(statistics.median(ours), 2),
            "unit": unit,
            "ratio": round(statistics.median(each / other for each, other in pairs), 3),
            "against": against,
            "runs": len(ours),
        }

    walled, shipped, bare = (found[name] for name in COMMANDS)
    without, nothing = "without row-level security", "without any protection of the web"
    rate, cost = "messages/s", "ms/message"
    return {
        "accept_row_security": entry(walled.rates, shipped.rates, rate, f"{without}; 0.95"),
        "accept_protections": entry(walled.rates, bare.rates, rate, f"{nothing}; 0.9"),
        "row_security_processor": entry(walled.costs, shipped.costs, cost, without),
        "protections_processor": entry(walled.costs, bare.costs, cost, nothing),
    }


async def _account(deployment: Deployment, number: int) -> Account:
    account = await deployment.open_account(f"walls{number}")
    given = {"name": "Limited", "scopes": ["*"], "rate_limit_per_minute": PER_MINUTE}
    account.key = (await account.ask("/api/v1/api-keys", given))["key"]
    return account


@asynccontextmanager
async def _web(deployment: Deployment, name: str) -> AsyncIterator[tuple[psutil.Process, Address]]:
    module, row_security = COMMANDS[name]
    address = ("127.0.0.1", free_port())
    environment = {
        **deployment.up.env,
        "POSTLANE_DATABASE_URL": running_url(deployment.up.data_dir / "postgres") or "",
        "POSTLANE_LISTEN": f"{address[0]}:{address[1]}",
        "POSTLANE_WEB_WORKERS": "1",
        "POSTLANE_ROW_SECURITY": row_security,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *module), cwd=ROOT, env=environment
    )
    try:
        await _ready(address)
        yield psutil.Process(process.pid), address
    finally:
        process.terminate()
        await process.wait()


async def _ready(address: Address) -> None:
    url = f"http://{address[0]}:{address[1]}/health"
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(START_SECONDS):
        while True:
            with contextlib.suppress(httpx.TransportError):
                # It may say that no worker runs, which is so.
                await client.get(url)
                return
            await asyncio.sleep(0.1)


def _requests(address: Address, accounts: Sequence[Account], count: int) -> list[bytes]:
    host = f"{address[0]}:{address[1]}"
    made = []
    for number in range(count):
        account = accounts[number % len(accounts)]
        body = message(number, size_bytes=SIZE_BYTES) | {"from": f"shop@{account.domain}"}
        encoded = json.dumps(body).encode()
        made.append(request_bytes(host, "/api/v1/messages/send", encoded, key=account.key))
    return made


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.walls")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured")
    parser.add_argument("--messages", type=int, default=MESSAGES, help="messages in each round")
    chosen = parser.parse_args()
    found = asyncio.run(measure(rounds=chosen.rounds, messages=chosen.messages))
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main()
