from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import UUID, Integer, Timestamptz
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-30T09:30:00:000481"
VERSION = "1.38.0"
DESCRIPTION = "Count how often mail is greylisted, and note when that lasts too long."


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    for name, kind, default in (
        ("queue_id", UUID, None),
        ("times", Integer, 1),
        ("outlasted_at", Timestamptz, None),
    ):
        manager.add_column(
            table_class_name="GreylistedDelivery",
            tablename="greylisted_deliveries",
            column_name=name,
            db_column_name=name,
            column_class_name=kind.__name__,
            column_class=kind,
            params={
                "default": default,
                "null": default is None,
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

    return manager
