"""The worker processes: jobs on the queue, until a signal comes."""

import argparse
import asyncio
from importlib import import_module

from ..blocklists.catalogue import check_settings
from ..core.garbage import keep_loaded
from ..core.logs import start_logging
from ..core.settings import settings
from ..exports.pages import Asking, Page
from ..webhooks.documents import Shaped, Shaping
from .connection import require_database
from .faults import CommandFailed

_LOADED: list[str] = []
"""What was loaded after the start."""
_loading = asyncio.Lock()


def run(arguments: argparse.Namespace) -> int:
    """Run jobs until a signal comes; what is on the wire then may finish."""
    from ..jobs.worker import run_worker

    found = settings()
    start_logging(form=found.log_format, level=found.log_level)
    check_settings(found)
    concurrency = found.worker_concurrency
    if arguments.concurrency is not None:
        concurrency = arguments.concurrency
    if concurrency < 1:
        raise CommandFailed("A worker needs a concurrency of at least 1.")
    run_worker(
        database_url=require_database(found),
        concurrency=concurrency,
        shape=shape,
        read_page=read_page,
    )
    return 0


async def shape(shaping: Shaping) -> Shaped:
    """Run the document of a webhook with the rights that it has."""
    await _load_documents()
    from . import documents

    return await documents.shape(shaping)


async def read_page(asking: Asking) -> Page:
    """Read a page of an export with the rights of whoever asked for it.

    Raises:
        PageRefused: the list cannot be read like that.
        PageMissing: the page could not be read this time.
    """
    await _load_documents()
    from . import documents

    return await documents.read_page(asking)


async def _load_documents() -> None:
    # In a thread: the schema takes seconds to load, and jobs go on meanwhile.
    # One waits for it, and the others for that one.
    async with _loading:
        if not _LOADED:
            await asyncio.to_thread(import_module, ".documents", __package__)
            keep_loaded()
            _LOADED.append(".documents")
