"""What Piccolo's columns cannot say of 0415: the indexes that find a list, and what is due."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-29T12:00:00:000416"
VERSION = "1.38.0"
DESCRIPTION = "Index bulk actions."

STATEMENTS = (
    "CREATE INDEX bulk_actions_organization ON bulk_actions (organization_id, id)",
    # Few rows: what waits or is at work.
    "CREATE INDEX bulk_actions_open ON bulk_actions (id) WHERE state IN ('queued', 'running')",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
