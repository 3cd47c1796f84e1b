from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Bytea
from piccolo.columns.column_types import UUID
from piccolo.columns.defaults.uuid import UUID4
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-21T12:00:00:000207"
VERSION = "1.38.0"
DESCRIPTION = "Keep imported files apart from what is known of them."


async def forwards():
    manager = MigrationManager(
        migration_id=ID, app_name="postlane", description=DESCRIPTION
    )

    manager.add_table(class_name='ImportedFile', tablename='suppression_import_files', schema=None, columns=None)

    manager.add_column(table_class_name='ImportedFile', tablename='suppression_import_files', column_name='id', db_column_name='id', column_class_name='UUID', column_class=UUID, params={'default': UUID4(), 'null': False, 'primary_key': True, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='ImportedFile', tablename='suppression_import_files', column_name='data', db_column_name='data', column_class_name='Bytea', column_class=Bytea, params={'default': b'', 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.drop_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='file', db_column_name='file', schema=None)

    return manager
