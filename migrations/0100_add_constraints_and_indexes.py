"""What Piccolo's columns cannot say: keys over several columns, checks, partial indexes."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000100"
VERSION = "1.38.0"
DESCRIPTION = "Add keys over several columns, checks and partial indexes."

STATEMENTS = (
    "CREATE UNIQUE INDEX projects_slug ON projects (organization_id, slug)",
    "CREATE UNIQUE INDEX memberships_once ON memberships (user_id, organization_id)",
    "CREATE INDEX memberships_organization ON memberships (organization_id, id)",
    "CREATE INDEX invitations_organization ON invitations (organization_id, id)",
    "CREATE INDEX audit_entries_organization ON audit_entries (organization_id, id)",
    "CREATE INDEX api_keys_organization ON api_keys (organization_id, id)",
    "CREATE UNIQUE INDEX api_key_uses_hour ON api_key_uses (api_key_id, hour)",
    "CREATE INDEX api_key_secrets_key ON api_key_secrets (api_key_id)",
    "ALTER TABLE rate_buckets SET UNLOGGED",
    "CREATE UNIQUE INDEX idempotency_once "
    "ON idempotency_records (organization_id, operation, key)",
    "CREATE INDEX idempotency_age ON idempotency_records (created_at)",
    "ALTER TABLE credit_shares ADD CONSTRAINT never_negative CHECK (remaining >= 0)",
    "CREATE UNIQUE INDEX credit_shares_slot ON credit_shares (lot_id, slot)",
    "CREATE INDEX credit_shares_organization ON credit_shares (organization_id, type)",
    "CREATE INDEX credit_lots_organization ON credit_lots (organization_id, type, expires_at)",
    "ALTER TABLE credit_entries ADD CONSTRAINT moves_something CHECK (amount > 0)",
    "CREATE INDEX credit_entries_organization ON credit_entries (organization_id, id)",
    "CREATE INDEX credit_entries_type ON credit_entries (organization_id, type, id)",
    "CREATE UNIQUE INDEX credit_usage_slot ON credit_usage (organization_id, type, day, slot)",
    "CREATE UNIQUE INDEX events_position ON events (position)",
    "CREATE INDEX events_message ON events (message_id, position)",
    # The rows change all the time and in place: there has to be room on their page.
    "ALTER TABLE event_counts SET (fillfactor = 50)",
    "CREATE UNIQUE INDEX event_counts_once ON event_counts "
    "(organization_id, type, label, vmta_id, slot) NULLS NOT DISTINCT",
    "CREATE UNIQUE INDEX domains_once ON domains (organization_id, name)",
    # One verified owner in the whole deployment; many may wait for the proof.
    "CREATE UNIQUE INDEX domains_owner ON domains (name) "
    "WHERE status IN ('verified', 'degraded')",
    "CREATE INDEX domains_check ON domains (next_check_at)",
    "CREATE UNIQUE INDEX dkim_keys_selector ON dkim_keys (domain_id, selector)",
    "CREATE UNIQUE INDEX domain_records_once ON domain_records (domain_id, purpose, name)",
    "CREATE INDEX domains_tracking ON domains (tracking_domain) "
    "WHERE tracking_domain IS NOT NULL",
    "CREATE UNIQUE INDEX pools_name ON pools (organization_id, name)",
    "CREATE UNIQUE INDEX vmtas_name ON vmtas (organization_id, name) NULLS NOT DISTINCT",
    "CREATE INDEX suppressions_organization ON suppressions (organization_id, id)",
    "CREATE UNIQUE INDEX suppressions_once ON suppressions "
    "(organization_id, address_key, reason, project_id) NULLS NOT DISTINCT",
    "CREATE INDEX queues_organization ON queues (organization_id, id)",
    "CREATE UNIQUE INDEX queues_once ON queues (organization_id, vmta_id, domain)",
    # Claiming: the due deliveries of one queue, transactional mail first.
    "CREATE INDEX deliveries_due ON deliveries (queue_id, priority, due_at) "
    "WHERE due_at IS NOT NULL",
    "CREATE INDEX deliveries_message ON deliveries (message_id)",
    "CREATE INDEX deliveries_organization ON deliveries (organization_id, id)",
    "CREATE INDEX deliveries_address ON deliveries (organization_id, address_key, id)",
    "CREATE UNIQUE INDEX deliveries_number ON deliveries (number)",
    "CREATE UNIQUE INDEX deliveries_token ON deliveries (token)",
    "CREATE INDEX attempts_delivery ON attempts (delivery_id, number)",
    "CREATE INDEX messages_organization ON messages (organization_id, id)",
    "CREATE INDEX messages_sender ON messages (organization_id, sender_key, id)",
    "CREATE INDEX messages_batch ON messages (organization_id, batch_id, id) "
    "WHERE batch_id IS NOT NULL",
    "CREATE INDEX messages_header ON messages (organization_id, header_message_id)",
    "CREATE UNIQUE INDEX messages_number ON messages (number)",
    "CREATE INDEX spooled_messages_status ON spooled_messages (organization_id, status, id)",
    "CREATE INDEX captured_messages_organization ON captured_messages (organization_id, id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
