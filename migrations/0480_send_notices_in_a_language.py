from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Varchar
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-29T22:30:00:000480"
VERSION = "1.38.0"
DESCRIPTION = "Send notices in the language of who reads them."


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    manager.add_column(
        table_class_name="OutboxNotice",
        tablename="notices",
        column_name="language",
        db_column_name="language",
        column_class_name="Varchar",
        column_class=Varchar,
        params={
            "length": 35,
            "default": "",
            "null": False,
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
