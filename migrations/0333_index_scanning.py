"""What Piccolo's columns cannot say of 0332: keys, and the indexes that are asked."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000333"
VERSION = "1.38.0"
DESCRIPTION = "Index what came of scans."

STATEMENTS = (
    "CREATE UNIQUE INDEX scanned_files_once ON scanned_files (organization_id, sha256)",
    "CREATE INDEX scanned_files_age ON scanned_files (scanned_at)",
    "CREATE INDEX scanned_messages_bad ON scanned_messages (organization_id, id) "
    "WHERE verdict IN ('infected', 'spam')",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
