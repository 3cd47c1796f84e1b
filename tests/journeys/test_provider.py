"""Signing in with a provider of identities: oidc-provider, over sockets, as a browser does."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from postlane.core.ids import new_token
from tests.parts import CHROMIUM, NODE, TOOLS, needs, needs_npm_package
from tests.people import PASSWORD
from tests.serving import free_port, web_process

pytestmark = [needs(CHROMIUM), needs_npm_package("oidc-provider"), pytest.mark.slow]
CLIENT, SECRET = "postlane", "kept between the two of us: 100%"


@dataclass(frozen=True)
class Place:
    """Where Postlane and the provider answer."""

    url: str
    provider: str


@pytest.fixture(scope="module")
async def place(database: None, database_url: str) -> AsyncIterator[Place]:
    port, provider_port = free_port(), free_port()
    url, provider = f"http://localhost:{port}", f"http://127.0.0.1:{provider_port}"
    callbacks = (f"{url}/login/provider/callback", f"{url}/account/provider/callback")
    async with (
        running_provider(str(provider_port), CLIENT, SECRET, *callbacks),
        web_process(
            database_url,
            port=port,
            public_url=url,
            oidc_issuer=provider,
            oidc_client_id=CLIENT,
            oidc_client_secret=SECRET,
            oidc_name="Example ID",
        ),
    ):
        yield Place(url, provider)


@asynccontextmanager
async def running_provider(*arguments: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        str(NODE.path()),
        str(TOOLS / "oidc_provider" / "server.mjs"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 30)).strip() == b"listening"
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM.path(),
            args=["--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        await browser.close()


class Visitor:
    """Somebody with a browser of their own, who types *login* wherever the provider asks."""

    def __init__(self, place: Place, page: Page, login: str) -> None:
        self.place = place
        self.page = page
        self.login = login

    async def come_in(self, path: str = "/login/provider") -> str:
        """Go to the provider, do what it asks, and return the address of ours at the end."""
        await self.page.goto(self.place.url + path)
        while self.page.url.startswith(self.place.provider):
            if await self.page.locator("input[name=login]").count():
                await self.page.fill("input[name=login]", self.login)
                await self.page.fill("input[name=password]", "anything")
            await self.page.click("button[type=submit]")
            await self.page.wait_for_load_state()
        return self.page.url

    async def cookies(self) -> set[str]:
        """Return the names of our cookies."""
        return {each["name"] for each in await self.page.context.cookies(self.place.url)}


Visitors = Callable[[str], Awaitable[Visitor]]


@pytest.fixture
async def visitors(place: Place, chromium: Browser) -> AsyncIterator[Visitors]:
    """Makes visitors, each with a browser of their own."""
    contexts: list[BrowserContext] = []

    async def make(login: str) -> Visitor:
        contexts.append(await chromium.new_context())
        contexts[-1].set_default_timeout(10_000)
        return Visitor(place, await contexts[-1].new_page(), login)

    yield make
    for context in contexts:
        await context.close()


def somebody() -> str:
    return f"ada-{new_token(8).lower()}@example.org"


async def test_somebody_new_comes_in_by_the_provider_and_again(
    place: Place, visitors: Visitors
) -> None:
    login = somebody()
    visitor = await visitors(login)
    await visitor.page.goto(f"{place.url}/login")
    assert await visitor.page.locator("text=Sign in with Example ID").count() == 1

    home = await visitor.come_in()

    assert re.fullmatch(rf"{place.url}/o/[a-z0-9-]+", home)
    assert await visitor.cookies() == {"__Host-session"}
    elsewhere = await visitors(login)
    assert await elsewhere.come_in() == home


async def test_the_way_back_is_this_browsers_alone(place: Place, visitors: Visitors) -> None:
    """Whoever is sent somebody else's way back is not signed in as them."""
    attacker, victim = await visitors(somebody()), await visitors(somebody())
    seen: list[str] = []
    attacker.page.on("request", lambda request: seen.append(request.url))
    await attacker.come_in()
    [way_back] = {url for url in seen if "/login/provider/callback?" in url}

    await victim.page.goto(way_back)

    assert await victim.page.locator("text=did not succeed").count() == 1
    assert await victim.cookies() == set()


async def test_an_address_that_is_not_verified_does_not_come_in(
    place: Place, visitors: Visitors
) -> None:
    visitor = await visitors(f"unverified:{somebody()}")

    await visitor.come_in()

    assert await visitor.page.locator("text=has verified the email address").count() == 1
    assert await visitor.cookies() == set()


async def test_an_account_is_tied_on_its_page_and_then_comes_in(
    place: Place, visitors: Visitors
) -> None:
    login = somebody()
    owner, stranger, again = [await visitors(login) for _ in range(3)]
    await owner.page.goto(f"{place.url}/register")
    for name, value in (("name", "Ada"), ("organization", "Tied"), ("email", login)):
        await owner.page.fill(f"#{name}", value)
    await owner.page.fill("#password", PASSWORD)
    await owner.page.click("button.main")
    await owner.page.wait_for_url("**/o/**")
    home = owner.page.url
    await stranger.come_in()
    told = "There is an account with your email address already."
    assert await stranger.page.locator(f"text={told}").count() == 1

    tied = await owner.come_in("/account/provider")

    assert tied == f"{place.url}/account?done=provider-linked"
    assert await owner.page.locator(f"text={login} at {place.provider}").count() == 1
    assert await again.come_in() == home
