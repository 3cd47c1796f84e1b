"""What a message says, as `contents.body` keeps it."""

from enum import StrEnum

from ..mail.mailing import (
    NOTHING_OF_ITS_OWN,
    Mailing,
    Personal,
    decode_mailing,
    decode_parts,
    decode_personal,
    encode_mailing,
    encode_parts,
    encode_personal,
)

__all__ = [
    "MAILINGS",
    "NOTHING_OF_ITS_OWN",
    "ContentFormat",
    "Mailing",
    "Personal",
    "decode_mailing",
    "decode_parts",
    "decode_personal",
    "encode_mailing",
    "encode_parts",
    "encode_personal",
]


class ContentFormat(StrEnum):
    """What the bytes of a content are."""

    PARTS = "parts"
    RAW = "raw"
    MAILING = "mailing"
    """A mailing; a row of personal values has those of many."""
    TEMPLATE = "template"
    """A mailing of before: each recipient has a row, with values in the former form.

    Versions that can read no other do not know the name above, so they send nothing of it.
    """


MAILINGS = frozenset({ContentFormat.MAILING, ContentFormat.TEMPLATE})
