"""What Piccolo's columns cannot say of 0330: keys, and the indexes that are asked."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000331"
VERSION = "1.38.0"
DESCRIPTION = "Index what blocklists say, and listings."

STATEMENTS = (
    "CREATE UNIQUE INDEX blocklist_answers_once ON blocklist_answers "
    "(organization_id, subject, zone)",
    "CREATE INDEX blocklist_answers_expiry ON blocklist_answers (expires_at)",
    "CREATE INDEX blocklist_watches_due ON blocklist_watches (next_check_at)",
    "CREATE UNIQUE INDEX blocklist_listings_once ON blocklist_listings "
    "(vmta_id, ip_address, zone)",
    "CREATE INDEX blocklist_listings_organization ON blocklist_listings (organization_id, id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
