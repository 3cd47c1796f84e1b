"""Documents that were registered beforehand, out of the file that a client's build writes.

Both forms that are common are read: a JSON object from hash to text, as Relay's compiler and
GraphQL Code Generator write it, and the manifest of Apollo's tools.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core.settings import SettingsError
from .request import HASH

APOLLO = "apollo-persisted-query-manifest"
PREFIX = "sha256:"


def read_trusted(path: Path | None) -> Mapping[str, str]:
    """Return the texts of the documents in the file by their SHA-256; no file is no documents.

    Raises:
        SettingsError: it cannot be read, or is not such a file.
    """
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise _broken(f"{path} is not a JSON object")
    return {_hash(key): _text(key, text) for key, text in _entries(found)}


def _entries(found: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    if found.get("format") != APOLLO:
        yield from found.items()
        return
    operations = found.get("operations")
    if not isinstance(operations, list):
        raise _broken("the manifest has no operations")
    for operation in operations:
        if not isinstance(operation, dict):
            raise _broken("an operation of the manifest is not an object")
        yield operation.get("id"), operation.get("body")


def _hash(key: Any) -> str:
    text = key.removeprefix(PREFIX) if isinstance(key, str) else ""
    if not HASH.fullmatch(text):
        raise _broken(f"{str(key)[:80]!r} is not a SHA-256 in hexadecimal")
    return text.lower()


def _text(key: Any, text: Any) -> str:
    if not isinstance(text, str):
        raise _broken(f"what stands under {key!r} is not the text of a document")
    return text


def _broken(what: str) -> SettingsError:
    return SettingsError(f"POSTLANE_TRUSTED_DOCUMENTS: {what}.")
