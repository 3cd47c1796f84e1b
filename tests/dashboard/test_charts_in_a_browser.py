"""A chart that one looks into, by keys and by dragging, in every look."""

from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from postlane.accounts.tables import Organization
from postlane.core import clock
from tests.analytics.setup import make_mail, roll_up_all, tell
from tests.dashboard.chromium import LOOKS, Watched, signed_in
from tests.factories import make_actor
from tests.parts import CHROMIUM, NODE, needs, needs_npm_package

pytestmark = [needs(CHROMIUM), needs(NODE), needs_npm_package("axe-core"), pytest.mark.slow]


async def make_days(home: str) -> None:
    """Give an organization mail of three days, of which some bounced."""
    (organization,) = await Organization.objects().where(
        Organization.slug == home.rpartition("/")[2]
    )
    actor = await make_actor(organization)
    for days in (2, 9, 20):
        at = clock.now() - timedelta(days=days)
        names = [f"{number}-{days}@example.net" for number in range(days)]
        first, *others = await make_mail(actor, *names, at=at)
        await tell(*(each.queued() for each in (first, *others)))
        await tell(first.bounced("invalid_recipient"), *(each.delivered() for each in others))
    await roll_up_all()


@pytest.mark.parametrize("look", LOOKS)
async def test_a_chart_is_looked_into(chromium: Browser, url: str, look: str) -> None:
    context = await chromium.new_context(**LOOKS[look], locale="en-GB")  # type: ignore[arg-type]
    watched = Watched(await context.new_page())
    page = watched.page
    home = await signed_in(context, url)
    await make_days(home)
    chart, told, status = page.locator(".drawn"), page.locator(".told"), page.locator("#status")

    await page.goto(f"{home}/analytics?period=30d")
    await expect(chart.get_by_role("img")).to_be_visible()
    await expect(chart.locator("svg")).to_have_count(0)
    await page.get_by_role("button", name="Show all").press("Enter")
    whole = await status.inner_text()
    await page.get_by_role("button", name="Closer").press("Enter")
    await expect(status).not_to_have_text(whole)
    closer = await status.inner_text()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await expect(status).not_to_have_text(closer)
    await page.get_by_role("button", name="Show all").click()
    await expect(status).to_have_text(whole)
    box = await chart.locator(".u-over").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    await page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    await expect(told).to_contain_text("Delivered")
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=4)
    await page.mouse.up()
    await page.get_by_role("button", name="Wider").click()
    await expect(status).not_to_have_text(whole)

    assert await watched.faults() == []
    assert watched.complaints == []
    await context.close()
