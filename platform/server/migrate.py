"""Migrations forwards: one history for all areas, safe to run twice and at the same time."""

import argparse
import asyncio
import contextlib
import importlib.util
import io
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import asyncpg
from piccolo.apps.migrations.tables import Migration

from ..core.database import DB, close_pool, start_pool
from ..core.giving_way import run_giving_way
from ..vmtas.work import ensure_default_vmta
from . import row_security
from .connection import open_database
from .history import migration_files
from .piccolo_app import APP_CONFIG

LOCK = 7_021_917
"""Advisory lock that migrating processes take in turn; any number, but always this one."""
ASK_SECONDS = 0.2


async def run(arguments: argparse.Namespace) -> int:
    """Bring tables and job queue up to date and say what was done."""
    # The job queue makes its own tables when it is opened: here, once, and not in several
    # processes at the same moment.
    async with open_database(queue=True, make=True):
        done = await migrate()
        await ensure_default_vmta()
    print("\n".join(f"migrated {name}" for name in done) or "The database is up to date.")
    return 0


async def migrate() -> Sequence[str]:
    """Run every migration that has not run and return their names, in order.

    They run in one transaction, so that a failure leaves the database as it was. Those that
    build indexes of tables in use run outside of one, each for itself, and what comes before and
    after them is a transaction each: whoever migrates again goes on from there. Last, tables that
    are new get their policies. Who uses the tables meanwhile is waited for, and waits little.
    """
    # Piccolo's managers find their engine through this module.
    os.environ["PICCOLO_CONF"] = __name__.replace("migrate", "piccolo_conf")
    done: list[str] = []
    async with _turn():
        await Migration.create_table(if_not_exists=True)
        ran = set(await Migration.get_migrations_which_ran(app_name=APP_CONFIG.app_name))
        missing = [(path, module) for path, module in _modules() if module.ID not in ran]
        for builds, group in groupby(missing, key=lambda pair: _builds_indexes(pair[1])):
            if builds:
                for path, module in group:
                    done.append(await _run(path, module))
            else:
                done += await run_giving_way(partial(_run_all, list(group)))
        await row_security.ensure()
    return done


def _builds_indexes(module: Any) -> bool:
    return bool(getattr(module, "OUTSIDE_A_TRANSACTION", False))


async def _run_all(migrations: Sequence[tuple[Path, Any]]) -> Sequence[str]:
    return [await _run(path, module) for path, module in migrations]


async def _run(path: Path, module: Any) -> str:
    manager = await module.forwards()
    manager.wrap_in_transaction = False
    # Each manager prints; what ran is the caller's answer instead.
    with contextlib.redirect_stdout(io.StringIO()):
        await manager.run()
    await Migration.insert(Migration(name=module.ID, app_name=APP_CONFIG.app_name))
    return path.stem


@asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    """Let nobody else migrate meanwhile.

    Whoever waits asks again and again: a statement that waits for the lock would be an open
    transaction, and an index that is built beside other work waits for all of those to end.
    """
    connection = await asyncpg.connect(DB.config["dsn"])
    try:
        # There is no event for somebody else's end.
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110
            await asyncio.sleep(ASK_SECONDS)
        yield
    finally:
        # Which gives the lock back.
        await connection.close()


async def migrate_at(url: str) -> Sequence[str]:
    """Connect to *url*, migrate, and return what ran."""
    await start_pool(url, size=2)
    try:
        return await migrate()
    finally:
        await close_pool()


def _modules() -> list[tuple[Path, Any]]:
    found = []
    for path in migration_files():
        spec = importlib.util.spec_from_file_location(f"postlane_migration_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise RuntimeError(f"{path} cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.append((path, module))
    return sorted(found, key=lambda pair: pair[1].ID)
