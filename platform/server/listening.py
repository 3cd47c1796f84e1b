"""Where is listened, and whether it can be, said before anything is started."""

import errno
import socket
import time

from ..core.settings import PREFIX, Address, Settings
from .faults import CommandFailed

SMTP = ("SMTP_LISTEN", "SMTPS_LISTEN", "INBOUND_LISTEN")
"""Settings that say where mail is taken."""


def listened(found: Settings) -> dict[str, Address]:
    """Return where SMTP is to be listened for, by setting."""
    addresses = {f"{PREFIX}{name}": getattr(found, name.lower()) for name in SMTP}
    return {name: address for name, address in addresses.items() if address is not None}


def resolve(address: Address, *, setting: str) -> str:
    """Return the numeric address to listen on.

    Raises:
        CommandFailed: its host is no address of this machine and no name either.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise CommandFailed(
            f"{setting}={address}: the host {address.host!r} is not known. Use an address of "
            "this machine, such as 127.0.0.1, or 0.0.0.0 for all of them."
        ) from error
    return str(found[0][4][0])


def ensure_free(address: Address, *, setting: str, patience_seconds: float = 3.0) -> None:
    """Return once *address* can be listened on.

    What a process that was killed left behind is given a moment to go.

    Raises:
        CommandFailed: it cannot, and why.
    """
    host = resolve(address, setting=setting)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            _try(host, address.port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            raise CommandFailed(_sentence(error, address, setting)) from error
        return


def _try(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _sentence(error: OSError, address: Address, setting: str) -> str:
    if error.errno == errno.EADDRINUSE:
        other = Address(address.host, address.port + 1 if address.port < 65535 else 8000)
        return (
            f"Port {address.port} on {address.host} is in use by another program. Stop that "
            f"program, or choose another port: {setting}={other}."
        )
    if error.errno == errno.EACCES:
        return (
            f"This user may not listen on port {address.port}. Ports below 1024 need root or "
            f"CAP_NET_BIND_SERVICE; a higher one does not: {setting}={address.host}:8000."
        )
    return f"{setting}={address} cannot be listened on: {error.strerror}."
