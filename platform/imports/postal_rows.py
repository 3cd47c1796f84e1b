"""Rows of Postal's as values: what of each table counts here.

Source: db/schema.rb and lib/postal/message_db of https://github.com/postalserver/postal.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from .dumps import Row


@dataclass(frozen=True, slots=True)
class PostalUser:
    """A person; the password stays behind."""

    id: int
    uuid: str
    email: str
    name: str
    time_zone: str
    is_admin: bool


@dataclass(frozen=True, slots=True)
class PostalOrganization:
    """A tenant."""

    id: int
    uuid: str
    name: str
    permalink: str
    owner_id: int | None
    is_deleted: bool
    is_suspended: bool


@dataclass(frozen=True, slots=True)
class PostalServer:
    """What is a project here."""

    id: int
    uuid: str
    organization_id: int
    name: str
    permalink: str
    is_development: bool
    is_deleted: bool
    is_suspended: bool
    send_limit: int | None
    uses_sender: bool


@dataclass(frozen=True, slots=True)
class PostalCredential:
    """A key; *type* is API, SMTP or SMTP-IP."""

    id: int
    uuid: str
    server_id: int
    type: str
    name: str
    key: str
    is_held: bool


@dataclass(frozen=True, slots=True)
class PostalDomain:
    """A domain of a server or of a whole organization."""

    id: int
    uuid: str
    name: str
    server_id: int | None
    organization_id: int | None
    is_verified: bool
    has_dkim_record: bool
    """Postal found its record right when it looked last."""
    dkim_key: str
    dkim_word: str
    """The last part of its selector."""


@dataclass(frozen=True, slots=True)
class PostalTrackDomain:
    """A name that tracks for one domain on one server."""

    id: int
    domain_id: int
    server_id: int
    name: str
    clicks: bool
    loads: bool


@dataclass(frozen=True, slots=True)
class PostalWebhook:
    """An address that is called."""

    id: int
    uuid: str
    server_id: int
    name: str
    url: str
    is_enabled: bool
    is_for_all: bool
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PostalSuppression:
    """An address that got no mail from one server, until *keep_until*."""

    id: int
    type: str
    address: str
    reason: str
    keep_until: datetime | None


class UnreadableRow(ValueError):
    """A column of a row holds something else than it should; the text says which."""


def read_suppression(row: Row) -> PostalSuppression:
    """Return a row of a message database.

    Raises:
        UnreadableRow: a column holds something else than it should.
    """
    return PostalSuppression(
        id=whole(row, "id"),
        type=text_of(row, "type"),
        address=text_of(row, "address"),
        reason=text_of(row, "reason"),
        keep_until=_time(row, "keep_until"),
    )


def read_user(row: Row) -> PostalUser:
    """Return a row of `users`."""
    names = (text_of(row, "first_name"), text_of(row, "last_name"))
    return PostalUser(
        id=whole(row, "id"),
        uuid=_uuid(row),
        email=text_of(row, "email_address").strip(),
        name=" ".join(each.strip() for each in names if each.strip()),
        time_zone=text_of(row, "time_zone"),
        is_admin=_flag(row, "admin"),
    )


def read_organization(row: Row) -> PostalOrganization:
    """Return a row of `organizations`."""
    return PostalOrganization(
        id=whole(row, "id"),
        uuid=_uuid(row),
        name=text_of(row, "name"),
        permalink=text_of(row, "permalink"),
        owner_id=_number(row, "owner_id"),
        is_deleted=row.get("deleted_at") is not None,
        is_suspended=row.get("suspended_at") is not None,
    )


def read_server(row: Row) -> PostalServer:
    """Return a row of `servers`."""
    return PostalServer(
        id=whole(row, "id"),
        uuid=_uuid(row),
        organization_id=whole(row, "organization_id"),
        name=text_of(row, "name"),
        permalink=text_of(row, "permalink"),
        is_development=text_of(row, "mode") == "Development",
        is_deleted=row.get("deleted_at") is not None,
        is_suspended=row.get("suspended_at") is not None,
        send_limit=_number(row, "send_limit"),
        uses_sender=_flag(row, "allow_sender"),
    )


def read_credential(row: Row) -> PostalCredential:
    """Return a row of `credentials`."""
    return PostalCredential(
        id=whole(row, "id"),
        uuid=_uuid(row),
        server_id=whole(row, "server_id"),
        type=text_of(row, "type"),
        name=text_of(row, "name"),
        key=text_of(row, "key"),
        is_held=_flag(row, "hold"),
    )


def read_domain(row: Row) -> PostalDomain:
    """Return a row of `domains`."""
    owner = text_of(row, "owner_type")
    # Domains of old installations belong to the server alone, and say so in another column.
    owner_id = _number(row, "owner_id") if owner else _number(row, "server_id")
    return PostalDomain(
        id=whole(row, "id"),
        uuid=_uuid(row),
        name=text_of(row, "name"),
        server_id=None if owner == "Organization" else owner_id,
        organization_id=owner_id if owner == "Organization" else None,
        is_verified=row.get("verified_at") is not None,
        has_dkim_record=text_of(row, "dkim_status") == "OK",
        dkim_key=text_of(row, "dkim_private_key"),
        dkim_word=text_of(row, "dkim_identifier_string"),
    )


def read_track_domain(row: Row) -> PostalTrackDomain:
    """Return a row of `track_domains`."""
    return PostalTrackDomain(
        id=whole(row, "id"),
        domain_id=whole(row, "domain_id"),
        server_id=whole(row, "server_id"),
        name=text_of(row, "name"),
        clicks=_flag(row, "track_clicks"),
        loads=_flag(row, "track_loads"),
    )


def read_webhook(row: Row) -> PostalWebhook:
    """Return a row of `webhooks`, without its events."""
    return PostalWebhook(
        id=whole(row, "id"),
        uuid=_uuid(row),
        server_id=whole(row, "server_id"),
        name=text_of(row, "name"),
        url=text_of(row, "url").strip(),
        is_enabled=_flag(row, "enabled"),
        is_for_all=_flag(row, "all_events"),
    )


def text_of(row: Row, column: str) -> str:
    """Return a column as a text; what is NULL or not there is empty."""
    return row.get(column) or ""


def _flag(row: Row, column: str) -> bool:
    return text_of(row, column) not in ("", "0")


def _number(row: Row, column: str) -> int | None:
    text = row.get(column)
    if text is None:
        return None
    if re.fullmatch(r"-?[0-9]{1,18}", text) is None:
        raise UnreadableRow(f"{column} is {text[:40]!r} instead of a number")
    return int(text)


def whole(row: Row, column: str) -> int:
    """Return a column that holds a whole number.

    Raises:
        UnreadableRow: it holds something else, or nothing.
    """
    found = _number(row, column)
    if found is None:
        raise UnreadableRow(f"it has no {column}")
    return found


def _uuid(row: Row) -> str:
    text = text_of(row, "uuid")
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise UnreadableRow(
            f"its uuid is {text[:40]!r}, by which it would be known; Postal 2.1 and newer make one"
        ) from None


def _time(row: Row, column: str) -> datetime | None:
    text = row.get(column)
    if text is None:
        return None
    try:
        return datetime.fromtimestamp(float(Decimal(text)), UTC)
    except (InvalidOperation, OverflowError, ValueError, OSError):
        raise UnreadableRow(f"{column} is {text[:40]!r} instead of a time") from None
