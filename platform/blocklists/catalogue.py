"""The lists that are known, and which of them are asked."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from ..core.settings import Settings, SettingsError, settings
from .rules import Blocklist, Kind, Severity, Terms


def known_lists() -> Mapping[str, Blocklist]:
    """Return every list that is known, by zone; those of the operator's file come first."""
    return _known(settings().blocklists_file)


def enabled_lists() -> Mapping[str, Blocklist]:
    """Return the lists that are asked, by zone, as the setting orders them."""
    known = known_lists()
    return {zone: known[zone] for zone in settings().blocklists if zone in known}


def check_settings(found: Settings) -> None:
    """Do nothing if every list that is to be asked is known, and has its key.

    Raises:
        SettingsError: one is not, or lacks it, or the operator's file cannot be read.
    """
    known = _known(found.blocklists_file)
    for zone in found.blocklists:
        if zone not in known:
            raise SettingsError(
                f"POSTLANE_BLOCKLISTS names {zone}, which is not known. Describe it in the file "
                "of POSTLANE_BLOCKLISTS_FILE."
            )
        if known[zone].terms is Terms.KEY and not known[zone].key:
            raise SettingsError(
                f"POSTLANE_BLOCKLISTS names {zone}, which needs a key: put `{zone}` with its key "
                "under [keys] in the file of POSTLANE_BLOCKLISTS_FILE."
            )


@lru_cache(maxsize=4)
def _known(path: Path | None) -> Mapping[str, Blocklist]:
    ours = tomllib.loads(files(__package__).joinpath("lists.toml").read_text("utf-8"))
    theirs: dict[str, Any] = {}
    if path is not None:
        try:
            theirs = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"POSTLANE_BLOCKLISTS_FILE cannot be read: {error}.") from error
    keys = theirs.pop("keys", {})
    try:
        found = [*_read(theirs, keys), *_read(ours, keys)]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        message = f"POSTLANE_BLOCKLISTS_FILE does not describe lists: {error}."
        raise SettingsError(message) from error
    return _by_zone(found)


def _by_zone(lists: Iterable[Blocklist]) -> Mapping[str, Blocklist]:
    found: dict[str, Blocklist] = {}
    for each in lists:
        found.setdefault(each.zone, each)
    return found


def _read(operators: Mapping[str, Any], keys: Mapping[str, str]) -> Iterator[Blocklist]:
    for operator in operators.values():
        for each in operator["lists"]:
            yield Blocklist(
                zone=each["zone"].lower().rstrip("."),
                name=each["name"],
                operator=operator["name"],
                kinds=frozenset(map(Kind, each["kinds"])),
                severity=Severity(each["severity"]),
                terms=Terms(operator["terms"]),
                note=operator["note"],
                site=operator["site"],
                delist_url=operator["delist"],
                codes=dict(each.get("codes", {})),
                bits={int(bit): word for bit, word in each.get("bits", {}).items()},
                refusals=tuple(map(IPv4Network, operator.get("refusals", ()))),
                ignored=frozenset(operator.get("ignored", ())),
                key=str(keys.get(each["zone"], "")),
            )
