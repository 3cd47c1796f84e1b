"""Real mail clients at the submission port: swaks' dialogues, and smtp-source's load."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from postlane.accounts.tables import Organization
from postlane.core.database import fetch
from postlane.core.settings import Address
from postlane.server.smtp import admit
from postlane.smtp.listener import SubmissionListener
from tests.certificates import make_certificate
from tests.factories import make_api_key, make_domain, make_organization
from tests.parts import SMTP_SOURCE, SWAKS, needs

ANYWHERE = Address("127.0.0.1", 0)
NAME = "localhost"
CERTIFICATE = make_certificate(NAME)

# Exit codes of swaks, by its manual.
DONE, REFUSED_SENDER, REFUSED_RECIPIENTS, REFUSED_CONTENT = 0, 23, 24, 26
NO_SIGN_IN, NO_TLS = 28, 29


@dataclass(frozen=True, slots=True)
class Said:
    """How swaks ended, and the dialogue as it prints it."""

    code: int
    dialogue: str


@pytest.fixture
async def organization(database: None) -> Organization:
    return await make_organization()


@pytest.fixture
async def sender(organization: Organization) -> str:
    return f"hello@{(await make_domain(organization.id)).name}"


@pytest.fixture
async def key(organization: Organization) -> str:
    return (await make_api_key(organization)).secret


@asynccontextmanager
async def listening(*, tls: bool = False, encrypted: bool = False) -> AsyncIterator[int]:
    """Run a submission listener and yield its port."""
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE.chain_file, CERTIFICATE.key_file)
    listener = SubmissionListener(admit, hostname=NAME, tls=context)
    await listener.start(ANYWHERE, encrypted=encrypted)
    try:
        yield listener.port
    finally:
        await listener.stop()


async def swaks(port: int, *arguments: str) -> Said:
    """Run swaks to its end."""
    program = SWAKS.path()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program,
        *("--server", f"{NAME}:{port}", "--timeout", "20", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Said(process.returncode, output.decode(errors="replace"))


def envelope(sender: str, *to: str) -> list[str]:
    return ["--from", sender, "--to", ",".join(to or ("ada@there.example",))]


def credentials(mechanism: str, key: str) -> list[str]:
    return ["--auth", mechanism, "--auth-user", "anything", "--auth-password", key]


async def addresses(organization: Organization) -> list[str]:
    rows = await fetch(
        "SELECT address FROM deliveries WHERE organization_id = {} ORDER BY address",
        organization.id,
    )
    return [row["address"] for row in rows]


@needs(SWAKS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_on_this_machine_a_key_may_go_in_the_clear(
    organization: Organization, sender: str, key: str, mechanism: str
) -> None:
    async with listening() as port:
        said = await swaks(
            port,
            *envelope(sender, "a@there.example", "b@there.example"),
            *credentials(mechanism, key),
        )

    assert said.code == DONE, said.dialogue
    assert "235 " in said.dialogue
    assert await addresses(organization) == ["a@there.example", "b@there.example"]


@needs(SWAKS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("how", ["--tls", "--tls-on-connect"])
async def test_encrypted_either_way_and_signed_in_either_way(
    organization: Organization, sender: str, key: str, mechanism: str, how: str
) -> None:
    async with listening(tls=True, encrypted=how == "--tls-on-connect") as port:
        said = await swaks(
            port,
            *(how, "--tls-verify", "--tls-ca-path", str(CERTIFICATE.ca_file)),
            *envelope(sender),
            *credentials(mechanism, key),
        )

    assert said.code == DONE, said.dialogue
    assert "TLSv1.3" in said.dialogue
    assert await addresses(organization) == ["ada@there.example"]


@needs(SWAKS)
async def test_without_encryption_where_there_could_be_no_key_is_asked_for(
    organization: Organization, sender: str, key: str
) -> None:
    async with listening(tls=True) as port:
        said = await swaks(port, *envelope(sender), *credentials("PLAIN", key))

    assert said.code == NO_SIGN_IN, said.dialogue
    assert base64.b64encode(f"\0anything\0{key}".encode()).decode() not in said.dialogue
    assert await addresses(organization) == []


@needs(SWAKS)
async def test_a_client_that_trusts_other_authorities_says_nothing_more(
    organization: Organization, sender: str, key: str
) -> None:
    async with listening(tls=True) as port:
        said = await swaks(
            port,
            # Those of the system, which do not know ours.
            *("--tls", "--tls-verify", *envelope(sender), *credentials("PLAIN", key)),
        )
        after = await swaks(port, "--quit-after", "HELO")

    assert said.code == NO_TLS, said.dialogue
    assert after.code == DONE
    assert await addresses(organization) == []


@needs(SWAKS)
@pytest.mark.parametrize("key", ["pmta_00000000_wrong", "x"])
async def test_a_wrong_key_is_refused(organization: Organization, sender: str, key: str) -> None:
    async with listening() as port:
        said = await swaks(port, *envelope(sender), *credentials("LOGIN", key))

    assert said.code == NO_SIGN_IN, said.dialogue
    assert "535 5.7.8" in said.dialogue
    assert await addresses(organization) == []


@needs(SWAKS)
async def test_nobody_sends_unsigned(organization: Organization, sender: str) -> None:
    async with listening() as port:
        said = await swaks(port, *envelope(sender))

    assert said.code == REFUSED_SENDER, said.dialogue
    assert "530 5.7.0" in said.dialogue


@needs(SWAKS)
@pytest.mark.parametrize(
    ("options", "code", "reply"),
    [
        pytest.param(("--pipeline",), DONE, "250 2.0.0", id="pipelined"),
        pytest.param(("--body", ".\n..\n.QUIT\n."), DONE, "250 2.0.0", id="dots"),
        pytest.param(("--body", "Zwölf Boxkämpfer ☃"), DONE, "250 2.0.0", id="8 bits"),
        pytest.param(("--to", "nobody"), REFUSED_RECIPIENTS, "553 5.1.3", id="no address"),
        pytest.param(
            ("--from", "eve@elsewhere.example"), REFUSED_CONTENT, "550 5.7.1", id="not ours"
        ),
        pytest.param(("--helo", "x_[]"), DONE, "250 2.0.0", id="odd name"),
        pytest.param(
            ("--data", "\\nno header at all\\n"), REFUSED_CONTENT, "554 5.6.0", id="no header"
        ),
        pytest.param(
            ("--header", "From: a@b.example, c@d.example"),
            REFUSED_CONTENT,
            "554 5.6.0 the message needs a From field with one address.\n",
            id="two senders",
        ),
    ],
)
async def test_odd_input_is_answered(
    organization: Organization,
    sender: str,
    key: str,
    options: tuple[str, ...],
    code: int,
    reply: str,
) -> None:
    async with listening() as port:
        said = await swaks(port, *envelope(sender), *credentials("PLAIN", key), *options)

    assert said.code == code, said.dialogue
    assert reply in said.dialogue
    assert await addresses(organization) == (["ada@there.example"] if code == DONE else [])


@needs(SWAKS)
async def test_a_message_that_is_too_large_is_refused_before_it_is_sent_or_at_its_end(
    organization: Organization, sender: str, key: str, tmp_path: Path
) -> None:
    file = tmp_path / "large"
    file.write_text(f"From: {sender}\nTo: ada@there.example\nSubject: x\n\n" + "x" * 70 + "\n")
    with file.open("a") as writer:
        writer.writelines(["x" * 70 + "\n"] * (26 * 1024 * 1024 // 71))

    async with listening() as port:
        said = await swaks(
            port,
            *envelope(sender),
            *credentials("PLAIN", key),
            *("--data", f"@{file}", "--hide-send"),
        )

    assert said.code == REFUSED_CONTENT, said.dialogue[-2000:]
    assert "552 5.3.4" in said.dialogue
    assert await addresses(organization) == []


@needs(SWAKS)
@pytest.mark.parametrize("after", ["MAIL", "RCPT", "DATA"])
async def test_who_hangs_up_in_the_middle_has_sent_nothing(
    organization: Organization, sender: str, key: str, after: str
) -> None:
    async with listening() as port:
        await swaks(port, *envelope(sender), *credentials("PLAIN", key), "--drop-after-send", after)
        said = await swaks(port, "--quit-after", "EHLO")

    assert said.code == DONE, said.dialogue
    assert await addresses(organization) == []


@dataclass(slots=True)
class Door:
    """Signs in for a client that cannot, and passes on the rest, octet for octet."""

    port: int
    key: str
    open_now: int = 0
    most_open: int = 0
    refusals: list[bytes] = field(default_factory=list)

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        ours, theirs = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(await ours.readline())
            theirs.write(b"EHLO door.example\r\n")
            while (await ours.readline())[3:4] == b"-":
                pass
            login = base64.b64encode(f"\0door\0{self.key}".encode())
            theirs.write(b"AUTH PLAIN " + login + b"\r\n")
            assert (await ours.readline()).startswith(b"235 ")
            await asyncio.gather(self._pass(reader, theirs), self._tell(ours, writer))
        finally:
            self.open_now -= 1
            theirs.close()
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(65536):
            writer.write(octets)
            await writer.drain()
        writer.write_eof()

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line[:1] in b"45":
                self.refusals.append(line)
            writer.write(line)


@needs(SMTP_SOURCE)
@pytest.mark.slow
async def test_a_load_over_twenty_connections_meets_no_error(
    organization: Organization, sender: str, key: str
) -> None:
    """`smtp-source` knows no AUTH, so somebody at the door signs in for each connection."""
    program = SMTP_SOURCE.path()
    assert program is not None
    async with listening() as port:
        door = Door(port, key)
        server = await asyncio.start_server(door.meet, "127.0.0.1", 0)
        process = await asyncio.create_subprocess_exec(
            program,
            *("-d", "-s", "20", "-m", "600", "-l", "4000", "-N"),
            *("-f", sender, "-t", "ada@there.example"),
            f"127.0.0.1:{server.sockets[0].getsockname()[1]}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 120)
        server.close()

    assert (process.returncode, output, door.refusals) == (0, b"", [])
    assert door.most_open == 20
    rows = await fetch(
        "SELECT count(*) AS n, count(DISTINCT message_id) AS messages FROM deliveries "
        "WHERE organization_id = {}",
        organization.id,
    )
    assert (rows[0]["n"], rows[0]["messages"]) == (600, 600)
