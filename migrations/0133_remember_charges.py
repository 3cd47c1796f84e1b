from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Timestamptz
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-21T12:00:00:000133"
VERSION = "1.38.0"
DESCRIPTION = "Remember since when an invoice is being charged."

STATEMENTS = (
    "CREATE INDEX invoices_to_charge ON invoices (next_charge_at) WHERE status = 'open'",
    "CREATE INDEX billing_accounts_method ON billing_accounts (payment_method_ref) "
    "WHERE payment_method_ref IS NOT NULL",
    "CREATE INDEX subscriptions_trial ON subscriptions (trial_ends_at) WHERE status = 'trialing'",
)


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    manager.add_column(
        table_class_name="Invoice",
        tablename="invoices",
        column_name="charging_at",
        db_column_name="charging_at",
        column_class_name="Timestamptz",
        column_class=Timestamptz,
        params={
            "default": None,
            "null": True,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
