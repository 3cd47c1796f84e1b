"""What a message says, as bytes: parts that are the same for everybody, or a mailing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import msgspec

from .address import Mailbox
from .compose import Parts
from .templating import Layer, Rendered

# Fields go by name, so that rows written before a field was added still decode.
_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_decoder = msgspec.msgpack.Decoder(Parts)


def encode_parts(parts: Parts) -> bytes:
    """Return *parts* as MessagePack, for a content of format `parts`."""
    return _encoder.encode(parts)


def decode_parts(body: bytes) -> Parts:
    """Return what `encode_parts` was given, equal in every field."""
    return _decoder.decode(body)


@dataclass(frozen=True, slots=True)
class Mailing:
    """A message that each recipient gets filled with values of their own."""

    parts: Parts
    """Without subject and texts."""
    layers: tuple[Layer, ...]
    values: dict[str, Any] = field(default_factory=dict)
    """Of everybody; a recipient's own come before them."""
    is_apart: bool = True
    """Nobody sees in To whom else it goes to."""

    def values_for(self, own: "Personal") -> dict[str, Any]:
        """Return what names stand for in one recipient's mail."""
        return self.values | own.values

    def parts_for(self, rendered: Rendered, own: "Personal", address: str) -> Parts:
        """Return one recipient's mail, of which the texts are *rendered*."""
        to = (Mailbox(own.name, address),) if self.is_apart else self.parts.to
        return replace(
            self.parts,
            to=to,
            subject=rendered.subject or "",
            html=rendered.html,
            text=rendered.text,
        )


@dataclass(slots=True)
class Personal:
    """What a mailing keeps of one recipient; not frozen, as there may be 10,000 to make."""

    name: str = ""
    """As it is shown beside the address."""
    values: dict[str, Any] = field(default_factory=dict)
    stands_for: str | None = None
    """Whom it would have gone to, if it was sent to somebody else instead."""


NOTHING_OF_ITS_OWN = Personal()

_mailing_decoder = msgspec.msgpack.Decoder(Mailing)
_personal_decoder = msgspec.msgpack.Decoder(dict[UUID, Personal])
_one_decoder = msgspec.msgpack.Decoder(Personal)

TOGETHER = 50
"""Recipients whose values are kept in one row: a row costs far more than what it holds."""
TOGETHER_BYTES = 64 * 2**10
"""A row with so much takes nobody more, as all of it is read for any of them."""


def encode_mailing(mailing: Mailing) -> bytes:
    """Return *mailing* as MessagePack, for a content of format `mailing`."""
    return _encoder.encode(mailing)


def decode_mailing(body: bytes) -> Mailing:
    """Return what `encode_mailing` was given."""
    return _mailing_decoder.decode(body)


def encode_personal(people: Mapping[UUID, Personal]) -> Iterator[tuple[UUID, bytes]]:
    """Return rows of what mailings keep of people, each with the first of the ids that it has.

    Ids go up from row to row, so that the last row that begins at or before one has it.
    """
    ids = sorted(people)
    start, at_once = 0, TOGETHER
    while start < len(ids):
        row = {id: people[id] for id in ids[start : start + at_once]}
        body = _encoder.encode(row)
        if len(body) >= TOGETHER_BYTES:
            row = _first_of(row)
            body = _encoder.encode(row)
            # Those that follow have about as much: twice what fits is tried with them.
            at_once = min(TOGETHER, 2 * len(row))
        elif at_once < TOGETHER:
            at_once = TOGETHER
            continue
        yield ids[start], body
        start += len(row)


def _first_of(row: Mapping[UUID, Personal]) -> dict[UUID, Personal]:
    """Return whose values a row takes that would have too much with all of them."""
    taken: dict[UUID, Personal] = {}
    size = 0
    for id, personal in row.items():
        taken[id] = personal
        size += len(_encoder.encode(personal))
        if size >= TOGETHER_BYTES:
            break
    return taken


def decode_personal(rows: Sequence[tuple[UUID, bytes]]) -> dict[UUID, Personal]:
    """Return what rows, each with the first of its ids, keep of people, by their ids.

    A row of before is one person's, whose fields stand where others have ids.
    """
    found: dict[UUID, Personal] = {}
    for first, body in rows:
        try:
            found |= _personal_decoder.decode(body)
        except msgspec.ValidationError:
            found[first] = _one_decoder.decode(body)
    return found
