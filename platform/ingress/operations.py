"""Making, changing and deleting ingress mailboxes."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..accounts.queries import get_project
from ..accounts.rules import checked_uid
from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, Permission, ProjectId
from ..core.crypto import seal
from ..core.database import Tx, fetch, transaction
from ..core.errors import Detail, DetailCode, InvalidInput, NotFound
from ..security import limits
from ..webhooks.requests import check_url, refuse_private
from ..webhooks.signing import new_secret, written
from .errors import NoAccount, TooManyMailboxes, uid_taken
from .posting import sealed
from .queries import get_mailbox, visible
from .rules import (
    MOST_MAILBOXES,
    AccountRequest,
    PostFormat,
    changes_shown,
    check_account,
    check_label,
    new_address_token,
)
from .tables import IngressMailbox
from .work import PASSWORD_PURPOSE, tell


@dataclass(frozen=True, slots=True)
class NewMailbox:
    """What a mailbox is to be; nothing is checked yet."""

    url: str
    uid: str | None = None
    """None is a new UUID."""
    label: str | None = None
    format: PostFormat = PostFormat.RAW
    account: AccountRequest | None = None
    project_id: ProjectId | None = None


@dataclass(frozen=True, slots=True)
class MailboxChange:
    """What to change of a mailbox; None leaves a field as it is."""

    url: str | None = None
    uid: str | None = None
    label: str | None = None
    format: PostFormat | None = None
    account: Mapping[str, Any] | None = None
    """Fields of its account; a mailbox without one gets it, and then needs them all."""
    leaves_account: bool = False
    rotates_secret: bool = False


@dataclass(frozen=True, slots=True)
class Issued:
    """A mailbox, and its secret if it has a new one."""

    mailbox: IngressMailbox
    secret: str | None


async def create_mailbox(actor: Actor, new: NewMailbox) -> Issued:
    """Make a mailbox, into which mail comes from now on.

    Raises:
        InvalidInput: names every field that breaks a rule, or the uid is taken.
        TooManyMailboxes: the organization has 100.
    """
    _require_right(actor)
    found: list[Detail] = []
    secret = new_secret()
    check_url(new.url, found)
    row = IngressMailbox(
        organization_id=actor.organization_id,
        project_id=await _project(actor, new.project_id),
        uid=checked_uid(new.uid) or str(uuid.uuid4()),
        label=check_label(new.label, found),
        token=new_address_token(),
        url=new.url,
        format=new.format.value,
        sealed_secret=sealed(secret),
    )
    if new.account is not None:
        _set_account(row, check_account(new.account, found))
    if found:
        raise InvalidInput.all(found)
    await refuse_private(new.url)
    async with transaction() as tx:
        await _make_room(actor)
        await _check_uid(actor, row.uid)
        await IngressMailbox.insert(row)
        await _record(tx, actor, row.id, "ingress_mailbox.created", _shown(row))
        _look_soon(tx, row)
        return Issued(await _lock(actor, row.id), written(secret))


async def update_mailbox(actor: Actor, mailbox_id: uuid.UUID, change: MailboxChange) -> Issued:
    """Change a mailbox; what waits is posted as it is then.

    Another server or user name is looked into from its last mail on, and needs its password,
    as does an account that is to be looked into in clear.

    Raises:
        NotFound: it is absent or somebody else's.
        InvalidInput: names every field that breaks a rule, or the uid is taken.
        TooManyRequests: its account was changed or looked into 6 times within a minute.
    """
    _require_right(actor)
    found: list[Detail] = []
    if change.url is not None:
        check_url(change.url, found)
    label = check_label(change.label, found)
    uid = checked_uid(change.uid)
    if change.account:
        await _count_look(actor, mailbox_id)
    if change.url is not None and not found:
        await refuse_private(change.url)
    secret = new_secret() if change.rotates_secret else None
    async with transaction() as tx:
        row = await _lock(actor, mailbox_id)
        before = _shown(row)
        if uid is not None and uid != row.uid:
            await _check_uid(actor, uid)
            row.uid = uid
        if change.label is not None:
            row.label = label
        if change.url is not None:
            row.url = change.url
        if change.format is not None:
            row.format = change.format.value
        _change_account(row, change, found)
        if found:
            raise InvalidInput.all(found)
        if secret is not None:
            row.sealed_secret = sealed(secret)
        told = changes_shown(before, _shown(row)) | ({"secret_rotated": True} if secret else {})
        if change.account and change.account.get("password"):
            told["password_changed"] = True
        row.updated_at = clock.now()
        await row.save()
        if told:
            await _record(tx, actor, mailbox_id, "ingress_mailbox.updated", told)
        _look_soon(tx, row)
    return Issued(row, None if secret is None else written(secret))


async def look_now(actor: Actor, mailbox_id: uuid.UUID) -> IngressMailbox:
    """Let the account of a mailbox be looked into at once, also if that failed lately.

    Raises:
        NotFound: the mailbox is absent or somebody else's.
        Conflict: it has no account.
        TooManyRequests: it was asked for 6 times within a minute.
    """
    _require_right(actor)
    await _count_look(actor, mailbox_id)
    async with transaction() as tx:
        row = await _lock(actor, mailbox_id)
        if row.host is None:
            raise NoAccount
        row.next_look_at = clock.now()
        # The other columns are those of who looks, if somebody does.
        await fetch(
            "UPDATE ingress_mailboxes SET next_look_at = {} WHERE id = {}",
            row.next_look_at,
            mailbox_id,
        )
        _look_soon(tx, row)
    return row


async def delete_mailbox(actor: Actor, mailbox_id: uuid.UUID) -> IngressMailbox:
    """Take mail no more; what waits to be posted is dropped. Return what it was.

    Raises:
        NotFound: it is absent or somebody else's.
    """
    _require_right(actor)
    async with transaction() as tx:
        row = await _lock(actor, mailbox_id)
        await fetch("DELETE FROM ingress_mailboxes WHERE id = {}", mailbox_id)
        await _record(tx, actor, mailbox_id, "ingress_mailbox.deleted", _shown(row))
    return row


def _require_right(actor: Actor) -> None:
    """Do nothing if the actor may change mailboxes: they show a secret and lead mail away, as
    webhooks do.
    """
    actor.require(Permission.WRITE_PROJECTS)
    actor.require(Permission.WRITE_WEBHOOKS)


def _set_account(row: IngressMailbox, account: AccountRequest) -> None:
    row.host, row.port, row.tls = account.host, account.port, account.tls
    row.username = account.username
    row.sealed_password = seal(account.password.encode(), purpose=PASSWORD_PURPOSE)
    row.next_look_at = clock.now()
    row.failures, row.failure = 0, None


def _change_account(row: IngressMailbox, change: MailboxChange, found: list[Detail]) -> None:
    if change.leaves_account:
        row.host = row.username = row.next_look_at = row.uid_validity = row.failure = None
        row.sealed_password = None  # type: ignore[assignment]  # the column takes null
    if not change.account:
        return
    kept = {name: getattr(row, name) for name in ("host", "port", "tls", "username")}
    before, was_encrypted = (row.host, row.port, row.username), row.tls
    given = {**kept, **{name: v for name, v in change.account.items() if v is not None}}
    password = given.get("password")
    has_password = row.sealed_password is not None
    account = check_account(
        AccountRequest(
            given["host"] or "",
            given["username"] or "",
            password or ("-" if has_password else ""),
            given["port"],
            given["tls"],
        ),
        found,
    )
    stored = row.sealed_password
    _set_account(row, account)
    is_elsewhere = before != (row.host, row.port, row.username)
    if not password:
        row.sealed_password = stored
        # Whoever may change a mailbox would read its password at a server of theirs.
        if has_password and (is_elsewhere or (was_encrypted and not row.tls)):
            message = "Say the password again: it goes to another place, or in clear."
            found.append(Detail("account.password", DetailCode.REQUIRED, message))
    if is_elsewhere:
        row.uid_validity, row.last_uid = None, 0


async def _count_look(actor: Actor, mailbox_id: uuid.UUID) -> None:
    await get_mailbox(actor, mailbox_id)
    await limits.count(limits.LOOK_INTO_MAILBOX, str(mailbox_id))


def _look_soon(tx: Tx, row: IngressMailbox) -> None:
    if row.next_look_at is not None:
        tx.after_commit(tell)


async def _project(actor: Actor, project_id: ProjectId | None) -> ProjectId | None:
    if project_id is None:
        return actor.project_id
    try:
        await get_project(actor, project_id)
    except NotFound:
        raise InvalidInput.of(
            "projectId", DetailCode.NOT_FOUND, "There is no such project."
        ) from None
    return project_id


async def _make_room(actor: Actor) -> None:
    # The organization's row, so that those who make the last one at once are counted in turn.
    await fetch("SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", actor.organization_id)
    rows = await fetch(
        "SELECT count(*) AS mailboxes FROM ingress_mailboxes WHERE organization_id = {}",
        actor.organization_id,
    )
    if rows[0]["mailboxes"] >= MOST_MAILBOXES:
        raise TooManyMailboxes


async def _check_uid(actor: Actor, uid: str) -> None:
    """Do nothing if no other mailbox has *uid*; nobody else takes it until the transaction ends."""
    await fetch("SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", actor.organization_id)
    if await fetch(
        "SELECT FROM ingress_mailboxes WHERE organization_id = {} AND uid = {}",
        actor.organization_id,
        uid,
    ):
        raise uid_taken()


async def _lock(actor: Actor, mailbox_id: uuid.UUID) -> IngressMailbox:
    await fetch("SELECT FROM ingress_mailboxes WHERE id = {} FOR NO KEY UPDATE", mailbox_id)
    found = await visible(actor).where(IngressMailbox.id == mailbox_id).first()
    if found is None:
        raise NotFound
    return found


def _shown(row: IngressMailbox) -> dict[str, Any]:
    """Return what the audit log may say of a mailbox: no password, no secret."""
    names = ("uid", "label", "url", "format", "host", "port", "tls", "username")
    return {name: getattr(row, name) for name in names}


async def _record(
    tx: Tx, actor: Actor, mailbox_id: uuid.UUID, action: str, changes: Mapping[str, Any]
) -> None:
    await record(
        tx,
        actor,
        action=action,
        target_type="ingress_mailbox",
        target_id=mailbox_id,
        changes=changes,
    )
