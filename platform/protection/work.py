"""Looking at the rules by the clock: blocks begin where they are breached, and end in time."""

import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core import clock
from ..core.database import Tx, fetch, transaction
from ..core.ids import new_id
from ..core.settings import settings
from ..events.operations import NewEvent, append
from ..events.rules import EventType
from ..security import abuse
from . import effects
from .catalogue import all_rules
from .measuring import KINDS, measure
from .rules import (
    Action,
    BlockStatus,
    Measure,
    Rule,
    Scope,
    Strictness,
    action_of,
    is_breached,
    reason_of,
)

log = logging.getLogger(__name__)

OFF, DRY_RUN = "off", "dry_run"
ALL = "all"
"""What the look at all rules is called; that at those of networks is called as their scope."""
AT_ONCE = 500
ALERT_FOR = timedelta(hours=1)
"""How long an alert is shown among active blocks, and not repeated."""

ENDED = "status IN ('active', 'dry_run') AND expires_at <= {}"
TURN = (
    "WITH asked AS (SELECT * FROM unnest({}::text[], {}::timestamptz[]) AS asked (key, before)), "
    "claimed AS (INSERT INTO auto_block_looks AS last (key, looked_at) "
    # One that is not due is not locked. In the order of keys, so that two never deadlock.
    "SELECT key, {} FROM asked WHERE NOT EXISTS (SELECT FROM auto_block_looks AS known "
    "WHERE known.key = asked.key AND looked_at > before) ORDER BY key "
    "ON CONFLICT (key) DO UPDATE SET looked_at = excluded.looked_at "
    # Somebody may have claimed it since.
    "WHERE last.looked_at <= (SELECT before FROM asked WHERE asked.key = last.key) RETURNING key) "
    "SELECT ARRAY(SELECT key FROM claimed) AS keys, "
    f"EXISTS (SELECT FROM auto_blocks WHERE {ENDED}) AS has_ended, {abuse.ANY_NOTED} AS has_noted"
)


async def look(rules: Sequence[Rule]) -> int:
    """Begin a block for every breach of *rules* that has none; return how many began.

    Two may look at once: one of them begins a block.
    """
    if settings().auto_block == OFF:
        return 0
    chosen = [rule for rule in rules if rule.enabled]
    measures = await measure(chosen)
    begun = 0
    for rule in chosen:
        found = measures[rule.key]
        if not found:
            continue
        judged = await _judging(rule, found)
        for each in found:
            strictness, switch = judged[each.organization_id]
            if switch == OFF or not is_breached(rule, each, strictness):
                continue
            try:
                begun += await begin(rule, each, strictness, is_dry=switch == DRY_RUN)
            except Exception:  # an edge: one target must not keep the others from being judged
                log.exception("a block of rule %s could not begin", rule.key)
    return begun


@dataclass(frozen=True, slots=True)
class Turn:
    """What it is one worker's turn to do now."""

    rules: Sequence[Rule]
    """To be looked at."""
    has_ended: bool
    """Whether the time of a block is over."""


async def take_turn(*, every: timedelta, networks_every: timedelta) -> Turn:
    """Say which rules it is time to look at that nobody else does, with one statement.

    However many workers there are, there is one look at all rules in *every*, and one at those of
    networks in *networks_every*. Where nothing went wrong that networks are judged by, none of
    them has to be looked at.
    """
    now = clock.now()
    rules = list(all_rules().values())
    networks = [rule for rule in rules if rule.scope is Scope.SOURCE_IP]
    before = {ALL: now - every, Scope.SOURCE_IP.value: now - networks_every}
    if settings().auto_block == OFF:
        before.clear()
    (row,) = await fetch(
        TURN,
        list(before),
        list(before.values()),
        now,
        now,
        [kind.value for rule in networks for kind in KINDS[rule.metric]],
        abuse.minutes_since(now - max(rule.window for rule in networks)),
    )
    chosen: Sequence[Rule] = ()
    if ALL in row["keys"]:
        chosen = rules
    elif row["keys"] and row["has_noted"]:
        chosen = networks
    return Turn(chosen, row["has_ended"])


async def _judging(
    rule: Rule, measures: Sequence[Measure]
) -> dict[uuid.UUID | None, tuple[Strictness, str]]:
    """Return how strictly each organization is judged, and whether the rule is on for it."""
    ids = [each.organization_id for each in measures if each.organization_id is not None]
    usual = DRY_RUN if settings().auto_block == DRY_RUN else "on"
    found: dict[uuid.UUID | None, tuple[Strictness, str]] = {None: (Strictness.STANDARD, usual)}
    rows = await fetch(
        "SELECT asked.id, strictness, enabled, dry_run FROM unnest({}::uuid[]) AS asked (id) "
        "LEFT JOIN auto_block_strictness AS j ON j.organization_id = asked.id "
        "LEFT JOIN auto_block_switches AS s "
        "ON s.organization_id = asked.id AND s.rule_key = {}",
        list(set(ids)),
        rule.key,
    )
    for row in rows:
        switch = usual
        if not rule.locked and row["enabled"] is False:
            switch = OFF
        elif row["dry_run"]:
            switch = DRY_RUN
        found[row["id"]] = (Strictness(row["strictness"] or Strictness.STANDARD), switch)
    return found


async def begin(rule: Rule, measured: Measure, strictness: Strictness, *, is_dry: bool) -> bool:
    """Begin a block of what was measured, unless there is one; say whether it began."""
    now = clock.now()
    action = action_of(rule, strictness)
    until = now + rule.duration if rule.duration else None
    if action is Action.ALERT_ONLY and until is None:
        # Told once for each window, and in no list for longer.
        until = now + max(rule.window, ALERT_FOR)
    status = BlockStatus.DRY_RUN if is_dry else BlockStatus.ACTIVE
    async with transaction() as tx:
        if not is_dry:
            # What was only tried until now takes no place from what counts.
            await fetch(
                "UPDATE auto_blocks SET status = 'expired' WHERE rule_key = {} AND target_id = {} "
                "AND organization_id IS NOT DISTINCT FROM {}::uuid AND status = 'dry_run'",
                rule.key,
                measured.target_id,
                measured.organization_id,
            )
        rows = await fetch(
            "INSERT INTO auto_blocks (id, organization_id, rule_key, scope, target_id, "
            "target_name, action, status, metric_value, threshold, sample_size, reason, "
            "evidence, triggered_at, expires_at) "
            "SELECT {}::uuid, {}::uuid, {}::text, {}, {}::text, {}, {}, {}, "
            "{}::float8, {}::float8, {}::integer, {}, {}::jsonb, {}::timestamptz, {}::timestamptz "
            "WHERE NOT EXISTS (SELECT FROM auto_blocks WHERE rule_key = {} AND target_id = {} "
            "AND organization_id IS NOT DISTINCT FROM {}::uuid AND grace_until > {}) "
            "ON CONFLICT (rule_key, target_id, organization_id) "
            "WHERE status IN ('active', 'dry_run') DO NOTHING RETURNING *",
            new_id(),
            measured.organization_id,
            rule.key,
            rule.scope.value,
            measured.target_id,
            measured.target_name[:320],
            action.value,
            status.value,
            float(measured.value),
            rule.threshold,
            measured.sample_size,
            reason_of(rule, measured)[:300],
            json.dumps(measured.evidence, default=str),
            now,
            until,
            rule.key,
            measured.target_id,
            measured.organization_id,
            now,
        )
        if not rows:
            return False
        block = rows[0]
        if not is_dry and not await effects.begin(
            tx,
            action,
            block_id=block["id"],
            organization_id=block["organization_id"],
            target_id=block["target_id"],
            reason=block["reason"][:200],
            until=until,
        ):
            # The target is gone, or rests already because somebody said so.
            await fetch("DELETE FROM auto_blocks WHERE id = {}", block["id"])
            return False
        await tell(tx, EventType.SECURITY_AUTO_BLOCK_TRIGGERED, block)
        if not is_dry:
            await _count(rule, measured.organization_id)
    log.warning("rule %s: %s (%s)", rule.key, block["reason"], status.value)
    return True


async def _count(rule: Rule, organization_id: uuid.UUID | None) -> None:
    """Count a block that began, within its transaction."""
    await fetch(
        "INSERT INTO auto_block_counts AS old (id, organization_id, rule_key, begun) "
        "VALUES ({}, {}, {}, 1) ON CONFLICT (organization_id, rule_key) "
        "DO UPDATE SET begun = old.begun + 1",
        new_id(),
        organization_id,
        rule.key,
    )


async def count_all_begun() -> Mapping[str, int]:
    """Return how many blocks each rule has begun in the whole deployment."""
    rows = await fetch(
        "SELECT rule_key, sum(begun)::bigint AS n FROM auto_block_counts GROUP BY rule_key"
    )
    return {row["rule_key"]: row["n"] for row in rows}


async def end_expired() -> int:
    """End blocks whose time is over and undo what they did; return how many."""
    rows = await fetch(
        f"SELECT id FROM auto_blocks WHERE {ENDED} ORDER BY expires_at LIMIT {{}}",
        clock.now(),
        AT_ONCE,
    )
    for row in rows:
        async with transaction() as tx:
            found = await fetch(
                "UPDATE auto_blocks SET status = 'expired' "
                "FROM (SELECT id, status AS was FROM auto_blocks WHERE id = {} "
                "AND status IN ('active', 'dry_run') AND expires_at <= {} "
                "FOR NO KEY UPDATE) AS old WHERE auto_blocks.id = old.id "
                "RETURNING auto_blocks.*, old.was",
                row["id"],
                clock.now(),
            )
            if found:
                # A dry run has done nothing that could be undone.
                if found[0]["was"] == BlockStatus.ACTIVE:
                    await undo(tx, found[0])
                await tell(tx, EventType.SECURITY_AUTO_BLOCK_RESOLVED, found[0])
    return len(rows)


async def undo(tx: Tx, block: Mapping[str, Any]) -> None:
    """Undo what a block did."""
    await effects.end(
        tx,
        Action(block["action"]),
        block_id=block["id"],
        organization_id=block["organization_id"],
        target_id=block["target_id"],
    )


async def tell(tx: Tx, type: EventType, block: Mapping[str, Any]) -> None:
    """Append the event of a block; one of the deployment's has nobody to be told to."""
    if block["organization_id"] is None:
        return
    data = {
        "id": str(block["id"]),
        "rule": {"id": str(all_rules()[block["rule_key"]].id), "key": block["rule_key"]},
        "scope": block["scope"],
        "target": {"id": block["target_id"], "name": block["target_name"]},
        "action": block["action"],
        "status": block["status"],
        "metric_value": block["metric_value"],
        "threshold": block["threshold"],
        "sample_size": block["sample_size"],
        "reason": block["reason"],
        "triggered_at": _rfc3339(block["triggered_at"]),
        "expires_at": _rfc3339(block["expires_at"]),
        "resolved_at": _rfc3339(block["resolved_at"]),
        "resolved_by": block["resolved_by"] and str(block["resolved_by"]),
    }
    owner = block["organization_id"]
    await append(tx, [NewEvent(owner, None, None, None, type, data, clock.now())])


def _rfc3339(at: datetime | None) -> str | None:
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
