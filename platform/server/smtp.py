"""The SMTP processes: mail from customers' programs, and what comes back."""

import argparse
import asyncio
import logging
import signal
import ssl

from ..core import row_security
from ..core.actor import Actor, Origin
from ..core.database import close_pool, start_pool
from ..core.errors import NotAuthenticated
from ..core.logs import start_logging
from ..core.queue import close_queue, open_queue
from ..core.settings import PREFIX, Settings, settings
from ..core.tracing import start_tracing, stop_tracing
from ..graphql.execute import check_documents
from ..security import abuse, limits, uses
from ..security.credentials import actor_from_api_key
from ..smtp.listener import InboundListener, Listener, SubmissionListener
from .certificates import tls_context
from .connection import require_database
from .faults import CommandFailed
from .listening import SMTP, ensure_free, listened

log = logging.getLogger(__name__)

POOL_SIZE = 5


async def run(arguments: argparse.Namespace) -> int:
    """Listen until a signal comes; messages that are being handed over then are finished."""
    found = settings()
    start_logging(form=found.log_format, level=found.log_level)
    addresses = listened(found)
    if not addresses:
        names = ", ".join(f"{PREFIX}{name}" for name in SMTP)
        raise CommandFailed(f"{names} are empty, which turns SMTP off.")
    for setting, address in addresses.items():
        ensure_free(address, setting=setting)
    tls = tls_context(found)
    url = require_database(found)
    check_documents()
    start_tracing("smtp")
    await start_pool(url, size=POOL_SIZE)
    await row_security.start(url, size=POOL_SIZE)
    await open_queue(url)
    listeners: list[Listener] = []
    try:
        listeners = await _start(found, tls)
        await _told_to_stop()
    finally:
        await asyncio.gather(*(listener.stop() for listener in listeners))
        await uses.flush()
        await close_queue()
        await close_pool()
        stop_tracing()
    return 0


async def _start(found: Settings, tls: ssl.SSLContext | None) -> list[Listener]:
    listeners: list[Listener] = []
    if found.smtp_listen is not None or found.smtps_listen is not None:
        submission = SubmissionListener(
            admit,
            hostname=found.hostname,
            tls=tls,
            once_by_message_id=found.smtp_once == "message_id",
            tell=refused,
        )
        listeners.append(submission)
        if found.smtp_listen is not None:
            await submission.start(found.smtp_listen)
            log.info("SMTP submission at %s", found.smtp_listen)
        if found.smtps_listen is not None:
            await submission.start(found.smtps_listen, encrypted=True)
            log.info("SMTP submission, encrypted, at %s", found.smtps_listen)
    if found.inbound_listen is not None:
        inbound = InboundListener(hostname=found.hostname, tls=tls, tell=refused)
        listeners.append(inbound)
        await inbound.start(found.inbound_listen)
        log.info("inbound SMTP at %s", found.inbound_listen)
    return listeners


async def admit(key: str, address: str | None) -> Actor:
    """Return whom an API key names, and count one request of theirs.

    Raises:
        NotAuthenticated: the key is malformed, unknown or over.
        NotPermitted: it may not be used from there, or nobody may sign in from there now.
        TooManyRequests: its rate is spent.
    """
    await abuse.require_not_blocked(address)
    try:
        actor = await actor_from_api_key(key, Origin(address))
    except NotAuthenticated:
        await abuse.note_address(abuse.Kind.SMTP_AUTH, address)
        raise
    rate = await limits.take(actor)
    if rate is not None:
        rate.require()
    return actor


async def refused(address: str, count: int) -> None:
    """Write down that so many commands of a conversation with an address were refused."""
    await abuse.note_address(abuse.Kind.SMTP_REFUSALS, address, count=count)


async def _told_to_stop() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
