"""Who runs a mailbox: told by the mail exchanger if one has answered, else by the domain."""

import functools
import re
from dataclasses import dataclass
from enum import StrEnum


class Isp(StrEnum):
    """The providers that most mail goes to."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"
    YAHOO = "yahoo"
    APPLE = "apple"
    COMCAST = "comcast"
    GMX = "gmx"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class _Signs:
    """Regular expressions, in the words that Python and PostgreSQL share."""

    domain: str
    host: str


SIGNS: dict[Isp, _Signs] = {
    Isp.GOOGLE: _Signs(r"^(gmail|googlemail)\.com$", r"(^|\.)(google|googlemail)\.com$"),
    Isp.MICROSOFT: _Signs(
        r"^(outlook\.com|msn\.com|(hotmail|live)\.[a-z.]+)$",
        r"(^|\.)(mail|olc)\.protection\.outlook\.com$",
    ),
    Isp.YAHOO: _Signs(
        r"^(yahoo\.[a-z.]+|ymail\.com|aol\.com|verizon\.net)$", r"(^|\.)yahoodns\.net$"
    ),
    Isp.APPLE: _Signs(r"^(icloud|me|mac)\.com$", r"(^|\.)mail\.icloud\.com$"),
    Isp.COMCAST: _Signs(r"^comcast\.net$", r"(^|\.)comcast\.net$"),
    Isp.GMX: _Signs(r"^(gmx\.[a-z.]+|web\.de)$", r"(^|\.)(gmx\.net|web\.de|1and1\.[a-z]+)$"),
}
"""What tells each provider.

Source: the providers' published MX records.
"""

_HOSTS = [(isp, re.compile(signs.host)) for isp, signs in SIGNS.items()]
_DOMAINS = [(isp, re.compile(signs.domain)) for isp, signs in SIGNS.items()]


@functools.lru_cache(4096)
def isp_of(domain: str, mx_host: str | None) -> Isp:
    """Return who runs the mailboxes of *domain*, both names in lower case."""
    for pattern, text in ((_HOSTS, (mx_host or "").rstrip(".")), (_DOMAINS, domain)):
        for isp, signs in pattern:
            if signs.search(text):
                return isp
    return Isp.OTHER


def isp_sql(domain: str, mx_host: str) -> str:
    """Return the SQL expression that says the same of two columns."""
    hosts = "".join(f" WHEN {mx_host} ~ '{s.host}' THEN '{i}'" for i, s in SIGNS.items())
    domains = "".join(f" WHEN {domain} ~ '{s.domain}' THEN '{i}'" for i, s in SIGNS.items())
    return f"CASE{hosts}{domains} ELSE '{Isp.OTHER}' END"
