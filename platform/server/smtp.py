"""The SMTP processes: mail from customers' programs."""

import argparse
import asyncio
import logging
import signal

from ..core.actor import Actor, Origin
from ..core.database import close_pool, start_pool
from ..core.logs import start_logging
from ..core.queue import close_queue, open_queue
from ..core.settings import settings
from ..core.tracing import start_tracing, stop_tracing
from ..graphql.execute import check_documents
from ..security import limits, uses
from ..security.credentials import actor_from_api_key
from ..smtp.listener import SubmissionListener
from .certificates import tls_context
from .connection import require_database
from .faults import CommandFailed
from .listening import ensure_free

log = logging.getLogger(__name__)

POOL_SIZE = 5


async def run(arguments: argparse.Namespace) -> int:
    """Listen until a signal comes; messages that are being handed over then are finished."""
    found = settings()
    start_logging(form=found.log_format, level=found.log_level)
    if found.smtp_listen is None:
        raise CommandFailed("POSTLANE_SMTP_LISTEN is empty, which turns SMTP submission off.")
    ensure_free(found.smtp_listen, setting="POSTLANE_SMTP_LISTEN")
    tls = tls_context(found)
    url = require_database(found)
    check_documents()
    start_tracing("smtp")
    await start_pool(url, size=POOL_SIZE)
    await open_queue(url)
    listener = SubmissionListener(admit, hostname=found.hostname, tls=tls)
    try:
        await listener.start(found.smtp_listen)
        log.info("SMTP submission at %s", found.smtp_listen)
        await _told_to_stop()
        await listener.stop()
    finally:
        await uses.flush()
        await close_queue()
        await close_pool()
        stop_tracing()
    return 0


async def admit(key: str, address: str | None) -> Actor:
    """Return whom an API key names, and count one request of theirs.

    Raises:
        NotAuthenticated: the key is malformed, unknown or over.
        NotPermitted: it may not be used from there.
        TooManyRequests: its rate is spent.
    """
    actor = await actor_from_api_key(key, Origin(address))
    rate = await limits.take(actor)
    if rate is not None:
        rate.require()
    return actor


async def _told_to_stop() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
