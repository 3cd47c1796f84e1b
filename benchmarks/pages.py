"""The dashboard's pages of an organization with a million messages: time to first byte, and size.

    .venv/bin/python -m benchmarks.pages
    .venv/bin/python -m benchmarks.pages --messages 20000 --requests 10
    .venv/bin/python -m benchmarks.pages --write docs/pages.md

Prints a table beside the budgets, then one JSON object; exits with 1 if a budget is broken. The
other lists that grow (the audit log, calls of a webhook, suppressions, requests) have a tenth as
many lines each.
"""

import argparse
import asyncio
import gzip
import json
import os
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

MESSAGES = 1_000_000
PORTION = 100_000
REQUESTS = 60
WARM = 5
"""Requests before those that are counted: caches, plans, connections."""


ID = (
    "(lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - n * 1000), 12, '0') || '7000' || "
    "'8' || substr(md5(n::text), 1, 15))::uuid"
)
LONG = (
    "INSERT INTO suppressions (id, organization_id, address, address_key, reason, created_at) "
    f"SELECT {ID}, '{{organization}}', n || '@example.net', n || '@example.net', 'manual', now() "
    "FROM generate_series(1, {count}) n",
    "INSERT INTO audit_entries (id, organization_id, actor_kind, action, target_type, target_id, "
    f"changes, request_id, created_at) SELECT {ID}, '{{organization}}', 'user', 'domain.created', "
    "'domain', n::text, jsonb_build_object(), n::text, now() - n * interval '1 second' "
    "FROM generate_series(1, {count}) n",
    "INSERT INTO api_requests (id, organization_id, api_key_id, api, method, route, status, "
    f"outcome, request_id, requests, microseconds, created_at) SELECT {ID}, '{{organization}}', "
    "'{key}', 'rest', 'GET', '/api/v1/messages', 200, 'succeeded', n::text, 1, 900, now() "
    "FROM generate_series(1, {count}) n",
    "INSERT INTO webhook_calls (id, organization_id, webhook_id, event_id, event_type, state, "
    "test, replay, attempts, log, created_at, delivered_at) "
    f"SELECT {ID}, '{{organization}}', '{{webhook}}', {ID}, 'message.delivered', 'delivered', "
    "false, 0, 1, '[]', now(), now() FROM generate_series(1, {count}) n",
)
"""What makes the other long lists; of any values, for these are none of a stranger."""
HEAD = """# Pages, measured

Written by `python -m benchmarks.pages --write docs/pages.md`; do not edit.

Time to first byte over HTTP, of an organization with {messages} messages and a tenth as many lines
in its other long lists, on a machine with {processors} processors and a load of {load:.0f}: what
other work it did counts as well. `/login` and `/reset` read next to nothing, and tell how much that
was. The size is that of the HTML, compressed.

| Page (of an organization, or of a person) | kB | of | Median, ms | p95, ms | of | Kept |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a page may take: its HTML compressed, and the 95th percentile of its first byte."""

    path: str
    kilobytes: float
    milliseconds: float
    part: str = ""
    """The block that htmx asks for, where the page itself is not what is opened."""
    is_outside: bool = False
    """It is no page of an organization."""


BUDGETS = (
    Budget("", 10, 150),
    Budget("/messages", 14, 150),
    Budget("/messages?q=to:example.net", 14, 150),
    Budget("/messages?q=status:bounced", 14, 150),
    Budget("/messages/{message}", 12, 120),
    Budget("/messages/{message}?tab=events", 12, 120),
    Budget("/messages/{message}/preview", 12, 120),
    Budget("/messages/new", 6, 80),
    Budget("/messages/bulk?q=status:bounced", 14, 150),
    Budget("/captured", 14, 150),
    Budget("/domains", 8, 100),
    Budget("/domains/{domain}", 12, 120),
    Budget("/keys", 8, 100),
    Budget("/webhooks", 8, 120),
    Budget("/webhooks/{webhook}", 12, 150),
    Budget("/webhooks/{webhook}/try", 8, 120),
    Budget("/mailboxes", 8, 120),
    Budget("/mailboxes/{mailbox}", 8, 120),
    Budget("/suppressions", 12, 150),
    Budget("/analytics", 16, 250),
    Budget("/queues", 10, 120),
    Budget("/vmtas", 12, 150),
    Budget("/vmtas/{vmta}", 12, 150),
    Budget("/billing", 10, 150),
    Budget("/members", 8, 100),
    Budget("/audit", 14, 150),
    Budget("/audit?action=api_key.created", 14, 150),
    Budget("/jobs", 6, 100),
    Budget("/settings", 8, 80),
    Budget("/developers", 10, 100),
    Budget("/developers?outcome=REFUSED", 10, 100),
    Budget("/explorer", 10, 100),
    Budget("/security", 12, 150),
    Budget("/security/status", 12, 150, "parts"),
    Budget("/security/rules", 12, 150),
    Budget("/security/blocklists", 12, 150),
    Budget("/security/greylisting", 12, 150),
    Budget("/security/scanning", 12, 150),
    Budget("/templates", 8, 100),
    Budget("/templates/new", 8, 100),
    Budget("/templates/{template}", 12, 120),
    Budget("/jump", 2, 80, "jump"),
    Budget("/jump?q=ada@example.net", 2, 80, "jump"),
    Budget("/login", 4, 80, is_outside=True),
    Budget("/register", 4, 80, is_outside=True),
    Budget("/reset", 4, 80, is_outside=True),
    Budget("/orgs", 6, 100, is_outside=True),
    Budget("/account", 14, 80, is_outside=True),
    Budget("/admin/orgs", 12, 150, is_outside=True),
    Budget("/admin/orgs/{slug}", 12, 150, is_outside=True),
)
"""Of the page map; `tests/dashboard/test_html.py` says which pages have none, and why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a page took."""

    budget: Budget
    kilobytes: float
    median: float
    p95: float

    @property
    def is_kept(self) -> bool:
        """Whether it is within its budget."""
        return self.kilobytes <= self.budget.kilobytes and self.p95 <= self.budget.milliseconds


async def measure(*, messages: int, requests: int) -> list[Measured]:
    """Return what each page takes."""
    # Settings are read when the product is imported: only here, in the process that has them.
    from postlane.core.database import close_pool, start_pool
    from postlane.core.queue import close_queue, open_queue
    from postlane.server.embedded import EmbeddedDatabase
    from postlane.server.migrate import migrate
    from postlane.vmtas.work import ensure_default_vmta
    from tests.serving import web_process

    server = EmbeddedDatabase(Path(os.environ["POSTLANE_DATA_DIR"]) / "postgres")
    url = await server.start()
    try:
        await start_pool(url)
        await migrate()
        await ensure_default_vmta()
        await open_queue(url)
        session, things = await _populate(messages)
        async with (
            web_process(url) as address,
            httpx.AsyncClient(base_url=address, cookies={"session": session}, timeout=60) as http,
        ):
            return [await _page(http, budget, things, requests) for budget in BUDGETS]
    finally:
        await close_queue()
        await close_pool()
        await server.stop()


async def _populate(messages: int) -> tuple[str, dict[str, str]]:
    from postlane.core import clock
    from postlane.core.database import fetch
    from tests.dashboard.browser import new_session
    from tests.dashboard.test_in_a_browser import make_template, make_vmta
    from tests.factories import (
        default_project,
        make_api_key,
        make_domain,
        make_ingress_mailbox,
        make_organization,
        make_webhook,
    )
    from tests.long_log import SPACING, make_long_log

    organization = await make_organization()
    project = await default_project(organization)
    session = await new_session(organization)
    domain = await make_domain(organization.id)
    for number in range(20):
        key = await make_api_key(organization)
        webhook, _, _ = await make_webhook(organization, f"https://h{number}.example")
        mailbox, _, _ = await make_ingress_mailbox(organization.id, f"box {number}")
    others = {"organization": organization.id, "webhook": webhook, "key": key.row.id}
    for statement in LONG:
        await fetch(statement.format(**others, count=messages // 10))  # type: ignore[arg-type]
    # In portions: a statement has a minute, and the machine may be a busy one.
    for begun in range(0, messages, PORTION):
        count = min(PORTION, messages - begun)
        before = clock.now() - SPACING * begun
        await make_long_log(organization.id, project.id, count=count, before=before)
    await fetch("ANALYZE")
    rows = await fetch(
        "SELECT id FROM messages WHERE organization_id = {} ORDER BY id DESC LIMIT 1",
        organization.id,
    )
    things = {
        "message": str(rows[0]["id"]),
        "domain": domain.name,
        "webhook": str(webhook),
        "mailbox": str(mailbox),
        "template": await make_template(organization.slug),
        "vmta": await make_vmta(organization.slug),
        "slug": organization.slug,
    }
    # Operators' pages are among them.
    await fetch(
        "UPDATE users SET platform_admin = true FROM memberships m WHERE m.user_id = users.id "
        "AND m.organization_id = {}",
        organization.id,
    )
    return session, things


async def _page(
    http: httpx.AsyncClient, budget: Budget, things: dict[str, str], requests: int
) -> Measured:
    path, times, body = budget.path.format(**things), [], b""
    path = path if budget.is_outside else f"/o/{things['slug']}{path}"
    headers = {"HX-Request": "true", "HX-Target": budget.part} if budget.part else {}
    for turn in range(WARM + requests):
        begun = time.perf_counter()
        async with http.stream("GET", path, headers=headers) as answer:
            first = time.perf_counter()
            body = await answer.aread()
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        if turn >= WARM:
            times.append((first - begun) * 1e3)
    p95 = statistics.quantiles(times, n=20)[-1]
    return Measured(budget, len(gzip.compress(body, 5)) / 1e3, statistics.median(times), p95)


def table(found: list[Measured]) -> str:
    """Return the figures beside their budgets."""
    lines = [f"{'page':34} {'kB gz':>7} {'of':>5} {'median ms':>10} {'p95 ms':>8} {'of':>5}"]
    for each in found:
        mark = "" if each.is_kept else "  BROKEN"
        lines.append(
            f"{each.budget.path or '/':34} {each.kilobytes:7.1f} {each.budget.kilobytes:5g} "
            f"{each.median:10.1f} {each.p95:8.1f} {each.budget.milliseconds:5g}{mark}"
        )
    return "\n".join(lines)


def page(found: list[Measured], *, messages: int) -> str:
    """Return the page of the documents with the figures."""
    rows = [
        f"| `{each.budget.path or '/'}` | {each.kilobytes:.1f} | {each.budget.kilobytes:g} "
        f"| {each.median:.0f} | {each.p95:.0f} | {each.budget.milliseconds:g} "
        f"| {'yes' if each.is_kept else '**no**'} |"
        for each in found
    ]
    spoken = f"{messages:,}".replace(",", " ")
    load = os.getloadavg()[1]
    return "\n".join(
        [HEAD.format(messages=spoken, processors=os.cpu_count(), load=load), *rows, ""]
    )


def summary(found: list[Measured]) -> dict[str, Any]:
    """Return the entry of each page for a report."""
    return {
        f"page {each.budget.path or '/'}": {
            "value": round(each.p95, 1),
            "unit": "ms",
            "ratio": round(each.p95 / each.budget.milliseconds, 3),
            "against": f"its budget of {each.budget.milliseconds:g} ms",
            "runs": 1,
        }
        for each in found
    }


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--write", type=Path, help="put the figures into a page of the documents")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="postlane-pages-")
    os.environ |= {
        "POSTLANE_DATA_DIR": folder,
        "POSTLANE_SECRET_KEY": secrets.token_hex(32),
        "POSTLANE_HOSTNAME": "mail.postlane.test",
        "POSTLANE_PUBLIC_URL": "http://postlane.test",
    }
    try:
        found = asyncio.run(measure(messages=options.messages, requests=options.requests))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.write:
        options.write.write_text(page(found, messages=options.messages), "utf-8")
    print(table(found))
    print(json.dumps(summary(found)))
    sys.exit(not all(each.is_kept for each in found))


if __name__ == "__main__":
    main()
