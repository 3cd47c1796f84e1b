"""Migrations forwards: one history for all areas, safe to run twice and at the same time."""

import contextlib
import importlib.util
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from piccolo.apps.migrations.tables import Migration

from ..core.database import DB, fetch
from .piccolo_app import APP_CONFIG, migrations_folder

LOCK = 7_021_917
"""Advisory lock that migrating processes take in turn; any number, but always this one."""


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
