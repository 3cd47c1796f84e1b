"""Passkeys in Chromium, with an authenticator that the browser's own protocol makes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import Browser, CDPSession, Page, TimeoutError, async_playwright

from postlane.core.database import fetch
from tests.dashboard.test_in_a_browser import Watched, signed_up
from tests.parts import CHROMIUM, needs
from tests.people import PASSWORD
from tests.serving import free_port, web_process

from ..conftest import NETWORKS

pytestmark = [needs(CHROMIUM), pytest.mark.slow]
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM.path(),
            args=["--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def url(database: None, database_url: str) -> AsyncIterator[str]:
    """A running web process at an address that browsers use passkeys at."""
    port = free_port()
    found = f"http://localhost:{port}"
    async with web_process(
        database_url, port=port, public_url=found, trusted_proxies="127.0.0.0/8"
    ):
        yield found


@dataclass
class Device:
    """A browser with an authenticator in it."""

    page: Page
    watched: Watched
    protocol: CDPSession
    id: str

    async def verifies(self, verified: bool) -> None:
        """Say whether its owner unlocks it when it asks."""
        await self.protocol.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": verified}
        )

    async def credentials(self) -> list[dict[str, Any]]:
        """Return the passkeys that it holds."""
        found = await self.protocol.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        credentials: list[dict[str, Any]] = found["credentials"]
        return credentials


@pytest.fixture
async def device(chromium: Browser) -> AsyncIterator[Device]:
    # Limits by network address are each one's own.
    address = f"2001:db8:{next(NETWORKS):x}::2"
    context = await chromium.new_context(extra_http_headers={"x-forwarded-for": address})
    context.set_default_timeout(30_000)
    page = await context.new_page()
    protocol = await context.new_cdp_session(page)
    await protocol.send("WebAuthn.enable")
    made = await protocol.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    yield Device(page, Watched(page), protocol, made["authenticatorId"])
    await context.close()


async def add(device: Device, url: str, name: str) -> None:
    """Add a passkey on the account's page."""
    page = device.page
    await page.goto(f"{url}/account")
    await page.fill("#passkey-with", PASSWORD)
    await page.click("text=Add a passkey")
    await page.fill("#passkey", name)
    await page.click("text=Make it")


async def test_a_passkey_is_made_and_signs_in_by_itself(device: Device, url: str) -> None:
    page = device.page
    home = await signed_up(page, url)
    await add(device, url, "My laptop")
    await page.wait_for_selector("text=recovery codes are shown this once")
    assert await page.input_value("#passkeys table input[name=name]") == "My laptop"
    [credential] = await device.credentials()
    assert (credential["rpId"], credential["isResidentCredential"]) == ("localhost", True)

    await page.context.clear_cookies()
    await page.goto(f"{url}/login")
    await page.click("text=Sign in with a passkey")
    await signed_in(page)

    assert page.url.partition("?")[0] == home.partition("?")[0]
    assert (await device.credentials())[0]["signCount"] > credential["signCount"]
    assert device.watched.complaints == []


async def test_after_the_password_a_passkey_is_the_second_factor(device: Device, url: str) -> None:
    page = device.page
    await signed_up(page, url)
    await add(device, url, "Phone")
    await page.wait_for_selector("text=recovery codes are shown this once")
    email = await newest_owner()
    await page.context.clear_cookies()

    await page.goto(f"{url}/login")
    await page.fill("#email", email)
    await page.fill("#password", PASSWORD)
    await page.click("button.main")
    await page.click("button:has-text('Use a passkey')")
    await signed_in(page)


async def test_a_device_that_is_not_unlocked_signs_nobody_in(device: Device, url: str) -> None:
    page = device.page
    await signed_up(page, url)
    await add(device, url, "Phone")
    await page.wait_for_selector("text=recovery codes are shown this once")
    await page.context.clear_cookies()
    await device.verifies(False)

    await page.goto(f"{url}/login")
    await page.click("text=Sign in with a passkey")
    await page.wait_for_selector("text=No passkey was used")

    assert page.url == f"{url}/login"


async def test_who_comes_back_to_a_page_is_asked_anew(device: Device, url: str) -> None:
    page = device.page
    await signed_up(page, url)
    await add(device, url, "Phone")
    await page.wait_for_selector("text=recovery codes are shown this once")
    await page.context.clear_cookies()
    await page.goto(f"{url}/login")
    await page.click("text=Sign in with a passkey")
    await signed_in(page)
    await page.context.clear_cookies()
    await page.go_back()
    # As browsers that keep what forms held have it.
    await page.evaluate(
        "for (const each of document.querySelectorAll('[name=credential]')) each.value = '{}'"
    )

    await page.click("text=Sign in with a passkey")
    await signed_in(page)


async def test_a_form_that_is_sent_twice_asks_its_device_once(device: Device, url: str) -> None:
    page = device.page
    await signed_up(page, url)
    await page.goto(f"{url}/account")
    await page.fill("#passkey-with", PASSWORD)
    await page.click("text=Add a passkey")
    await page.wait_for_selector("#passkey:focus")

    await page.evaluate("""() => {
        const create = navigator.credentials.create.bind(navigator.credentials);
        sessionStorage.asked = "";
        navigator.credentials.create = (options) => {
            sessionStorage.asked += "x";
            return create(options);
        };
        const form = document.querySelector("[data-passkey=create]");
        form.requestSubmit();
        form.requestSubmit();
    }""")
    await page.wait_for_selector("text=recovery codes are shown this once")

    assert await page.evaluate("sessionStorage.asked") == "x"
    assert len(await device.credentials()) == 1


async def test_a_device_makes_one_passkey_for_an_account(device: Device, url: str) -> None:
    page = device.page
    await signed_up(page, url)
    await add(device, url, "Phone")
    await page.wait_for_selector("text=recovery codes are shown this once")

    await add(device, url, "Phone again")
    await page.wait_for_selector("text=This device has a passkey of yours already")

    assert len(await device.credentials()) == 1


async def test_a_passkey_is_renamed_and_removed(device: Device, url: str) -> None:
    page = device.page
    await signed_up(page, url)
    await add(device, url, "Phone")
    await page.wait_for_selector("text=recovery codes are shown this once")

    await page.goto(f"{url}/account")
    await page.fill("#passkeys table input[name=name]", "Old phone")
    await page.click("#passkeys >> text=Rename")
    await page.wait_for_url("**/account?done=saved")
    assert await page.input_value("#passkeys table input[name=name]") == "Old phone"
    await page.click("#passkeys summary")
    await page.fill("#passkeys input[name=password]", PASSWORD)
    await page.click("#passkeys button.bad")
    await page.wait_for_url("**/account?done=passkey-removed")

    assert await page.locator("#passkeys table").count() == 0
    await page.context.clear_cookies()
    await page.goto(f"{url}/login")
    await page.click("text=Sign in with a passkey")
    await page.wait_for_selector("text=This passkey cannot be used here")


async def signed_in(page: Page) -> None:
    """Wait for the organization's page; where it does not come, show what does."""
    try:
        await page.wait_for_url("**/o/**")
    except TimeoutError as error:
        raise AssertionError(f"{page.url}: {await page.inner_text('body')}") from error


async def newest_owner() -> str:
    """Return the address of whoever has the newest passkey."""
    rows = await fetch(
        "SELECT u.email FROM users u JOIN passkeys p ON p.user_id = u.id ORDER BY p.id DESC LIMIT 1"
    )
    email: str = rows[0]["email"]
    return email
