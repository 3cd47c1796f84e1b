"""What Piccolo's columns cannot say of 0215: keys, and the indexes that are asked."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000216"
VERSION = "1.38.0"
DESCRIPTION = "Index hits, choices, erasures, and the events of suppressions by address."

STATEMENTS = (
    # They come and go by the thousand; what is read of them is in the order of their ids.
    "ALTER TABLE tracking_hits SET (autovacuum_vacuum_scale_factor = 0, "
    "autovacuum_vacuum_threshold = 5000)",
    "CREATE UNIQUE INDEX tracking_choices_once ON tracking_choices "
    "(organization_id, address_key, project_id) NULLS NOT DISTINCT",
    "CREATE INDEX tracking_choices_organization ON tracking_choices (organization_id, id)",
    "CREATE UNIQUE INDEX erased_recipients_once ON erased_recipients (organization_id, who)",
    "CREATE INDEX erased_recipients_since ON erased_recipients (erased_at)",
    "CREATE INDEX erasures_organization ON erasures (organization_id, id)",
    "CREATE INDEX erasures_open ON erasures (created_at) WHERE completed_at IS NULL",
    "CREATE INDEX events_suppressed_address ON events (organization_id, lower(data->>'email')) "
    "WHERE type IN ('suppression.created', 'suppression.removed')",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
