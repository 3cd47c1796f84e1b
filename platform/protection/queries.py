"""Reading rules, blocks and reputations."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from piccolo.columns.combination import And, Or, Where, WhereRaw

from ..analytics.recent import sums_of
from ..core import clock
from ..core.actor import Actor, Permission, require_platform_admin
from ..core.database import fetch
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..core.settings import settings
from ..core.tenants import across_organizations
from .catalogue import all_rules
from .rules import BlockStatus, Rule, Scope, Strictness, reputation
from .tables import Block

NEWEST_FIRST = by_id()
SHOWN_FOR = timedelta(days=30)
JUDGED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule as it is for an organization."""

    rule: Rule
    enabled: bool
    dry_run: bool
    triggered_30d: int
    last_triggered_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reputation:
    """How receivers take an organization's mail of the last seven days."""

    score: float | None
    delivered: int
    hard_bounced: int
    blocked: int
    complained: int
    strictness: Strictness


async def list_rules(
    actor: Actor, *, enabled: bool | None = None, scope: Scope | None = None
) -> Sequence[RuleView]:
    """Return the rules as they are for the organization."""
    actor.require(Permission.READ_SECURITY)
    found = await _views(actor)
    return [
        view
        for view in found
        if (enabled is None or view.enabled is enabled)
        and (scope is None or view.rule.scope is scope)
    ]


async def get_rule(actor: Actor, key: str) -> RuleView:
    """Return one rule, which there is."""
    actor.require(Permission.READ_SECURITY)
    return next(view for view in await _views(actor) if view.rule.key == key)


async def _views(actor: Actor) -> list[RuleView]:
    switches = {
        row["rule_key"]: row
        for row in await fetch(
            "SELECT rule_key, enabled, dry_run, updated_at FROM auto_block_switches "
            "WHERE organization_id = {}",
            actor.organization_id,
        )
    }
    triggered = {
        row["rule_key"]: row
        for row in await fetch(
            "SELECT rule_key, count(*) AS n, max(triggered_at) AS last FROM auto_blocks "
            "WHERE organization_id = {} AND triggered_at > {} GROUP BY rule_key",
            actor.organization_id,
            clock.now() - SHOWN_FOR,
        )
    }
    mode = settings().auto_block
    views = []
    for rule in all_rules().values():
        switch, seen = switches.get(rule.key), triggered.get(rule.key)
        is_on = rule.enabled if switch is None or rule.locked else switch["enabled"]
        views.append(
            RuleView(
                rule=rule,
                enabled=is_on and mode != "off",
                dry_run=mode == "dry_run" or bool(switch and switch["dry_run"]),
                triggered_30d=seen["n"] if seen else 0,
                last_triggered_at=seen["last"] if seen else None,
                updated_at=switch["updated_at"] if switch else None,
            )
        )
    return views


@across_organizations
async def list_active_blocks(
    actor: Actor,
    *,
    page: PageRequest,
    rule: str | None = None,
    scope: Scope | None = None,
    target_id: str | None = None,
) -> Page[Block]:
    """Return the blocks that hold now, newest first; those of dry runs with them.

    Whoever looks after the deployment sees its own, too: networks that may not sign in.
    """
    actor.require(Permission.READ_SECURITY)
    open_ones = [BlockStatus.ACTIVE.value, BlockStatus.DRY_RUN.value]
    query = Block.objects().where(_visible(actor)).where(Block.status.is_in(open_ones))
    query = query.where(WhereRaw("(expires_at IS NULL OR expires_at > {})", clock.now()))
    if rule is not None:
        query = query.where(Block.rule_key == rule)
    if scope is not None:
        query = query.where(Block.scope == scope.value)
    if target_id is not None:
        query = query.where(Block.target_id == target_id)
    told = f"{rule or ''}/{scope or ''}/{target_id or ''}"
    return await fetch_page(query, page, NEWEST_FIRST, scope=told)


@across_organizations
async def find_blocks(actor: Actor, ids: Collection[uuid.UUID]) -> Sequence[Block]:
    """Return those of the blocks that the actor may see, ended ones as well."""
    actor.require(Permission.READ_SECURITY)
    return await Block.objects().where(_visible(actor)).where(Block.id.is_in(list(ids)))


@across_organizations
async def count_active(actor: Actor) -> int:
    """Return how many blocks hold now; dry runs do not."""
    actor.require(Permission.READ_SECURITY)
    holds: Where = Block.status == BlockStatus.ACTIVE.value
    query = Block.count().where(_visible(actor)).where(holds)
    return int(await query.where(WhereRaw("(expires_at IS NULL OR expires_at > {})", clock.now())))


async def count_begun(actor: Actor) -> Mapping[str, int]:
    """Return how many blocks each rule has begun for the organization.

    Raises:
        NotPermitted: the actor may not read metrics.
    """
    actor.require(Permission.READ_METRICS)
    rows = await fetch(
        "SELECT rule_key, begun FROM auto_block_counts WHERE organization_id = {}",
        actor.organization_id,
    )
    return {row["rule_key"]: row["begun"] for row in rows}


def _visible(actor: Actor) -> Where | Or | And:
    own: Where = Block.organization_id == actor.organization_id
    if actor.platform_admin and actor.api_key_id is None:
        return own | Block.organization_id.is_null()
    return own


@across_organizations
async def strictnesses_of(
    actor: Actor, ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, Strictness]:
    """Return how strictly some organizations are judged; those left out, as is usual.

    Raises:
        NotPermitted: the actor does not look after the deployment.
    """
    require_platform_admin(actor)
    rows = await fetch(
        "SELECT organization_id, strictness FROM auto_block_strictness "
        "WHERE organization_id = ANY({}::uuid[])",
        list(ids),
    )
    return {row["organization_id"]: Strictness(row["strictness"]) for row in rows}


async def get_reputation(actor: Actor) -> Reputation:
    """Return how receivers take the organization's mail, and how strictly it is judged."""
    actor.require(Permission.READ_SECURITY)
    sums = await sums_of(actor.organization_id, clock.now() - JUDGED_FOR)
    rows = await fetch(
        "SELECT strictness FROM auto_block_strictness WHERE organization_id = {}",
        actor.organization_id,
    )
    return Reputation(
        score=reputation(
            delivered=sums["delivered"],
            hard_bounced=sums["hard_bounced"],
            blocked=sums["blocked"],
            complained=sums["complained"],
        ),
        delivered=sums["delivered"],
        hard_bounced=sums["hard_bounced"],
        blocked=sums["blocked"],
        complained=sums["complained"],
        strictness=Strictness(rows[0]["strictness"]) if rows else Strictness.STANDARD,
    )
