"""What a vMTA is to be, and whether it can be so; no clock, no tables."""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from ipaddress import IPv6Address, ip_address

from ..core.errors import Detail, DetailCode, InvalidInput
from ..mail.address import InvalidAddress, parse_domain
from ..mail.smtp import Tls
from .rules import DEFAULT_POOL
from .warmup import LEAST_TARGET, MOST_STAGES, MOST_TARGET, USUAL_TARGET, Schedule

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MOST_WEIGHT = 1000
LONGEST_DESCRIPTION = 200
MOST_CONNECTIONS = 10_000
MOST_PLACES = 100
MOST_DOMAINS = 1_000
LARGEST_LIMIT = 2**31 - 1
LATEST_START = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class LimitsRequest:
    """Limits of a vMTA over all; None is none, and for connections the usual 100."""

    max_connections: int | None = None
    max_messages_per_connection: int | None = None
    max_messages_per_hour: int | None = None
    max_messages_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class PlaceRequest:
    """Limits at one provider or one domain; None leaves it to others, 0 is no limit."""

    isp: str | None = None
    domain: str | None = None
    max_connections: int | None = None
    max_messages_per_connection: int | None = None
    max_messages_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class WarmupRequest:
    """How it is to be warmed up."""

    enabled: bool = False
    schedule: Schedule = Schedule.STANDARD
    target_daily_volume: int = USUAL_TARGET
    start_date: date | None = None
    """None is today."""
    custom: Sequence[tuple[int, int]] = ()
    """Days with messages a day, for the schedule `custom`."""
    restart: bool = False
    """Begin again at day 1."""


@dataclass(frozen=True, slots=True)
class VmtaRequest:
    """All that can be said of a vMTA."""

    name: str | None
    ip_address: str | None
    hostname: str | None
    pool: str | None = None
    weight: int | None = None
    description: str | None = None
    limits: LimitsRequest | None = None
    places: Sequence[PlaceRequest] | None = None
    warmup: WarmupRequest | None = None
    tls: Tls | None = None
    allowed_domains: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class CheckedVmta:
    """A vMTA as it is written down."""

    name: str
    ip_address: str | None
    hostname: str
    pool: str
    weight: int
    description: str | None
    limits: LimitsRequest
    places: tuple[PlaceRequest, ...]
    warmup: WarmupRequest
    tls: Tls
    allowed_domains: tuple[str, ...]


def check_request(
    request: VmtaRequest, *, today: date, address_may_be_absent: bool = False
) -> CheckedVmta:
    """Return the request with everything in its one form.

    Raises:
        InvalidInput: names every field that breaks a rule.
    """
    found: list[Detail] = []
    limits = request.limits or LimitsRequest()
    warmup = request.warmup or WarmupRequest()
    checked = CheckedVmta(
        name=_name("name", request.name, found),
        ip_address=_address(request.ip_address, found, may_be_absent=address_may_be_absent),
        hostname=_hostname(request.hostname, found),
        pool=_name("pool", request.pool or DEFAULT_POOL, found),
        weight=100 if request.weight is None else request.weight,
        description=request.description or None,
        limits=LimitsRequest(
            limits.max_connections or 100,
            limits.max_messages_per_connection,
            limits.max_messages_per_hour,
            limits.max_messages_per_day,
        ),
        places=tuple(_places(request.places or (), found)),
        warmup=warmup,
        tls=request.tls or Tls.OPPORTUNISTIC,
        allowed_domains=tuple(dict.fromkeys(_domains(request.allowed_domains or (), found))),
    )
    found += _bounds("weight", checked.weight, 0, MOST_WEIGHT)
    if len(request.description or "") > LONGEST_DESCRIPTION:
        message = f"A description has at most {LONGEST_DESCRIPTION} characters."
        found.append(Detail("description", DetailCode.TOO_LONG, message))
    found += _limits(limits)
    if warmup.enabled or warmup.restart:
        found += _warmup(warmup, today)
    if found:
        raise InvalidInput.all(found)
    return checked


def _name(field: str, text: str | None, found: list[Detail]) -> str:
    if not text:
        found.append(Detail(field, DetailCode.REQUIRED, "This field is required."))
        return ""
    if not NAME.fullmatch(text) or _is_uuid(text):
        found.append(
            Detail(
                field,
                DetailCode.INVALID_FORMAT,
                "1 to 63 of a-z, 0-9 and hyphens, no hyphen first, and no UUID.",
            )
        )
    return text


def _is_uuid(text: str) -> bool:
    # Names and ids stand in the same places, so one must not look like the other.
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _address(text: str | None, found: list[Detail], *, may_be_absent: bool) -> str | None:
    if not text:
        if not may_be_absent:
            found.append(Detail("ipAddress", DetailCode.REQUIRED, "This field is required."))
        return None
    try:
        address = ip_address(text)
    except ValueError:
        message = "This is no IPv4 or IPv6 address."
        found.append(Detail("ipAddress", DetailCode.INVALID_IP, message))
        return None
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.scope_id):
        message = "Write an IPv4 address as such, and an IPv6 address without a zone."
        found.append(Detail("ipAddress", DetailCode.INVALID_IP, message))
        return None
    return str(address)


def _hostname(text: str | None, found: list[Detail]) -> str:
    if not text:
        found.append(Detail("hostname", DetailCode.REQUIRED, "This field is required."))
        return ""
    try:
        return parse_domain(text.rstrip("."))
    except InvalidAddress:
        message = "An EHLO name is a full host name such as mta1.example.com."
        found.append(Detail("hostname", DetailCode.INVALID_DOMAIN, message))
        return ""


def _domains(names: Sequence[str], found: list[Detail]) -> Iterator[str]:
    if len(names) > MOST_DOMAINS:
        message = f"At most {MOST_DOMAINS} domains are taken."
        found.append(Detail("allowedDomains", DetailCode.TOO_MANY, message))
        return
    for n, name in enumerate(names):
        try:
            yield parse_domain(name)
        except InvalidAddress:
            message = f"{name[:80]!r} is no domain."
            found.append(Detail(f"allowedDomains[{n}]", DetailCode.INVALID_DOMAIN, message))


def _places(places: Sequence[PlaceRequest], found: list[Detail]) -> Iterator[PlaceRequest]:
    if len(places) > MOST_PLACES:
        message = f"At most {MOST_PLACES} places are taken."
        found.append(Detail("ispLimits", DetailCode.TOO_MANY, message))
        return
    seen: set[tuple[str | None, str | None]] = set()
    for n, place in enumerate(places):
        at = f"ispLimits[{n}]"
        domain = place.domain
        if bool(place.isp) == bool(domain):
            code = DetailCode.MUTUALLY_EXCLUSIVE if domain else DetailCode.REQUIRED
            found.append(Detail(f"{at}.isp", code, "Name a provider or a domain, and not both."))
        if domain:
            try:
                domain = parse_domain(domain)
            except InvalidAddress:
                message = f"{domain[:80]!r} is no domain."
                found.append(Detail(f"{at}.domain", DetailCode.INVALID_DOMAIN, message))
        if (place.isp, domain) in seen:
            field = f"{at}.domain" if domain else f"{at}.isp"
            found.append(Detail(field, DetailCode.DUPLICATE, "It is named twice."))
        seen.add((place.isp, domain))
        for field, value, most in (
            ("maxConnections", place.max_connections, MOST_CONNECTIONS),
            ("maxMessagesPerConnection", place.max_messages_per_connection, LARGEST_LIMIT),
            ("maxMessagesPerHour", place.max_messages_per_hour, LARGEST_LIMIT),
        ):
            found += _bounds(f"{at}.{field}", value, 0, most)
        yield PlaceRequest(
            place.isp or None,
            domain or None,
            place.max_connections,
            place.max_messages_per_connection,
            place.max_messages_per_hour,
        )


def _limits(limits: LimitsRequest) -> Iterator[Detail]:
    for field, value, most in (
        ("maxConnections", limits.max_connections, MOST_CONNECTIONS),
        ("maxMessagesPerConnection", limits.max_messages_per_connection, LARGEST_LIMIT),
        ("maxMessagesPerHour", limits.max_messages_per_hour, LARGEST_LIMIT),
        ("maxMessagesPerDay", limits.max_messages_per_day, LARGEST_LIMIT),
    ):
        yield from _bounds(f"limits.{field}", value, 1, most)


def _warmup(warmup: WarmupRequest, today: date) -> Iterator[Detail]:
    if warmup.restart and not warmup.enabled:
        message = "What is restarted is enabled."
        yield Detail("warmup.restart", DetailCode.MUTUALLY_EXCLUSIVE, message)
    yield from _bounds(
        "warmup.targetDailyVolume", warmup.target_daily_volume, LEAST_TARGET, MOST_TARGET
    )
    if warmup.start_date is not None and warmup.start_date > today + LATEST_START:
        message = "A warm-up starts within a year."
        yield Detail("warmup.startDate", DetailCode.TOO_FAR_AHEAD, message)
    yield from _custom(warmup)


def _custom(warmup: WarmupRequest) -> Iterator[Detail]:
    field = "warmup.custom"
    if warmup.schedule is not Schedule.CUSTOM:
        if warmup.custom:
            yield Detail(field, DetailCode.NOT_ALLOWED, "Only the schedule 'custom' has days.")
        return
    if not warmup.custom:
        yield Detail(field, DetailCode.REQUIRED, "The schedule 'custom' names its days.")
        return
    if len(warmup.custom) > MOST_STAGES:
        yield Detail(field, DetailCode.TOO_MANY, f"At most {MOST_STAGES} days are taken.")
        return
    if warmup.custom[0][0] != 1:
        yield Detail(f"{field}[0].day", DetailCode.NOT_ALLOWED, "The first day is 1.")
    before = (0, 1)
    for n, (day, limit) in enumerate(warmup.custom):
        if day <= before[0] or day > 10 * MOST_STAGES:
            message = f"Days increase, up to {10 * MOST_STAGES}."
            yield Detail(f"{field}[{n}].day", DetailCode.NOT_ALLOWED, message)
        if not before[1] <= limit <= MOST_TARGET:
            message = f"Limits do not fall, from 1 up to {MOST_TARGET}."
            yield Detail(f"{field}[{n}].dailyLimit", DetailCode.NOT_ALLOWED, message)
        before = (day, limit)


def _bounds(field: str, value: int | None, least: int, most: int) -> list[Detail]:
    if value is None or least <= value <= most:
        return []
    if value < least:
        return [Detail(field, DetailCode.TOO_SMALL, f"This must be at least {least}.")]
    return [Detail(field, DetailCode.TOO_LARGE, f"This must be at most {most}.")]
