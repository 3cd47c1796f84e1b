"""Reading organizations, projects, members and invitations."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from piccolo.columns.combination import WhereRaw
from piccolo.query import Objects

from ..core.actor import (
    Actor,
    OrganizationId,
    Permission,
    ProjectId,
    Role,
    UserId,
    require_platform_admin,
)
from ..core.database import Tx, fetch
from ..core.errors import NotFound
from ..core.paging import Order, Page, PageRequest, by_id, fetch_page
from ..core.retention import Kind, days_for
from ..core.settings import settings
from ..core.tenants import across_organizations
from .rules import UserStatus, email_key
from .tables import Organization, Project, User

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for "has not signed in" where people are put in the order of their last sign-in."""


class MemberOrder(StrEnum):
    """What members are ordered by."""

    CREATED_AT = "created_at"
    EMAIL = "email"
    NAME = "name"
    LAST_LOGIN_AT = "last_login_at"


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Which members are asked for; None is any."""

    role: Role | None = None
    status: UserStatus | None = None
    search: str | None = None
    """Part of the email address or of the name, in any case."""


@dataclass(frozen=True, slots=True)
class Member:
    """A person as one organization knows them."""

    user: User
    role: Role
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class Belonging:
    """One organization of a person, and the role there."""

    organization_id: OrganizationId
    slug: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Person:
    """What signing somebody in needs of them."""

    id: UserId
    email: str
    email_key: str
    name: str
    password_hash: str
    status: UserStatus
    has_second_factor: bool
    token_version: int
    """Higher than now: the password was changed since, or everything was signed out."""
    language: str
    """What they chose to read; empty: as the browser asks."""
    timezone: str
    """IANA name of the one that they see times in."""


_slugs: dict[OrganizationId, str] = {}
"""Those that this process has read: they never change."""
MOST_SLUGS = 10_000


def known_slug(actor: Actor) -> str | None:
    """Return what `slug_of` does, if this process has read it."""
    return _slugs.get(actor.organization_id)


async def slug_of(actor: Actor) -> str:
    """Return the name in addresses of the organization that *actor* acts for."""
    found = known_slug(actor)
    if found is None:
        if len(_slugs) >= MOST_SLUGS:
            _slugs.clear()
        found = _slugs[actor.organization_id] = (await get_organization(actor)).slug
    return found


async def get_organization(actor: Actor) -> Organization:
    """Return the organization that *actor* acts for."""
    found = await Organization.objects().where(Organization.id == actor.organization_id).first()
    if found is None:
        raise NotFound
    return found


async def get_member(actor: Actor, user_id: UserId) -> Member:
    """Return one member of the actor's organization; everybody may read themselves.

    Raises:
        NotFound: there is no such member.
    """
    found = await find_members(actor, [user_id])
    if user_id not in found:
        raise NotFound
    return found[user_id]


async def find_members(actor: Actor, user_ids: Sequence[UserId]) -> Mapping[UserId, Member]:
    """Return those of *user_ids* who are members of the actor's organization."""
    if set(user_ids) != {actor.user_id} and not actor.may(Permission.WRITE_USERS):
        actor.require(Permission.READ_USERS)
    users = await User.objects().where(User.id.is_in(list(user_ids)))
    return await _members(actor, users)


async def find_person(*, email: str) -> Person | None:
    """Return whoever registered with *email*; there is no actor yet."""
    return _person(await User.objects().where(User.email_key == email_key(email)).first())


async def get_person(user_id: UserId) -> Person:
    """Return a person to sign in.

    Raises:
        NotFound: there is no such person.
    """
    found = _person(await User.objects().where(User.id == user_id).first())
    if found is None:
        raise NotFound
    return found


def _person(row: User | None) -> Person | None:
    if row is None:
        return None
    return Person(
        id=UserId(row.id),
        email=row.email,
        email_key=row.email_key,
        name=row.name,
        password_hash=row.password_hash,
        status=UserStatus(row.status),
        has_second_factor=row.second_factor_at is not None,
        token_version=row.token_version,
        language=row.language,
        timezone=row.timezone,
    )


async def languages_of(addresses: Collection[str]) -> dict[str, str]:
    """Return for each address the language that its owner chose; empty: none, or it is nobody's."""
    keys = {address: email_key(address) for address in addresses}
    rows = await fetch(
        "SELECT email_key, language FROM users WHERE email_key = ANY({}::text[])",
        list(keys.values()),
    )
    chosen = {row["email_key"]: row["language"] for row in rows}
    return {address: chosen.get(key, "") for address, key in keys.items()}


async def timezone_of(address: str) -> str:
    """Return the time zone that the owner of an address chose; UTC if it is nobody's."""
    rows = await fetch("SELECT timezone FROM users WHERE email_key = {}", email_key(address))
    return str(rows[0]["timezone"]) if rows else "UTC"


async def list_members(
    actor: Actor,
    request: PageRequest,
    *,
    where: MemberFilter,
    order: MemberOrder = MemberOrder.CREATED_AT,
    descending: bool = False,
) -> Page[Member]:
    """Return a page of the members of the actor's organization."""
    actor.require(Permission.READ_USERS)
    scope = f"{where.role}/{where.status}/{where.search}"
    page = await fetch_page(
        _select(actor, where), request, _order(order, descending=descending), scope=scope
    )
    members = await _members(actor, page.items)
    # Whoever was removed between the two statements is left out with their cursor.
    kept = [
        (members[UserId(user.id)], cursor)
        for user, cursor in zip(page.items, page.cursors, strict=True)
        if UserId(user.id) in members
    ]
    return Page(
        items=[member for member, _ in kept],
        cursors=[cursor for _, cursor in kept],
        has_next=page.has_next,
        has_previous=page.has_previous,
    )


async def count_members(actor: Actor, *, where: MemberFilter) -> int:
    """Return how many members fit."""
    actor.require(Permission.READ_USERS)
    query = User.count()
    for condition in _conditions(actor, where):
        query = query.where(condition)
    return int(await query)


def _select(actor: Actor, where: MemberFilter) -> "Objects[User]":
    query = User.objects()
    for condition in _conditions(actor, where):
        query = query.where(condition)
    return query


def _conditions(actor: Actor, where: MemberFilter) -> list[WhereRaw]:
    found = [
        WhereRaw(
            "id IN (SELECT user_id FROM memberships WHERE organization_id = {})",
            actor.organization_id,
        )
    ]
    if where.role is not None:
        found.append(
            WhereRaw(
                "id IN (SELECT user_id FROM memberships WHERE organization_id = {} AND role = {})",
                actor.organization_id,
                where.role.value,
            )
        )
    if where.status is not None:
        found.append(WhereRaw("status = {}", where.status.value))
    if where.search:
        # strpos, not LIKE: nothing in the text is a pattern.
        text = where.search.lower().replace("\0", "").encode(errors="ignore").decode()
        found.append(
            WhereRaw("(strpos(email_key, {}) > 0 OR strpos(lower(name), {}) > 0)", text, text)
        )
    return found


def _order(order: MemberOrder, *, descending: bool) -> Order:
    if order is MemberOrder.EMAIL:
        return Order("email", "email_key", lambda row: row.email_key, descending)
    if order is MemberOrder.NAME:
        return Order("name", "name", lambda row: row.name, descending)
    if order is MemberOrder.LAST_LOGIN_AT:
        return Order(
            "last_login_at",
            "coalesce(last_login_at, 'epoch'::timestamptz)",
            lambda row: row.last_login_at or NEVER,
            descending,
        )
    return by_id(descending=descending)


async def _members(actor: Actor, users: Sequence[User]) -> dict[UserId, Member]:
    rows = await fetch(
        "SELECT user_id, role, created_at FROM memberships "
        "WHERE organization_id = {} AND user_id = ANY({}::uuid[])",
        actor.organization_id,
        [user.id for user in users],
    )
    roles = {row["user_id"]: row for row in rows}
    return {
        UserId(user.id): Member(user, Role(roles[user.id]["role"]), roles[user.id]["created_at"])
        for user in users
        if user.id in roles
    }


async def get_visitor(actor: Actor) -> Member:
    """Return the person who is visiting, as if they belonged there.

    Raises:
        NotFound: nobody is visiting.
    """
    user = await User.objects().where(User.id == actor.user_id).first()
    if actor.visit is None or user is None:
        raise NotFound
    return Member(user, actor.role, user.created_at)


@across_organizations
async def belongs_where_it_is_required(user_id: UserId) -> bool:
    """Say whether an organization of the person asks its members for a second factor."""
    rows = await fetch(
        "SELECT FROM memberships m JOIN organizations o ON o.id = m.organization_id "
        "WHERE m.user_id = {} AND o.requires_second_factor LIMIT 1",
        user_id,
    )
    return bool(rows)


@across_organizations
async def list_platform_admins(actor: Actor) -> list[str]:
    """Return the email addresses of the first hundred who look after the deployment.

    Raises:
        NotPermitted: the actor is not one of them, signed in.
    """
    require_platform_admin(actor)
    rows = await fetch("SELECT email FROM users WHERE platform_admin ORDER BY email_key LIMIT 100")
    return [row["email"] for row in rows]


@across_organizations
async def list_belongings(actor: Actor) -> list[Belonging]:
    """Return every organization that the actor's person belongs to, by name.

    An API key sees its own organization only: it acts for no other.
    """
    rows = await fetch(
        "SELECT o.id, o.slug, o.name, m.role FROM memberships m "
        "JOIN organizations o ON o.id = m.organization_id "
        "WHERE m.user_id = {} AND ({}::uuid IS NULL OR o.id = {}) ORDER BY lower(o.name), o.id",
        actor.user_id,
        actor.api_key_id,
        actor.organization_id,
    )
    return [
        Belonging(OrganizationId(row["id"]), row["slug"], row["name"], Role(row["role"]))
        for row in rows
    ]


async def get_project(actor: Actor, project_id: ProjectId) -> Project:
    """Return one project.

    Raises:
        NotFound: there is none, or the actor's key is bound to another.
    """
    found = await find_projects(actor, [project_id])
    if project_id not in found:
        raise NotFound
    return found[project_id]


async def find_projects(
    actor: Actor, project_ids: Sequence[ProjectId]
) -> Mapping[ProjectId, Project]:
    """Return those of *project_ids* that the actor may see.

    A project's name is no secret to whoever works in it, so this needs no permission.
    """
    rows = await _projects(actor).where(Project.id.is_in(list(project_ids)))
    return {ProjectId(row.id): row for row in rows}


async def find_project(actor: Actor, *, uid: str | None = None, number: int = 0) -> ProjectId:
    """Return the project that the customer calls *uid*, or else the one with *number*.

    Raises:
        NotFound: there is none, or the actor's key is bound to another.
    """
    query = _projects(actor)
    if uid is not None:
        query = query.where(Project.uid == uid)
    else:
        query = query.where(Project.number == (number if 0 < number < 2**63 else 0))
    row = await query.first()
    if row is None:
        raise NotFound
    return ProjectId(row.id)


MOST_PROJECTS = 1_000


async def projects_in_use(actor: Actor) -> list[Project]:
    """Return the projects that are not archived, the oldest first; at most 1,000."""
    actor.require(Permission.READ_PROJECTS)
    query = _projects(actor).where(Project.archived_at.is_null())
    return list(await query.order_by(Project.id).limit(MOST_PROJECTS))


async def list_projects(actor: Actor, request: PageRequest) -> Page[Project]:
    """Return a page of the organization's projects, the oldest first."""
    actor.require(Permission.READ_PROJECTS)
    return await fetch_page(_projects(actor), request, by_id(descending=False))


async def count_projects(actor: Actor) -> int:
    """Return how many projects the actor may see."""
    actor.require(Permission.READ_PROJECTS)
    query = Project.count().where(Project.organization_id == actor.organization_id)
    if actor.project_id is not None:
        query = query.where(Project.id == actor.project_id)
    return int(await query)


async def default_project_id(organization_id: OrganizationId) -> ProjectId:
    """Return the project named `default`, which every organization has."""
    rows = await fetch(
        "SELECT id FROM projects WHERE organization_id = {} AND slug = 'default'", organization_id
    )
    return ProjectId(rows[0]["id"])


def _projects(actor: Actor) -> "Objects[Project]":
    query = Project.objects().where(Project.organization_id == actor.organization_id)
    if actor.project_id is not None:
        query = query.where(Project.id == actor.project_id)
    return query


async def get_plan(tx: Tx, organization_id: OrganizationId) -> str:
    """Return an organization's plan; nobody else who asks gets an answer until *tx* ends."""
    rows = await fetch(
        "SELECT plan FROM organizations WHERE id = {} FOR NO KEY UPDATE", organization_id
    )
    plan: str = rows[0]["plan"]
    return plan


async def kept_days(actor: Actor, kind: Kind) -> int:
    """Return how many days something of the organization's is kept, on its plan."""
    if not any(named == kind for _, named in settings().keep_days_by_plan):
        return days_for(kind)
    return days_for(kind, (await get_organization(actor)).plan)
