"""Takes the pictures of the dashboard in README.md and docs/, from a demonstration of its own.

    .venv/bin/python -m docs.screenshots

Starts a deployment, a receiver that refuses some of its mail and a program that is called back,
sends what a shop would, and looks at the pages. Needs Chromium, such as Debian's package
`chromium`. Everything it starts ends with it.
"""

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from playwright.async_api import Browser, Page, async_playwright

from postlane.server.api import Api
from postlane.server.demo import HOSTNAME, ZONE, prepare
from postlane.server.demo_dns import DemoNameServer

IMAGES = Path(__file__).parent / "images"
WINDOW = {"width": 1100, "height": 700}
START_SECONDS = 90
QUALITY = 80
"""Of WebP, up to 100: text stays sharp, and a picture has some 30 kB."""
LETTERS = (
    ("ada@example.net", "Your order is on its way"),
    ("grace@example.org", "Receipt for October"),
    ("alan@example.com", "Confirm your address"),
    ("nobody@example.com", "Your order is on its way"),
    ("edsger@example.org", "Receipt for October"),
    ("barbara@example.net", "Your table for two"),
    ("full@example.net", "Your order is on its way"),
    ("donald@example.com", "Confirm your address"),
    ("frances@example.org", "Thanks for asking"),
    ("tony@example.net", "Receipt for October"),
)
"""To whom, and about what; there is nobody called nobody, and one mailbox is full."""


class Receiver:
    """A mail exchanger as there are many: most of its people exist."""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer as mailboxes do."""
        if address.startswith("nobody@"):
            return "550 5.1.1 No such user here"
        if address.startswith("full@"):
            return "452 4.2.2 The mailbox is full, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a message."""
        return "250 2.0.0 Taken as 4bXk2T1zq"


class Called(BaseHTTPRequestHandler):
    """A program that webhooks call."""

    def do_POST(self) -> None:
        """Take a call."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A deployment that runs, and who may sign in."""

    url: str
    email: str
    password: str
    key: str


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def receiver() -> Iterator[int]:
    """Run the mail exchanger, and give its port."""
    controller = Controller(Receiver(), hostname="127.0.0.1", port=free_port(), ident="ESMTP")
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@contextmanager
def program() -> Iterator[str]:
    """Run the program that is called, and give its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Called) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hooks/mail"
        finally:
            server.shutdown()


@asynccontextmanager
async def demo(smtp_port: int) -> AsyncIterator[Demo]:
    """Run the demonstration's organization, its mail going to that port of this machine."""
    folder = Path(tempfile.mkdtemp(prefix="postlane-screenshots-")) / "var"
    listen = f"127.0.0.1:{free_port()}"
    names = DemoNameServer(ZONE)
    own = {
        "DATA_DIR": str(folder),
        "LISTEN": listen,
        "SMTP_LISTEN": "",
        "INBOUND_LISTEN": "",
        "WEB_WORKERS": "1",
        "HOSTNAME": HOSTNAME,
        "DNS_SERVERS": str(await names.start()),
        "DELIVERY": "relay",
        "RELAY_URL": f"smtp://127.0.0.1:{smtp_port}",
        "PRIVATE_DESTINATIONS": "127.0.0.0/8",
        "WEBHOOK_URLS": "any",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "postlane.server.cli", "up"),
        env={**os.environ, **{f"POSTLANE_{name}": value for name, value in own.items()}},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        url = f"http://{listen}"
        await asyncio.wait_for(_healthy(url), START_SECONDS)
        kept = await prepare(Api(url), names, folder)
        yield Demo(url, kept.email, kept.password, kept.api_key)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
        await names.stop()
        shutil.rmtree(folder.parent, ignore_errors=True)


async def _healthy(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get(f"{url}/health")).status_code == 200:
                    return
            await asyncio.sleep(0.5)


async def fill(made: Demo, hook: str) -> str:
    """Send what a shop would, and return the message that was refused."""
    headers = {"X-API-Key": made.key}
    async with httpx.AsyncClient(base_url=made.url, headers=headers, trust_env=False) as http:
        webhook = {"url": hook, "events": ["message.*"]}
        (await http.post("/api/v1/webhooks", json=webhook)).raise_for_status()
        ids = {}
        there = [each for each in LETTERS if not each[0].startswith(("nobody@", "full@"))]
        for address, subject in (*LETTERS, *there * 4):
            letter = {
                "from": "Shop <shop@demo.postlane.test>",
                "to": [address],
                "subject": subject,
                "html": f"<h1>{subject}</h1><p>Thank you for shopping with us.</p>",
                "tags": ["shop"],
            }
            sent = await http.post("/api/v1/messages/send", json=letter)
            sent.raise_for_status()
            ids[address] = sent.json()["id"]
        for address in (there[-1][0], "full@example.net"):
            while True:
                found = (await http.get(f"/api/v1/messages/{ids[address]}")).json()
                if found["status"] in ("delivered", "deferred"):
                    break
                await asyncio.sleep(0.5)
        return ids["full@example.net"]


async def picture(page: Page, name: str) -> None:
    """Keep what is seen, as WebP, which Playwright itself does not write."""
    # A page that is not painted yet cannot be captured.
    await page.wait_for_load_state()
    await page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    session = await page.context.new_cdp_session(page)
    taken = await session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    content = base64.b64decode(taken["data"])
    (IMAGES / f"{name}.webp").write_bytes(content)
    print(f"docs/images/{name}.webp {len(content) / 1000:.0f} kB")


async def signed_in(browser: Browser, made: Demo, *, look: str) -> tuple[Page, str]:
    """Return a page of somebody who is signed in, and the address of their organization."""
    context = await browser.new_context(viewport=WINDOW, color_scheme=look, reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(f"{made.url}/login")
    await page.fill("#email", made.email)
    await page.fill("#password", made.password)
    await page.click("button.main")
    await page.wait_for_url("**/o/**")
    return page, page.url


async def main() -> None:
    """Start everything, look at it, and keep what is seen."""
    chromium = shutil.which("chromium") or sys.exit("Chromium is missing: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    with receiver() as smtp_port, program() as hook:
        async with demo(smtp_port) as made, async_playwright() as playwright:
            refused = await fill(made, hook)
            browser = await playwright.chromium.launch(executable_path=chromium)
            page, home = await signed_in(browser, made, look="light")
            for name, path in (
                ("overview", ""),
                ("messages", "/messages"),
                ("message", f"/messages/{refused}"),
                ("domain", "/domains/demo.postlane.test"),
            ):
                answer = await page.goto(home + path)
                assert answer is not None
                assert answer.ok, f"{path} answers {answer.status}"
                await picture(page, name)
            await page.goto(f"{home}/webhooks")
            await page.click("table a")
            await page.goto(f"{page.url}/try")
            await page.select_option("#event", "message.bounced")
            await page.click("text=Send it")
            await page.click("text=Check it")
            await picture(page, "webhook")
            page, home = await signed_in(browser, made, look="dark")
            # Counts of analytics follow some seconds after what they count.
            while True:
                await page.goto(f"{home}/analytics?period=24h")
                if await page.locator("dl.tiles dd").first.inner_text() != "0":
                    break
                await page.wait_for_timeout(1000)
            await picture(page, "analytics")
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
