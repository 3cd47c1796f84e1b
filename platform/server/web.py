"""The web processes: Granian with the Litestar application."""

import argparse
import asyncio
import contextlib
import functools
import multiprocessing
import os
import resource
import signal
import time
from typing import TYPE_CHECKING

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from ..core import row_security
from ..core.garbage import settle_down
from ..core.logs import start_logging
from ..core.settings import settings
from .connection import require_database
from .launch import end_after_parent, end_with_parent
from .listening import ensure_free, resolve

if TYPE_CHECKING:
    from .edge import Edge

DRAIN_SECONDS = 20
"""How long a web worker may finish what it is answering."""
GRACE_SECONDS = 5
"""How much longer one whose main process is gone may take."""
LEAVE = signal.SIGUSR1
"""Asks a worker to send its long-lived connections away."""
LEAVE_SECONDS = 0.3
HTTP = HTTP1Settings(header_read_timeout=75_000, max_buffer_size=128 * 2**10)
"""How long a connection may go without a whole head of a request, in milliseconds, and how much
of one is held. As long an idle connection is kept: longer than the minute after which proxies
give theirs up, for one of theirs that we close first costs somebody a request.
"""
HTTP_MODE = HTTPModes.http1
"""The server ends a silent connection in HTTP/1 only: where it has yet to find out which version
a client speaks, it waits for ever. HTTP/2 would need TLS here, which a proxy does."""
MOST_CONNECTIONS = 4_096
"""Of one web worker; later ones wait in the system's queue until one closes."""
OTHER_FILES = 256
"""Files that a web worker opens beside its connections."""
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}
"""Granian's own lines go where ours go, in the same form."""


class Server(Granian):  # type: ignore[misc, valid-type]
    """Granian, which lets its workers say good-bye before it stops them.

    It cuts off what is not an answer in progress at once, without the frame that tells the
    client of a WebSocket to come again.
    """

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop the workers."""
        for worker in multiprocessing.active_children():
            with contextlib.suppress(OSError):
                os.kill(worker.pid or 0, LEAVE)
        time.sleep(LEAVE_SECONDS)
        super().shutdown(exit_code)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes; what is being answered then is answered first."""
    found = settings()
    start_logging(form=found.log_format, level=found.log_level)
    os.environ["POSTLANE_DATABASE_URL"] = url = require_database(found)
    asyncio.run(row_security.try_out(url))
    ensure_free(found.listen, setting="POSTLANE_LISTEN")
    server = Server(
        __name__,
        address=resolve(found.listen, setting="POSTLANE_LISTEN"),
        port=found.listen.port,
        interface=Interfaces.ASGI,
        http=HTTP_MODE,
        http1_settings=HTTP,
        backpressure=room_for_connections(),
        workers=found.web_workers,
        websockets=True,
        # A worker that dies is started again without the others noticing.
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_SECONDS,
        process_name="postlane web",
        log_level=LogLevels.warning,
        log_dictconfig=LOGGING,
    )
    server.on_startup(preload)
    # Granian's own loader would put the working directory first on the path.
    server.serve(target_loader=application, wrap_loader=False)
    return 0


def room_for_connections() -> int:
    """Let this process open as many files as it may, and return how many are for connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(64, soft - OTHER_FILES)
    return MOST_CONNECTIONS


def preload() -> None:
    """Build the application in the process that the workers are forked from.

    What is there before the fork is in memory once for all of them. Frozen, so that the
    collector does not touch, and so copy, those pages.
    """
    build()
    settle_down()


@functools.cache
def build() -> "Edge":
    """Return the application, built once; it begins to work when a worker starts it."""
    from ..security import limits
    from .app import build_app
    from .auth import authenticate

    return build_app(authenticate=authenticate, meter=limits.take)


def application() -> "Edge":
    """Return the application; called once in each web worker."""
    # Until the application listens to it, it would end the worker.
    signal.signal(LEAVE, signal.SIG_IGN)
    main = multiprocessing.parent_process()
    if main is not None and main.pid is not None:
        # A worker whose main process was killed would hold the port for ever.
        end_with_parent(signal.SIGTERM, parent=main.pid)
        # Nobody else would end one that hangs while it stops.
        end_after_parent(DRAIN_SECONDS + GRACE_SECONDS, parent=main.pid)
    return build()
