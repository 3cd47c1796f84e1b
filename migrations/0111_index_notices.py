"""What the sweep asks every few seconds: which notices are due."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000111"
VERSION = "1.38.0"
DESCRIPTION = "Index the notices that are due."

STATEMENTS = (
    "CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX notices_finished ON notices (finished_at) WHERE finished_at IS NOT NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
