"""What stands in the columns of 0425 at first, and the index that a block looks for its key in."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000426"
VERSION = "1.38.0"
DESCRIPTION = "Carry over who is suspended for debt; find the keys that a block keeps off."

STATEMENTS = (
    "UPDATE organizations SET in_debt = true WHERE suspended_for = 'debt'",
    "CREATE INDEX api_keys_blocked ON api_keys (blocked_by) WHERE blocked_by IS NOT NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
