"""How much one source address may do at one site; no clock, no tables."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..core.settings import settings
from ..vmtas.rules import VmtaLimits
from .isps import Isp
from .rules import BACKOFF_SHARE


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """Limits of one source address at one site; None is no limit."""

    connections: int | None = None
    messages_per_connection: int | None = None
    messages_per_minute: int | None = None
    messages_per_hour: int | None = None
    messages_per_day: int | None = None

    @property
    def has_rate(self) -> bool:
        """Whether messages have to be counted at all."""
        return (self.messages_per_minute, self.messages_per_hour, self.messages_per_day) != (
            None,
            None,
            None,
        )


UNLIMITED = SiteLimits()


def limits_at(vmta: VmtaLimits, *, isp: Isp, domain: str) -> SiteLimits:
    """Return what mail of a vMTA to *domain* keeps to at its site.

    Each limit is the most specific one: the vMTA's for the domain, the vMTA's for the provider,
    the deployment's for the provider. The vMTA's own connections and messages per connection
    bound all of these; its messages per hour and day are counted over all sites together.
    """
    chosen = defaults()[isp]
    for place in (vmta.at_isp(isp.value), vmta.at_domain(domain)):
        if place is not None:
            chosen = SiteLimits(
                _first(place.max_connections, chosen.connections),
                _first(place.max_messages_per_connection, chosen.messages_per_connection),
                chosen.messages_per_minute,
                _first(place.max_messages_per_hour, chosen.messages_per_hour),
                chosen.messages_per_day,
            )
    return replace(
        chosen,
        connections=_least(chosen.connections, vmta.max_connections),
        messages_per_connection=_least(
            chosen.messages_per_connection, vmta.max_messages_per_connection
        ),
    )


def limits_everywhere(vmta: VmtaLimits) -> SiteLimits:
    """Return what a vMTA keeps to over all sites together."""
    return SiteLimits(
        messages_per_hour=_positive(vmta.max_messages_per_hour),
        messages_per_day=_positive(vmta.max_messages_per_day),
    )


def throttled(limits: SiteLimits, share: float = BACKOFF_SHARE) -> SiteLimits:
    """Return *share* of the rates, rounded up; connections stay as they are."""
    return replace(
        limits,
        messages_per_minute=_part(limits.messages_per_minute, share),
        messages_per_hour=_part(limits.messages_per_hour, share),
    )


@lru_cache(maxsize=1)
def defaults() -> Mapping[Isp, SiteLimits]:
    """Return the deployment's limits by provider: ours, and over them the operator's file.

    Raises:
        ValueError: the file is not as `limits.toml` says.
    """
    ours = files(__package__).joinpath("limits.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(ours)
    path = settings().limits_file
    if path is not None:
        tables |= _read_file(path)
    return {isp: _read(isp.value, tables[isp.value]) for isp in Isp}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"POSTLANE_LIMITS_FILE={path} cannot be read: {error}") from error
    unknown = found.keys() - {isp.value for isp in Isp}
    if unknown:
        raise ValueError(f"POSTLANE_LIMITS_FILE={path}: no provider is called {min(unknown)!r}")
    return found


def _read(name: str, table: Any) -> SiteLimits:
    if not isinstance(table, dict):
        raise ValueError(f"limits: [{name}] is a table")
    known = {field.name for field in fields(SiteLimits)}
    for key, value in table.items():
        if key not in known or type(value) is not int or value < 0:
            raise ValueError(f"limits: [{name}] {key} = {value!r} is not a limit")
    return SiteLimits(**{key: value or None for key, value in table.items()})


def _first(chosen: int | None, otherwise: int | None) -> int | None:
    """Return *chosen* unless nothing is said; 0 says that there is no limit."""
    return otherwise if chosen is None else _positive(chosen)


def _positive(limit: int | None) -> int | None:
    return limit or None


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit), default=None)


def _part(limit: int | None, share: float) -> int | None:
    return None if limit is None else max(1, math.ceil(round(limit * share, 6)))
