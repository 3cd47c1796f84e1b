"""The worker processes: jobs on the queue, until a signal comes."""

import argparse

from ..blocklists.catalogue import check_settings
from ..core.logs import start_logging
from ..core.settings import settings
from .connection import require_database
from .faults import CommandFailed


def run(arguments: argparse.Namespace) -> int:
    """Run jobs until a signal comes; what is on the wire then may finish."""
    from ..graphql.export_pages import pages_for
    from ..graphql.payloads import shaped_for
    from ..jobs.worker import run_worker
    from .auth import actor_for_export, actor_for_webhook

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
        shape=shaped_for(actor_for_webhook),
        read_page=pages_for(actor_for_export),
    )
    return 0
