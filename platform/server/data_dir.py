"""The data directory: one owner at a time, and the secret that is made in it."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.settings import SECRET_FILE, stored_secrets
from .faults import CommandFailed

LOCK_FILE = "up.lock"
SECRET_BYTES = 32


def prepare(folder: Path) -> None:
    """Make the data directory, closed to other users, unless it is there.

    Raises:
        CommandFailed: it cannot be made or written.
    """
    try:
        if not folder.exists():
            folder.mkdir(parents=True, mode=0o700)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise CommandFailed(
            f"The data directory {folder} cannot be written: {error.strerror}. Change its owner "
            "or its rights, or set POSTLANE_DATA_DIR to a folder of your own."
        ) from error


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold the data directory for the body; the claim ends with the process, however it ends.

    Raises:
        CommandFailed: another process holds it.
    """
    prepare(folder)
    path = folder / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandFailed(
            f"{path} cannot be opened: {error.strerror}. Another user has used this folder; run "
            "as that user, or set POSTLANE_DATA_DIR to a folder of your own."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 40).decode("ascii", "replace").strip() or "unknown"
            raise CommandFailed(
                f"Process {holder} is already using {folder}. Stop it first, or set "
                "POSTLANE_DATA_DIR to another folder."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def ensure_secret(folder: Path) -> bool:
    """Make the secret key in *folder* unless it is there; say whether it was made now."""
    prepare(folder)
    path = folder / SECRET_FILE
    if path.exists():
        return False
    renew_secret(folder)
    return True


def renew_secret(folder: Path) -> int:
    """Put a new secret key before those that *folder* holds, and return how many there are now."""
    keys = (secrets.token_hex(SECRET_BYTES), *stored_secrets(folder))
    keep_secrets(folder, keys)
    return len(keys)


def keep_secrets(folder: Path, keys: Sequence[str]) -> None:
    """Write the secret keys of *folder*, the one in use first."""
    write_private(folder / SECRET_FILE, "\n".join(keys) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
