"""Lets the `piccolo` command find the database and the tables."""

from piccolo.conf.apps import AppRegistry

from postlane.core.database import DB

APP_REGISTRY = AppRegistry(apps=["postlane.server.piccolo_app"])

__all__ = ["APP_REGISTRY", "DB"]
