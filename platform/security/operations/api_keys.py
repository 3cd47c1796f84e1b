"""Making, rotating, changing and deleting API keys."""

from dataclasses import dataclass, replace
from datetime import timedelta

from ...accounts.operations import NewProject, add_project, lock_members
from ...accounts.rules import checked_name
from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, ApiKeyId, Permission, ProjectId, Role
from ...core.crypto import digest
from ...core.database import Tx, fetch, transaction
from ...core.errors import DetailCode, InvalidInput, NotFound
from .. import new_keys
from ..errors import BeyondOwnRights, KeyBlocked, KeyDisabled, KeyLimitReached, KeyTaken
from ..new_keys import NewKey
from ..queries import visible
from ..rules import API_KEY_PURPOSE, KeyFormat, NewSecret, effective, new_secret
from ..tables import ApiKey, ApiKeySecret

MOST_KEYS = 100
LONGEST_GRACE = timedelta(days=7)
DEFAULT_GRACE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and its secret, which is shown this once."""

    key_id: ApiKeyId
    secret: str


async def create_api_key(actor: Actor, new: NewKey) -> IssuedKey:
    """Make an API key that holds no more than the actor does.

    Raises:
        InvalidInput: a value cannot be one.
        BeyondOwnRights: it would hold a scope, reach or time that the actor lacks.
        KeyLimitReached: the organization has 100 keys.
    """
    actor.require(Permission.WRITE_API_KEYS)
    row = await new_keys.checked(actor, new)
    async with transaction() as tx:
        return await _issue(tx, actor, row, new.format)


async def create_project_with_key(
    actor: Actor, project: NewProject, key: NewKey | None
) -> tuple[ProjectId, str | None]:
    """Make a project and, unless *key* is None, its first key; return both.

    The key is bound to the project, whatever *key* says.

    Raises:
        NotPermitted, InvalidInput, ProjectExists, ProjectUidTaken: as for `create_project`.
        BeyondOwnRights, KeyLimitReached: as for `create_api_key`; no project is made either.
    """
    if key is not None:
        actor.require(Permission.WRITE_API_KEYS)
    async with transaction() as tx:
        project_id = await add_project(tx, actor, project)
        if key is None:
            return project_id, None
        row = await new_keys.checked(actor, replace(key, project_id=project_id))
        return project_id, (await _issue(tx, actor, row, key.format)).secret


async def _issue(tx: Tx, actor: Actor, row: ApiKey, form: KeyFormat) -> IssuedKey:
    secret = new_secret(form)
    # The lock also lets two who make the hundredth key find one another.
    await lock_members(tx, actor.organization_id)
    rows = await fetch(
        "SELECT count(*) AS keys FROM api_keys WHERE organization_id = {}",
        actor.organization_id,
    )
    if rows[0]["keys"] >= MOST_KEYS:
        raise KeyLimitReached
    await _insert(tx, actor, row, secret, action="api_key.created")
    return IssuedKey(ApiKeyId(row.id), secret.text)


async def adopt_api_key(tx: Tx, actor: Actor, new: NewKey, secret: NewSecret) -> ApiKeyId:
    """Make an API key with a secret that clients of another platform hold; return it.

    However many keys there are: what has worked goes on working.

    Raises:
        InvalidInput: a value cannot be one.
        KeyTaken: a key has the secret already, whosever it is.
    """
    actor.require(Permission.WRITE_API_KEYS)
    row = await new_keys.checked(actor, new)
    await lock_members(tx, actor.organization_id)
    taken = await fetch(
        "SELECT FROM api_key_secrets WHERE digest = {}",
        digest(secret.text, purpose=API_KEY_PURPOSE),
    )
    if taken:
        raise KeyTaken
    await _insert(tx, actor, row, secret, action="api_key.adopted")
    return ApiKeyId(row.id)


async def _insert(tx: Tx, actor: Actor, row: ApiKey, secret: NewSecret, *, action: str) -> None:
    rows = await fetch(
        "SELECT id FROM memberships WHERE organization_id = {} AND user_id = {}",
        actor.organization_id,
        actor.user_id,
    )
    if not rows:
        raise BeyondOwnRights
    row.membership_id = rows[0]["id"]
    await ApiKey.insert(row)
    await _add_secret(tx, ApiKeyId(row.id), secret)
    await audit.record(
        tx,
        actor,
        action=action,
        target_type="api_key",
        target_id=row.id,
        changes={"name": row.name, "scopes": row.scopes, "mode": row.mode},
    )


async def rotate_api_key(
    actor: Actor, key_id: ApiKeyId, *, grace: timedelta = DEFAULT_GRACE
) -> IssuedKey:
    """Give a key a new secret; the old one stays good for *grace*, an older one ends now.

    Raises:
        NotFound: there is no such key, or the actor may not handle it.
        InvalidInput: the grace is negative or longer than 7 days.
        KeyDisabled: the key is switched off.
        BeyondOwnRights: the key holds more than the actor, who would learn its secret.
    """
    actor.require(Permission.WRITE_API_KEYS)
    if not timedelta(0) <= grace <= LONGEST_GRACE:
        raise InvalidInput.of(
            "gracePeriodSeconds",
            DetailCode.TOO_LARGE if grace > LONGEST_GRACE else DetailCode.TOO_SMALL,
            f"The grace period is 0 to {int(LONGEST_GRACE.total_seconds())} seconds.",
        )
    now = clock.now()
    async with transaction() as tx:
        row = await lock_api_key(tx, actor, key_id)
        role = await _maker_role(row)
        if row.status != "active" or row.blocked_by is not None or role is None:
            raise KeyDisabled
        await _check_may_learn(actor, row, role)
        secret = new_secret(KeyFormat(row.format))
        await fetch(
            "DELETE FROM api_key_secrets WHERE api_key_id = {} AND expires_at IS NOT NULL", key_id
        )
        await fetch(
            "UPDATE api_key_secrets SET expires_at = {} WHERE api_key_id = {}", now + grace, key_id
        )
        await _add_secret(tx, key_id, secret)
        await fetch("UPDATE api_keys SET rotated_at = {} WHERE id = {}", now, key_id)
        await audit.record(
            tx,
            actor,
            action="api_key.rotated",
            target_type="api_key",
            target_id=key_id,
            changes={"prefix": secret.prefix, "grace_seconds": int(grace.total_seconds())},
        )
    return IssuedKey(key_id, secret.text)


async def update_api_key(
    actor: Actor, key_id: ApiKeyId, *, name: str | None = None, enabled: bool | None = None
) -> None:
    """Rename a key, or switch it on or off, from the next request on; None leaves it.

    Raises:
        NotFound: there is no such key, or the actor may not handle it.
        InvalidInput: the name cannot be one.
        KeyDisabled: it cannot be switched on, because its maker has left.
        KeyBlocked: nor while an auto-block keeps it off.
    """
    actor.require(Permission.WRITE_API_KEYS)
    wanted = None if name is None else checked_name(name, field="name")
    status = None if enabled is None else ("active" if enabled else "disabled")
    async with transaction() as tx:
        row = await lock_api_key(tx, actor, key_id)
        if enabled and row.membership_id is None:
            raise KeyDisabled("Its maker has left the organization; make a new key instead.")
        if enabled and row.blocked_by is not None:
            raise KeyBlocked
        changes = {
            field: {"from": before, "to": after}
            for field, before, after in (("name", row.name, wanted), ("status", row.status, status))
            if after is not None and after != before
        }
        if not changes:
            return
        await fetch(
            "UPDATE api_keys SET name = coalesce({}, name), status = coalesce({}, status) "
            "WHERE id = {}",
            wanted,
            status,
            key_id,
        )
        await audit.record(
            tx,
            actor,
            action="api_key.updated",
            target_type="api_key",
            target_id=key_id,
            changes=changes,
        )


async def delete_api_key(actor: Actor, key_id: ApiKeyId) -> None:
    """Delete a key with all of its secrets, from the next request on; sent messages stay.

    Raises:
        NotFound: there is no such key, or the actor may not handle it.
    """
    actor.require(Permission.WRITE_API_KEYS)
    async with transaction() as tx:
        row = await lock_api_key(tx, actor, key_id)
        await fetch("DELETE FROM api_keys WHERE id = {}", key_id)
        await audit.record(
            tx,
            actor,
            action="api_key.deleted",
            target_type="api_key",
            target_id=key_id,
            changes={"name": row.name},
        )


async def lock_api_key(tx: Tx, actor: Actor, key_id: ApiKeyId) -> ApiKey:
    """Return a key that the actor may handle, locked, so that two rotations come in turn.

    Raises:
        NotFound: there is no such key, or the actor may not handle it.
    """
    rows = await visible(actor, ApiKey.objects()).where(ApiKey.id == key_id).lock_rows("UPDATE")
    if not rows:
        raise NotFound
    row: ApiKey = rows[0]
    return row


async def _maker_role(row: ApiKey) -> Role | None:
    rows = await fetch("SELECT role FROM memberships WHERE id = {}", row.membership_id)
    return Role(rows[0]["role"]) if rows else None


async def _check_may_learn(actor: Actor, row: ApiKey, role: Role) -> None:
    if actor.api_key_id == row.id:
        return
    held = effective(tuple(row.scopes), role, bound=row.project_id is not None)
    if not held <= actor.permissions:
        raise BeyondOwnRights("This key holds more than you do, so you cannot have its secret.")
    await new_keys.check_reach(actor, new_keys.reach_of(row))


async def _add_secret(tx: Tx, key_id: ApiKeyId, secret: NewSecret) -> None:
    await ApiKeySecret.insert(
        ApiKeySecret(
            api_key_id=key_id,
            prefix=secret.prefix,
            digest=digest(secret.text, purpose=API_KEY_PURPOSE),
        )
    )
