"""Pages that follow what happens, in Chromium."""

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, Request, expect

from tests.client import Client
from tests.dashboard.browser import new_session
from tests.dashboard.test_live import SEND, sender
from tests.factories import make_domain, make_organization
from tests.parts import CHROMIUM, needs

pytestmark = [needs(CHROMIUM), pytest.mark.slow]
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


class Asked:
    """What a page asked for since it was opened."""

    def __init__(self, page: Page) -> None:
        self.parts = 0
        self.streams = 0
        self.open = 0
        page.on("request", self._begin)
        page.on("requestfailed", self._end)
        page.on("requestfinished", self._end)

    def _begin(self, request: Request) -> None:
        if "/live?" in request.url:
            self.streams += 1
            self.open += 1
        elif request.headers.get("hx-request"):
            self.parts += 1

    def _end(self, request: Request) -> None:
        self.open -= "/live?" in request.url


async def test_ten_events_a_second_cost_about_one_fetch_a_second(
    chromium: Browser, url: str, client: Client
) -> None:
    organization = await make_organization()
    key, message = await sender(organization)
    context = await chromium.new_context()
    page = await context.new_page()
    asked = Asked(page)
    session = await new_session(organization)
    await context.add_cookies([{"name": "session", "value": session, "url": url}])
    await page.goto(f"{url}/o/{organization.slug}/messages")
    await page.wait_for_timeout(700)
    before = asked.parts

    for _ in range(50):
        began = asyncio.get_running_loop().time()
        await client.data(SEND, {"input": message}, key=key)
        await asyncio.sleep(max(0.0, began + 0.1 - asyncio.get_running_loop().time()))
    await expect(page.locator("#newer a")).to_contain_text("50 new messages, show")
    await page.wait_for_timeout(1_200)
    during = asked.parts - before

    # The list itself has not moved.
    assert await page.locator("tbody tr").count() == 0
    assert 4 <= during <= 12
    assert asked.streams == 1
    await page.click("#newer a")
    await expect(page.locator("tbody tr")).to_have_count(25)
    await context.close()


async def test_a_hidden_tab_holds_no_stream_and_catches_up(
    chromium: Browser, url: str, client: Client
) -> None:
    organization = await make_organization()
    key, message = await sender(organization)
    context = await chromium.new_context()
    page = await context.new_page()
    asked = Asked(page)
    session = await new_session(organization)
    await context.add_cookies([{"name": "session", "value": session, "url": url}])
    await page.goto(f"{url}/o/{organization.slug}/messages")
    await page.wait_for_timeout(700)
    seen = asked.open

    await page.evaluate(HIDE, True)
    await page.wait_for_timeout(500)
    hidden, before = asked.open, asked.parts
    await client.data(SEND, {"input": message}, key=key)
    await page.wait_for_timeout(1_500)
    silent = asked.parts - before
    await page.evaluate(HIDE, False)

    await expect(page.locator("#newer a")).to_have_text(re.compile("1 new message, show"))
    assert (seen, hidden, silent) == (1, 0, 0)
    assert asked.open == 1
    await context.close()


async def test_two_lost_connections_pause_until_asked(chromium: Browser, url: str) -> None:
    organization = await make_organization()
    context = await chromium.new_context()
    page = await context.new_page()
    asked = Asked(page)
    session = await new_session(organization)
    await context.add_cookies([{"name": "session", "value": session, "url": url}])
    await page.route("**/live?*", lambda route: route.abort())

    await page.goto(f"{url}/o/{organization.slug}/messages")
    await expect(page.locator("#paused")).to_be_visible(timeout=10_000)
    lost = asked.streams
    await page.unroute("**/live?*")
    await page.click("#paused button")
    await expect(page.locator("#paused")).to_be_hidden()
    await page.wait_for_timeout(500)

    assert lost == 2
    assert (asked.streams, asked.open) == (3, 1)
    await context.close()


async def test_what_somebody_is_about_to_press_stays(
    chromium: Browser, url: str, client: Client
) -> None:
    organization = await make_organization()
    await make_domain(organization.id)
    context = await chromium.new_context()
    page = await context.new_page()
    asked = Asked(page)
    session = await new_session(organization)
    await context.add_cookies([{"name": "session", "value": session, "url": url}])
    await page.goto(f"{url}/o/{organization.slug}/domains")
    await page.wait_for_timeout(1_500)

    await page.evaluate(
        "(link => { link.focus(); link.dataset.mark = 'kept' })(document.querySelector('#now a'))"
    )
    before = asked.parts
    await page.wait_for_timeout(4_500)
    kept = await page.evaluate("document.activeElement.dataset.mark")
    meanwhile = asked.parts - before
    await page.evaluate("document.activeElement.blur()")
    await page.wait_for_timeout(2_500)

    assert (kept, meanwhile) == ("kept", 0)
    assert asked.parts > before
    await context.close()
