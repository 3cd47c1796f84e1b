"""Starts a program that ends with its parent, as another user on wish.

Run as a file, in a Python of its own: what must happen between fork and exec happens here,
where there are no threads yet, and nothing of ours needs to be importable by that user.
On Linux the kernel sends the signal when the parent dies, even by kill -9; elsewhere the
program outlives such a parent, and the next `postlane up` ends it.
"""

import argparse
import contextlib
import ctypes
import os
import pwd
import select
import signal
import sys
import threading
import time
from pathlib import Path

LAUNCH = Path(__file__)
"""This file, to be run."""
PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 1.0
"""Between two looks for the parent, where the kernel does not tell."""


def end_with_parent(ending: signal.Signals, *, parent: int) -> None:
    """Ask the kernel to send this process *ending* when *parent*, its parent, is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(ending), 0, 0, 0)
        # It may have died before the request was made; nothing would come then.
        if os.getppid() != parent:
            os.kill(os.getpid(), ending)


def end_after_parent(seconds: float, *, parent: int) -> None:
    """End this process so many seconds after *parent*, its parent, is gone, whatever holds it.

    For one that finishes when it is asked to, in case it does not. Called in the main thread.
    """

    def watch() -> None:
        _outlive(parent)
        # The kernel's clock goes on when something keeps the interpreter, and this thread waiting.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        time.sleep(seconds)
        os._exit(1)

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    threading.Thread(target=watch, name="end-after-parent", daemon=True).start()


def _outlive(parent: int) -> None:
    """Return when *parent*, this process's parent, is gone."""
    try:
        # It wakes nobody while the parent lives.
        watched = os.pidfd_open(parent)
    except (AttributeError, OSError):
        watched = -1
    # A process that took the number of one that had gone is not the parent.
    if watched >= 0 and os.getppid() == parent:
        select.select([watched], [], [])
    while watched < 0 and os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    if watched >= 0:
        os.close(watched)


def become(name: str) -> None:
    """Give up this process's rights for those of the user *name*."""
    entry = pwd.getpwnam(name)
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ["HOME"] = entry.pw_dir


def wait_for_who_runs() -> None:
    """Have this process, when it is woken, wait for whoever runs instead of interrupting them.

    For one that does what others ask: whoever asks has more to do before it waits for the answer.
    """
    # Whoever has chosen another policy for all of it, keeps it.
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER:
        # Some containers forbid it; then it interrupts them.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def main() -> None:
    """Become the program on the command line."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", default="SIGTERM", choices=("SIGTERM", "SIGINT", "SIGKILL"))
    parser.add_argument("--user")
    parser.add_argument("--unhurried", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    os.umask(0o077)
    if given.user:
        become(given.user)
    # After the change of user, which makes the kernel forget the request.
    end_with_parent(signal.Signals[given.signal], parent=given.parent)
    if given.unhurried:
        wait_for_who_runs()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main()
