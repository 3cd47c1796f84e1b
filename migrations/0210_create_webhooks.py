from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.base import OnDelete
from piccolo.columns.base import OnUpdate
from piccolo.columns.column_types import Array
from piccolo.columns.column_types import BigInt
from piccolo.columns.column_types import BigSerial
from piccolo.columns.column_types import Boolean
from piccolo.columns.column_types import Bytea
from piccolo.columns.column_types import ForeignKey
from piccolo.columns.column_types import Integer
from piccolo.columns.column_types import JSONB
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


class Organization(Table, tablename="organizations", schema=None):
    id = UUID(default=new_id, null=False, primary_key=True, unique=False, index=False, index_method=IndexMethod.btree, choices=None, db_column_name=None, secret=False)


ID = "2026-11-21T12:00:00:000210"
VERSION = "1.38.0"
DESCRIPTION = "Create webhooks, their calls, and what is counted of them."


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    manager.add_table(class_name="WebhookHour", tablename="webhook_hours", schema=None, columns=None)

    manager.add_table(class_name="WebhookCall", tablename="webhook_calls", schema=None, columns=None)

    manager.add_table(class_name="Webhook", tablename="webhooks", schema=None, columns=None)

    manager.add_table(class_name="WebhookCount", tablename="webhook_counts", schema=None, columns=None)

    manager.add_table(class_name="WebhookProgress", tablename="webhook_progress", schema=None, columns=None)

    manager.add_table(class_name="WebhookReplay", tablename="webhook_replays", schema=None, columns=None)

    manager.add_column(table_class_name="WebhookHour", tablename="webhook_hours", column_name="id", db_column_name="id", column_class_name="UUID", column_class=UUID, params={"default": new_id, "null": False, "primary_key": True, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookHour", tablename="webhook_hours", column_name="organization_id", db_column_name="organization_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookHour", tablename="webhook_hours", column_name="webhook_id", db_column_name="webhook_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookHour", tablename="webhook_hours", column_name="hour", db_column_name="hour", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": TimestamptzNow(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookHour", tablename="webhook_hours", column_name="delivered", db_column_name="delivered", column_class_name="Integer", column_class=Integer, params={"default": 0, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookHour", tablename="webhook_hours", column_name="failed", db_column_name="failed", column_class_name="Integer", column_class=Integer, params={"default": 0, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookHour", tablename="webhook_hours", column_name="dead", db_column_name="dead", column_class_name="Integer", column_class=Integer, params={"default": 0, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookHour", tablename="webhook_hours", column_name="durations", db_column_name="durations", column_class_name="Array", column_class=Array, params={"default": list, "base_column": Integer(default=0, null=False, primary_key=False, unique=False, index=False, index_method=IndexMethod.btree, choices=None, db_column_name=None, secret=False), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="id", db_column_name="id", column_class_name="UUID", column_class=UUID, params={"default": new_id, "null": False, "primary_key": True, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="number", db_column_name="number", column_class_name="BigSerial", column_class=BigSerial, params={"null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="organization_id", db_column_name="organization_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="webhook_id", db_column_name="webhook_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="event_id", db_column_name="event_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="event_type", db_column_name="event_type", column_class_name="Varchar", column_class=Varchar, params={"length": 40, "default": "", "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="message_id", db_column_name="message_id", column_class_name="UUID", column_class=UUID, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="test", db_column_name="test", column_class_name="Boolean", column_class=Boolean, params={"default": False, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="replay", db_column_name="replay", column_class_name="Integer", column_class=Integer, params={"default": 0, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="state", db_column_name="state", column_class_name="Varchar", column_class=Varchar, params={"length": 10, "default": "pending", "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="attempts", db_column_name="attempts", column_class_name="Integer", column_class=Integer, params={"default": 0, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="due_at", db_column_name="due_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="log", db_column_name="log", column_class_name="JSONB", column_class=JSONB, params={"default": "[]", "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="request", db_column_name="request", column_class_name="Text", column_class=Text, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="created_at", db_column_name="created_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": now, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCall", tablename="webhook_calls", column_name="delivered_at", db_column_name="delivered_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="id", db_column_name="id", column_class_name="UUID", column_class=UUID, params={"default": new_id, "null": False, "primary_key": True, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="organization_id", db_column_name="organization_id", column_class_name="ForeignKey", column_class=ForeignKey, params={"references": Organization, "on_delete": OnDelete.cascade, "on_update": OnUpdate.cascade, "target_column": None, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="project_id", db_column_name="project_id", column_class_name="UUID", column_class=UUID, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="url", db_column_name="url", column_class_name="Varchar", column_class=Varchar, params={"length": 2048, "default": "", "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="events", db_column_name="events", column_class_name="Array", column_class=Array, params={"default": list, "base_column": Varchar(length=40, default="", null=False, primary_key=False, unique=False, index=False, index_method=IndexMethod.btree, choices=None, db_column_name=None, secret=False), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="description", db_column_name="description", column_class_name="Varchar", column_class=Varchar, params={"length": 200, "default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="filters", db_column_name="filters", column_class_name="JSONB", column_class=JSONB, params={"default": "{}", "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="format", db_column_name="format", column_class_name="Varchar", column_class=Varchar, params={"length": 20, "default": "standard", "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="payload_version", db_column_name="payload_version", column_class_name="Varchar", column_class=Varchar, params={"length": 10, "default": "", "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="document", db_column_name="document", column_class_name="Text", column_class=Text, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="document_permissions", db_column_name="document_permissions", column_class_name="Array", column_class=Array, params={"default": list, "base_column": Varchar(length=40, default="", null=False, primary_key=False, unique=False, index=False, index_method=IndexMethod.btree, choices=None, db_column_name=None, secret=False), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="in_order", db_column_name="in_order", column_class_name="Boolean", column_class=Boolean, params={"default": False, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="sealed_secret", db_column_name="sealed_secret", column_class_name="Bytea", column_class=Bytea, params={"default": b"", "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": True}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="sealed_previous_secret", db_column_name="sealed_previous_secret", column_class_name="Bytea", column_class=Bytea, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": True}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="previous_secret_expires_at", db_column_name="previous_secret_expires_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="sealed_headers", db_column_name="sealed_headers", column_class_name="Bytea", column_class=Bytea, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": True}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="header_names", db_column_name="header_names", column_class_name="Array", column_class=Array, params={"default": list, "base_column": Varchar(length=100, default="", null=False, primary_key=False, unique=False, index=False, index_method=IndexMethod.btree, choices=None, db_column_name=None, secret=False), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="enabled", db_column_name="enabled", column_class_name="Boolean", column_class=Boolean, params={"default": True, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="disabled_reason", db_column_name="disabled_reason", column_class_name="Varchar", column_class=Varchar, params={"length": 20, "default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="deleted_at", db_column_name="deleted_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="created_at", db_column_name="created_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": now, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="Webhook", tablename="webhooks", column_name="updated_at", db_column_name="updated_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": now, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCount", tablename="webhook_counts", column_name="id", db_column_name="id", column_class_name="UUID", column_class=UUID, params={"default": new_id, "null": False, "primary_key": True, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCount", tablename="webhook_counts", column_name="organization_id", db_column_name="organization_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCount", tablename="webhook_counts", column_name="result", db_column_name="result", column_class_name="Varchar", column_class=Varchar, params={"length": 10, "default": "", "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookCount", tablename="webhook_counts", column_name="attempts", db_column_name="attempts", column_class_name="BigInt", column_class=BigInt, params={"default": 0, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookProgress", tablename="webhook_progress", column_name="webhook_id", db_column_name="webhook_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": True, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookProgress", tablename="webhook_progress", column_name="organization_id", db_column_name="organization_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookProgress", tablename="webhook_progress", column_name="next_due_at", db_column_name="next_due_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookProgress", tablename="webhook_progress", column_name="worker_id", db_column_name="worker_id", column_class_name="UUID", column_class=UUID, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookProgress", tablename="webhook_progress", column_name="leased_until", db_column_name="leased_until", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookProgress", tablename="webhook_progress", column_name="failing_since", db_column_name="failing_since", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookProgress", tablename="webhook_progress", column_name="last_delivered_at", db_column_name="last_delivered_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="id", db_column_name="id", column_class_name="UUID", column_class=UUID, params={"default": new_id, "null": False, "primary_key": True, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="organization_id", db_column_name="organization_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="webhook_id", db_column_name="webhook_id", column_class_name="UUID", column_class=UUID, params={"default": UUID4(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="since", db_column_name="since", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": TimestamptzNow(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="until", db_column_name="until", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": TimestamptzNow(), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="states", db_column_name="states", column_class_name="Array", column_class=Array, params={"default": list, "base_column": Varchar(length=10, default="", null=False, primary_key=False, unique=False, index=False, index_method=IndexMethod.btree, choices=None, db_column_name=None, secret=False), "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="after_id", db_column_name="after_id", column_class_name="UUID", column_class=UUID, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="replayed", db_column_name="replayed", column_class_name="Integer", column_class=Integer, params={"default": 0, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="completed_at", db_column_name="completed_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": None, "null": True, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    manager.add_column(table_class_name="WebhookReplay", tablename="webhook_replays", column_name="created_at", db_column_name="created_at", column_class_name="Timestamptz", column_class=Timestamptz, params={"default": now, "null": False, "primary_key": False, "unique": False, "index": False, "index_method": IndexMethod.btree, "choices": None, "db_column_name": None, "secret": False}, schema=None)

    return manager
