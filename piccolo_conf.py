"""Lets the `piccolo` command find the database and the tables."""

import os

from postlane.server.piccolo_conf import APP_REGISTRY, DB

DB.config["dsn"] = os.environ.get("POSTLANE_DATABASE_URL", "")

__all__ = ["APP_REGISTRY", "DB"]
