"""What an audit entry may hold."""

from collections.abc import Mapping
from typing import Any

SECRET_NAMES = frozenset(
    {"password", "password_hash", "secret", "token", "key", "digest", "private_key"}
)
"""Names of values that never enter the log, wherever in the changes they stand."""


def redacted(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return *changes* with every secret replaced; callers leave secrets out, this is the net."""
    return {
        name: "[redacted]" if name.lower() in SECRET_NAMES else _inner(value)
        for name, value in changes.items()
    }


def _inner(value: Any) -> Any:
    if isinstance(value, Mapping):
        return redacted(value)
    if isinstance(value, list | tuple):
        return [_inner(item) for item in value]
    return value
