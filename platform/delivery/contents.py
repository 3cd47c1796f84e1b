"""What a message says, as `contents.body` keeps it."""

from enum import StrEnum

import msgspec

from ..mail.compose import Parts


class ContentFormat(StrEnum):
    """What the bytes of a content are."""

    PARTS = "parts"
    RAW = "raw"


# Fields go by name, so that rows written before a field was added still decode.
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Parts)


def encode_parts(parts: Parts) -> bytes:
    """Return *parts* as MessagePack, for a content of format `parts`."""
    return _encoder.encode(parts)


def decode_parts(body: bytes) -> Parts:
    """Return what `encode_parts` was given, equal in every field."""
    return _decoder.decode(body)
