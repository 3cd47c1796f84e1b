"""What Piccolo's columns cannot say of 0320: that nothing is taken over twice."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000321"
VERSION = "1.38.0"
DESCRIPTION = "Find what was taken over from another platform."

STATEMENTS = (
    "CREATE UNIQUE INDEX imported_rows_once ON imported_rows (platform, kind, foreign_id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
