"""A real IMAP server, Dovecot, with a mailbox for each name and one password."""

import imaplib
import os
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.certificates import Certificate, make_certificate
from tests.parts import DOVECOT

PASSWORD = "secret"
CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.txt
protocols = imap
listen = {host}
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
service imap-login {{
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass(slots=True)
class Dovecot:
    """The server while it runs; whoever signs in with the password has a mailbox."""

    host: str = "127.0.0.1"
    certificate: Certificate = field(
        default_factory=lambda: make_certificate("imap.customer.example")
    )
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="postlane-imap-")))
    port: int = field(default_factory=_free_port)
    plain: int = field(default_factory=_free_port)
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = DOVECOT.path()
        assert program is not None
        uid, gid = (65534, 65534) if os.getuid() == 0 else (os.getuid(), os.getgid())
        self.folder.chmod(0o755)
        mail = self.folder / "mail"
        mail.mkdir()
        os.chown(mail, uid, gid)
        file = self.folder / "dovecot.conf"
        file.write_text(
            CONFIGURATION.format(
                folder=self.folder,
                host=self.host,
                chain=self.certificate.chain_file,
                key=self.certificate.key_file,
                plain=self.plain,
                port=self.port,
                password=PASSWORD,
                uid=uid,
                gid=gid,
            )
        )
        self._process = subprocess.Popen([program, "-F", "-c", str(file)])
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection((self.host, self.port), 1).close()
            except OSError:
                assert time.monotonic() < until, (self.folder / "dovecot.txt").read_text()
                time.sleep(0.05)
            else:
                return self

    def put(self, name: str, *mails: bytes) -> None:
        """Let mail come into somebody's mailbox, from elsewhere."""
        with imaplib.IMAP4(self.host, self.plain) as client:
            client.login(name, PASSWORD)
            for mail in mails:
                assert client.append("INBOX", "", "", mail)[0] == "OK"

    def seen(self, name: str) -> list[bytes]:
        """Return the flags of all mails of a mailbox."""
        with imaplib.IMAP4(self.host, self.plain) as client:
            client.login(name, PASSWORD)
            client.select("INBOX", readonly=True)
            return [line for line in client.fetch("1:*", "(FLAGS)")[1] if isinstance(line, bytes)]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
