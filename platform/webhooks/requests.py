"""What a webhook is to be, and whether it can be so."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ..core.actor import ProjectId
from ..core.errors import Detail, DetailCode, InvalidInput
from ..core.settings import settings
from ..mail.address import InvalidAddress, parse_domain
from ..mail.destinations import is_allowed
from ..mail.dns import resolver
from ..mail.fetching import LONGEST_URL, names_private_address, parse_url
from .formats import PATTERNS
from .rules import (
    LONGEST_DESCRIPTION,
    LONGEST_HEADER,
    MAX_GRACE,
    MOST_FILTER_VALUES,
    MOST_HEADERS,
    PAYLOAD_VERSIONS,
    USUAL_GRACE,
    Filters,
    PayloadFormat,
)

STREAMS = ("transactional", "marketing")
LONGEST_FILTER_VALUE = 253
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_RESERVED = frozenset(
    "host connection keep-alive te trailer transfer-encoding upgrade expect user-agent "
    "accept-encoding cookie date forwarded via".split()
)
_RESERVED_PREFIXES = ("webhook-", "content-", "proxy-", "postlane-", "x-postal-signature")


@dataclass(frozen=True, slots=True)
class PayloadDocument:
    """A GraphQL document that was found to fit, and what its writer may read."""

    text: str
    permissions: Collection[str]


@dataclass(frozen=True, slots=True)
class FilterRequest:
    """Lists as they were given."""

    domains: Sequence[str] = ()
    vmtas: Sequence[str] = ()
    tags: Sequence[str] = ()
    streams: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """All that can be said of a webhook."""

    url: str
    events: Sequence[str]
    description: str | None = None
    enabled: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    filters: FilterRequest = FilterRequest()
    project_id: ProjectId | None = None
    in_order: bool = False
    format: PayloadFormat = PayloadFormat.STANDARD
    payload_version: str = PAYLOAD_VERSIONS[-1]
    document: PayloadDocument | None = None


@dataclass(frozen=True, slots=True)
class WebhookChanges:
    """What of a webhook to change, by field; and whether it gets another secret."""

    given: Mapping[str, object]
    """Fields of `WebhookRequest`, without the project."""
    rotate_secret: bool = False
    grace: timedelta = USUAL_GRACE


@dataclass(frozen=True, slots=True)
class CheckedWebhook:
    """A webhook as it is written down."""

    url: str
    events: tuple[str, ...]
    description: str | None
    enabled: bool
    headers: Mapping[str, str]
    filters: Filters
    in_order: bool
    format: PayloadFormat
    payload_version: str
    document: PayloadDocument | None


def check_request(request: WebhookRequest, *, is_moved: bool = True) -> CheckedWebhook:
    """Return the request with everything in its one form.

    A URL that stays is not looked at: what the operator allows may have changed since.

    Raises:
        InvalidInput: names every field that breaks a rule.
    """
    found: list[Detail] = []
    description = request.description or None
    if description is not None and len(description) > LONGEST_DESCRIPTION:
        message = f"A description has at most {LONGEST_DESCRIPTION} characters."
        found.append(Detail("description", DetailCode.TOO_LONG, message))
    if request.payload_version not in PAYLOAD_VERSIONS:
        message = f"The versions are {', '.join(PAYLOAD_VERSIONS)}."
        found.append(Detail("payloadVersion", DetailCode.NOT_ALLOWED, message))
    if request.format is not PayloadFormat.STANDARD and request.document is not None:
        message = "A foreign format leaves no place for data of your own."
        found.append(Detail("document", DetailCode.NOT_ALLOWED, message))
    if is_moved:
        check_url(request.url, found)
    checked = CheckedWebhook(
        url=request.url,
        events=_events(request.events, PATTERNS[request.format], found),
        description=description,
        enabled=request.enabled,
        headers=_headers(request.headers, found),
        filters=_filters(request.filters, found),
        in_order=request.in_order,
        format=request.format,
        payload_version=request.payload_version,
        document=request.document,
    )
    if found:
        raise InvalidInput.all(found)
    return checked


def check_grace(grace: timedelta) -> None:
    """Do nothing if a replaced secret may go on signing for so long.

    Raises:
        InvalidInput: it may not.
    """
    if not timedelta() <= grace <= MAX_GRACE:
        code = DetailCode.TOO_LARGE if grace > MAX_GRACE else DetailCode.TOO_SMALL
        message = f"It lasts 0 to {int(MAX_GRACE.total_seconds())} seconds."
        raise InvalidInput.of("gracePeriodSeconds", code, message)


async def refuse_private(url: str) -> None:
    """Do nothing unless the name in *url* leads to an address that may not be reached.

    A name without an address is taken: it may get one. Each attempt looks again.

    Raises:
        InvalidInput: it does.
    """
    parsed = parse_url(url)
    if parsed is None or names_private_address(parsed) or ":" in (parsed.raw_host or ""):
        # Nothing to look up: what is written as an address has been judged.
        return
    found = await resolver().addresses(parsed.raw_host or "")
    allowed = settings().private_destinations
    if not all(is_allowed(address, allowed=allowed) for address in found.values):
        raise InvalidInput.of("url", DetailCode.NOT_PUBLIC_IP, _NOT_PUBLIC)


_NOT_PUBLIC = "The URL leads to an address that is not public."


def check_url(text: str, found: list[Detail]) -> None:
    """Add what is wrong with a URL that is to be called."""
    if len(text) > LONGEST_URL:
        message = f"A URL has at most {LONGEST_URL} characters."
        found.append(Detail("url", DetailCode.TOO_LONG, message))
        return
    url = parse_url(text)
    schemes = ("https",) if settings().webhook_urls == "https" else ("https", "http")
    if url is None or url.scheme not in schemes:
        message = f"Write a URL that begins with {schemes[0]}:// and has no user name."
        found.append(Detail("url", DetailCode.INVALID_URL, message))
    elif names_private_address(url, allowed=settings().private_destinations):
        found.append(Detail("url", DetailCode.NOT_PUBLIC_IP, _NOT_PUBLIC))


def _events(given: Sequence[str], known: Collection[str], found: list[Detail]) -> tuple[str, ...]:
    if not given:
        message = "Name at least one event, or `*`."
        found.append(Detail("events", DetailCode.REQUIRED, message))
    if len(given) > len(known):
        message = f"At most {len(known)} events can be named."
        found.append(Detail("events", DetailCode.TOO_MANY, message))
        return ()
    for nth, pattern in enumerate(given):
        if pattern not in known:
            message = "There is no such event."
            found.append(Detail(f"events[{nth}]", DetailCode.NOT_ALLOWED, message))
    return tuple(dict.fromkeys(given))


def _headers(given: Mapping[str, str], found: list[Detail]) -> dict[str, str]:
    if len(given) > MOST_HEADERS:
        message = f"At most {MOST_HEADERS} headers can be sent along."
        found.append(Detail("headers", DetailCode.TOO_MANY, message))
        return {}
    kept: dict[str, str] = {}
    for name, value in given.items():
        field_name = f"headers.{name[:100]}"
        lower = name.lower()
        if not _TOKEN.fullmatch(name) or not _is_header_value(value):
            message = "It is not a header that can be sent."
            found.append(Detail(field_name, DetailCode.INVALID_FORMAT, message))
        elif lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
            message = "This header is ours to set."
            found.append(Detail(field_name, DetailCode.NOT_ALLOWED, message))
        elif lower in kept:
            found.append(Detail(field_name, DetailCode.DUPLICATE, "This header is there twice."))
        elif len(value) > LONGEST_HEADER:
            message = f"A value has at most {LONGEST_HEADER} characters."
            found.append(Detail(field_name, DetailCode.TOO_LONG, message))
        else:
            kept[lower] = value
    return kept


def _is_header_value(value: str) -> bool:
    return value.isascii() and value.isprintable() and value == value.strip()


def _filters(given: FilterRequest, found: list[Detail]) -> Filters:
    lists = {
        "domains": given.domains,
        "vmtas": given.vmtas,
        "tags": given.tags,
        "streams": given.streams,
    }
    kept: dict[str, frozenset[str]] = {}
    for name, values in lists.items():
        if len(values) > MOST_FILTER_VALUES:
            message = f"At most {MOST_FILTER_VALUES} can be named."
            found.append(Detail(f"filters.{name}", DetailCode.TOO_MANY, message))
            continue
        kept[name] = frozenset(
            _filter_value(name, value, f"filters.{name}[{nth}]", found)
            for nth, value in enumerate(values)
        )
    return Filters(**kept)


def _filter_value(name: str, value: str, path: str, found: list[Detail]) -> str:
    if len(value) > LONGEST_FILTER_VALUE or not value:
        code = DetailCode.TOO_LONG if value else DetailCode.REQUIRED
        found.append(Detail(path, code, f"1 to {LONGEST_FILTER_VALUE} characters."))
    elif name == "domains":
        try:
            return parse_domain(value)
        except InvalidAddress:
            found.append(Detail(path, DetailCode.INVALID_DOMAIN, "It is not a domain name."))
    elif name == "streams" and value not in STREAMS:
        found.append(Detail(path, DetailCode.NOT_ALLOWED, "There is no such stream."))
    return value
