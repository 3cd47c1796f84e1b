from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Boolean, Varchar
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-21T12:00:00:000250"
VERSION = "1.38.0"
DESCRIPTION = "Remember senders of envelopes, and that there is none."


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    manager.add_column(
        table_class_name="Message",
        tablename="messages",
        column_name="envelope_sender",
        db_column_name="envelope_sender",
        column_class_name="Varchar",
        column_class=Varchar,
        params={
            "length": 320,
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

    manager.add_column(
        table_class_name="SpooledMessage",
        tablename="spooled_messages",
        column_name="null_sender",
        db_column_name="null_sender",
        column_class_name="Boolean",
        column_class=Boolean,
        params={
            "default": False,
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
