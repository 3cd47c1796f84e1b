"""The page for developers: what it shows is run as it stands."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from html import unescape

import pytest

from postlane.dashboard.snippets import LANGUAGES
from postlane.messages.tables import Message
from postlane.server.app import build_app
from tests.client import Client
from tests.dashboard.browser import member
from tests.factories import make_api_key, make_domain
from tests.parts import NODE
from tests.serving import served

PROGRAMS = {
    "curl": ("bash", "-euc"),
    "graphql": ("bash", "-euc"),
    "python": (sys.executable, "-c"),
    "node": ("node", "--input-type=module", "--eval"),
}


@pytest.fixture(scope="module")
async def address(database: None) -> AsyncIterator[str]:
    """A web application on a socket."""
    async with served(build_app(opens_pool=False)) as found:
        yield found


@pytest.mark.parametrize("language", LANGUAGES)
async def test_each_example_sends_a_message(client: Client, address: str, language: str) -> None:
    if language == "node" and NODE.path() is None:
        pytest.skip("node is missing")
    browser, organization = await member(client)
    domain = await make_domain(organization.id)
    key = await make_api_key(organization)
    shown = (await browser.get(f"/o/{organization.slug}/developers?tab={language}")).text
    text = re.search(r'<pre tabindex="0" id="example">(.*?)</pre>', shown, re.S)
    assert text is not None
    program = unescape(text[1])

    process = await asyncio.create_subprocess_exec(
        *PROGRAMS[language],
        program.replace("http://postlane.test", address),
        env={**os.environ, "POSTLANE_KEY": key.secret},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 0, errors.decode()
    (row,) = await Message.objects().where(Message.organization_id == organization.id)
    assert str(row.id) in said.decode(), (said, errors)
    assert row.sender == f"hello@{domain.name}"


async def test_without_a_domain_it_says_what_comes_first(client: Client) -> None:
    browser, organization = await member(client)

    shown = (await browser.get(f"/o/{organization.slug}/developers?tab=nonsense")).text

    assert "Add a domain" in shown
    assert "hello@your-domain.example" in shown
    assert "No keys yet" in shown
