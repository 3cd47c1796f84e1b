"""Indexes by organization: whose mail waits to be posted, and whom mail came from."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-29T12:00:00:000443"
VERSION = "1.38.0"
DESCRIPTION = "Index mail that came in by organization."

STATEMENTS = (
    "CREATE INDEX ingress_mails_next ON ingress_mails (organization_id, due_at) "
    "WHERE state = 'pending'",
    # The address in what may be a whole From field, as erasing looks for it.
    "CREATE INDEX ingress_mails_sender ON ingress_mails "
    "(organization_id, lower(coalesce(substring(sender from '<([^<>]*)>'), sender)))",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
