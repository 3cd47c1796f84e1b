"""What Piccolo's columns cannot say of 0417: the indexes that find a list, and what is due."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-29T12:00:00:000418"
VERSION = "1.38.0"
DESCRIPTION = "Index removals."

STATEMENTS = (
    "CREATE INDEX removals_organization ON removals (organization_id, id)",
    # Few rows: what waits.
    "CREATE INDEX removals_due ON removals (due_at) WHERE state IN ('waiting', 'removing')",
    # One thing waits to be removed once.
    "CREATE UNIQUE INDEX removals_waiting ON removals (organization_id, kind, target_id) "
    "WHERE state = 'waiting'",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
