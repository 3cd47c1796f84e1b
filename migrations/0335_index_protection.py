"""What Piccolo's columns cannot say of 0334: keys, and the indexes that are asked."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000335"
VERSION = "1.38.0"
DESCRIPTION = "Index greylisting, auto-blocks, and what they need elsewhere."

STATEMENTS = (
    # What waits for its second try, by when it came last; and what has passed.
    "CREATE INDEX greylist_triplets_waiting ON greylist_triplets "
    "(organization_id, last_seen_at) WHERE passed_at IS NULL",
    "CREATE INDEX greylist_triplets_passed ON greylist_triplets (organization_id, passed_at) "
    "WHERE passed_at IS NOT NULL",
    "CREATE INDEX greylist_triplets_age ON greylist_triplets (last_seen_at)",
    "CREATE INDEX greylist_clients_organization ON greylist_clients "
    "(organization_id, last_seen_at)",
    "CREATE UNIQUE INDEX greylist_hours_once ON greylist_hours (organization_id, hour_at) "
    "NULLS NOT DISTINCT",
    "CREATE INDEX greylisted_deliveries_organization ON greylisted_deliveries "
    "(organization_id, greylisted_at)",
    "CREATE UNIQUE INDEX abuse_counts_once ON abuse_counts "
    "(kind, subject, minute_at, organization_id) NULLS NOT DISTINCT",
    "CREATE INDEX abuse_counts_minute ON abuse_counts (minute_at)",
    "CREATE INDEX abuse_counts_subject ON abuse_counts (subject)",
    "CREATE INDEX blocked_addresses_block ON blocked_addresses (block_id)",
    "CREATE INDEX domains_blocked ON domains (blocked_by) WHERE blocked_by IS NOT NULL",
    # One block for a rule and a target at a time, whoever looks at the same moment.
    "CREATE UNIQUE INDEX auto_blocks_once ON auto_blocks (rule_key, target_id, organization_id) "
    "NULLS NOT DISTINCT WHERE status IN ('active', 'dry_run')",
    "CREATE INDEX auto_blocks_open ON auto_blocks (organization_id, id) "
    "WHERE status IN ('active', 'dry_run')",
    "CREATE INDEX auto_blocks_ending ON auto_blocks (expires_at) "
    "WHERE status IN ('active', 'dry_run')",
    "CREATE INDEX auto_blocks_grace ON auto_blocks (rule_key, target_id, grace_until) "
    "WHERE grace_until IS NOT NULL",
    "CREATE INDEX auto_blocks_organization ON auto_blocks (organization_id, triggered_at)",
    "CREATE UNIQUE INDEX auto_block_switches_once ON auto_block_switches "
    "(organization_id, rule_key)",
    "CREATE INDEX scanned_messages_infected ON scanned_messages (scanned_at) "
    "WHERE verdict = 'infected'",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
