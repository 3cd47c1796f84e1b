"""Takes the pictures of the dashboard in README.md and docs/, from a demonstration of its own.

    .venv/bin/python -m docs.screenshots

Needs Chromium, such as Debian's package `chromium`. Everything it starts ends with it.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright

IMAGES = Path(__file__).parent / "images"
WINDOW = {"width": 1100, "height": 700}
START_SECONDS = 90


async def main() -> None:
    """Start a demonstration, look at it, and keep what is seen."""
    folder = Path(tempfile.mkdtemp(prefix="postlane-screenshots-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    own = {
        "POSTLANE_DATA_DIR": str(folder / "var"),
        "POSTLANE_LISTEN": listen,
        "POSTLANE_SMTP_LISTEN": "",
        "POSTLANE_INBOUND_LISTEN": "",
        "POSTLANE_WEB_WORKERS": "1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "postlane.server.cli", "up", "--demo"),
        env={**os.environ, **own},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        email, password = await asyncio.wait_for(_sign_in_of(process), START_SECONDS)
        await _take(f"http://{listen}", email, password)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def _sign_in_of(process: asyncio.subprocess.Process) -> tuple[str, str]:
    assert process.stdout is not None
    shown = ""
    while (found := re.search(r"Sign-in\s+(\S+)\s+password (\S+)\n(?s:.*)See it", shown)) is None:
        line = await process.stdout.readline()
        if not line:
            sys.exit(f"`postlane up --demo` ended:\n{shown}")
        shown += line.decode()
    return found[1], found[2]


async def _take(url: str, email: str, password: str) -> None:
    chromium = shutil.which("chromium") or sys.exit("Chromium is missing: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium)
        context = await browser.new_context(
            viewport=WINDOW, color_scheme="light", reduced_motion="reduce"
        )
        page = await context.new_page()
        await page.goto(f"{url}/login")
        await page.fill("#email", email)
        await page.fill("#password", password)
        await page.click("button.main")
        await page.wait_for_url("**/o/**")
        home = page.url
        await _send_a_few(page, home)
        for name, path in {"overview": "", "messages": "/messages", "domain": "/domains"}.items():
            await page.goto(home + path)
            if name == "domain":
                await page.click("table a")
                await page.wait_for_load_state()
            await page.screenshot(path=IMAGES / f"{name}.png")
            print(f"docs/images/{name}.png")
        await page.goto(f"{home}/messages")
        await page.click("table a")
        await page.click("summary")
        await page.screenshot(path=IMAGES / "message.png")
        print("docs/images/message.png")
        await browser.close()


async def _send_a_few(page: Page, home: str) -> None:
    """Send what a shop would, so that there is something to see."""
    for address, subject in (
        ("ada@example.net", "Your order is on its way"),
        ("grace@example.org", "Receipt for October"),
        ("alan@example.com", "Confirm your address"),
    ):
        await page.goto(f"{home}/messages/new")
        await page.fill("#local", "shop")
        await page.fill("#to", address)
        await page.fill("#subject", subject)
        await page.click("main button.main")
        await page.wait_for_selector("text=took it")


if __name__ == "__main__":
    asyncio.run(main())
