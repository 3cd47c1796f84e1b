"""What Piccolo's columns cannot say of 0381: the indexes that find visits."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000382"
VERSION = "1.38.0"
DESCRIPTION = "Index visits."

STATEMENTS = (
    # What is open is sought by who visits; an organization that goes takes its visits along.
    "CREATE INDEX visits_of ON visits (user_id, expires_at)",
    "CREATE INDEX visits_to ON visits (organization_id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
