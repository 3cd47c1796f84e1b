"""Who acts when something is done later than it was asked for."""

from collections.abc import Collection
from dataclasses import dataclass

from ..accounts.rules import OrganizationStatus, UserStatus
from ..core import clock
from ..core.actor import (
    ROLE_PERMISSIONS,
    VISITING,
    Actor,
    ActorKind,
    ApiKeyId,
    Mode,
    OrganizationId,
    Permission,
    ProjectId,
    Role,
    UserId,
)
from ..core.database import fetch
from .rules import both_allow


@dataclass(frozen=True, slots=True)
class Asked:
    """Whoever asked for something, as it was kept with it."""

    organization_id: OrganizationId
    project_id: ProjectId | None
    user_id: UserId | None
    api_key_id: ApiKeyId | None
    permissions: Collection[str]
    """What they might do then."""
    mode: Mode
    """Whether their mail really left then."""
    request_id: str
    allowed_domains: Collection[str] = ()


async def actor_of(asked: Asked) -> Actor | None:
    """Return whoever asked as the actor they are by now: with no more rights than then, and now.

    None is nobody: the person was removed or disabled, the visit has ended or its visitor looks
    after the deployment no more, or the key is one that `credentials.py` would refuse. What was
    asked for in the sandbox stays there. A person
    whose organization asks for a second factor by now, and who has none, may do nothing, and is
    told why; a key goes on, as it does where it signs in.
    """
    rows = await fetch(
        "SELECT o.status AS organization_status, u.status AS user_status, m.role, "
        "m.id IS NOT NULL AND o.requires_second_factor AND u.second_factor_at IS NULL "
        "AS must_set_up, "
        "k.status = 'active' AND k.blocked_by IS NULL AND k.membership_id IS NOT NULL "
        "AND coalesce(k.expires_at > {}, true) AND p.archived_at IS NULL AS key_holds, "
        "k.mode AS key_mode, p.mode AS project_mode, p.allowed_domains AS project_domains, "
        "u.platform_admin AND EXISTS (SELECT FROM visits v WHERE v.user_id = u.id "
        "AND v.organization_id = o.id AND v.expires_at > {}) "
        # Whom their own organization lets do nothing yet cannot go and visit either.
        "AND EXISTS (SELECT FROM memberships own JOIN organizations home "
        "ON home.id = own.organization_id WHERE own.user_id = u.id "
        "AND (u.second_factor_at IS NOT NULL OR NOT home.requires_second_factor)) AS visits "
        "FROM organizations o LEFT JOIN users u ON u.id = {} "
        "LEFT JOIN memberships m ON m.user_id = u.id AND m.organization_id = o.id "
        "LEFT JOIN api_keys k ON k.id = {} AND k.organization_id = o.id "
        "LEFT JOIN projects p ON p.id = k.project_id WHERE o.id = {}",
        clock.now(),
        clock.now(),
        asked.user_id,
        asked.api_key_id,
        asked.organization_id,
    )
    if not rows:
        return None
    [row] = rows
    if asked.api_key_id is not None and not row["key_holds"]:
        return None
    modes = {asked.mode, row["key_mode"], row["project_mode"]}
    held = frozenset(Permission(each) for each in asked.permissions)
    role = Role.VIEWER
    if asked.user_id is not None:
        if row["user_status"] != UserStatus.ACTIVE or not (row["role"] or row["visits"]):
            return None
        role = Role(row["role"]) if row["role"] else Role.ADMIN
        held &= ROLE_PERMISSIONS[role] if row["role"] else VISITING
    must_set_up = row["must_set_up"] and asked.api_key_id is None
    return Actor(
        kind=_kind(asked),
        organization_id=OrganizationId(asked.organization_id),
        role=role,
        permissions=frozenset() if must_set_up else held,
        must_set_up_second_factor=must_set_up,
        user_id=asked.user_id,
        api_key_id=asked.api_key_id,
        project_id=asked.project_id,
        mode=Mode.SANDBOX if Mode.SANDBOX in modes else Mode.LIVE,
        suspended=row["organization_status"] == OrganizationStatus.SUSPENDED,
        allowed_domains=both_allow(asked.allowed_domains, row["project_domains"] or ()),
        request_id=asked.request_id,
    )


def _kind(asked: Asked) -> ActorKind:
    if asked.api_key_id is not None:
        return ActorKind.API_KEY
    return ActorKind.PLATFORM if asked.user_id is None else ActorKind.USER
