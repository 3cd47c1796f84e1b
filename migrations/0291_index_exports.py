"""What Piccolo's columns cannot say of 0290: keys and the indexes that find what is due."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000291"
VERSION = "1.38.0"
DESCRIPTION = "Index exports and the parts of their files."

STATEMENTS = (
    "CREATE INDEX exports_organization ON exports (organization_id, id)",
    # Few rows: what waits, is being written, or has a file.
    "CREATE INDEX exports_alive ON exports (id) WHERE state IN ('queued', 'running', 'done')",
    "CREATE UNIQUE INDEX export_parts_of_file ON export_parts (export_id, number)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
