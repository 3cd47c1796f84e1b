"""What Piccolo's columns cannot say of billing."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000131"
VERSION = "1.38.0"
DESCRIPTION = "Add keys, checks and indexes to billing."

STATEMENTS = (
    "CREATE UNIQUE INDEX invoices_nth ON invoices (year, nth)",
    "CREATE INDEX invoices_organization ON invoices (organization_id, id)",
    "CREATE INDEX invoices_open ON invoices (due_at) WHERE status = 'open'",
    "ALTER TABLE invoices ADD CONSTRAINT adds_up "
    "CHECK (total = subtotal + tax AND total >= 0 AND amount_due BETWEEN 0 AND total)",
    "CREATE UNIQUE INDEX invoice_lines_position ON invoice_lines (invoice_id, position)",
    "CREATE INDEX checkouts_organization ON checkouts (organization_id, id)",
    "CREATE UNIQUE INDEX checkouts_provider ON checkouts (provider, provider_ref)",
    "CREATE INDEX checkouts_invoice ON checkouts (invoice_id) WHERE invoice_id IS NOT NULL",
    "CREATE INDEX checkouts_open ON checkouts (expires_at) WHERE status = 'open'",
    "CREATE UNIQUE INDEX payments_once ON payments (provider, reference)",
    "CREATE INDEX payments_organization ON payments (organization_id, id)",
    "CREATE UNIQUE INDEX billing_accounts_customer ON billing_accounts (customer_ref)",
    "CREATE UNIQUE INDEX provider_events_once ON provider_events (provider, event_id)",
    "CREATE INDEX subscriptions_due ON subscriptions (period_end)",
    "CREATE UNIQUE INDEX usage_hours_once ON usage_hours (organization_id, hour)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
