"""What Piccolo's columns cannot say of 0205: keys and the indexes that find what is due."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000206"
VERSION = "1.38.0"
DESCRIPTION = "Index simulations, imports, and the failures that cool an address down."

STATEMENTS = (
    "CREATE INDEX simulations_due ON simulations (due_at)",
    "CREATE INDEX simulations_message ON simulations (message_id)",
    # Sandbox mail that nobody has simulated anything for; few rows, and each only once.
    "CREATE INDEX deliveries_unused ON deliveries (id) "
    "WHERE due_at IS NULL AND state IN ('queued', 'scheduled')",
    # The classes are those of soft failures, as `delivery/work/settling.py` asks for them.
    "CREATE INDEX deliveries_failing ON deliveries (organization_id, address_key, settled_at) "
    "WHERE state IN ('bounced', 'expired') AND NOT simulated AND bounce_class IN "
    "('mailbox_full', 'temporary_failure', 'connection_failure', 'rate_limited', "
    "'unclassified')",
    "CREATE UNIQUE INDEX suppressions_of_stream ON suppressions "
    "(organization_id, address_key, reason, project_id, stream) NULLS NOT DISTINCT",
    "DROP INDEX suppressions_once",
    "CREATE INDEX suppression_imports_organization ON suppression_imports (organization_id, id)",
    "CREATE INDEX suppression_imports_open ON suppression_imports (created_at) "
    "WHERE completed_at IS NULL",
    "CREATE INDEX suppression_import_lines_import ON suppression_import_lines (import_id, id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
