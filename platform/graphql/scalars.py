"""Scalars of our own: how each is written, and what is taken."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NewType
from uuid import UUID

import strawberry
from strawberry.types.scalar import ScalarDefinition

from ..core.ids import parse_id

EmailAddress = NewType("EmailAddress", str)
Url = NewType("Url", str)
BigInt = NewType("BigInt", int)
Json = NewType("Json", object)
"""Data of the customer's own, passed through as it is."""

LARGEST_BIG_INT = 2**63 - 1


def write_time(value: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds and `Z`."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_time(value: Any) -> datetime:
    """Return the aware time that an RFC 3339 text says, in UTC."""
    if not isinstance(value, str) or len(value) > 40:
        raise ValueError("Write a time as RFC 3339, such as 2026-01-31T12:00:00Z.")
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None or "T" not in value.upper():
            raise ValueError(value)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("Write a time as RFC 3339, such as 2026-01-31T12:00:00Z.") from error


def _day(value: Any) -> date:
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 a day has no zone
    except (TypeError, ValueError) as error:
        raise ValueError("Write a day as YYYY-MM-DD.") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Write it as a string.")
    return value


def _big_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("Write it as a whole number.")
    text = str(value) if isinstance(value, int) and abs(value) <= LARGEST_BIG_INT else value
    if not isinstance(text, str) or len(text) > 20:
        raise ValueError(f"It is beyond {LARGEST_BIG_INT}.")
    try:
        found = int(text)
    except ValueError as error:
        raise ValueError("Write it as a whole number.") from error
    if abs(found) > LARGEST_BIG_INT:
        raise ValueError(f"It is beyond {LARGEST_BIG_INT}.")
    return found


def _uuid(value: Any) -> UUID:
    found = parse_id(value)
    if found is None:
        raise ValueError("Write it as a UUID.")
    return found


def _same(value: Any) -> Any:
    return value


SCALARS: Mapping[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A time as RFC 3339 text. Answers are in UTC with milliseconds and `Z`; "
        "any offset is taken, none is refused.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=write_time,
        parse_value=read_time,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A day as RFC 3339 text, such as 2026-01-31.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=date.isoformat,
        parse_value=_day,
    ),
    UUID: strawberry.scalar(
        name="UUID",
        description="32 hexadecimal digits in five groups, lower case in answers.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc9562",
        serialize=str,
        parse_value=_uuid,
    ),
    EmailAddress: strawberry.scalar(
        name="EmailAddress",
        description="An address such as `ada@example.org`; the domain may be international.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2",
        serialize=_same,
        parse_value=_text,
    ),
    Url: strawberry.scalar(
        name="URL",
        description="An absolute `http` or `https` address.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3986",
        serialize=_same,
        parse_value=_text,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number of up to 64 bits. Answers write it as a number; text is "
        "taken as well, for clients that cannot.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259#section-6",
        serialize=_same,
        parse_value=_big_int,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value; it is kept and shown as the customer gave it.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=_same,
        parse_value=_same,
    ),
}
