from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.base import OnDelete
from piccolo.columns.base import OnUpdate
from piccolo.columns.column_types import Boolean
from piccolo.columns.column_types import Bytea
from piccolo.columns.column_types import ForeignKey
from piccolo.columns.column_types import Integer
from piccolo.columns.column_types import Text
from piccolo.columns.column_types import Timestamptz
from piccolo.columns.column_types import UUID
from piccolo.columns.column_types import Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.defaults.uuid import UUID4
from piccolo.columns.indexes import IndexMethod
from piccolo.table import Table
from postlane.core.clock import now
from postlane.core.ids import new_id


class Organization(Table, tablename="organizations", schema=None): id = UUID(default=new_id, null=False, primary_key=True, unique=False, index=False, index_method=IndexMethod.btree, choices=None, db_column_name=None, secret=False)


class SuppressionImport(Table, tablename="suppression_imports", schema=None): id = UUID(default=new_id, null=False, primary_key=True, unique=False, index=False, index_method=IndexMethod.btree, choices=None, db_column_name=None, secret=False)


ID = "2026-11-21T12:00:00:000205"
VERSION = "1.38.0"
DESCRIPTION = "Create simulations and imports, and give suppressions a stream."


async def forwards():
    manager = MigrationManager(
        migration_id=ID, app_name="postlane", description=DESCRIPTION
    )

    manager.add_table(class_name='RefusedLine', tablename='suppression_import_lines', schema=None, columns=None)

    manager.add_table(class_name='SuppressionImport', tablename='suppression_imports', schema=None, columns=None)

    manager.add_table(class_name='PendingSimulation', tablename='simulations', schema=None, columns=None)

    manager.add_column(table_class_name='RefusedLine', tablename='suppression_import_lines', column_name='id', db_column_name='id', column_class_name='UUID', column_class=UUID, params={'default': new_id, 'null': False, 'primary_key': True, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='RefusedLine', tablename='suppression_import_lines', column_name='import_id', db_column_name='import_id', column_class_name='ForeignKey', column_class=ForeignKey, params={'references': SuppressionImport, 'on_delete': OnDelete.cascade, 'on_update': OnUpdate.cascade, 'target_column': None, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='RefusedLine', tablename='suppression_import_lines', column_name='line', db_column_name='line', column_class_name='Integer', column_class=Integer, params={'default': 0, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='RefusedLine', tablename='suppression_import_lines', column_name='text', db_column_name='text', column_class_name='Varchar', column_class=Varchar, params={'length': 200, 'default': '', 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='RefusedLine', tablename='suppression_import_lines', column_name='problem', db_column_name='problem', column_class_name='Varchar', column_class=Varchar, params={'length': 200, 'default': '', 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='id', db_column_name='id', column_class_name='UUID', column_class=UUID, params={'default': new_id, 'null': False, 'primary_key': True, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='organization_id', db_column_name='organization_id', column_class_name='ForeignKey', column_class=ForeignKey, params={'references': Organization, 'on_delete': OnDelete.cascade, 'on_update': OnUpdate.cascade, 'target_column': None, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='project_id', db_column_name='project_id', column_class_name='UUID', column_class=UUID, params={'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='user_id', db_column_name='user_id', column_class_name='UUID', column_class=UUID, params={'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='api_key_id', db_column_name='api_key_id', column_class_name='UUID', column_class=UUID, params={'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='file', db_column_name='file', column_class_name='Bytea', column_class=Bytea, params={'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='reason', db_column_name='reason', column_class_name='Varchar', column_class=Varchar, params={'length': 30, 'default': '', 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='stream', db_column_name='stream', column_class_name='Varchar', column_class=Varchar, params={'length': 20, 'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='done', db_column_name='done', column_class_name='Integer', column_class=Integer, params={'default': 0, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='added', db_column_name='added', column_class_name='Integer', column_class=Integer, params={'default': 0, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='changed', db_column_name='changed', column_class_name='Integer', column_class=Integer, params={'default': 0, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='refused', db_column_name='refused', column_class_name='Integer', column_class=Integer, params={'default': 0, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='failure', db_column_name='failure', column_class_name='Text', column_class=Text, params={'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='completed_at', db_column_name='completed_at', column_class_name='Timestamptz', column_class=Timestamptz, params={'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='SuppressionImport', tablename='suppression_imports', column_name='created_at', db_column_name='created_at', column_class_name='Timestamptz', column_class=Timestamptz, params={'default': now, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='id', db_column_name='id', column_class_name='UUID', column_class=UUID, params={'default': new_id, 'null': False, 'primary_key': True, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='organization_id', db_column_name='organization_id', column_class_name='UUID', column_class=UUID, params={'default': UUID4(), 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='project_id', db_column_name='project_id', column_class_name='UUID', column_class=UUID, params={'default': UUID4(), 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='message_id', db_column_name='message_id', column_class_name='UUID', column_class=UUID, params={'default': UUID4(), 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='delivery_id', db_column_name='delivery_id', column_class_name='UUID', column_class=UUID, params={'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='outcome', db_column_name='outcome', column_class_name='Varchar', column_class=Varchar, params={'length': 20, 'default': '', 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='code', db_column_name='code', column_class_name='Integer', column_class=Integer, params={'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='reply', db_column_name='reply', column_class_name='Text', column_class=Text, params={'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='fire_webhooks', db_column_name='fire_webhooks', column_class_name='Boolean', column_class=Boolean, params={'default': True, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='due_at', db_column_name='due_at', column_class_name='Timestamptz', column_class=Timestamptz, params={'default': TimestamptzNow(), 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='PendingSimulation', tablename='simulations', column_name='created_at', db_column_name='created_at', column_class_name='Timestamptz', column_class=Timestamptz, params={'default': now, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='Suppression', tablename='suppressions', column_name='stream', db_column_name='stream', column_class_name='Varchar', column_class=Varchar, params={'length': 20, 'default': None, 'null': True, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    manager.add_column(table_class_name='Delivery', tablename='deliveries', column_name='simulated', db_column_name='simulated', column_class_name='Boolean', column_class=Boolean, params={'default': False, 'null': False, 'primary_key': False, 'unique': False, 'index': False, 'index_method': IndexMethod.btree, 'choices': None, 'db_column_name': None, 'secret': False}, schema=None)

    return manager
