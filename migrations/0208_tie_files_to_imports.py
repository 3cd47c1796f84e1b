"""What Piccolo's columns cannot say of 0207: a file goes with its import."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000208"
VERSION = "1.38.0"
DESCRIPTION = "Let imported files go with their imports."


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        await DB.run_ddl(
            "ALTER TABLE suppression_import_files ADD FOREIGN KEY (id) "
            "REFERENCES suppression_imports ON DELETE CASCADE"
        )

    manager.add_raw(run)
    return manager
