"""Migrations forwards: one history for all areas, safe to run twice and at the same time."""

import argparse
import contextlib
import importlib.util
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from piccolo.apps.migrations.tables import Migration

from ..core.database import DB, close_pool, fetch, start_pool
from ..vmtas.work import ensure_default_vmta
from .connection import open_database
from .faults import CommandFailed
from .piccolo_app import APP_CONFIG, migrations_folder

LOCK = 7_021_917
"""Advisory lock that migrating processes take in turn; any number, but always this one."""


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

    All of them run in one transaction, so that a failure leaves the database as it was.
    """
    # Piccolo's managers find their engine through this module.
    os.environ["PICCOLO_CONF"] = __name__.replace("migrate", "piccolo_conf")
    done: list[str] = []
    async with DB.transaction(allow_nested=False):
        await fetch("SELECT pg_advisory_xact_lock({})", LOCK)
        await Migration.create_table(if_not_exists=True)
        ran = set(await Migration.get_migrations_which_ran(app_name=APP_CONFIG.app_name))
        for path, module in _modules():
            if module.ID not in ran:
                manager = await module.forwards()
                manager.wrap_in_transaction = False
                # Each manager prints; what ran is this function's answer instead.
                with contextlib.redirect_stdout(io.StringIO()):
                    await manager.run()
                await Migration.insert(Migration(name=module.ID, app_name=APP_CONFIG.app_name))
                done.append(path.stem)
    return done


async def migrate_at(url: str) -> Sequence[str]:
    """Connect to *url*, migrate, and return what ran."""
    await start_pool(url, size=2)
    try:
        return await migrate()
    finally:
        await close_pool()


async def require_current() -> None:
    """Do nothing if every migration has run.

    Raises:
        CommandFailed: some have not.
    """
    [table] = await fetch("SELECT to_regclass('migration') IS NOT NULL AS made")
    rows = await fetch("SELECT name FROM migration") if table["made"] else []
    if missing := set(known_migrations()) - {row["name"] for row in rows}:
        raise CommandFailed(
            f"The database is not up to date: {len(missing)} migrations have not run. Run "
            "`postlane migrate` first; `postlane up` does so by itself."
        )


def known_migrations() -> list[str]:
    """Return the id of every migration this version knows, in order."""
    return [module.ID for _, module in _modules()]


def _modules() -> list[tuple[Path, Any]]:
    found = []
    for path in migrations_folder().glob("[0-9]*.py"):
        spec = importlib.util.spec_from_file_location(f"postlane_migration_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise RuntimeError(f"{path} cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.append((path, module))
    return sorted(found, key=lambda pair: pair[1].ID)
