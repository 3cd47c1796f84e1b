"""What is carried forward of the ledger, once for each organization, type and source."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000202"
VERSION = "1.38.0"
DESCRIPTION = "Keep one row of what is carried forward for each organization, type and source."

STATEMENTS = (
    "CREATE UNIQUE INDEX credit_carried_once ON credit_carried (organization_id, type, source)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
