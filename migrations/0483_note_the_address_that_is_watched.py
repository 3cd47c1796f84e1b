from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Varchar
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-30T16:00:00:000483"
VERSION = "1.38.0"
DESCRIPTION = "Note which address of a vMTA the blocklists are asked about."


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    manager.add_column(
        table_class_name="Watch",
        tablename="blocklist_watches",
        column_name="ip_address",
        db_column_name="ip_address",
        column_class_name="Varchar",
        column_class=Varchar,
        params={
            "length": 45,
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

    return manager
