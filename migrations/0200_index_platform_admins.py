"""What is asked of people and invitations that are few among many."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000200"
VERSION = "1.38.0"
DESCRIPTION = "Index who looks after the deployment, and the end of invitations."

STATEMENTS = (
    "CREATE INDEX users_platform_admins ON users (id) WHERE platform_admin",
    "CREATE INDEX invitations_expiry ON invitations (expires_at)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
