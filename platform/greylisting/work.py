"""Deciding about mail from outside, with one look-up by key, and forgetting what is over."""

import time
import uuid
from collections import OrderedDict
from datetime import datetime, timedelta

from ..core import clock
from ..core.database import fetch
from ..core.ids import new_id
from .policies import large_senders, policy_of
from .rules import USUAL, Arrival, Decision, Policy, is_exempt
from .senders import is_known_sender

KNOWN_FOR_SECONDS = 3600.0
"""How long a process remembers that a network is a known sender's."""
KNOWN_AT_MOST = 10_000
OVER_AT_ONCE = 10_000
HOURS_KEPT = timedelta(days=731)
LONGEST_WINDOW = timedelta(days=7)
LONGEST_AGE = timedelta(days=365)

_known: OrderedDict[tuple[str, frozenset[str]], float] = OrderedDict()

# One statement, and every part of it finds its row by its key. A triplet whose window is over
# begins anew, as does one that was not seen for long after it had passed.
_JUDGE = """
WITH client AS (
    SELECT id, last_seen_at FROM greylist_clients
    WHERE id = {} AND passes >= {} AND last_seen_at > {}
), fresh AS (
    UPDATE greylist_clients SET last_seen_at = {}
    WHERE id = (SELECT id FROM client WHERE last_seen_at < {})
), triplet AS (
    INSERT INTO greylist_triplets AS old
        (id, organization_id, network, first_seen_at, last_seen_at, tries)
    SELECT {}, {}::uuid, {}, {}::timestamptz, {}::timestamptz, 1
    WHERE NOT EXISTS (SELECT FROM client)
    ON CONFLICT (id) DO UPDATE SET
        last_seen_at = excluded.last_seen_at,
        (first_seen_at, tries, passed_at) = (
            SELECT CASE WHEN over THEN excluded.first_seen_at ELSE old.first_seen_at END,
                CASE WHEN over THEN 1 ELSE old.tries + 1 END,
                CASE WHEN over THEN NULL
                    WHEN old.passed_at IS NOT NULL THEN old.passed_at
                    WHEN old.first_seen_at <= {} THEN excluded.last_seen_at END
            FROM (SELECT CASE WHEN old.passed_at IS NULL THEN old.first_seen_at < {}
                ELSE old.last_seen_at < {} END AS over) AS state)
    RETURNING tries, passed_at, last_seen_at
), counted AS (
    INSERT INTO greylist_clients AS known (id, organization_id, network, passes, last_seen_at)
    SELECT {}, {}::uuid, {}, 1, {}::timestamptz FROM triplet
    WHERE passed_at = last_seen_at AND tries > 1
    ON CONFLICT (id) DO UPDATE
    SET passes = known.passes + 1, last_seen_at = excluded.last_seen_at
)
SELECT tries, passed_at, last_seen_at FROM triplet
"""
CLIENT_EVERY = timedelta(hours=1)
"""How often it is written down that a known network was seen: not for each of its mails."""


async def judge(arrival: Arrival, *, is_report: bool) -> Decision | None:
    """Return what is decided about a recipient at RCPT, None where nothing is greylisted.

    *is_report* is mail without a sender to a signed address of ours.
    """
    policy = await policy_of(arrival.organization_id)
    if not policy.enabled:
        return None
    decision, is_new = await _decide(arrival, policy, is_report=is_report)
    await _count(arrival.organization_id, decision, is_new=is_new)
    return decision


async def _decide(arrival: Arrival, policy: Policy, *, is_report: bool) -> tuple[Decision, bool]:
    if (is_report and not policy.reports) or is_exempt(arrival.peer, policy.networks):
        return Decision.EXEMPTED, False
    domains = large_senders() | policy.domains
    if _is_known(arrival.network, domains):
        return Decision.EXEMPTED, False
    found = await look_up(arrival, policy)
    if found is None:
        return Decision.KNOWN, False
    tries, passed_at, seen_at = found
    if passed_at is not None:
        return (Decision.PASSED if passed_at == seen_at else Decision.KNOWN), False
    # Asked only of whom we would put off, and once for a network.
    if tries == 1 and await is_known_sender(arrival, domains):
        _remember(arrival.network, domains)
        await fetch("DELETE FROM greylist_triplets WHERE id = {}", arrival.triplet_id)
        return Decision.EXEMPTED, False
    return Decision.DEFERRED, tries == 1


async def look_up(arrival: Arrival, policy: Policy) -> tuple[int, datetime | None, datetime] | None:
    """Return tries, when it passed, and now; None if its network is known."""
    now = clock.now()
    client = (arrival.client_id, arrival.organization_id, arrival.network, now)
    rows = await fetch(
        _JUDGE,
        arrival.client_id,
        policy.auto_allow_after,
        now - policy.max_age,
        now,
        now - CLIENT_EVERY,
        arrival.triplet_id,
        arrival.organization_id,
        arrival.network,
        now,
        now,
        now - policy.delay,
        now - policy.retry_window,
        now - policy.max_age,
        *client,
    )
    if not rows:
        return None
    return rows[0]["tries"], rows[0]["passed_at"], rows[0]["last_seen_at"]


def _is_known(network: str, domains: frozenset[str]) -> bool:
    until = _known.get((network, domains))
    return until is not None and until > time.monotonic()


def _remember(network: str, domains: frozenset[str]) -> None:
    _known[network, domains] = time.monotonic() + KNOWN_FOR_SECONDS
    while len(_known) > KNOWN_AT_MOST:
        _known.popitem(last=False)


async def _count(organization_id: uuid.UUID | None, decision: Decision, *, is_new: bool) -> None:
    if decision is Decision.KNOWN:
        return
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    await fetch(
        "INSERT INTO greylist_hours AS old "
        "(id, organization_id, hour_at, new, deferred, passed, expired, exempted) "
        "VALUES ({}, {}, {}, {}, {}, {}, 0, {}) "
        "ON CONFLICT (organization_id, hour_at) DO UPDATE SET new = old.new + excluded.new, "
        "deferred = old.deferred + excluded.deferred, passed = old.passed + excluded.passed, "
        "exempted = old.exempted + excluded.exempted",
        new_id(),
        organization_id,
        hour,
        int(is_new),
        int(decision is Decision.DEFERRED),
        int(decision is Decision.PASSED),
        int(decision is Decision.EXEMPTED),
    )


async def remove_what_is_over() -> int:
    """Forget triplets that did not come again in time or were not seen for long; return how many.

    Those that did not come again are counted as expired, in the hour in which that is found.
    """
    now = clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    removed = 0
    while True:
        rows = await fetch(
            # An organization may have windows of its own, so that its policy decides.
            "WITH over AS (SELECT triplet.id FROM greylist_triplets AS triplet "
            "LEFT JOIN greylist_policies AS policy USING (organization_id) "
            "WHERE triplet.last_seen_at < {} AND ("
            "(passed_at IS NULL AND first_seen_at < {}::timestamptz "
            "- make_interval(secs => coalesce(retry_window_seconds, {}))) OR "
            "last_seen_at < {}::timestamptz "
            "- make_interval(secs => coalesce(max_age_seconds, {}))) LIMIT {}), "
            "gone AS (DELETE FROM greylist_triplets WHERE id IN (SELECT id FROM over) "
            "RETURNING organization_id, passed_at), "
            "sums AS (SELECT organization_id, count(*) FILTER (WHERE passed_at IS NULL) AS n "
            "FROM gone GROUP BY organization_id), "
            "told AS (INSERT INTO greylist_hours AS old (id, organization_id, hour_at, expired) "
            "SELECT gen_random_uuid(), organization_id, {}::timestamptz, n FROM sums WHERE n > 0 "
            "ON CONFLICT (organization_id, hour_at) "
            "DO UPDATE SET expired = old.expired + excluded.expired) "
            "SELECT count(*) AS n FROM gone",
            now - timedelta(hours=1),
            now,
            USUAL.retry_window.total_seconds(),
            now,
            USUAL.max_age.total_seconds(),
            OVER_AT_ONCE,
            hour,
        )
        count: int = rows[0]["n"]
        removed += count
        if count < OVER_AT_ONCE:
            break
    await fetch("DELETE FROM greylist_clients WHERE last_seen_at < {}", now - LONGEST_AGE)
    await fetch("DELETE FROM greylist_hours WHERE hour_at < {}", now - HOURS_KEPT)
    return removed
