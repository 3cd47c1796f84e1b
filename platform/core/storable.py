"""Values as the database can keep them in JSON."""

import json
from collections.abc import Mapping
from typing import Any


def storable(value: Any) -> Any:
    """Return *value* with U+FFFD for what PostgreSQL's JSON cannot hold: NUL, lone surrogates."""
    if isinstance(value, str):
        kept = value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass")
        return kept.decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def to_json(value: Any) -> str:
    """Return *value* as JSON for a `jsonb` column; no text in it makes the statement fail."""
    text = json.dumps(value, separators=(",", ":"))
    # Both look alike when escaped; a text that merely speaks of them loses nothing below.
    if "\\u0000" in text or "\\ud" in text:
        text = json.dumps(storable(value), separators=(",", ":"))
    return text
