"""Switching rules, resolving blocks, and saying how strictly an organization is judged."""

import uuid

from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, OrganizationId, Permission, require_platform_admin
from ..core.database import fetch, transaction
from ..core.errors import Detail, DetailCode, InvalidInput, NotFound
from ..core.ids import new_id, parse_id
from ..core.tenants import across_organizations
from ..events.rules import EventType
from . import work
from .catalogue import all_rules
from .errors import RuleLocked
from .queries import RuleView, get_rule
from .rules import LONGEST_GRACE, LONGEST_NOTE, USUAL_GRACE, BlockStatus, Rule, Strictness
from .tables import Block

_GRACE = int(USUAL_GRACE.total_seconds())


def _named(rule: str) -> Rule:
    rules = all_rules()
    id = parse_id(rule)
    found = rules.get(rule) or next((each for each in rules.values() if each.id == id), None)
    if found is None:
        raise InvalidInput.of("ruleId", DetailCode.NOT_FOUND, "There is no such rule.")
    return found


async def switch_rule(
    actor: Actor, rule: str, *, enabled: bool | None = None, dry_run: bool | None = None
) -> RuleView:
    """Switch a rule, named by id or key, for the organization; without *enabled* turn it over.

    With *dry_run* its blocks are written down and do nothing. Blocks that hold already stay.

    Raises:
        InvalidInput: there is no such rule.
        RuleLocked: the operator has locked it.
    """
    actor.require(Permission.WRITE_SECURITY)
    chosen = _named(rule)
    if chosen.locked:
        raise RuleLocked
    # Who only asks for a dry run turns nothing over.
    said = chosen.enabled if enabled is None and dry_run is not None else enabled
    async with transaction() as tx:
        rows = await fetch(
            "INSERT INTO auto_block_switches AS old "
            "(id, organization_id, rule_key, enabled, dry_run, updated_at) "
            "VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT (organization_id, rule_key) "
            "DO UPDATE SET enabled = coalesce({}::boolean, "
            "CASE WHEN {}::boolean THEN NOT old.enabled ELSE old.enabled END), "
            "dry_run = coalesce({}::boolean, old.dry_run), updated_at = excluded.updated_at "
            "RETURNING enabled, dry_run",
            new_id(),
            actor.organization_id,
            chosen.key,
            (not chosen.enabled) if said is None else said,
            bool(dry_run),
            clock.now(),
            enabled,
            dry_run is None,
            dry_run,
        )
        await record(
            tx,
            actor,
            action="auto_block.rule_toggled",
            target_type="auto_block_rule",
            target_id=chosen.id,
            changes={"rule": chosen.key, **rows[0]},
        )
    return await get_rule(actor, chosen.key)


@across_organizations
async def resolve_block(
    actor: Actor, block_id: uuid.UUID, *, note: str | None = None, grace_seconds: int = _GRACE
) -> Block:
    """End a block and undo what it did; one that has ended already stays as it is.

    For *grace_seconds* its rule leaves the target alone.

    Raises:
        NotFound: the block is absent or somebody else's.
        InvalidInput: a long note, or a grace out of range.
    """
    actor.require(Permission.WRITE_SECURITY)
    details = []
    if note is not None and len(note) > LONGEST_NOTE:
        message = f"A note has at most {LONGEST_NOTE} characters."
        details.append(Detail("note", DetailCode.TOO_LONG, message))
    longest = int(LONGEST_GRACE.total_seconds())
    if grace_seconds < 0:
        details.append(Detail("graceSeconds", DetailCode.TOO_SMALL, "At least 0 seconds."))
    elif grace_seconds > longest:
        details.append(Detail("graceSeconds", DetailCode.TOO_LARGE, f"At most {longest} seconds."))
    if details:
        raise InvalidInput.all(details)
    now = clock.now()
    async with transaction() as tx:
        rows = await fetch(
            "SELECT * FROM auto_blocks WHERE id = {} AND (organization_id = {} "
            "OR ({}::boolean AND organization_id IS NULL)) FOR NO KEY UPDATE",
            block_id,
            actor.organization_id,
            actor.platform_admin and actor.api_key_id is None,
        )
        if not rows:
            raise NotFound
        if rows[0]["status"] in (BlockStatus.ACTIVE, BlockStatus.DRY_RUN):
            if rows[0]["status"] == BlockStatus.ACTIVE:
                await work.undo(tx, rows[0])
            rows = await fetch(
                "UPDATE auto_blocks SET status = 'resolved', resolved_at = {}, resolved_by = {}, "
                "note = {}, grace_until = {}::timestamptz + make_interval(secs => {}) "
                "WHERE id = {} RETURNING *",
                now,
                actor.user_id,
                note,
                now,
                float(grace_seconds),
                block_id,
            )
            await work.tell(tx, EventType.SECURITY_AUTO_BLOCK_RESOLVED, rows[0])
            await record(
                tx,
                actor,
                action="auto_block.resolved",
                target_type="auto_block",
                target_id=block_id,
                changes={"rule": rows[0]["rule_key"], "note": note},
            )
    return Block(_exists_in_db=True, **rows[0])


@across_organizations
async def set_strictness(
    actor: Actor, organization_id: OrganizationId, strictness: Strictness
) -> None:
    """Say how strictly an organization is judged; for whoever looks after the deployment.

    Raises:
        NotPermitted: somebody else asks.
        NotFound: there is no such organization, or none that the actor may know of.
    """
    if organization_id != actor.organization_id and not actor.platform_admin:
        raise NotFound
    require_platform_admin(actor)
    async with transaction() as tx:
        if not await fetch("SELECT FROM organizations WHERE id = {}", organization_id):
            raise NotFound
        await fetch(
            "INSERT INTO auto_block_strictness (id, organization_id, strictness, updated_at) "
            "VALUES ({}, {}, {}, {}) ON CONFLICT (organization_id) "
            "DO UPDATE SET strictness = excluded.strictness, updated_at = excluded.updated_at",
            new_id(),
            organization_id,
            strictness.value,
            clock.now(),
        )
        await record(
            tx,
            actor,
            action="auto_block.strictness_set",
            target_type="organization",
            target_id=organization_id,
            changes={"strictness": strictness.value},
        )
