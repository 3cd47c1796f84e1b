"""Making and renaming organizations."""

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, OrganizationId, Origin, Permission, Role, UserId
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_token
from ..rules import (
    DEFAULT_PROJECT,
    OrganizationStatus,
    Plan,
    checked_name,
    slug_from,
)
from ..tables import Membership, Organization, Project


async def add_organization(
    tx: Tx,
    *,
    name: str,
    plan: Plan,
    owner_id: UserId,
    origin: Origin,
    slug: str | None = None,
) -> OrganizationId:
    """Make an organization with its project `default` and its owner, and return it.

    Its name is checked already. Its slug is the one asked for, or made of the name, and of
    random letters after it when somebody else has it.
    """
    row = Organization(
        slug=slug_from(name if slug is None else slug),
        name=name,
        plan=plan.value,
        status=OrganizationStatus.ACTIVE.value,
    )
    row.slug = await _insert(row)
    await Project.insert(
        Project(organization_id=row.id, slug=DEFAULT_PROJECT, name=DEFAULT_PROJECT.title())
    )
    await Membership.insert(
        Membership(organization_id=row.id, user_id=owner_id, role=Role.OWNER.value)
    )
    await audit.record_for_user(
        tx,
        owner_id,
        organization_id=OrganizationId(row.id),
        action="organization.created",
        target_type="organization",
        target_id=row.id,
        changes={"name": name, "slug": row.slug, "plan": plan.value},
        origin=origin,
    )
    return OrganizationId(row.id)


async def _insert(row: Organization) -> str:
    slug: str = row.slug
    while not await fetch(
        "INSERT INTO organizations (id, slug, name, status, plan, created_at, updated_at) "
        "VALUES ({}, {}, {}, {}, {}, {}, {}) ON CONFLICT (slug) DO NOTHING RETURNING id",
        row.id,
        slug,
        row.name,
        row.status,
        row.plan,
        row.created_at,
        row.updated_at,
    ):
        slug = f"{row.slug}-{new_token(6).lower()}"
    return slug


async def rename_organization(actor: Actor, *, name: str) -> None:
    """Change the organization's name; its slug stays, because addresses hold it.

    Raises:
        InvalidInput: the name is empty, too long or has control characters.
    """
    actor.require(Permission.WRITE_USERS)
    wanted = checked_name(name, field="name")
    async with transaction() as tx:
        await fetch(
            "UPDATE organizations SET name = {}, updated_at = {} WHERE id = {}",
            wanted,
            clock.now(),
            actor.organization_id,
        )
        await audit.record(
            tx,
            actor,
            action="organization.renamed",
            target_type="organization",
            target_id=actor.organization_id,
            changes={"name": wanted},
        )


async def set_second_factor_rule(tx: Tx, actor: Actor, *, required: bool) -> None:
    """Say whether members need a second factor to do anything, from their next request on."""
    actor.require(Permission.WRITE_USERS)
    rows = await fetch(
        "UPDATE organizations SET requires_second_factor = {}, updated_at = {} "
        "WHERE id = {} AND requires_second_factor <> {} RETURNING id",
        required,
        clock.now(),
        actor.organization_id,
        required,
    )
    if rows:
        await audit.record(
            tx,
            actor,
            action="organization.second_factor_rule_changed",
            target_type="organization",
            target_id=actor.organization_id,
            changes={"required": {"from": not required, "to": required}},
        )
