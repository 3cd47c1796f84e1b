"""Debian's rspamd and clamd, each an instance of its own under a folder of its own.

The system's instances and their configuration are neither read nor changed. clamd knows one
virus, the EICAR test file, and nothing is loaded from anywhere.
"""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.dns_server import DnsServer
from tests.parts import CLAMD, RSPAMD

START_SECONDS = 120
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""What every scanner takes for spam, whatever else it thinks."""
MOST_BYTES = 2 * 2**20
"""Of a stream to clamd."""

CLAMD_CONF = """
LocalSocket {folder}/clamd.sock
TCPSocket {port}
TCPAddr 127.0.0.1
DatabaseDirectory {folder}/signatures
PidFile {folder}/clamd.pid
TemporaryDirectory {folder}
Foreground yes
StreamMaxLength {most}
AlertEncrypted yes
SelfCheck 36000
"""
WORKER = 'bind_socket = "127.0.0.1:{port}";\ncount = 1;\n'
OPTIONS = """
dns {{ nameserver = ["127.0.0.1:{dns}"]; timeout = 0.5s; retransmits = 1; sockets = 2; }}
control_socket = "{folder}/control.sock mode=0600";
"""
OFF = ("rbl", "surbl", "fuzzy_check", "phishing", "asn", "spf", "dkim", "dmarc", "arc", "mx_check")
"""Modules that ask others for what no test is about."""


@asynccontextmanager
async def running_clamd() -> AsyncIterator[tuple[str, str]]:
    """Run clamd; yield the path of its socket and its address."""
    folder = Path(tempfile.mkdtemp(prefix="postlane-clamd-"))
    port = _free_port()
    signatures = folder / "signatures"
    signatures.mkdir()
    # Any file that holds the string: ClamAV's own signature is for the bare file alone.
    (signatures / "eicar.ndb").write_text(f"Eicar-Test-Signature:0:*:{EICAR.hex()}\n", "ascii")
    conf = folder / "clamd.conf"
    conf.write_text(CLAMD_CONF.format(folder=folder, port=port, most=MOST_BYTES), "utf-8")
    conf.chmod(0o644)
    command = [CLAMD.path() or "", "--config-file", str(conf)]
    async with _running(folder, command, lambda: (folder / "clamd.sock").exists()):
        yield f"unix:{folder}/clamd.sock", f"127.0.0.1:{port}"


@asynccontextmanager
async def running_rspamd(dns: DnsServer) -> AsyncIterator[str]:
    """Run rspamd with Debian's rules; yield the address of its normal worker."""
    folder = Path(tempfile.mkdtemp(prefix="postlane-rspamd-"))
    port = _free_port()
    local = folder / "local.d"
    local.mkdir()
    (local / "worker-normal.inc").write_text(WORKER.format(port=port), "ascii")
    (local / "worker-controller.inc").write_text(WORKER.format(port=_free_port()), "ascii")
    (local / "worker-proxy.inc").write_text("enabled = false;\n", "ascii")
    (local / "logging.inc").write_text('type = "console";\nlevel = "error";\n', "ascii")
    (local / "options.inc").write_text(OPTIONS.format(dns=dns.port, folder=folder), "ascii")
    for module in OFF:
        (local / f"{module}.conf").write_text("enabled = false;\n", "ascii")
    command = [RSPAMD.path() or "", "--no-fork", "--insecure", "--config", RSPAMD_CONF]
    for name in ("DBDIR", "LOGDIR", "RUNDIR", "LOCAL_CONFDIR"):
        command.append(f"--var={name}={folder}")
    async with _running(folder, command, lambda: _answers(port)):
        yield f"http://127.0.0.1:{port}"


RSPAMD_CONF = "/etc/rspamd/rspamd.conf"


@asynccontextmanager
async def _running(
    folder: Path, command: list[str], is_ready: Callable[[], bool]
) -> AsyncIterator[None]:
    log = (folder / "output").open("wb")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=log, stderr=log, cwd=folder, start_new_session=True
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            assert process.returncode is None, (folder / "output").read_text("utf-8", "replace")
            assert time.monotonic() < deadline, (folder / "output").read_text("utf-8", "replace")
            await asyncio.sleep(0.1)
        yield
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as opened:
        opened.settimeout(0.5)
        return opened.connect_ex(("127.0.0.1", port)) == 0
