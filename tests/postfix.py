"""Debian's Postfix as a receiver and as a client: an instance of its own in a folder of its own.

The system's instance and its configuration are neither read nor changed. Mail for
`@dest.example` lands in one folder; what the local part asks for:

    late                 is taken, and bounced afterwards by a report to the envelope sender
    full                 is refused at RCPT, as a mailbox over its quota is
    anything else        is taken; at `grey_port` only after postgrey has had it wait

Who has no mailbox is refused at RCPT. What is handed over at `out_port` it sends to `bounces_to`,
whosever it is, and tries again every few seconds if it is put off.
"""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.certificates import make_certificate
from tests.parts import POSTFIX, POSTGREY, needs

START_SECONDS = 30.0
GREY_SECONDS = 1
"""How long postgrey has mail wait that it has not seen before."""
RETRY_SECONDS = 2
"""How long it waits before it tries again what was put off."""
KNOWN = ("ada", "bob", "late", "full")
"""Who has a mailbox at `dest.example`, beside `user0` to `user99`."""

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.dest.example
mydestination =
local_recipient_maps =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
smtp_dns_support_level = disabled
smtp_host_lookup = native
relayhost = [127.0.0.1]:{bounces_to}
queue_run_delay = {retry}s
minimal_backoff_time = {retry}s
maximal_backoff_time = {retry}s
virtual_mailbox_domains = dest.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_alias_maps = texthash:{folder}/aliases
transport_maps = texthash:{folder}/transports
smtpd_recipient_restrictions = reject_unauth_destination,
    check_recipient_access texthash:{folder}/access
smtpd_tls_security_level = may
smtpd_tls_chain_files = {folder}/tls.pem
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
"""
MASTER = """
{port} inet n - n - - smtpd
{grey_port} inet n - n - - smtpd -o smtpd_recipient_restrictions=$greylisting
{out_port} inet n - n - - smtpd -o mynetworks=127.0.0.0/8
    -o smtpd_recipient_restrictions=permit_mynetworks,reject
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def needs_postfix() -> pytest.MarkDecorator:
    """Return the mark of a test that runs Postfix, which has to be started as root."""
    if os.geteuid() != 0:
        return pytest.mark.skip(reason="Postfix is started by root only")
    return needs(POSTFIX)


class Postfix:
    """A running instance; *bounces_to* is the port on loopback that all its mail goes to."""

    def __init__(self, folder: Path, *, bounces_to: int) -> None:
        self.port, self.grey_port, self.out_port = _free_ports(3)
        self._folder = folder
        self._bounces_to = bounces_to
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        """What it has logged."""
        file = self._folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def mail(self) -> list[bytes]:
        """Return the messages that it has put into mailboxes."""
        return [file.read_bytes() for file in sorted((self._folder / "mail").glob("*/new/*"))]

    async def arrived(self, count: int, *, within: float = 30) -> list[bytes]:
        """Return its mailboxes' messages once there are *count*."""
        deadline = time.monotonic() + within
        while len(found := self.mail()) < count:
            assert time.monotonic() < deadline, f"{len(found)} messages:\n{self.log[-4000:]}"
            await asyncio.sleep(0.05)
        return found

    async def start(self, *, grey_policy: int) -> None:
        """Start it and wait until it takes connections."""
        self._configure(grey_policy)
        self._process = await asyncio.create_subprocess_exec(
            _program("postfix"),
            *("-c", str(self._folder / "conf"), "start-fg"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        await _until_listening(self.port, lambda: self.log)

    async def stop(self) -> None:
        """Stop it, and what it has started."""
        if self._process is None or self._process.returncode is not None:
            return
        # The master is a child of what was started, which ends with it, and not the other way.
        file = self._folder / "spool" / "pid" / "master.pid"
        if file.exists():
            os.kill(int(file.read_text()), signal.SIGTERM)
        else:
            self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 30)

    def _configure(self, grey_policy: int) -> None:
        for name in ("conf", "spool", "data", "mail"):
            (self._folder / name).mkdir()
        for name in ("data", "mail"):
            shutil.chown(self._folder / name, "postfix", "postfix")
        names = [*KNOWN, *(f"user{number}" for number in range(100))]
        (self._folder / "mailboxes").write_text(
            "".join(f"{name}@dest.example {name}/\n" for name in names)
        )
        (self._folder / "transports").write_text("gone.example error:5.1.1 mailbox unavailable\n")
        (self._folder / "aliases").write_text("late@dest.example late@gone.example\n")
        (self._folder / "access").write_text("full@dest.example 452 4.2.2 Mailbox full\n")
        made = make_certificate("mx.dest.example")
        chain = self._folder / "tls.pem"
        chain.write_bytes(made.key_file.read_bytes() + made.chain_file.read_bytes())
        chain.chmod(0o600)
        owner = (self._folder / "mail").stat()
        main = MAIN.format(
            folder=self._folder,
            bounces_to=self._bounces_to,
            retry=RETRY_SECONDS,
            uid=owner.st_uid,
            gid=owner.st_gid,
        )
        main += (
            "greylisting = reject_unauth_destination, "
            f"check_policy_service inet:127.0.0.1:{grey_policy}\n"
        )
        (self._folder / "conf" / "main.cf").write_text(main.lstrip())
        (self._folder / "conf" / "master.cf").write_text(
            MASTER.format(port=self.port, grey_port=self.grey_port, out_port=self.out_port).lstrip()
        )


@asynccontextmanager
async def postfix(*, bounces_to: int) -> AsyncIterator[Postfix]:
    """Run Postfix, and postgrey beside it where that is installed, for the body."""
    # Postfix's own users must be able to enter; pytest's folders are closed to them.
    folder = Path(tempfile.mkdtemp(prefix="postlane-postfix-"))
    folder.chmod(0o755)
    try:
        async with _postgrey(folder) as policy:
            running = Postfix(folder, bounces_to=bounces_to)
            try:
                await running.start(grey_policy=policy)
                yield running
            finally:
                await running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _postgrey(folder: Path) -> AsyncIterator[int]:
    (port,) = _free_ports(1)
    program = POSTGREY.path()
    if program is None:
        yield port
        return
    database = folder / "grey"
    database.mkdir()
    shutil.chown(database, "postgrey", "postgrey")
    process = await asyncio.create_subprocess_exec(
        program,
        f"--inet=127.0.0.1:{port}",
        f"--dbdir={database}",
        f"--delay={GREY_SECONDS}",
        "--auto-whitelist-clients=0",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _until_listening(port, lambda: "postgrey does not listen")
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _until_listening(port: int, why_not: Callable[[], str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < deadline, why_not()
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def _free_ports(count: int) -> Sequence[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    assert found is not None
    return found
