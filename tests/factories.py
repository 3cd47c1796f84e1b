"""Real rows for tests, with defaults for everything a test does not care about.

Each takes keyword overrides and returns the row it made. Nothing here goes around the
database: what a factory makes, the product finds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from postlane.accounts.tables import Membership, Organization, Project, User
from postlane.core import clock
from postlane.core.actor import (
    ROLE_PERMISSIONS,
    Actor,
    ActorKind,
    OrganizationId,
    Permission,
    Role,
    UserId,
)
from postlane.core.crypto import digest
from postlane.core.database import fetch
from postlane.core.ids import new_id, new_token
from postlane.domains.tables import Domain
from postlane.ingress.rules import new_address_token
from postlane.ingress.tables import IngressMail, IngressMailbox
from postlane.protection.tables import Block
from postlane.requests.tables import ApiRequest
from postlane.security.rules import API_KEY_PURPOSE, KeyFormat, new_secret
from postlane.security.tables import ApiKey, ApiKeySecret, Passkey, ProviderIdentity, SignInSession
from postlane.suppressions.tables import Suppression
from postlane.vmtas.tables import Pool
from postlane.webhooks.rules import PAYLOAD_VERSIONS
from postlane.webhooks.signing import new_secret as new_webhook_secret
from postlane.webhooks.signing import sealed
from postlane.webhooks.tables import Webhook, WebhookCall, WebhookProgress, WebhookReplay

UNUSABLE_PASSWORD = "!"
"""A password hash that no password fits; hashing a real one takes tens of milliseconds."""


async def make_organization(**values: Any) -> Organization:
    """Make an organization with its project and its pool named `default`."""
    tag = new_token(10).lower()
    organization = Organization(**{"slug": f"org-{tag}", "name": f"Organization {tag}"} | values)
    await organization.save()
    await Project(organization_id=organization.id, slug="default", name="Default").save()
    await Pool(organization_id=organization.id, name="default").save()
    return organization


async def default_project(organization: Organization) -> Project:
    """Return the project named `default`."""
    found = (
        await Project.objects()
        .where(Project.organization_id == organization.id, Project.slug == "default")
        .first()
    )
    assert found is not None
    return found


async def make_project(organization: Organization, **values: Any) -> Project:
    """Make another project of *organization*."""
    tag = new_token(8).lower()
    project = Project(
        **{"organization_id": organization.id, "slug": f"project-{tag}", "name": tag} | values
    )
    await project.save()
    return project


async def make_user(**values: Any) -> User:
    """Make a user who belongs nowhere and has no usable password."""
    email = values.pop("email", f"user-{new_token(10).lower()}@example.org")
    user = User(
        **{
            "email": email,
            "email_key": email.lower(),
            "name": "Robin Example",
            "password_hash": UNUSABLE_PASSWORD,
        }
        | values
    )
    await user.save()
    return user


async def make_membership(
    organization: Organization, user: User | None = None, *, role: Role = Role.OWNER
) -> Membership:
    """Make *user*, or a new one, a member of *organization*."""
    user = user or await make_user()
    membership = Membership(organization_id=organization.id, user_id=user.id, role=role.value)
    await membership.save()
    return membership


async def make_actor(
    organization: Organization | None = None,
    *,
    role: Role = Role.OWNER,
    permissions: Iterable[Permission] | None = None,
    **values: Any,
) -> Actor:
    """Return a signed-in member of *organization*, or of a new one, with real rows behind it."""
    organization = organization or await make_organization()
    membership = await make_membership(organization, role=role)
    held = ROLE_PERMISSIONS[role] if permissions is None else frozenset(permissions)
    return Actor(
        **{
            "kind": ActorKind.USER,
            "organization_id": OrganizationId(organization.id),
            "role": role,
            "permissions": held,
            "user_id": UserId(membership.user_id),
            "request_id": "test",
        }
        | values
    )


def make_block(organization_id: UUID, target_id: str, **values: Any) -> Block:
    """Return a block that is still to be saved: a rule has told of something, and stops nothing."""
    return Block(
        **{
            "organization_id": organization_id,
            "rule_key": "volume_spike",
            "scope": "api_key",
            "target_id": target_id,
            "target_name": "Key",
            "action": "alert_only",
            "status": "active",
            "metric_value": 11.0,
            "threshold": 10.0,
            "sample_size": 1000,
            "reason": "Volume against the usual 11 over 1 hour (threshold 10).",
        }
        | values
    )


async def make_session(actor: Actor, **values: Any) -> SignInSession:
    """Make a session of the person who is *actor*."""
    session = SignInSession(
        **{
            "id": new_id(),
            "user_id": actor.user_id,
            "organization_id": actor.organization_id,
            "token_version": 1,
            "expires_at": clock.now() + timedelta(days=1),
        }
        | values
    )
    await session.save()
    return session


async def make_passkey(actor: Actor) -> Passkey:
    """Make a passkey of the person who is *actor*, which no device holds."""
    id = new_id()
    passkey = Passkey(
        id=id, user_id=actor.user_id, credential_id=id.bytes, public_key=b"none", name="Phone"
    )
    await passkey.save()
    return passkey


async def make_identity(actor: Actor) -> ProviderIdentity:
    """Let a provider that does not exist sign in the person who is *actor*."""
    identity = ProviderIdentity(
        user_id=actor.user_id, issuer="https://id.example", subject=str(new_id())
    )
    await identity.save()
    return identity


@dataclass(frozen=True, slots=True)
class MadeKey:
    """An API key and the secret that a client sends."""

    row: ApiKey
    secret: str


async def make_api_key(
    organization: Organization,
    *,
    membership: Membership | None = None,
    scopes: Iterable[str] = ("*",),
    format: KeyFormat = KeyFormat.STANDARD,
    **values: Any,
) -> MadeKey:
    """Make an API key of *organization*; its maker is *membership*, or a new owner."""
    membership = membership or await make_membership(organization)
    key = ApiKey(
        **{
            "organization_id": organization.id,
            "name": "A key",
            "scopes": list(scopes),
            "created_by": membership.user_id,
            "membership_id": membership.id,
        }
        | values
    )
    await key.save()
    secret = new_secret(format)
    await ApiKeySecret(
        api_key_id=key.id,
        prefix=secret.prefix,
        digest=digest(secret.text, purpose=API_KEY_PURPOSE),
    ).save()
    return MadeKey(key, secret.text)


async def make_domain(organization_id: Any, **values: Any) -> Domain:
    """Make a verified domain without keys and records."""
    name = values.pop("name", f"{new_token(10).lower()}.example")
    domain = Domain(
        **{
            "organization_id": organization_id,
            "name": name,
            "status": "verified",
            "return_path_domain": f"bounce.{name}",
        }
        | values
    )
    await domain.save()
    return domain


async def make_suppression(organization_id: Any, address: str, **values: Any) -> Suppression:
    """Stop sending to *address*."""
    row = Suppression(
        **{
            "organization_id": organization_id,
            "address": address,
            "address_key": address.lower(),
            "reason": "manual",
        }
        | values
    )
    await row.save()
    return row


def make_api_request(organization_id: UUID, api_key_id: UUID) -> ApiRequest:
    """Return a line of the log of requests."""
    return ApiRequest(
        organization_id=organization_id,
        api_key_id=api_key_id,
        api="rest",
        method="GET",
        route="/api/v1/messages",
        status=200,
        outcome="succeeded",
        request_id="one",
        microseconds=1_500,
    )


async def make_ingress_mailbox(organization_id: UUID, uid: str) -> tuple[UUID, int, UUID]:
    """Make a mailbox into which a mail came; return its id, its number, and the mail's id."""
    row = IngressMailbox(
        organization_id=organization_id,
        uid=uid,
        token=new_address_token(),
        url="https://program.example/mail",
        sealed_secret=sealed(new_webhook_secret()),
    )
    await IngressMailbox.insert(row)
    mail = IngressMail(
        organization_id=organization_id,
        mailbox_id=row.id,
        source="smtp",
        sender="ada@example.net",
        subject="Hello",
        size_bytes=5,
        state="delivered",
    )
    await mail.save()
    rows = await fetch("SELECT number FROM ingress_mailboxes WHERE id = {}", row.id)
    return row.id, rows[0]["number"], mail.id


async def make_webhook(organization: Organization, url: str) -> tuple[UUID, UUID, UUID]:
    """Make a webhook with a call that was delivered and a replay that is done; return their ids."""
    row = Webhook(
        organization_id=organization.id,
        url=url,
        events=["*"],
        payload_version=PAYLOAD_VERSIONS[-1],
        sealed_secret=sealed(new_webhook_secret()),
    )
    await row.save()
    await WebhookProgress(webhook_id=row.id, organization_id=organization.id).save()
    call = WebhookCall(
        organization_id=organization.id,
        webhook_id=row.id,
        event_id=new_id(),
        event_type="message.queued",
        state="delivered",
        attempts=1,
        delivered_at=clock.now(),
    )
    await call.save()
    replay = WebhookReplay(
        organization_id=organization.id,
        webhook_id=row.id,
        since=clock.now() - timedelta(days=1),
        until=clock.now(),
        states=["dead"],
        completed_at=clock.now(),
    )
    await replay.save()
    return row.id, call.id, replay.id
