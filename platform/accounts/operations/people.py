"""Making and changing people."""

from dataclasses import dataclass

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, ActorKind, UserId
from ...core.database import Tx, fetch, transaction
from ...core.errors import NotPermitted
from ...core.ids import new_id
from ..errors import EmailTaken
from ..rules import Theme, checked_language, checked_name, checked_timezone, email_key

FIRST_USER_LOCK = 7_021_918
"""Advisory lock under which a deployment's first user is made; any number, but always this."""


FIRST_TOKEN_VERSION = 1
"""What the tokens of somebody new say; whenever all of theirs are ended, it is one more."""


@dataclass(frozen=True, slots=True)
class NewUser:
    """Somebody who registers; every value is checked already."""

    email: str
    name: str
    password_hash: str
    timezone: str


async def is_first_user(tx: Tx) -> bool:
    """Say whether nobody has registered yet; if so, nobody else does before *tx* ends."""
    if not await _no_users():
        return False
    await fetch("SELECT pg_advisory_xact_lock({})", FIRST_USER_LOCK)
    return await _no_users()


async def _no_users() -> bool:
    return not await fetch("SELECT FROM users LIMIT 1")


async def add_user(tx: Tx, new: NewUser, *, platform_admin: bool) -> UserId:
    """Make a person who belongs nowhere yet.

    Raises:
        EmailTaken: somebody has the address, or registers with it at this moment.
    """
    now = clock.now()
    # The unique index decides between two who register at once: the second one waits here
    # for the first one's commit, and then finds the address taken.
    rows = await fetch(
        "INSERT INTO users (id, email, email_key, name, password_hash, timezone, status, "
        "platform_admin, token_version, last_login_at, created_at, updated_at) "
        "VALUES ({}, {}, {}, {}, {}, {}, 'active', {}, {}, {}, {}, {}) "
        "ON CONFLICT (email_key) DO NOTHING RETURNING id",
        new_id(),
        new.email,
        email_key(new.email),
        new.name,
        new.password_hash,
        new.timezone,
        platform_admin,
        FIRST_TOKEN_VERSION,
        now,
        now,
        now,
    )
    if not rows:
        raise EmailTaken
    return UserId(rows[0]["id"])


async def set_password(
    tx: Tx, user_id: UserId, password_hash: str, *, seen_version: int | None = None
) -> int | None:
    """Replace a password and end every token of the person; return the new token version.

    With *seen_version*, nothing changes and None is returned if the person's tokens were ended
    since that was read: what was proven of them then counts no more.
    """
    rows = await fetch(
        "UPDATE users SET password_hash = {}, token_version = token_version + 1, "
        "updated_at = {} WHERE id = {} AND token_version = coalesce({}, token_version) "
        "RETURNING token_version",
        password_hash,
        clock.now(),
        user_id,
        seen_version,
    )
    return int(rows[0]["token_version"]) if rows else None


async def hold_person(tx: Tx, user_id: UserId) -> None:
    """Let nobody else change how the person signs in before *tx* ends.

    Called before anything of theirs is locked, so that two who come at once never deadlock.
    """
    await fetch("SELECT id FROM users WHERE id = {} FOR UPDATE", user_id)


async def set_second_factor(
    tx: Tx, user_id: UserId, *, has_one: bool, seen_version: int
) -> int | None:
    """Say whether a person has a second factor, and end every token of theirs.

    It returns the new token version; or None, and changes nothing, if the tokens were ended
    since *seen_version* was read.
    """
    now = clock.now()
    rows = await fetch(
        "UPDATE users SET second_factor_at = {}, token_version = token_version + 1, "
        "updated_at = {} WHERE id = {} AND token_version = {} RETURNING token_version",
        now if has_one else None,
        now,
        user_id,
        seen_version,
    )
    return int(rows[0]["token_version"]) if rows else None


async def update_user(
    actor: Actor,
    *,
    name: str | None = None,
    timezone: str | None = None,
    theme: Theme | None = None,
    shortcuts: bool | None = None,
    language: str | None = None,
) -> None:
    """Change the signed-in person's own name, time zone, or how pages are; None leaves it.

    An empty language is that of the browser.

    Raises:
        NotPermitted: an API key is nobody, and a second factor comes first where it is asked for.
        InvalidInput: the name, the time zone or the language cannot be one.
    """
    if actor.kind is not ActorKind.USER or actor.user_id is None:
        raise NotPermitted("A person changes this for themselves, signed in.")
    actor.require_second_factor()
    changes: dict[str, str | bool] = {}
    if name is not None:
        changes["name"] = checked_name(name, field="name")
    if timezone is not None:
        changes["timezone"] = checked_timezone(timezone)
    if theme is not None:
        changes["theme"] = theme.value
    if shortcuts is not None:
        changes["shortcuts"] = shortcuts
    if language is not None:
        changes["language"] = checked_language(language)
    if not changes:
        return
    async with transaction() as tx:
        await fetch(
            "UPDATE users SET name = coalesce({}, name), timezone = coalesce({}, timezone), "
            "theme = coalesce({}, theme), shortcuts = coalesce({}, shortcuts), "
            "language = coalesce({}, language), updated_at = {} WHERE id = {}",
            changes.get("name"),
            changes.get("timezone"),
            changes.get("theme"),
            changes.get("shortcuts"),
            changes.get("language"),
            clock.now(),
            actor.user_id,
        )
        await audit.record(
            tx,
            actor,
            action="user.updated",
            target_type="user",
            target_id=actor.user_id,
            changes=changes,
        )
