"""What Piccolo's columns cannot say of 0221: keys, and the indexes that find sums."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000222"
VERSION = "1.38.0"
DESCRIPTION = "Index the counts of analytics."

STATEMENTS = (
    "CREATE UNIQUE INDEX analytics_cells_once ON analytics_cells (set_id, grain, starts_at)",
    # For removing what is old: rows are added in the order of time, more or less.
    "CREATE INDEX analytics_cells_age ON analytics_cells USING brin (starts_at) "
    "WITH (autosummarize = on)",
    # The cells of now change with every batch: there has to be room on their page.
    "ALTER TABLE analytics_cells SET (fillfactor = 80)",
    "CREATE INDEX analytics_sets_kind ON analytics_sets (organization_id, kind, key)",
    # Few beside all events, and not on the way of a message that is accepted or sent.
    "CREATE INDEX events_engagement ON events (organization_id, occurred_at) "
    "WHERE type IN ('message.opened', 'message.clicked', 'message.complained')",
    "CREATE INDEX events_bounces ON events (organization_id, occurred_at) "
    "WHERE type IN ('message.bounced', 'message.expired')",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
