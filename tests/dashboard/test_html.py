"""Pages are valid HTML, and small: the Nu validator finds nothing, and each keeps its budget."""

import asyncio
import gzip
import json
import re
from pathlib import Path

import pytest
from benchmarks.pages import BUDGETS as MEASURED

from postlane.core.database import fetch
from postlane.dashboard.assets import FOLDER
from postlane.dashboard.pages import PAGES
from tests.client import Client
from tests.dashboard.browser import Browser, new_session
from tests.dashboard.test_in_a_browser import make_template, make_vmta
from tests.dashboard.test_live import SEND, sender
from tests.dashboard.test_pages import SIMPLE
from tests.dashboard.test_security import stopped
from tests.factories import make_ingress_mailbox, make_organization, make_suppression, make_webhook
from tests.parts import JAVA, TOOLS, needs, needs_npm_package

VALIDATOR = TOOLS / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
# htmx asks by attributes that HTML does not know; nothing else of theirs is let through.
LEFT_OUT = r".*Attribute .hx-[a-z:-]+. not allowed.*"
PLACE = re.compile(r"{[^}]*}")
ROLES = {
    "table": "presentation",
    "thead": "rowgroup",
    "tbody": "rowgroup",
    "tr": "row",
    "th": "columnheader",
    "td": "cell",
}
CARDS = r'(?<=<div role="table">)\s*<table class="messages".*?</table>'
LAID_OUT = re.compile(r"(?<!-)\b(?:display|position|float)\s*:")
BUDGETS = {
    "/login": 4,
    "/orgs": 6,
    "/account": 14,
    "": 10,
    "/messages": 14,
    "/messages/new": 6,
    "/domains": 8,
    "/keys": 8,
    "/webhooks": 8,
    "/mailboxes": 8,
    "/suppressions": 12,
    "/analytics": 16,
    "/queues": 10,
    "/vmtas": 12,
    "/billing": 10,
    "/members": 8,
    "/audit": 14,
    "/settings": 8,
    "/developers": 10,
    "/jump": 6,
    "/security": 12,
    "/security/rules": 12,
    "/security/blocklists": 12,
    "/security/greylisting": 12,
    "/security/scanning": 12,
    "/templates": 8,
    "template": 12,
}
"""Kilobytes of HTML, compressed as it is sent. The account lists every time zone."""


UNMEASURED = {
    "/invite/{}": "It needs the link of a mail.",
    "/reset/{}": "It needs the link of a mail.",
    "/o/{}/messages/newer": "A line of a page that is measured.",
    "/o/{}/webhooks/{}/newer": "A line of a page that is measured.",
    "/o/{}/captured/{}": "It reads one row, and only in a deployment that captures mail.",
    "/o/{}/captured/{}/preview": "It reads one row, and only in a deployment that captures mail.",
    "/o/{}/billing/invoices/{}": "It reads one row.",
    "/admin/health": "It asks the machine and the DNS, whose time is not ours.",
    "/explorer": "That of an organization is measured.",
    "/gallery": "It shows nothing of anybody's.",
}
"""Pages that `benchmarks/pages.py` leaves out, and why."""


async def full(client: Client, *, rows: int = 30) -> tuple[Browser, dict[str, str]]:
    """Return somebody of an organization with something of everything, and pages to look at."""
    organization = await make_organization(name="Acme & <Sons>")
    key, message = await sender(organization)
    uuids = []
    for number in range(rows):
        values = message | {"subject": f"Order <{number}> & more"}
        sent = await client.data(SEND, {"input": values}, key=key)
        uuids.append(sent["sendMessage"]["message"]["uuid"])
        await make_suppression(organization.id, f"gone{number}@example.net")
    webhook, _, _ = await make_webhook(organization, "https://h.example/hook?a=1&b=2")
    mailbox, _, _ = await make_ingress_mailbox(organization.id, "one")
    vmta = await make_vmta(organization.slug)
    await stopped(organization.id)
    domains = await fetch("SELECT name FROM domains WHERE organization_id = {}", organization.id)
    home = f"/o/{organization.slug}"
    template = await make_template(organization.slug)
    things = {path: home + path for path in SIMPLE}
    things |= {
        f"message {tab}": f"{home}/messages/{uuids[0]}?tab={tab}"
        for tab in ("timeline", "preview", "headers", "raw", "events")
    }
    things |= {
        "domain": f"{home}/domains/{domains[0]['name']}",
        "webhook": f"{home}/webhooks/{webhook}",
        "webhook try": f"{home}/webhooks/{webhook}/try",
        "mailbox": f"{home}/mailboxes/{mailbox}",
        "vmta": f"{home}/vmtas/{vmta}",
        "template": f"{home}/templates/{template}",
        "template preview": f"{home}/templates/{template}/preview",
        "explorer type": f"{home}/explorer?type=Message",
        "filtered": f"{home}/messages?q=nothing+%3Cb%3E+nonsense:x&status=bounced",
        "absent": f"{home}/messages/{'0' * 32}",
        **{path: path for path in ("/login", "/register", "/reset", "/orgs", "/account")},
        **{path: path for path in ("/explorer", "/gallery", "/admin/orgs", "/admin/health")},
        "judged": f"/admin/orgs/{organization.slug}",
    }
    await fetch(
        "UPDATE users SET platform_admin = true FROM memberships m WHERE m.user_id = "
        "users.id AND m.organization_id = {}",
        organization.id,
    )
    session = await new_session(organization)
    await fetch(
        "UPDATE users SET platform_admin = true FROM memberships m WHERE m.user_id = "
        "users.id AND m.organization_id = {}",
        organization.id,
    )
    return Browser(client, session), things


@pytest.mark.slow
@needs(JAVA)
@needs_npm_package("vnu-jar")
async def test_every_page_is_valid_html(client: Client, tmp_path: Path) -> None:
    browser, pages = await full(client)
    for name, path in pages.items():
        answer = await browser.get(path)
        file = re.sub(r"[^a-z]+", "-", name.lower()).strip("-") or "overview"
        (tmp_path / f"{file}.html").write_text(answer.text, "utf-8")

    process = await asyncio.create_subprocess_exec(
        *("java", "-jar", str(VALIDATOR), "--format", "json", "--errors-only"),
        *("--filterpattern", LEFT_OUT, *map(str, sorted(tmp_path.iterdir()))),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await asyncio.wait_for(process.communicate(), 120)
    faults = [
        f"{Path(each.get('url', '')).name}: {each['message']} {each.get('extract', '')!r}"
        for each in json.loads(told)["messages"]
    ]

    assert faults == []
    assert process.returncode == 0


async def test_a_table_that_is_shown_as_cards_says_what_its_parts_are(client: Client) -> None:
    """WebKit takes the roles from what is no table by its style, unless they are written down."""
    browser, pages = await full(client, rows=2)

    for page in ("", "/messages"):
        shown = (await browser.get(pages[page])).text
        tables = re.findall(CARDS, shown, re.DOTALL)
        parts = re.findall(r"<(table|thead|tbody|tr|th|td)\b([^>]*)>", "".join(tables))

        assert {tag for tag, _ in parts} == set(ROLES)
        assert [tag for tag, given in parts if f'role="{ROLES[tag]}"' not in given] == []


def test_no_other_table_is_shown_as_cards() -> None:
    style = re.sub(r"/\*.*?\*/", "", (FOLDER / "app.css").read_text(), flags=re.DOTALL)
    selectors = {
        selector.strip()
        for some, said in re.findall(r"([^{}]+){([^{}]*)}", style)
        if LAID_OUT.search(said)
        for selector in some.split(",")
    }

    assert {
        each for each in selectors if re.search(r"(?<![\w.#-])(?:t[rdh]|thead|tbody|table)\b", each)
    } == {".messages thead", ".messages tr"}


def test_every_page_is_measured_or_it_is_said_why_not() -> None:
    """Of the time to first byte, at a million messages."""
    measured = {
        ("" if each.is_outside else "/o/{}") + PLACE.sub("{}", each.path.partition("?")[0])
        for each in MEASURED
    }

    shown = {PLACE.sub("{}", page.path) for page in PAGES}

    assert shown - measured == set(UNMEASURED)
    assert measured <= shown


async def test_pages_keep_to_their_size(client: Client) -> None:
    browser, pages = await full(client)
    sizes = {
        path: len(gzip.compress((await browser.get(pages[path])).text.encode(), 5)) / 1e3
        for path in BUDGETS
    }

    broken = {path: size for path, size in sizes.items() if size > BUDGETS[path]}
    assert broken == {}


@pytest.mark.parametrize("path", ["", "/messages", "/domains", "/explorer"])
async def test_a_page_asks_for_few_files(client: Client, path: str) -> None:
    browser, pages = await full(client)

    shown = (await browser.get(pages[path])).text

    files = set(re.findall(r'(?:src|href)="(/static/[^"#]+)', shown)) | {"/favicon.ico"}
    assert len(files) + 1 <= (8 if path == "/explorer" else 7)
