"""What Piccolo's columns cannot say of 0302."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000303"
VERSION = "1.38.0"
DESCRIPTION = "Index numbers and uids of projects."

STATEMENTS = (
    "CREATE UNIQUE INDEX projects_number ON projects (number)",
    "CREATE UNIQUE INDEX projects_uid ON projects (organization_id, uid) WHERE uid IS NOT NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
