"""What the edges cost: REST beside the operation that it calls, and a page deep in a long log.

Everything is in this process but PostgreSQL, and who asks is known: what is measured is what
our own code adds. It runs in a process of its own, with settings and a database of its own.
"""

import asyncio
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

from .dialects import FEW, MANY, personal

LOG = 100_000
PAGE = 100
DEEP = 500
BUDGET_MS = 1.0
"""What REST may add to the operation that it calls."""
MESSAGE = {"to": ["ada@dest.postlane.test"], "subject": "Hello", "text": "Hello there." * 100}
LIST = """
query ($after: String) {
  organization { messages(first: 100, after: $after) {
    nodes { id subject status createdAt deliveries { address state attempts { number } } }
    pageInfo { hasNextPage endCursor }
  } }
}
"""
WALK = """
query ($first: Int!, $after: String) {
  organization { messages(first: $first, after: $after) { pageInfo { endCursor } } }
}
"""


@dataclass(frozen=True, slots=True)
class Edges:
    """Medians in milliseconds."""

    rest_send: float
    direct_send: float
    page_1: float
    page_deep: float
    personal_few: float
    personal_many: float

    @property
    def overhead(self) -> float:
        """Return what REST over GraphQL adds to the operation."""
        return self.rest_send - self.direct_send


async def measure(*, requests: int) -> Edges:
    """Measure in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="postlane-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, folder, str(requests)),
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("POSTLANE_")},
                "POSTLANE_DATA_DIR": folder,
                "POSTLANE_SECRET_KEY": secrets.token_hex(32),
                "POSTLANE_HOSTNAME": "mail.postlane.test",
                "POSTLANE_LOG_LEVEL": "warning",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the edges could not be measured: {printed.decode()[-500:]}")
    return Edges(**json.loads(printed.splitlines()[-1]))


def summary(found: Edges) -> dict[str, Any]:
    """Return the entries of the report."""
    ratio = found.page_deep / found.page_1
    return {
        "compat_overhead_ms": {
            "value": round(found.overhead, 3),
            "unit": "ms",
            "ratio": round(found.overhead / BUDGET_MS, 3),
            "against": f"{BUDGET_MS:g} ms budget",
            "runs": 1,
        },
        "list_page_500_vs_1": {
            "value": round(found.page_deep, 3),
            "unit": "ms",
            "ratio": round(ratio, 3),
            "against": f"page 1 of {LOG:,} messages",
            "runs": 1,
        },
        "personal_500_vs_50_inside": {
            "value": round(found.personal_many, 3),
            "unit": "ms",
            "ratio": round(found.personal_many / found.personal_few, 3),
            "against": f"{FEW} recipients of one PostageApp call, without HTTP",
            "runs": 1,
        },
    }


async def _main(folder: Path, requests: int) -> None:
    # Settings are read when the product is imported: only here, in the process that has them.
    from postlane.core.database import close_pool, start_pool
    from postlane.core.garbage import settle_down
    from postlane.core.queue import close_queue, open_queue
    from postlane.server.embedded import EmbeddedDatabase
    from postlane.server.migrate import migrate
    from postlane.vmtas.work import ensure_default_vmta

    server = EmbeddedDatabase(folder / "postgres")
    url = await server.start()
    try:
        await start_pool(url)
        await migrate()
        await ensure_default_vmta()
        await open_queue(url)
        # As the processes do that serve.
        settle_down()
        print(json.dumps(asdict(await _measured(requests))))
    finally:
        await close_queue()
        await close_pool()
        await server.stop()


async def _measured(requests: int) -> Edges:
    rest, direct = await _measure_sending(requests)
    few, many = await _measure_personal(requests // 8)
    first, last = await _measure_lists(requests // 4)
    return Edges(rest, direct, first, last, few, many)


async def _measure_sending(requests: int) -> tuple[float, float]:
    from postlane.messages.operations.send import send_message
    from postlane.messages.rules import NewMessage
    from tests.factories import make_actor, make_domain, make_organization

    organization = await make_organization()
    actor = await make_actor(organization)
    sender = f"shop@{(await make_domain(organization.id)).name}"
    app = _app_of(actor)
    body = json.dumps(MESSAGE | {"from": sender}).encode()
    new = NewMessage(sender=sender, **MESSAGE)  # type: ignore[arg-type]
    return await _side_by_side(
        lambda: _call(app, "/api/v1/messages/send", body),
        lambda: send_message(actor, new),
        requests,
    )


async def _measure_personal(requests: int) -> tuple[float, float]:
    from postlane.security.rules import KeyFormat
    from tests.factories import (
        make_actor,
        make_api_key,
        make_domain,
        make_organization,
        make_project,
    )

    organization = await make_organization()
    domain = await make_domain(organization.id)
    project = await make_project(organization)
    key = await make_api_key(organization, format=KeyFormat.POSTAGEAPP, project_id=project.id)
    app = _app_of(await make_actor(organization))

    def body(count: int) -> bytes:
        return json.dumps(personal(key.secret, count, sender=f"shop@{domain.name}")).encode()

    # Made before, as what a client does is none of it.
    few, many = ([body(count) for _ in range(_turns(requests))] for count in (FEW, MANY))
    return await _side_by_side(
        lambda: _call(app, "/v.1.1/send_message.json", few.pop()),
        lambda: _call(app, "/v.1.1/send_message.json", many.pop()),
        requests,
    )


async def _measure_lists(requests: int) -> tuple[float, float]:
    from tests.factories import default_project, make_actor, make_organization
    from tests.long_log import make_long_log

    organization = await make_organization()
    project = await default_project(organization)
    await make_long_log(organization.id, project.id, count=LOG)
    app = _app_of(await make_actor(organization))
    deep = await _cursor(app, (DEEP - 1) * PAGE)

    async def page(after: str | None) -> dict[str, Any]:
        asked = {"query": LIST, "variables": {"after": after}}
        return await _call(app, "/graphql", json.dumps(asked).encode())

    return await _side_by_side(lambda: page(None), lambda: page(deep), requests)


def _app_of(actor: Any) -> Any:
    """Return the web application, which takes every request for *actor*'s."""
    from postlane.server.app import build_app

    async def known(scope: Any) -> Any:
        return actor

    return build_app(authenticate=known, opens_pool=False)


def _turns(count: int) -> int:
    return count + count // 5  # some warm caches and plans


async def _side_by_side(
    one: Callable[[], Awaitable[Any]], other: Callable[[], Awaitable[Any]], count: int
) -> tuple[float, float]:
    """Return the medians of two things in milliseconds, done in turn *count* times each."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(_turns(count)):
        for call, found in zip((one, other), times, strict=True):
            begun = time.perf_counter()
            await call()
            if turn >= count // 5:
                found.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(times[0]), statistics.median(times[1])


async def _cursor(app: Any, count: int) -> str:
    """Return the cursor at which *count* messages have been read."""
    after = None
    while count > 0:
        size = min(count, 500)
        asked = {"query": WALK, "variables": {"first": size, "after": after}}
        answer = await _call(app, "/graphql", json.dumps(asked).encode())
        after = answer["data"]["organization"]["messages"]["pageInfo"]["endCursor"]
        count -= size
    assert after is not None
    return str(after)


async def _call(app: Any, path: str, body: bytes) -> dict[str, Any]:
    """Send one request to *app* without a network, and return the JSON that it answers."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    answer: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        answer.append(message)

    headers = [
        (b"host", b"postlane.test"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"accept", b"application/json"),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 40000),
        "server": ("postlane.test", 80),
        "state": {},
    }
    await app(scope, receive, send)
    status = answer[0]["status"]
    text = b"".join(part.get("body", b"") for part in answer[1:])
    found: dict[str, Any] = json.loads(text)
    if status >= 300 or "errors" in found:
        raise RuntimeError(f"{path} answered {status}: {text[:500]!r}")
    return found


if __name__ == "__main__":
    uvloop.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
