"""Preparing: from what a message says to the signed bytes that go over the wire."""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass

from ..delivery.contents import ContentFormat, decode_parts
from ..delivery.work import Claim, Content, read_contents, return_path_of
from ..domains.work import signing_keys
from ..mail.compose import compose, needs_smtputf8
from ..mail.dkim import SigningKey, sign
from ..mail.outcome import BounceClass, Failure, Verdict
from ..mail.smtp import Envelope

log = logging.getLogger(__name__)

MESSAGES_AT_ONCE = 20
BYTES_AT_ONCE = 4 * 1024 * 1024
"""How much is read from the database at once; at least one message, whatever its size."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A claim and what to send for it, or why it cannot be sent."""

    claim: Claim
    envelope: Envelope | Failure
    share: int
    """Bytes held for it: of the message's, which deliveries prepared together share."""


@dataclass(frozen=True, slots=True)
class _Built:
    data: bytes
    smtputf8: bool


async def prepare(claims: Sequence[Claim]) -> AsyncIterator[list[Prepared]]:
    """Yield the claims with what to send, a few messages at a time.

    A message is built and signed once, however many of *claims* are its deliveries.
    """
    for group in _groups(claims):
        contents = await read_contents({claim.content_id for claim in group})
        domain_ids = {claim.domain_id for claim in group if claim.domain_id}
        keys = await signing_keys(domain_ids)
        # In a thread: most of it is RSA, which leaves the interpreter to the loop meanwhile.
        built = await asyncio.to_thread(_build_all, _messages(group), contents, keys)
        counts = Counter(claim.message_id for claim in group)
        yield [
            _address(claim, built[claim.message_id], sharing=counts[claim.message_id])
            for claim in group
        ]


def _groups(claims: Sequence[Claim]) -> list[list[Claim]]:
    """Return *claims*, in their order, in groups of not too many messages and bytes."""
    groups: list[list[Claim]] = []
    seen: set[uuid.UUID] = set()
    size = 0
    for claim in claims:
        added = 0 if claim.message_id in seen else claim.content_bytes or 0
        is_full = len(seen) >= MESSAGES_AT_ONCE or size + added > BYTES_AT_ONCE
        if not groups or (claim.message_id not in seen and is_full):
            groups.append([])
            seen, size = set(), 0
        seen.add(claim.message_id)
        size += added
        groups[-1].append(claim)
    return groups


def _messages(claims: Collection[Claim]) -> list[Claim]:
    """Return one claim of each message."""
    return list({claim.message_id: claim for claim in claims}.values())


def _build_all(
    claims: Sequence[Claim],
    contents: Mapping[uuid.UUID, Content],
    keys: Mapping[uuid.UUID, Sequence[SigningKey]],
) -> dict[uuid.UUID, _Built | Failure]:
    built: dict[uuid.UUID, _Built | Failure] = {}
    for claim in claims:
        content = contents.get(claim.content_id)
        own = keys.get(claim.domain_id, ()) if claim.domain_id else ()
        built[claim.message_id] = _NO_CONTENT if content is None else _build(claim, content, own)
    return built


def _build(claim: Claim, content: Content, keys: Sequence[SigningKey]) -> _Built | Failure:
    try:
        if content.format is ContentFormat.RAW:
            data = content.body
            smtputf8 = not data.partition(b"\r\n\r\n")[0].isascii()
        else:
            parts = decode_parts(content.body)
            data = compose(parts)
            smtputf8 = needs_smtputf8(parts)
        return _Built(sign(data, keys) if keys else data, smtputf8)
    except Exception:  # an edge: one message that cannot be built must not stop the others
        log.exception("message %s cannot be built", claim.message_id)
        return _NOT_BUILT


def _address(claim: Claim, built: _Built | Failure, *, sharing: int) -> Prepared:
    if isinstance(built, Failure):
        return Prepared(claim, built, 0)
    try:
        envelope = Envelope(return_path_of(claim), claim.address, built.data, built.smtputf8)
    except ValueError as error:
        failure = Failure(
            Verdict.BOUNCED, BounceClass.INVALID_RECIPIENT, f"the address is not valid: {error}"
        )
        return Prepared(claim, failure, 0)
    return Prepared(claim, envelope, len(built.data) // sharing)


_NO_CONTENT = Failure(
    Verdict.BOUNCED, BounceClass.CONTENT_REJECTED, "the message's content is gone", "5.6.0"
)
_NOT_BUILT = Failure(
    Verdict.BOUNCED, BounceClass.CONTENT_REJECTED, "the message could not be built", "5.6.0"
)
