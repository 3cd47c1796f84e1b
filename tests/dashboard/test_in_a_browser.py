"""The core pages in Chromium: no fault of accessibility, policy or script, in every look."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.dashboard.browser import new_session
from tests.dashboard.test_pages import SIMPLE
from tests.factories import make_organization
from tests.parts import CHROMIUM, NODE, TOOLS, needs, needs_npm_package
from tests.people import PASSWORD, new_person
from tests.serving import web_process

pytestmark = [needs(CHROMIUM), needs(NODE), needs_npm_package("axe-core"), pytest.mark.slow]
AXE = TOOLS / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 800}},
    "small": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
}


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """One Chromium for all tests of this file."""
    async with async_playwright() as playwright:
        path = CHROMIUM.path()
        assert path is not None
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=["--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def url(database: None, database_url: str) -> AsyncIterator[str]:
    """A running web process."""
    async with web_process(database_url) as found:
        yield found


class Watched:
    """A page whose every complaint is kept."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: object) -> None:
        if message.type in ("error", "warning"):  # type: ignore[attr-defined]
            self.complaints.append(message.text)  # type: ignore[attr-defined]

    async def faults(self) -> list[str]:
        """Return what axe finds on the page, and whether it is wider than the window."""
        await self.page.evaluate(AXE.read_text("utf-8"))
        found: list[str] = await self.page.evaluate(
            "rules => axe.run(document, {runOnly: rules}).then(r => r.violations.map("
            "v => v.id + ': ' + v.nodes[0].html.slice(0, 120)))",
            RULES,
        )
        if await self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append("wider than the window")
        return found


async def signed_up(page: Page, url: str) -> str:
    """Register somebody through the pages and return where they land."""
    new = new_person()
    await page.goto(f"{url}/register")
    await page.fill("#name", new["name"])
    await page.fill("#organization", new["organizationName"])
    await page.fill("#email", new["email"])
    await page.fill("#password", PASSWORD)
    await page.click("button.main")
    await page.wait_for_url("**/o/**")
    return page.url


async def signed_in(context: BrowserContext, url: str) -> str:
    """Let a browser be that of a new owner, and return the address of their organization."""
    organization = await make_organization()
    session = await new_session(organization)
    await context.add_cookies([{"name": "session", "value": session, "url": url}])
    return f"{url}/o/{organization.slug}"


@pytest.mark.parametrize("look", LOOKS)
async def test_the_core_pages_are_sound(chromium: Browser, url: str, look: str) -> None:
    context = await chromium.new_context(**LOOKS[look])  # type: ignore[arg-type]
    watched = Watched(await context.new_page())
    page = watched.page
    found: dict[str, list[str]] = {}

    for path in ("/login", "/register", "/reset"):
        await page.goto(url + path)
        found[path] = await watched.faults()
    home = await signed_in(context, url)
    await page.goto(f"{home}/domains")
    await page.fill("#name", f"{look}-{home.rpartition('-')[2]}.example")
    await page.click("main button.main")
    await page.wait_for_url("**/domains/*")
    found["domain"] = await watched.faults()
    paths = [*SIMPLE, "/messages?q=nothing", "/queues?domain=nothing.example"]
    for path in paths:
        await page.goto(home + path)
        found[path or "overview"] = await watched.faults()
    for path in ("/orgs", "/account"):
        await page.goto(url + path)
        found[path] = await watched.faults()
    await context.close()

    assert {path: faults for path, faults in found.items() if faults} == {}
    assert watched.complaints == []


async def test_from_sign_up_to_a_key_without_script(chromium: Browser, url: str) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()

    home = await signed_up(page, url)
    await page.click("nav.side >> text=API keys")
    await page.fill("#name", "Shop")
    await page.click("main button.main")
    secret = await page.text_content("code.secret")
    await page.click("text=Sign out")

    assert home.startswith(f"{url}/o/")
    assert secret is not None
    assert secret.startswith("pmta_")
    assert page.url == f"{url}/login?done=signed-out"
    await context.close()


async def test_by_keyboard_alone(chromium: Browser, url: str) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    home = await signed_in(context, url)

    await page.goto(f"{home}/messages")
    await page.keyboard.press("Tab")
    skipped = await page.evaluate("document.activeElement.textContent")
    await page.keyboard.press("/")
    searching = await page.evaluate("document.activeElement.id")
    await page.keyboard.type("to:nobody.example")
    await page.wait_for_selector("text=Nothing matches")
    address = page.url
    await page.go_back()
    await page.wait_for_selector("text=No messages yet")

    assert skipped == "To the content"
    assert searching == "q"
    assert "q=to%3Anobody.example" in address
    await context.close()


async def test_what_cannot_be_taken_back_is_asked_first(chromium: Browser, url: str) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    home = await signed_in(context, url)
    await page.goto(f"{home}/keys")
    await page.fill("#name", "Shop")
    await page.click("main button.main")

    await page.goto(f"{home}/keys")
    await page.click("text=Revoke")
    await page.click("dialog >> text=Leave it")
    kept = await page.locator("th[scope=row]").count()
    await page.click("text=Revoke")
    await page.click("dialog >> text=Yes, do it")
    await page.wait_for_url("**/keys?done=key-revoked")

    assert kept == 1
    await context.close()
