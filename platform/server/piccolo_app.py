"""Every table, for Piccolo's migrations: one history for all areas."""

from pathlib import Path

from piccolo.conf.apps import AppConfig, table_finder

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


def migrations_folder() -> Path:
    """Return the folder of the migrations: beside the code in a wheel, above it in a checkout."""
    packaged = Path(__file__).parent / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "migrations"


APP_CONFIG = AppConfig(
    app_name="postlane",
    migrations_folder_path=str(migrations_folder()),
    table_classes=table_finder(
        [f"{ROOT_PACKAGE}.{area}.tables" for area in AREAS], exclude_imported=True
    ),
)
