"""The rules: ours, and what the operator's file says instead."""

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..core.settings import SettingsError, settings
from .rules import STOPS, Action, Metric, Rule, Scope

_MAY_CHANGE = frozenset(
    {
        "threshold",
        "window_seconds",
        "minimum_volume",
        "duration_seconds",
        "enabled",
        "locked",
        "action",
    }
)
"""What the operator's file may say of a rule: what it measures, and of what, is code."""


def all_rules() -> Mapping[str, Rule]:
    """Return every rule by its key.

    Raises:
        SettingsError: the operator's file cannot be read, or names what is not there.
    """
    return _read(settings().auto_block_file)


@lru_cache(maxsize=4)
def _read(path: Path | None) -> Mapping[str, Rule]:
    said = tomllib.loads(files(__package__).joinpath("rules.toml").read_text("utf-8"))
    if path is not None:
        try:
            theirs = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"POSTLANE_AUTO_BLOCK_FILE cannot be read: {error}.") from error
        for key, values in theirs.items():
            if key not in said or not isinstance(values, dict) or values.keys() - _MAY_CHANGE:
                raise SettingsError(
                    f"POSTLANE_AUTO_BLOCK_FILE: [{key}] is no rule, or says what none may: "
                    f"{', '.join(sorted(_MAY_CHANGE))} are what one may."
                )
            said[key] |= values
    try:
        return {key: _rule(key, values) for key, values in said.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise SettingsError(f"POSTLANE_AUTO_BLOCK_FILE: {error}.") from error


def _rule(key: str, said: Mapping[str, Any]) -> Rule:
    lasts = said.get("duration_seconds")
    scope, action = Scope(said["scope"]), Action(said["action"])
    if STOPS.get(action, scope) is not scope:
        raise ValueError(f"[{key}] is about a {scope.value}, which {action.value} cannot stop")
    return Rule(
        key=key,
        name=said["name"],
        metric=Metric(said["metric"]),
        threshold=float(said["threshold"]),
        window=timedelta(seconds=said["window_seconds"]),
        minimum_volume=int(said["minimum_volume"]),
        scope=scope,
        action=action,
        duration=timedelta(seconds=lasts) if lasts else None,
        locked=bool(said.get("locked", False)),
        enabled=bool(said.get("enabled", True)),
    )
