"""A domain has one logo; its checks are read newest first."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000141"
VERSION = "1.38.0"
DESCRIPTION = "Let a domain have one logo, and find its checks."

STATEMENTS = (
    "CREATE UNIQUE INDEX domain_bimi_once ON domain_bimi (domain_id)",
    "CREATE INDEX domain_checks_domain ON domain_checks (domain_id, id)",
    "CREATE INDEX domain_checks_age ON domain_checks (last_at)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
