"""From a running Postal to Postlane, by the commands of the page about it: nothing else changes."""

import asyncio
import base64
import json
import re
import smtplib
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from postlane.server.embedded import running_url
from tests.dns_server import DnsServer
from tests.imports.installation import Installation, private_key
from tests.mariadb import PASSWORD, USER, MariaDb, mariadb
from tests.parts import CURL, MARIADB, needs
from tests.reading import fits
from tests.server.commands import SOURCE, put_program
from tests.server.running import Up, free_port
from tests.sink import Received, Sink
from tests.web_server import Asked, WebServer

from .signatures import verdicts
from .stack import HOSTNAME

pytestmark = [pytest.mark.slow, needs(MARIADB), needs(CURL)]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "moving-from-postal.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(sh|json|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MARK = "---- end of block ----"
API_KEY, SMTP_KEY = "Ab3dEf6hIj9lMn2pQr5tUv8x", "Zy1wVu4tSr7qPo0nMl3kJi6h"
SELECTOR = "postal-abc123"
SIGNING_KEY = private_key(7, bits=2048)


@dataclass(frozen=True, slots=True)
class Moved:
    """What the page's commands printed, and the Postlane that they moved to."""

    up: Up
    sink: Sink
    hooks: WebServer
    smtp_port: int
    printed: list[str]
    """By command, in the page's order."""

    async def mail_for(self, address: str) -> Received:
        """Return the mail for an address once it is there."""
        deadline = time.monotonic() + 30
        while True:
            for each in self.sink.messages:
                if each.recipient == address:
                    return each
            assert time.monotonic() < deadline, self.up.log.decode()
            await asyncio.sleep(0.05)


def public_text(pem: str) -> str:
    """Return what a DKIM record of Postal's holds after `p=`."""
    key = load_pem_private_key(pem.encode(), password=None).public_key()
    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(octets).decode()


RECORD = f"v=DKIM1; t=s; h=sha256; p={public_text(private_key())};"


def postal(hooks: int) -> Installation:
    """An installation as it has run for a while."""
    made = Installation()
    owner = made.person("owner@acme.example")
    server = made.server(made.organization("acme", owner))
    made.credential(server, API_KEY)
    made.credential(server, SMTP_KEY, "SMTP")
    made.domain(server, "acme.example")
    made.webhook(server, f"http://hooks.acme.example:{hooks}/postal", "MessageSent", "MessageHeld")
    made.suppress(server, "gone@there.example")
    return made


def publish(dns: DnsServer) -> None:
    """Publish what customers of Postal have published, and what its operator changes."""
    dns.set(f"{SELECTOR}._domainkey.acme.example", "TXT", RECORD)
    dns.set("psrp.acme.example", "CNAME", "rp.postal.example.com")
    dns.set("rp.postal.example.com", "CNAME", f"bounce.{HOSTNAME}")
    dns.set("there.example", "MX", "10 mx.sink.example")
    dns.set("mx.sink.example", "A", "127.0.0.1")
    dns.set("hooks.acme.example", "A", "127.0.0.1")


def programs(folder: Path, server: MariaDb, up: Up) -> dict[str, str]:
    """Return an environment in which the page's commands reach both sides."""
    (folder / ".my.cnf").write_text(
        f"[client]\nhost=127.0.0.1\nport={server.port}\nuser={USER}\npassword={PASSWORD}\n"
    )
    (folder / "signing.key").write_text(SIGNING_KEY)
    path = put_program(folder)
    return {**up.env, "PYTHONPATH": SOURCE, "PATH": path, "HOME": str(folder), "URL": up.url}


async def run(commands: list[str], folder: Path, env: dict[str, str]) -> list[str]:
    """Run the page's commands in one shell, and return what each printed."""
    script = "".join(f"{text}\necho '{MARK}'\n" for text in commands)
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=folder,
        env={**env, "KEY": API_KEY, "no_proxy": "*"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(shell.communicate(), 180)
    assert shell.returncode == 0, printed.decode()
    return printed.decode().split(f"{MARK}\n")[:-1]


@pytest.fixture(scope="module")
async def moved() -> AsyncIterator[Moved]:
    """Everything that the page says, done once."""
    smtp_port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="postlane-moving-") as name,
        DnsServer() as dns,
        Sink() as sink,
        WebServer() as hooks,
    ):
        folder = Path(name)
        publish(dns)
        hooks.set("/postal", b"ok", "text/plain")
        up = Up(
            folder / "data",
            web_workers="1",
            smtp_listen=f"127.0.0.1:{smtp_port}",
            hostname=HOSTNAME,
            delivery="direct",
            mx_port=str(sink.port),
            private_exchangers="127.0.0.0/8",
            private_destinations="127.0.0.0/8",
            webhook_urls="any",
            dns_servers=f"{dns.address}:{dns.port}",
            log_level="warning",
        )
        async with mariadb() as server:
            await asyncio.to_thread(server.run, list(postal(hooks.port).statements()))
            await up.start(within=120)
            try:
                commands = [text for language, text in BLOCKS if language == "sh"]
                printed = await run(commands, folder, programs(folder, server, up))
                yield Moved(up, sink, hooks, smtp_port, printed)
            finally:
                assert await up.stop() == 0
        assert b"Traceback" not in up.log, up.log.decode()


def test_every_command_does_what_the_page_shows(moved: Moved) -> None:
    outputs = iter(moved.printed)
    trial = next(text for language, text in BLOCKS if text.startswith("This was a trial"))
    compared = 0
    output = ""
    for language, text in BLOCKS:
        if language == "sh":
            output = next(outputs)
        elif language == "json":
            assert fits(json.loads(output), json.loads(text)), output
            compared += 1
        elif text == trial:
            assert output == text
            compared += 1

    assert compared == 2
    assert moved.printed[2].startswith("Done.")
    assert moved.printed[2].splitlines()[1:] == trial.splitlines()[1:]


async def test_the_old_key_sends_and_the_old_dkim_key_signs(moved: Moved) -> None:
    received = await moved.mail_for("you@there.example")

    assert await verdicts(received.data, {f"{SELECTOR}._domainkey.acme.example": RECORD}) == {
        SELECTOR: "pass"
    }
    assert received.envelope_from.endswith("@psrp.acme.example")


async def test_the_old_password_sends_over_smtp(moved: Moved) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "hello@acme.example", "smtp@there.example"
    message["Subject"] = "By SMTP"
    message.set_content("Hello.")

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", moved.smtp_port, timeout=30) as client:
            # Postal looks at the password only.
            client.login("acme/mail", SMTP_KEY)
            client.send_message(message)

    await asyncio.to_thread(send)

    received = await moved.mail_for("smtp@there.example")
    assert await verdicts(received.data, {f"{SELECTOR}._domainkey.acme.example": RECORD}) == {
        SELECTOR: "pass"
    }


async def test_the_receiver_trusts_calls_by_the_key_that_it_knows(moved: Moved) -> None:
    await moved.mail_for("you@there.example")
    asked = await call_for(moved, "you@there.example")

    key = load_pem_private_key(SIGNING_KEY.encode(), password=None).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    for name, algorithm in (
        ("x-postal-signature", hashes.SHA1()),
        ("x-postal-signature-256", hashes.SHA256()),
    ):
        signature = base64.b64decode(asked.headers[name], validate=True)
        key.verify(signature, asked.body, padding.PKCS1v15(), algorithm)
    (entry,) = json.loads(moved.printed[-1])["keys"]
    assert asked.headers["x-postal-signature-kid"] == entry["kid"]
    assert json.loads(asked.body)["event"] == "MessageSent"


async def test_records_that_customers_have_published_go_on_verifying(moved: Moved) -> None:
    url = running_url(moved.up.data_dir / "postgres")
    assert url is not None
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("UPDATE domains SET next_check_at = now()")
        deadline = time.monotonic() + 100
        while not (
            row := await connection.fetchrow(
                "SELECT status FROM domains WHERE last_checked_at IS NOT NULL"
            )
        ):
            assert time.monotonic() < deadline
            await asyncio.sleep(1)
        records = await connection.fetch("SELECT purpose, status FROM domain_records")
    finally:
        await connection.close()

    assert row["status"] == "verified"
    found = {each["purpose"]: each["status"] for each in records}
    assert (found["dkim"], found["return_path"]) == ("verified", "verified")


async def call_for(moved: Moved, recipient: str) -> Asked:
    """Return the call that tells that mail to an address was sent."""
    deadline = time.monotonic() + 30
    while True:
        for each in moved.hooks.asked:
            told: dict[str, Any] = json.loads(each.body)
            if told["payload"]["message"]["to"] == recipient:
                return each
        assert time.monotonic() < deadline, moved.up.log.decode()
        await asyncio.sleep(0.1)
