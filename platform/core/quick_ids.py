"""Ids for those who need thousands, of the class that the driver of the database reads them as."""

import uuid

import uuid_utils
from asyncpg.pgproto.pgproto import UUID as QuickUUID


def quick_id() -> uuid.UUID:
    """Return what `new_id` does, made, hashed, written and sent in a third of the time.

    Piccolo does not take it for the default of a column.
    """
    made: uuid.UUID = QuickUUID(uuid_utils.uuid7().bytes)
    return made


def quick(id: uuid.UUID) -> uuid.UUID:
    """Return an id as one of those, equal to it."""
    made: uuid.UUID = QuickUUID(id.bytes)
    return made


def quick_texts(count: int) -> list[str]:
    """Return so many new ids as they are written, for what asks for them nowhere but there."""
    return [str(uuid_utils.uuid7()) for _ in range(count)]
