"""What customers wrote, in frames on our pages: all that is ours of it is sound, in every look."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Browser, Page

from postlane.accounts.tables import Organization
from postlane.delivery.tables import CapturedMessage
from postlane.templates.operations import NewTemplate, create_template
from postlane.templates.rules import NewVersion, TemplateText
from tests.client import Client
from tests.dashboard.chromium import LOOKS, Watched, signed_in
from tests.dashboard.test_live import SEND, sender
from tests.factories import make_actor
from tests.parts import CHROMIUM, NODE, needs, needs_npm_package

pytestmark = [needs(CHROMIUM), needs(NODE), needs_npm_package("axe-core"), pytest.mark.slow]

SOUND = (
    "<!doctype html><html lang='de-AT'><head><title>Bestellung</title>"
    "<style>p { color: #222 }</style></head><body bgcolor='#ffffff'><h1>Ihre Bestellung</h1>"
    f"{'<p>Vielen Dank.</p>' * 30}<p><a href='https://shop.example/'>Zum Laden</a></p>"
    "</body></html>"
)
UNSOUND = "<h1>Order</h1><p>Thanks.</p><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"


async def owned(home: str) -> Organization:
    """Return the organization of an address."""
    found = await Organization.objects().get(Organization.slug == home.rpartition("/")[2])
    assert found is not None
    return found


async def sent(client: Client, home: str, html: str) -> str:
    """Send a message, and return the address of what its reader sees."""
    key, message = await sender(await owned(home))
    data = await client.data(SEND, {"input": message | {"html": html}}, key=key)
    return f"{home}/messages/{data['sendMessage']['message']['uuid']}?tab=preview"


async def captured(client: Client, home: str, html: str) -> str:
    """Keep a message as a deployment that captures mail does, and return its address."""
    row = CapturedMessage(
        organization_id=(await owned(home)).id,
        envelope_from="b@bounce.shop.example",
        envelope_to="ada@example.net",
        data=f"From: shop@shop.example\r\nSubject: Order\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n".encode(),
    )
    await row.save()
    return f"{home}/captured/{row.id}"


async def templated(client: Client, home: str, html: str) -> str:
    """Make a template, and return its address."""
    version = NewVersion(texts=[TemplateText(None, "Order", html)], sender="shop@shop.example")
    row = await create_template(
        await make_actor(await owned(home)), NewTemplate(slug="order", version=version)
    )
    return f"{home}/templates/{row.id}"


async def drafted(client: Client, home: str, html: str) -> str:
    """Return the address where a template is written."""
    return f"{home}/templates/new"


async def tried(page: Page, html: str) -> None:
    """Try what is written in the form, if there is one."""
    if page.url.endswith("/templates/new"):
        await page.fill("#slug", "order")
        await page.fill("[name=subject]", "Order")
        await page.fill("[name=html]", html)
        await page.get_by_role("button", name="Try it").click()
        await page.frame_locator("iframe[name=look]").locator("iframe").wait_for()


MADE = [sent, captured, templated, drafted]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("make", MADE)
async def test_a_page_with_a_frame_is_sound_with_it(
    chromium: Browser,
    client: Client,
    url: str,
    look: str,
    make: Callable[[Client, str, str], Awaitable[str]],
) -> None:
    context = await chromium.new_context(**LOOKS[look])  # type: ignore[arg-type]
    watched = Watched(await context.new_page())
    page = watched.page
    home = await signed_in(context, url)

    await page.goto(await make(client, home, SOUND))
    await tried(page, SOUND)
    await page.wait_for_load_state("networkidle")
    faults = await watched.faults()
    innermost = page.frames[-1]
    said = await innermost.evaluate(
        "[document.documentElement.lang, document.title, "
        "document.querySelector('[role=main]').lang, "
        "document.querySelector('[role=main] h1').textContent, document.bgColor]"
    )
    sandboxes = [
        await (await frame.frame_element()).get_attribute("sandbox") for frame in page.frames[1:]
    ]

    assert (faults, watched.complaints) == ([], [])
    assert said == ["en", "Preview", "de-AT", "Ihre Bestellung", "#ffffff"]
    assert set(sandboxes) == {"allow-popups"}
    await context.close()


@pytest.mark.parametrize("make", MADE)
async def test_what_is_wrong_within_a_frame_is_found(
    chromium: Browser,
    client: Client,
    url: str,
    make: Callable[[Client, str, str], Awaitable[str]],
) -> None:
    context = await chromium.new_context()
    watched = Watched(await context.new_page())
    home = await signed_in(context, url)

    await watched.page.goto(await make(client, home, UNSOUND))
    await tried(watched.page, UNSOUND)
    await watched.page.wait_for_load_state("networkidle")
    faults = await watched.faults()

    assert [fault[: fault.index("<")] for fault in faults] == ["in a frame: image-alt: "]
    await context.close()


async def test_a_frame_is_entered_read_and_left_by_keys(
    chromium: Browser, client: Client, url: str
) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    home = await signed_in(context, url)
    await page.goto(await sent(client, home, "<p>Thanks.</p>" * 60))
    await page.wait_for_load_state("networkidle")
    frame = page.frames[1]

    async def where() -> tuple[str, bool]:
        return (
            await page.evaluate("document.activeElement.tagName"),
            await frame.evaluate("document.hasFocus()"),
        )

    # Nothing in the message takes the focus, and it is longer than the frame.
    await page.locator("nav.tabs a").last.focus()
    await page.keyboard.press("Tab")
    entered = await where()
    await page.keyboard.press("PageDown")
    await page.wait_for_timeout(500)
    read = await frame.evaluate("scrollY")
    await page.keyboard.press("Tab")
    left = await where()
    await page.keyboard.press("Shift+Tab")
    back = await where()

    assert (entered, left, back) == (("IFRAME", True), ("PRE", False), ("IFRAME", True))
    assert read > 0
    await context.close()
