"""Which requests no person made, by the ordered rules of `machines.toml`."""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

TOO_SOON = "too_soon"
"""An open before a person could have seen the mail."""
BURST = "burst"
"""Several links of one message at once."""
SOONEST = timedelta(seconds=2)
"""After delivery; what is opened before was opened by whoever took the mail."""
BURST_LINKS = 3
BURST_WITHIN = timedelta(seconds=2)
REMEMBERED = 10_000
"""Judgements that are kept: the same programs and networks come again and again, and one takes
longer than everything else that is done for a hit."""


class HitKind(StrEnum):
    """What was asked for."""

    OPEN = "open"
    CLICK = "click"


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `machines.toml`; what is empty fits everything."""

    name: str
    of: HitKind | None
    agent: re.Pattern[str] | None
    networks: tuple[IPv4Network | IPv6Network, ...]
    purpose: re.Pattern[str] | None

    def fits(
        self, kind: HitKind, agent: str, address: IPv4Address | IPv6Address | None, purpose: str
    ) -> bool:
        """Say whether everything that the rule names is so."""
        return (
            self.of in (None, kind)
            and (self.agent is None or self.agent.search(agent) is not None)
            and (not self.networks or _is_within(address, self.networks))
            and (self.purpose is None or self.purpose.search(purpose) is not None)
        )


@lru_cache(maxsize=REMEMBERED)
def machine_of(kind: HitKind, *, agent: str, address: str | None, purpose: str) -> str | None:
    """Return which machine made a request, or None if a person may have made it."""
    try:
        parsed = ip_address(address) if address else None
    except ValueError:
        parsed = None
    return next((r.name for r in rules() if r.fits(kind, agent, parsed, purpose)), None)


def burst_times(clicks: Sequence[tuple[float, int]]) -> frozenset[float]:
    """Return the times of those clicks that belong to several links followed at once.

    *clicks* are all of one delivery: seconds, and number of the link.
    """
    ordered = sorted(clicks)
    span = BURST_WITHIN.total_seconds()
    links: Counter[int] = Counter()
    found: set[float] = set()
    first = marked = 0
    for last, (at, link) in enumerate(ordered):
        links[link] += 1
        while at - ordered[first][0] > span:
            gone = ordered[first][1]
            links[gone] -= 1
            if not links[gone]:
                del links[gone]
            first += 1
        if len(links) >= BURST_LINKS:
            found.update(time for time, _ in ordered[max(first, marked) : last + 1])
            marked = last + 1
    return frozenset(found)


@lru_cache(maxsize=REMEMBERED)
def network_of(address: str | None) -> str | None:
    """Return an address without what tells one machine of a network from another.

    The last octet of IPv4 and the last 80 bits of IPv6 are cleared.
    """
    try:
        found = ip_address(address) if address else None
    except ValueError:
        return None
    if found is None:
        return None
    kept = 24 if found.version == 4 else 48
    return str(ip_network((found, kept), strict=False).network_address)


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """Return the rules in their order."""
    text = files(__package__).joinpath("machines.toml").read_text("utf-8")
    return tuple(_rule(entry) for entry in tomllib.loads(text)["rule"])


def _rule(entry: dict[str, Any]) -> Rule:
    return Rule(
        name=entry["name"],
        of=HitKind(entry["of"]) if "of" in entry else None,
        agent=_pattern(entry.get("agent")),
        networks=tuple(ip_network(each) for each in entry.get("networks", ())),
        purpose=_pattern(entry.get("purpose")),
    )


def _pattern(text: str | None) -> re.Pattern[str] | None:
    # A pattern may go over several lines.
    return None if text is None else re.compile(text.replace("\\\n", ""), re.IGNORECASE)


def _is_within(
    address: IPv4Address | IPv6Address | None, networks: Sequence[IPv4Network | IPv6Network]
) -> bool:
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )
