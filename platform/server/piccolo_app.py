"""Every table, for Piccolo's migrations: one history for all areas."""

from piccolo.conf.apps import AppConfig, table_finder

from .history import migrations_folder

AREAS = (
    "accounts",
    "audit",
    "notices",
    "security",
    "requests",
    "credits",
    "events",
    "domains",
    "vmtas",
    "suppressions",
    "blocklists",
    "scanning",
    "templates",
    "delivery",
    "greylisting",
    "tracking",
    "webhooks",
    "messages",
    "analytics",
    "billing",
    "protection",
    "exports",
    "ingress",
    "bulk",
    "removals",
    "imports",
)
ROOT_PACKAGE = __name__.split(".")[0]

APP_CONFIG = AppConfig(
    app_name="postlane",
    migrations_folder_path=str(migrations_folder()),
    table_classes=table_finder(
        [f"{ROOT_PACKAGE}.{area}.tables" for area in AREAS], exclude_imported=True
    ),
)
