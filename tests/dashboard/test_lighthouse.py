"""The core pages as Lighthouse judges them on a phone: fast, accessible, and by good practice."""

import asyncio
import json
import os
from collections.abc import Callable

import pytest

from postlane.core.database import fetch
from tests.client import Client
from tests.dashboard.browser import new_session
from tests.dashboard.test_live import SEND, sender
from tests.factories import make_organization
from tests.parts import CHROMIUM, FIGURE, LIGHTHOUSE, NODE, needs, needs_npm_package

pytestmark = [
    needs(CHROMIUM),
    needs(NODE),
    needs_npm_package("lighthouse", folder=LIGHTHOUSE),
    pytest.mark.slow(seconds=60),
]
LEAST = {"performance": 95, "accessibility": 100, "best-practices": 100}
LONGEST_SECONDS = 300
TRIES = 4


async def judged(url: str, cookie: str, paths: list[str]) -> list[dict[str, object]]:
    """Return what Lighthouse says of each page."""
    path = CHROMIUM.path()
    assert path is not None
    process = await asyncio.create_subprocess_exec(
        *("node", str(LIGHTHOUSE / "judge.mjs"), url, cookie, *paths),
        env={**os.environ, "CHROME_PATH": path},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        told, complaints = await asyncio.wait_for(process.communicate(), LONGEST_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, complaints.decode()
    return [json.loads(line) for line in told.splitlines()]


async def test_the_core_pages_score(
    client: Client, url: str, record_property: Callable[[str, object], None]
) -> None:
    organization = await make_organization()
    key, message = await sender(organization)
    for number in range(30):
        values = message | {"subject": f"Order {number}"}
        sent = await client.data(SEND, {"input": values}, key=key)
    uuid = sent["sendMessage"]["message"]["uuid"]
    [domain] = await fetch("SELECT name FROM domains WHERE organization_id = {}", organization.id)
    home = f"/o/{organization.slug}"
    pages = {
        "sign in": "/login",
        "overview": home,
        "messages": f"{home}/messages",
        "message": f"{home}/messages/{uuid}",
        "domains": f"{home}/domains",
        "domain": f"{home}/domains/{domain['name']}",
        "keys": f"{home}/keys",
    }
    cookie = f"session={await new_session(organization)}"

    found = await judged(url, cookie, list(pages.values()))
    for _ in range(TRIES - 1):
        # How fast a page is follows from what else the machine does; how good it is does not.
        slow = [each["path"] for each in found if each["scores"]["performance"] < 95]
        if not slow:
            break
        again = {each["path"]: each for each in await judged(url, cookie, slow)}
        found = [again.get(each["path"], each) for each in found]

    assert [each["path"] for each in found] == list(pages.values())
    least = {name: min(each["scores"][name] for each in found) for name in LEAST}
    record_property(FIGURE, f"Lighthouse, the least of {len(pages)} pages: {least}")
    worse = {
        each["path"]: (each["scores"], each["lost"])
        for each in found
        if each["error"] or any(each["scores"][name] < least for name, least in LEAST.items())
    }
    assert worse == {}
