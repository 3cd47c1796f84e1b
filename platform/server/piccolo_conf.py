"""What Piccolo's migrations look for: the database and the tables."""

from piccolo.conf.apps import AppRegistry

from ..core.database import DB

APP_REGISTRY = AppRegistry(apps=[__name__.replace("piccolo_conf", "piccolo_app")])

__all__ = ["APP_REGISTRY", "DB"]
