"""Chromium as the tests of pages use it: looks, complaints, and somebody who is signed in."""

from playwright.async_api import BrowserContext, Page

from postlane.core.database import fetch
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
        """Return what axe finds on the page, and whether it is wider than the window."""
        await self.page.evaluate(AXE.read_text("utf-8"))
        # Left to itself it copies style sheets into elements, which the policy refuses.
        found: list[str] = await self.page.evaluate(
            # Frames are messages in sandboxes, which it cannot look into.
            "rules => axe.run(document, {runOnly: rules, preload: false, iframes: false})"
            ".then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html.slice(0, 120)))",
            RULES,
        )
        if await self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append("wider than the window")
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
