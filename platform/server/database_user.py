"""The system user that the embedded database runs as.

PostgreSQL refuses to run as root. Started by root, it runs as the owner of its folder, and
a new folder is given to the system user `postlane`, which is made when it is missing.
Anybody else is that user themselves.
"""

import logging
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from . import programs
from .faults import CommandFailed

log = logging.getLogger(__name__)

NAME = "postlane"
PASS_THROUGH = stat.S_IXOTH
READ_ALL = stat.S_IRGRP | stat.S_IROTH


def choose(folder: Path) -> str | None:
    """Return the user to run as, or None for the one this process runs as.

    Raises:
        CommandFailed: the folder belongs to somebody else, or no user can be made.
    """
    owner = folder.stat().st_uid if folder.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise CommandFailed(
                f"{folder} belongs to the user {_name_of(owner)}. Run as that user, or set "
                "POSTLANE_DATA_DIR to a folder of your own."
            )
        return None
    name = _name_of(owner) if owner else _ensure_user()
    _open_way(folder, name)
    return name


def hand_over(folder: Path, user: str | None) -> None:
    """Make *folder*, closed to everybody but *user*.

    Raises:
        CommandFailed: it exists and belongs to somebody else.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    wanted = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    found = folder.lstat()
    if found.st_uid == 0 and wanted != 0:
        os.chown(folder, wanted, pwd.getpwuid(wanted).pw_gid, follow_symlinks=False)
    elif found.st_uid != wanted or not stat.S_ISDIR(found.st_mode):
        raise CommandFailed(f"{folder} belongs to somebody else; remove it and start again.")
    folder.chmod(0o700)


def remove(folder: Path) -> None:
    """Remove *folder* with all that is in it, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


def _name_of(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        raise CommandFailed(
            f"The database folder belongs to user number {number}, which this machine does not "
            "know. Change its owner with chown, or make that user."
        ) from None


def _ensure_user() -> str:
    if not _known():
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            # Another Postlane that begins on this machine may have made the user meanwhile.
            if not _known():
                said = getattr(error, "stderr", "") or str(error)
                raise CommandFailed(
                    f"PostgreSQL does not run as root, and the user {NAME!r} could not be made: "
                    f"{said.strip()} Run Postlane as another user."
                ) from error
        else:
            log.info("made the system user %r for the embedded database", NAME)
    return NAME


def _known() -> bool:
    try:
        pwd.getpwnam(NAME)
    except KeyError:
        return False
    return True


def _open_way(folder: Path, user: str) -> None:
    """Let *user* pass through the folders above the database and the programs, not list them."""
    entry = pwd.getpwnam(user)
    binaries = programs.folder()
    for path in (*folder.parents, *binaries.parents):
        if path.exists() and not _may_pass(path, entry):
            log.info("letting the user %r pass through %s", user, path)
            path.chmod(path.stat().st_mode | PASS_THROUGH)
    # A wheel unpacked under a strict umask can be read by nobody else.
    if not _may_pass(binaries, entry):
        for path in (binaries.parent, *binaries.parent.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | READ_ALL | _execute_like_owner(path))


def _execute_like_owner(path: Path) -> int:
    executable = path.stat().st_mode & stat.S_IXUSR
    return stat.S_IXGRP | stat.S_IXOTH if executable else 0


def _may_pass(path: Path, entry: pwd.struct_passwd) -> bool:
    found = path.stat()
    if found.st_uid == entry.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid in os.getgrouplist(entry.pw_name, entry.pw_gid):
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
