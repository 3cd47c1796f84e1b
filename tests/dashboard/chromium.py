"""Chromium as the tests of pages use it: looks, complaints, and somebody who is signed in."""

from playwright.async_api import BrowserContext, Frame, Page

from postlane.core.database import fetch
from postlane.dashboard import policy
from tests.dashboard.browser import new_session
from tests.factories import make_organization
from tests.parts import TOOLS

AXE = TOOLS / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 800}},
    "small": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
}


class Watched:
    """A page whose every complaint is kept."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: object) -> None:
        if message.type in ("error", "warning"):  # type: ignore[attr-defined]
            where = message.location  # type: ignore[attr-defined]
            self.complaints.append(f"{where['url']}:{where['lineNumber']}: {message.text}")  # type: ignore[attr-defined]

    async def faults(self) -> list[str]:
        """Return what axe finds on the page and in its frames, and what is wider than its window.

        A frame that nothing was written into yet holds no document of ours.
        """
        found = await _faults_of(self.page)
        for frame in self.page.frames[1:]:
            await frame.wait_for_load_state()
            if frame.url != "about:blank":
                found += [f"in a frame: {fault}" for fault in await _faults_within(frame)]
        return found


async def _faults_of(page: Page) -> list[str]:
    await page.evaluate(AXE.read_text("utf-8"))
    found: list[str] = await page.evaluate(
        # Left to itself it copies style sheets into elements, which the policy refuses; and frames
        # are looked at one by one.
        "rules => axe.run(document, {runOnly: rules, preload: false, iframes: false})"
        ".then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html.slice(0, 120)))",
        RULES,
    )
    if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("wider than the window")
    return found


async def _faults_within(frame: Frame) -> list[str]:
    """Return what is found in a document in a sandbox, as if it filled a window of that size.

    No script runs there, not even that of a test. So what the browser has made of it is shown once
    more on its own, under the same policy but for the sandbox.
    """
    box = await (await frame.frame_element()).bounding_box()
    assert box is not None, f"{frame.url} is not shown"
    body = await frame.content()
    page = await frame.page.context.new_page()
    await page.set_viewport_size({"width": int(box["width"]), "height": int(box["height"])})
    _, _, rest = policy.PREVIEW.partition("; ")
    headers = {"Content-Security-Policy": rest, "Content-Type": "text/html; charset=utf-8"}
    await page.route("**/*", lambda route: route.fulfill(body=body, headers=headers))
    await page.goto("http://frame.invalid/")
    found = await _faults_of(page)
    await page.close()
    return found


async def signed_in(context: BrowserContext, url: str, *, operator: bool = False) -> str:
    """Let a browser be that of a new owner, and return the address of their organization.

    An *operator* looks after the deployment, too.
    """
    organization = await make_organization()
    session = await new_session(organization)
    if operator:
        await fetch(
            "UPDATE users SET platform_admin = true FROM memberships m "
            "WHERE m.user_id = users.id AND m.organization_id = {}",
            organization.id,
        )
    await context.add_cookies([{"name": "session", "value": session, "url": url}])
    return f"{url}/o/{organization.slug}"
