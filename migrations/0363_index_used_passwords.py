"""What is asked of used passwords."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000363"
VERSION = "1.38.0"
DESCRIPTION = "Index used passwords."

STATEMENTS = ("CREATE INDEX used_passwords_user ON used_passwords (user_id, id)",)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
