"""Who asks, for which organization, and what they may do."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from .errors import ErrorCode, NotAuthenticated, NotPermitted

OrganizationId = NewType("OrganizationId", uuid.UUID)
ProjectId = NewType("ProjectId", uuid.UUID)
UserId = NewType("UserId", uuid.UUID)
ApiKeyId = NewType("ApiKeyId", uuid.UUID)


class Permission(StrEnum):
    """What one may do; the values are the scopes an API key can carry."""

    SEND_MESSAGES = "messages:send"
    WRITE_MESSAGES = "messages:write"
    READ_MESSAGES = "messages:read"
    READ_QUEUES = "queues:read"
    WRITE_QUEUES = "queues:write"
    READ_DOMAINS = "domains:read"
    WRITE_DOMAINS = "domains:write"
    DELETE_DOMAINS = "domains:delete"
    READ_VMTAS = "vmtas:read"
    CONTROL_VMTAS = "vmtas:control"
    WRITE_VMTAS = "vmtas:write"
    READ_WEBHOOKS = "webhooks:read"
    WRITE_WEBHOOKS = "webhooks:write"
    READ_ANALYTICS = "analytics:read"
    READ_SECURITY = "security:read"
    SCAN = "security:scan"
    WRITE_SECURITY = "security:write"
    READ_CREDITS = "credits:read"
    CONSUME_CREDITS = "credits:write"
    SET_CREDIT_ALERTS = "credits:alerts"
    READ_USERS = "users:read"
    WRITE_USERS = "users:write"
    READ_API_KEYS = "api_keys:read"
    WRITE_API_KEYS = "api_keys:write"
    READ_METRICS = "metrics:read"
    READ_BILLING = "billing:read"
    WRITE_BILLING = "billing:write"
    READ_AUDIT = "audit:read"
    READ_PROJECTS = "projects:read"
    WRITE_PROJECTS = "projects:write"
    READ_TEMPLATES = "templates:read"
    WRITE_TEMPLATES = "templates:write"


class Role(StrEnum):
    """What a membership makes of a user; `billing` stands beside the ladder."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"
    OWNER = "owner"
    BILLING = "billing"


_P = Permission
_VIEWER = frozenset(
    {
        _P.READ_MESSAGES,
        _P.READ_QUEUES,
        _P.READ_DOMAINS,
        _P.READ_VMTAS,
        _P.READ_WEBHOOKS,
        _P.READ_ANALYTICS,
        _P.READ_SECURITY,
        _P.READ_CREDITS,
        _P.READ_USERS,
        _P.READ_PROJECTS,
        _P.READ_TEMPLATES,
    }
)
_DEVELOPER = _VIEWER | {
    _P.SEND_MESSAGES,
    _P.WRITE_MESSAGES,
    _P.WRITE_QUEUES,
    _P.WRITE_DOMAINS,
    _P.WRITE_WEBHOOKS,
    _P.SCAN,
    _P.CONSUME_CREDITS,
    _P.CONTROL_VMTAS,
    _P.READ_API_KEYS,
    _P.WRITE_API_KEYS,
    _P.WRITE_TEMPLATES,
}
_ADMIN = _DEVELOPER | {
    _P.WRITE_VMTAS,
    _P.DELETE_DOMAINS,
    _P.WRITE_SECURITY,
    _P.WRITE_USERS,
    _P.READ_METRICS,
    _P.SET_CREDIT_ALERTS,
    _P.READ_BILLING,
    _P.READ_AUDIT,
    _P.WRITE_PROJECTS,
}
ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.DEVELOPER: _DEVELOPER,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN | {_P.WRITE_BILLING},
    Role.BILLING: frozenset(
        {
            _P.READ_CREDITS,
            _P.READ_USERS,
            _P.SET_CREDIT_ALERTS,
            _P.READ_BILLING,
            _P.WRITE_BILLING,
        }
    ),
}

VISITING = _ADMIN - {
    _P.SEND_MESSAGES,
    _P.READ_API_KEYS,
    _P.WRITE_API_KEYS,
    _P.WRITE_WEBHOOKS,
    _P.WRITE_SECURITY,
    _P.WRITE_USERS,
    _P.CONSUME_CREDITS,
}
"""What a visitor may do: nothing that shows a secret, changes who may do what, or spends."""
READ_ONLY = frozenset(p for p in Permission if p.value.endswith(":read"))
WHILE_SUSPENDED = READ_ONLY | {Permission.WRITE_BILLING}
"""What is still possible while an organization is suspended; it can always pay."""


class Mode(StrEnum):
    """Whether mail really leaves: `sandbox` accepts, delivers nothing and costs nothing."""

    LIVE = "live"
    SANDBOX = "sandbox"


class ActorKind(StrEnum):
    """How the actor signed in."""

    USER = "user"
    API_KEY = "api_key"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, for whoever has not signed in yet."""

    source_address: str | None = None
    """After trusted proxies; None is this machine itself, such as a command."""
    request_id: str = ""
    user_agent: str = ""
    is_repeated: bool = False
    """Somebody who signed in before is looked at again: this is no new use of a credential."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Why somebody acts in an organization that is not theirs, and until when."""

    id: uuid.UUID
    reason: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks, acting for one organization.

    Made of credentials by `security/credentials.py`, of who asked earlier by `security/later.py`,
    for what the platform does by `server/auth.py` and `imports`, and by tests.
    """

    kind: ActorKind
    organization_id: OrganizationId
    role: Role
    permissions: frozenset[Permission]
    user_id: UserId | None = None
    """The person, or for an API key the person who made it."""
    api_key_id: ApiKeyId | None = None
    project_id: ProjectId | None = None
    """The only project it may touch; None is every project of the organization."""
    mode: Mode = Mode.LIVE
    suspended: bool = False
    """The organization may read, but not write."""
    must_set_up_second_factor: bool = False
    """The organization asks for a second factor and the person has none: it may do nothing else."""
    platform_admin: bool = False
    allowed_domains: frozenset[str] = frozenset()
    """Sending domains the key may use; empty is any."""
    expires_at: float | None = None
    """Unix seconds at which the credential ends; None is never."""
    token_id: uuid.UUID | None = None
    """The `jti` of the token that was sent; None for an API key."""
    rate_limit_per_minute: int | None = None
    """Requests that the credential may make; None is any number."""
    language: str = ""
    """The person's choice for pages; empty is whichever their browser asks for."""
    visit: "Visit | None" = None
    """The person looks after the deployment, and does not belong to the organization."""
    source_address: str | None = None
    """Whom the request came from, after trusted proxies."""
    request_id: str = ""
    user_agent: str = ""

    @property
    def origin(self) -> Origin:
        """Where the actor's request came from."""
        return Origin(self.source_address, self.request_id, self.user_agent)

    def may(self, permission: Permission) -> bool:
        """Say whether the actor holds *permission* now."""
        if self.must_set_up_second_factor:
            return False
        if self.suspended and permission not in WHILE_SUSPENDED:
            return False
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Do nothing if the actor holds *permission*.

        Raises:
            NotPermitted: role, scope, a missing second factor or a suspended organization
                forbids it.
        """
        self.require_second_factor()
        if permission not in self.permissions:
            if self.kind is ActorKind.API_KEY:
                raise NotPermitted(
                    f"The API key lacks the scope '{permission.value}'.",
                    code=ErrorCode.INSUFFICIENT_SCOPE,
                )
            raise NotPermitted(
                f"This needs the role '{least_role(permission).value}' or one above it; "
                f"yours is '{self.role.value}'.",
                code=ErrorCode.INSUFFICIENT_ROLE,
            )
        if self.suspended and permission not in WHILE_SUSPENDED:
            raise NotPermitted(
                "The organization is suspended: it can read, but not change anything.",
                code=ErrorCode.ORGANIZATION_SUSPENDED,
            )

    def require_second_factor(self) -> None:
        """Do nothing unless the organization asks for a second factor and the person has none.

        For what needs no permission; `require` looks at it, too.

        Raises:
            NotPermitted: it does, and the person has none.
        """
        if self.must_set_up_second_factor:
            raise NotPermitted(
                "The organization asks for a second factor: set one up first.",
                code=ErrorCode.SECOND_FACTOR_SETUP_REQUIRED,
            )


def least_role(permission: Permission) -> Role:
    """Return the lowest role of the ladder that holds *permission*."""
    for role in (Role.VIEWER, Role.DEVELOPER, Role.ADMIN, Role.OWNER):
        if permission in ROLE_PERMISSIONS[role]:
            return role
    return Role.OWNER


def require_platform_admin(actor: Actor) -> None:
    """Do nothing if a person who looks after the deployment is signed in.

    A key that such a person made is not enough: it was made for an organization's work.

    Raises:
        NotPermitted: it is somebody else.
    """
    if actor.kind is not ActorKind.USER or not actor.platform_admin:
        raise NotPermitted("Only whoever looks after this deployment may do that, signed in.")


def known(actor: Actor | None) -> Actor:
    """Return *actor* if there is one.

    Raises:
        NotAuthenticated: nobody is signed in.
    """
    if actor is None:
        raise NotAuthenticated
    return actor
