"""What looks like a secret of ours, wherever it should not be."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

SECRETS = {
    "API key": r"pmta_[a-z_]*[0-9a-f]{8}_[A-Za-z0-9]{30,}",
    "token": r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{40,}",
    "webhook's secret": r"whsec_[A-Za-z0-9+/]{20,}",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "password's hash": r"\$argon2id\$",
    "payment provider's key": r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
    "authenticator's secret": r"otpauth://",
    "database's password": r"postgres(?:ql)?://[^\s:@/]+:(?!\*)[^\s@/]{1,}@",
    "authorization": r"(?i:authorization)['\": ]+(?i:bearer|basic) [A-Za-z0-9+/._-]{8,}",
    "session": r"(?:__Host-)?session=[A-Za-z0-9_-]{20,}",
}
PATTERN = re.compile("|".join(f"(?P<p{n}>{text})" for n, text in enumerate(SECRETS.values())))


def secrets_in(text: str) -> Iterator[str]:
    """Yield what kind of secret is in *text*, with a little of what is around it."""
    key = os.environ.get("POSTLANE_SECRET_KEY")
    if key and key in text:
        yield "secret key"
    for found in PATTERN.finditer(text):
        kind = list(SECRETS)[int((found.lastgroup or "p0")[1:])]
        yield f"{kind} in {text[max(0, found.start() - 80) : found.start() + 12]!r}..."


class Recorder(logging.Handler):
    """Writes every line that this process logs to a file, as it is."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record with its fields and its trace."""
        self._file.write(self.format(record) + "\n")

    def finish(self) -> None:
        """Write what is left.

        Not `close`: servers that set logging up close every handler that there is.
        """
        self._file.close()
        self.close()
