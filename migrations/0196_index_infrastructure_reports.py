"""Reports about ourselves are counted over the last day."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000196"
VERSION = "1.38.0"
DESCRIPTION = "Find the reports of the last day."

STATEMENTS = ("CREATE INDEX infrastructure_reports_age ON infrastructure_reports (created_at)",)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
