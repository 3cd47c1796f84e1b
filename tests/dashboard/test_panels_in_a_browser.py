"""What a part of a page says while it loads, when it cannot be loaded, and when it grows old."""

import asyncio

import pytest
from playwright.async_api import Browser, Route, expect

from tests.dashboard.chromium import LOOKS, Watched, signed_in
from tests.parts import CHROMIUM, NODE, needs, needs_npm_package

pytestmark = [needs(CHROMIUM), needs(NODE), needs_npm_package("axe-core"), pytest.mark.slow]
STATUS = "**/security/status"


async def refuse(route: Route) -> None:
    """Answer as a server that is overloaded."""
    await route.fulfill(status=503, headers={"X-Request-Id": "0123456789abcdef"}, body="")


@pytest.mark.parametrize("look", LOOKS)
async def test_a_part_loads_fails_and_is_asked_again(
    chromium: Browser, url: str, look: str
) -> None:
    context = await chromium.new_context(**LOOKS[look])  # type: ignore[arg-type]
    watched = Watched(await context.new_page())
    page = watched.page
    home = await signed_in(context, url)
    parts = page.locator("#parts")
    go_on = asyncio.Event()

    async def later(route: Route) -> None:
        await go_on.wait()
        await refuse(route)

    await page.route(STATUS, later)
    await page.goto(f"{home}/security")
    await expect(parts).to_have_attribute("aria-busy", "true")
    await expect(parts).to_contain_text("The scanners are asked…")
    await expect(page.locator("#status")).to_have_text("Loading…")
    loading = await watched.faults()
    go_on.set()
    await expect(parts.locator(".failed")).to_contain_text("The server answered 503.")
    await expect(parts).to_contain_text("0123456789abcdef")
    await expect(parts.locator(".loading")).to_have_count(0)
    failed = await watched.faults()
    await page.unroute(STATUS)
    await parts.get_by_text("Try again").click()

    await expect(parts.locator("table")).to_be_visible()
    await expect(parts.locator(".failed")).to_have_count(0)
    assert (loading, failed) == ([], [])
    # The browser itself tells of the answer, and nothing else complains.
    assert all("503" in each for each in watched.complaints)
    await context.close()


async def test_a_part_that_is_not_theirs_says_so(chromium: Browser, url: str) -> None:
    context = await chromium.new_context()
    watched = Watched(await context.new_page())
    page = watched.page
    home = await signed_in(context, url)

    await page.route(STATUS, lambda route: route.fulfill(status=403, body=""))
    await page.goto(f"{home}/security")

    await expect(page.locator("#parts")).to_contain_text("Your role does not see this part.")
    assert await watched.faults() == []
    await context.close()


async def test_a_part_that_is_followed_grows_old_in_sight(chromium: Browser, url: str) -> None:
    context = await chromium.new_context()
    watched = Watched(await context.new_page())
    page = watched.page
    home = await signed_in(context, url)
    await page.route(
        "**/queues", lambda r: r.abort() if r.request.headers.get("hx-request") else r.continue_()
    )

    await page.goto(f"{home}/queues")
    now = page.locator("#now")
    await expect(now.locator(".stale")).to_be_visible(timeout=20_000)
    await expect(now.locator(".failed")).to_contain_text("There is no connection.")
    told = await now.locator(".stale time").get_attribute("datetime")
    faults = await watched.faults()
    await page.unroute("**/queues")
    await page.locator("#paused button").click()

    await expect(now.locator(".stale")).to_have_count(0)
    await expect(now.locator(".failed")).to_have_count(0)
    assert told is not None
    assert faults == []
    await context.close()
