"""Rate limits, shared by all processes through the database.

A credential has a bucket that fills evenly; a few things have a fixed window. Each is one
statement that decides and counts at once, and requests of a process that come together share one.
What has no limit costs no statement, and neither does what this process has just refused. The
table is not logged: a crash of the database fills every bucket.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple

from ..core import clock
from ..core.actor import Actor
from ..core.batching import Batcher
from ..core.database import fetch
from ..core.wording import counted
from .errors import TooManyRequests
from .refusals import Refusal, Refusals

BURST_SHARE = 6
"""A bucket holds one sixth of its minute: ten seconds of requests at once."""


@dataclass(frozen=True, slots=True)
class Window:
    """So many times in so long, counted from the first."""

    name: str
    limit: int
    period: timedelta


REGISTER = Window("register", 5, timedelta(hours=1))
LOG_IN = Window("log_in", 10, timedelta(minutes=1))
ASK_FOR_RESET = Window("ask_for_reset", 5, timedelta(minutes=15))
"""By network address."""
RESET_ADDRESS = Window("reset_address", 3, timedelta(hours=1))
"""By email address, whether anybody has it or not."""
RESET_PASSWORD = Window("reset_password", 10, timedelta(minutes=1))
SECOND_FACTOR = Window("second_factor", 10, timedelta(minutes=5))
"""Codes that one person may try while signed in."""
VERIFY_DOMAIN = Window("verify_domain", 6, timedelta(minutes=1))
LOOK_AT_LOGO = Window("look_at_logo", 10, timedelta(minutes=1))
"""Changes of one domain's logo, each of which fetches what the customer names."""
MAKE_REPORT = Window("make_report", 10, timedelta(hours=1))
EXPORT_ANALYTICS = Window("export_analytics", 10, timedelta(hours=1))
"""By organization."""
CHECK_BLOCKLISTS = Window("check_blocklists", 60, timedelta(minutes=1))
CLEAR_BLOCKLIST_ANSWERS = Window("clear_blocklist_answers", 6, timedelta(hours=1))
"""By organization."""
TEST_WEBHOOK = Window("test_webhook", 10, timedelta(minutes=1))
LOOK_INTO_MAILBOX = Window("look_into_mailbox", 6, timedelta(minutes=1))
"""Of one mailbox, asked for by its owner or due to a change of its account."""
UNSUBSCRIBE = Window("unsubscribe", 10, timedelta(minutes=1))
"""By delivery, since mail providers press the button for millions from a few addresses."""
DOWNLOAD = Window("download", 60, timedelta(minutes=1))
"""By export; a program may fetch a large file in parts."""

_refused = Refusals()


@dataclass(frozen=True, slots=True)
class RateState:
    """What is left to a credential, for the `X-RateLimit-` headers."""

    limit: int
    """Requests per minute."""
    remaining: int
    reset_at: int
    """Unix seconds at which the bucket is full."""
    retry_after_seconds: int | None = None
    """Set if this request was one too many."""

    def require(self) -> None:
        """Do nothing unless the request was one too many.

        Raises:
            TooManyRequests: it was.
        """
        if self.retry_after_seconds is not None:
            raise TooManyRequests(
                f"This credential may make {counted(self.limit, 'request')} a minute; "
                f"try again in {self.retry_after_seconds} s.",
                retry_after_seconds=self.retry_after_seconds,
            )


async def take(actor: Actor) -> RateState | None:
    """Count one request of *actor* and return what is left; None if there is no limit."""
    if actor.rate_limit_per_minute is None:
        return None
    who = f"key:{actor.api_key_id}" if actor.api_key_id else f"user:{actor.user_id}"
    return await take_from(f"{who}:{actor.organization_id}", per_minute=actor.rate_limit_per_minute)


async def take_stranger(address: str | None, *, per_minute: int) -> RateState | None:
    """Count one request without a credential; None if there is no limit for who asked.

    This machine has no address. What a document costs before it is refused is the same whether
    anybody signed in or not.
    """
    if address is None or per_minute == 0:
        return None
    return await take_from(f"stranger:{address_subject(address)}", per_minute=per_minute)


async def take_from(bucket: str, *, per_minute: int) -> RateState:
    """Take one request from *bucket*, which holds a sixth of *per_minute* and fills evenly."""
    size = max(1.0, per_minute / BURST_SHARE)
    rate = per_minute / 60
    now = clock.now()
    key = f"{bucket} at {per_minute}"
    if (refused := _refused.get(key, now=now)) is None:
        left = await _takes.run(_Take(bucket, size, rate, now))
        if left is not None:
            full_at = math.ceil(now.timestamp() + (size - left) / rate)
            return RateState(per_minute, math.floor(left), full_at)
        left = await _peek(bucket, size=size, rate=rate, now=now)
        refused = Refusal(
            since=now,
            until=now + timedelta(seconds=(1 - left) / rate),
            full_at=now + timedelta(seconds=(size - left) / rate),
        )
        _refused.remember(key, refused)
    return RateState(
        limit=per_minute,
        remaining=0,
        reset_at=math.ceil(refused.full_at.timestamp()),
        retry_after_seconds=_seconds_until(refused.until, now),
    )


def _seconds_until(end: datetime, now: datetime) -> int:
    return max(1, math.ceil((end - now).total_seconds()))


class _Take(NamedTuple):
    """One request that asks a bucket; a tuple, as one is made for each request."""

    bucket: str
    size: float
    rate: float
    now: datetime


# Rows are locked in the order of keys, so that two processes never wait for each other, and
# what is in a bucket is looked at once its row is held.
_TAKE_MANY = """
    WITH asked AS (
        SELECT * FROM unnest({}::text[], {}::float8[], {}::float8[], {}::timestamptz[], {}::int[])
        AS a (key, size, rate, asked_at, times)
    ), held AS MATERIALIZED (
        SELECT key, asked.times, greatest(b.updated_at, asked.asked_at) AS updated_at,
            least(asked.size, b.tokens + asked.rate * greatest(0,
                extract(epoch FROM asked.asked_at - b.updated_at)::float8)) AS tokens
        FROM rate_buckets AS b JOIN asked USING (key) ORDER BY key FOR NO KEY UPDATE OF b
    )
    UPDATE rate_buckets AS b
    SET tokens = held.tokens - least(held.times, floor(held.tokens)), updated_at = held.updated_at
    FROM held WHERE b.key = held.key AND held.tokens >= 1
    RETURNING b.key, b.tokens, least(held.times, floor(held.tokens))::int AS taken
"""


async def _take_all(takes: Sequence[_Take]) -> Sequence[float | None]:
    """Return for each what is left in its bucket after it; None for one too many."""
    if len(takes) == 1:
        return [await _take(takes[0])]
    places: dict[tuple[str, float, float], list[int]] = {}
    for place, each in enumerate(takes):
        places.setdefault((each.bucket, each.size, each.rate), []).append(place)
    # A limit may just have been changed: then one bucket is asked by two sizes, the first alone.
    last = {asked[0]: asked for asked in places}
    left: list[float | None] = [None] * len(takes)
    found = await _take_many({asked: len(places[asked]) for asked in last.values()}, takes[-1].now)
    for asked, its in places.items():
        if last[asked[0]] is asked and asked[0] in found:
            tokens, taken = found[asked[0]]
            for nth, place in enumerate(its[:taken], 1):
                left[place] = tokens + taken - nth
            continue
        for place in its:
            left[place] = await _take(takes[place])
            if left[place] is None:
                break
    return left


async def _take_many(
    asked: Mapping[tuple[str, float, float], int], now: datetime
) -> dict[str, tuple[float, int]]:
    """Return what is left and how many were taken of each bucket that has had a request before.

    One with nothing to take is left out, as is one that is new.
    """
    rows = await fetch(
        _TAKE_MANY,
        [bucket for bucket, _, _ in asked],
        [size for _, size, _ in asked],
        [rate for _, _, rate in asked],
        [now] * len(asked),
        list(asked.values()),
    )
    return {row["key"]: (row["tokens"], row["taken"]) for row in rows}


_takes: Batcher[_Take, float | None] = Batcher(_take_all)


async def _take(asked: _Take) -> float | None:
    # One conditional statement: of two processes that want the last request, one gets it.
    # The clocks of two machines may differ, so that time may seem to go back: never fill then.
    rows = await fetch(
        """
        INSERT INTO rate_buckets AS b (key, tokens, updated_at)
        VALUES ({}, {}::float8 - 1, {})
        ON CONFLICT (key) DO UPDATE SET
            tokens = least({}::float8, b.tokens + {}::float8 * greatest(0,
                extract(epoch FROM excluded.updated_at - b.updated_at)::float8)) - 1,
            updated_at = greatest(b.updated_at, excluded.updated_at)
        WHERE least({}::float8, b.tokens + {}::float8 * greatest(0,
            extract(epoch FROM excluded.updated_at - b.updated_at)::float8)) >= 1
        RETURNING tokens
        """,
        asked.bucket,
        asked.size,
        asked.now,
        asked.size,
        asked.rate,
        asked.size,
        asked.rate,
    )
    return float(rows[0]["tokens"]) if rows else None


async def _peek(bucket: str, *, size: float, rate: float, now: datetime) -> float:
    rows = await fetch("SELECT tokens, updated_at FROM rate_buckets WHERE key = {}", bucket)
    if not rows:
        return size
    passed = max(0.0, (now - rows[0]["updated_at"]).total_seconds())
    return float(min(size, rows[0]["tokens"] + rate * passed))


async def count(window: Window, subject: str) -> None:
    """Count one use of *window* by *subject*, such as an address or an id.

    Call it before an operation's transaction: what is rolled back is not counted.

    Raises:
        TooManyRequests: *subject* has had all of them.
    """
    key, now = f"{window.name}:{subject}"[:200], clock.now()
    if (refused := _refused.get(key, now=now)) is not None:
        raise _too_many(window, refused.until, now)
    rows = await fetch(
        """
        INSERT INTO rate_buckets AS b (key, tokens, updated_at) VALUES ({}, 1, {})
        ON CONFLICT (key) DO UPDATE SET
            tokens = CASE WHEN b.updated_at <= {} THEN 1 ELSE b.tokens + 1 END,
            updated_at = CASE WHEN b.updated_at <= {} THEN excluded.updated_at
                ELSE b.updated_at END
        WHERE b.tokens < {}::float8 OR b.updated_at <= {}
        RETURNING tokens
        """,
        key,
        now,
        now - window.period,
        now - window.period,
        window.limit,
        now - window.period,
    )
    if not rows:
        end = await _end_of(window, key, now)
        _refused.remember(key, Refusal(since=now, until=end, full_at=end))
        raise _too_many(window, end, now)


async def look(window: Window, subject: str) -> RateState:
    """Return what *window* leaves to *subject*, and count nothing."""
    key, now = f"{window.name}:{subject}"[:200], clock.now()
    rows = await fetch("SELECT tokens, updated_at FROM rate_buckets WHERE key = {}", key)
    began = rows[0]["updated_at"] if rows else now
    if not rows or began <= now - window.period:
        return RateState(window.limit, window.limit, math.ceil(now.timestamp()))
    left = max(0, window.limit - math.floor(rows[0]["tokens"]))
    return RateState(window.limit, left, math.ceil((began + window.period).timestamp()))


WINDOWS = {REGISTER.name: REGISTER, LOG_IN.name: LOG_IN}
"""Windows of network addresses, by the names that edges know them under."""


async def look_by_name(name: str, address: str | None) -> RateState | None:
    """Return what the window *name* leaves to *address*; None is for this machine itself."""
    return None if address is None else await look(WINDOWS[name], address_subject(address))


async def _end_of(window: Window, key: str, now: datetime) -> datetime:
    rows = await fetch("SELECT updated_at FROM rate_buckets WHERE key = {}", key)
    return rows[0]["updated_at"] + window.period if rows else now


def _too_many(window: Window, end: datetime, now: datetime) -> TooManyRequests:
    seconds = _seconds_until(end, now)
    return TooManyRequests(
        f"At most {window.limit} in {int(window.period.total_seconds())} s; try again in "
        f"{seconds} s.",
        retry_after_seconds=seconds,
    )


def address_subject(address: str) -> str:
    """Return what limits per address count by: the address, or the /64 of an IPv6 one.

    A customer of nearly every provider has 2^64 addresses of one network to choose from.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address[:45]
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ip_network((found, 64), strict=False))
    return str(found)
