"""Preparing: from what a message says to the signed bytes that go over the wire."""

import asyncio
import logging
import re
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass, replace

from ..core.ahead import begun_ahead
from ..core.settings import settings
from ..core.turns import Turns
from ..delivery.contents import ContentFormat, decode_parts
from ..delivery.rules import Priority
from ..delivery.work import Claim, Content, leave_address_of, read_contents, return_path_of
from ..domains.work import bimi_selectors, blocked_domains, signing_keys, tracking_hosts
from ..mail.compose import Parts, compose, needs_smtputf8
from ..mail.dkim import SigningKey, UnreadableKey, sign
from ..mail.outcome import BounceClass, Failure, Verdict
from ..mail.smtp import Envelope
from ..scanning.work import Outgoing, organizations_that_scan, scan_outgoing
from ..tracking.rules import Tracks
from ..tracking.tokens import Recipient
from ..tracking.work import unsubscribe_headers
from ..tracking.work.linking import (
    Links,
    aggregate_projects,
    links_of,
    own_addresses,
    still_tracked,
)
from .filling import NO_CONTENT, fill, size_of
from .measures import DKIM_SIGNATURES
from .memory import ByteWindow, held
from .rewriting import Outline, outline_of, outline_of_parts, with_text

log = logging.getLogger(__name__)

MESSAGES_AT_ONCE = 20
BYTES_AT_ONCE = 4 * 1024 * 1024
"""How much is read from the database at once; at least one message, whatever its size."""

PEAK = 4
"""Times its size that a message takes at most while it is read, built and signed."""

_UNSUBSCRIBE = re.compile(rb"^list-unsubscribe[ \t]*:", re.IGNORECASE | re.MULTILINE)
_BIMI_SELECTOR = re.compile(rb"^bimi-selector[ \t]*:", re.IGNORECASE | re.MULTILINE)


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


def prepare(
    claimed: AsyncGenerator[Sequence[Claim], None],
    window: ByteWindow | None = None,
    *,
    filled: ByteWindow | None = None,
    asking: Turns | None = None,
    turns: Turns | None = None,
) -> AsyncGenerator[list[Prepared], None]:
    """Return what yields claims with what to send, a few messages at a time, in their order.

    What that takes for the moment is taken from *window* until the next is asked for, and from
    *filled* what it takes beyond that where recipients' own values are put in. What they say is
    read, and they are built, when it is their organization's turn. The next few are begun
    meanwhile, and claimed if need be: most of it is waiting, and signing, which others of the
    machine's cores can do. Only what is filled waits until those before it are taken. *claimed*
    is closed with what is returned.

    A message is built and signed once for all its deliveries of one claim; marketing mail is
    signed for each delivery, as each has a link of its own to unsubscribe with, and mail that is
    tracked, or filled with a recipient's own values, is built for each, too.
    """
    hold = _Hold(window, filled)

    async def parts() -> AsyncGenerator[AsyncGenerator[list[Prepared], None], None]:
        async with aclosing(claimed):
            turn = asyncio.Event()
            turn.set()
            async for claims in claimed:
                for group in _groups(claims):
                    next_turn = asyncio.Event()
                    yield _prepare_group(
                        group, hold, asking or Turns(1), turns or Turns(1), turn, next_turn
                    )
                    turn = next_turn

    return begun_ahead(parts())


@dataclass(frozen=True, slots=True)
class _Hold:
    """Where memory is taken from: for what is built, and for what is filled in."""

    built: ByteWindow | None
    filled: ByteWindow | None


async def _prepare_group(
    group: Sequence[Claim],
    hold: _Hold,
    asking: Turns,
    turns: Turns,
    turn: asyncio.Event,
    next_turn: asyncio.Event,
) -> AsyncGenerator[list[Prepared], None]:
    """Yield a group with what to send, in parts if there is too much to fill in."""
    sizes = {_unit(claim): claim.content_bytes or 0 for claim in group}
    try:
        async with held(hold.built, PEAK * sum(sizes.values())):
            rest = group
            while rest:
                async with AsyncExitStack() as stack:
                    async with asking.turn(rest[0].organization_id):
                        known = await _read(rest)
                    if any(claim.is_personal for claim in rest):
                        # What is filled is held until it is taken, which what was begun ahead
                        # waits for: it would keep memory from those before it, for good.
                        await turn.wait()
                    prepared = await _prepare_some(
                        rest, known, turns, lambda size: held(hold.filled, size), stack
                    )
                    yield prepared
                done = {each.claim.delivery_id for each in prepared}
                rest = [claim for claim in rest if claim.delivery_id not in done]
    finally:
        next_turn.set()


Hold = Callable[[int], AbstractAsyncContextManager[None]]


async def _read(group: Sequence[Claim]) -> "_Known":
    """Read what building a group takes, but for what is filled in."""
    domain_ids = {claim.domain_id for claim in group if claim.domain_id}
    return _Known(
        contents=await read_contents({claim.content_id for claim in group}),
        keys=await signing_keys(domain_ids),
        selectors=await bimi_selectors(domain_ids),
        tracked=await _tracked([claim for claim in group if claim.tracks]),
        filled={},
    )


async def _prepare_some(
    group: Sequence[Claim], known: "_Known", turns: Turns, hold: Hold, stack: AsyncExitStack
) -> list[Prepared]:
    """Prepare all of a group, or as much of it as may be filled at once.

    What that takes is known once it is filled; it is held on *stack*.
    """
    # By turns: one organization's slow template must not keep everybody's from being filled.
    async with turns.turn(group[0].organization_id):
        filled = await fill([c for c in group if c.is_personal], known.contents, room=BYTES_AT_ONCE)
        # Whoever waits here has the turn, and whoever is waited for needs none any more.
        await stack.enter_async_context(hold(PEAK * sum(map(size_of, filled.values()))))
        group = [c for c in group if not c.is_personal or c.delivery_id in filled]
        # In a thread: most of it is RSA, which leaves the interpreter to the loop meanwhile.
        built = await asyncio.to_thread(_build_all, group, replace(known, filled=filled))
    await _stop_blocked_domains(group, built)
    await _stop_what_scanners_refuse(group, built)
    counts = Counter(_unit(claim) for claim in group)
    return [_address(claim, built[_unit(claim)], sharing=counts[_unit(claim)]) for claim in group]


async def _stop_blocked_domains(
    group: Sequence[Claim], built: dict[uuid.UUID, _Built | Failure]
) -> None:
    """Put a failure in the place of mail from domains that an auto-block keeps from sending.

    It is tried again as after any other failure, so that nothing is lost of it.
    """
    blocked = await blocked_domains({claim.domain_id for claim in group if claim.domain_id})
    for claim in group:
        if claim.domain_id in blocked:
            built[_unit(claim)] = _BLOCKED


async def _stop_what_scanners_refuse(
    group: Sequence[Claim], built: dict[uuid.UUID, _Built | Failure]
) -> None:
    """Put a failure in the place of what its organization's scan policy does not let go."""
    scanning = await organizations_that_scan([claim.organization_id for claim in group])
    messages: dict[uuid.UUID, Outgoing] = {}
    for claim in group:
        found = built[_unit(claim)]
        if claim.organization_id in scanning and isinstance(found, _Built):
            new = Outgoing(claim.message_id, claim.organization_id, found.data)
            messages.setdefault(claim.message_id, new)
    if not messages:
        return
    stopped = await scan_outgoing(list(messages.values()))
    for claim in group:
        if why := stopped.get(claim.message_id):
            built[_unit(claim)] = Failure(
                Verdict.BOUNCED if why.is_final else Verdict.DEFERRED,
                BounceClass.CONTENT_REJECTED if why.is_final else BounceClass.TEMPORARY_FAILURE,
                why.sentence,
                "5.7.1" if why.is_final else "4.3.0",
                is_local=True,
            )


@dataclass(frozen=True, slots=True)
class _Tracked:
    """What is tracked of one delivery, and what makes its links."""

    tracks: Tracks
    links: Links
    own: tuple[str, ...]


async def _tracked(claims: Sequence[Claim]) -> dict[uuid.UUID, _Tracked]:
    """Return how to track each delivery that still is to be tracked."""
    if not claims:
        return {}
    recipients = [recipient_of(claim) for claim in claims]
    tracks = await still_tracked(
        [(each, claim.tracks) for each, claim in zip(recipients, claims, strict=True)]
    )
    hosts = await tracking_hosts({claim.domain_id for claim in claims if claim.domain_id})
    aggregate = await aggregate_projects({claim.project_id for claim in claims})
    own = own_addresses(hosts.values())
    found = {}
    for claim, recipient, each in zip(claims, recipients, tracks, strict=True):
        if each:
            host = hosts.get(claim.domain_id) if claim.domain_id else None
            links = links_of(recipient, each, host=host, aggregate=claim.project_id in aggregate)
            found[claim.delivery_id] = _Tracked(each, links, own)
    return found


def _unit(claim: Claim) -> uuid.UUID:
    """Return the id of what is signed as one: a message, or one delivery.

    That is so of marketing mail, of what is tracked, and of what is filled for each.
    """
    is_own = _is_marketing(claim) or claim.tracks or claim.is_personal
    return claim.delivery_id if is_own else claim.message_id


def _is_marketing(claim: Claim) -> bool:
    return claim.priority == Priority.MARKETING


def _groups(claims: Sequence[Claim]) -> list[list[Claim]]:
    """Return *claims*, in their order, in groups of not too many messages and bytes."""
    groups: list[list[Claim]] = []
    seen: set[uuid.UUID] = set()
    size = 0
    for claim in claims:
        added = 0 if _unit(claim) in seen else claim.content_bytes or 0
        is_full = len(seen) >= MESSAGES_AT_ONCE or size + added > BYTES_AT_ONCE
        if not groups or (_unit(claim) not in seen and is_full):
            groups.append([])
            seen, size = set(), 0
        seen.add(_unit(claim))
        size += added
        groups[-1].append(claim)
    return groups


@dataclass(frozen=True, slots=True)
class _Known:
    """All that building takes from the database."""

    contents: Mapping[uuid.UUID, Content]
    keys: Mapping[uuid.UUID, Sequence[SigningKey]]
    selectors: Mapping[uuid.UUID, str]
    tracked: Mapping[uuid.UUID, _Tracked]
    filled: Mapping[uuid.UUID, Parts | Failure]
    """By delivery: mail that is another for each recipient."""


def _build_all(claims: Sequence[Claim], known: _Known) -> dict[uuid.UUID, _Built | Failure]:
    """Return what to send by unit."""
    composed: dict[uuid.UUID, _Built | Failure] = {}
    outlines: dict[uuid.UUID, Outline | Failure] = {}
    signed: dict[uuid.UUID, _Built | Failure] = {}
    for claim in claims:
        if _unit(claim) in signed:
            continue
        content = known.contents.get(claim.content_id)
        how = known.tracked.get(claim.delivery_id)
        if claim.is_personal:
            found = _compose_filled(claim, known.filled[claim.delivery_id], how)
        elif how is not None:
            if claim.message_id not in outlines:
                outlines[claim.message_id] = _outline(claim, content, how)
            found = _rewrite(claim, outlines[claim.message_id], how)
        else:
            if claim.message_id not in composed:
                composed[claim.message_id] = _compose(claim, content)
            found = composed[claim.message_id]
        own = known.keys.get(claim.domain_id, ()) if claim.domain_id else ()
        selector = known.selectors.get(claim.domain_id) if claim.domain_id else None
        signed[_unit(claim)] = _finish(claim, found, own, selector)
    return signed


def _outline(claim: Claim, content: Content | None, how: _Tracked) -> Outline | Failure:
    """Return the message before anybody's links are in it."""
    if content is None:
        return NO_CONTENT
    try:
        return outline_of(content, own=how.own)
    except Exception:  # an edge, as below
        log.exception("message %s cannot be read", claim.message_id)
        return _NOT_BUILT


def _rewrite(claim: Claim, outline: Outline | Failure, how: _Tracked) -> _Built | Failure:
    """Return the message with one recipient's links in it, without a signature."""
    if isinstance(outline, Failure):
        return outline
    try:
        return _Built(outline.write(how.links, how.tracks), outline.smtputf8)
    except Exception:  # an edge, as below
        log.exception("links of message %s cannot be written", claim.message_id)
        return _NOT_BUILT


def _compose_filled(claim: Claim, parts: Parts | Failure, how: _Tracked | None) -> _Built | Failure:
    """Return one recipient's own mail, without a signature."""
    if isinstance(parts, Failure):
        return parts
    try:
        if how is not None:
            outline = outline_of_parts(parts, own=how.own)
            return _Built(outline.write(how.links, how.tracks), outline.smtputf8)
        return _Built(compose(with_text(parts)), needs_smtputf8(parts))
    except Exception:  # an edge, as below
        log.exception("message %s cannot be built for %s", claim.message_id, claim.delivery_id)
        return _NOT_BUILT


def _compose(claim: Claim, content: Content | None) -> _Built | Failure:
    """Return the message as all its recipients get it, without a signature."""
    if content is None:
        return NO_CONTENT
    try:
        if content.format is ContentFormat.RAW:
            is_ascii = content.body.partition(b"\r\n\r\n")[0].isascii()
            return _Built(content.body, smtputf8=not is_ascii)
        parts = with_text(decode_parts(content.body))
        return _Built(compose(parts), needs_smtputf8(parts))
    except Exception:  # an edge: one message that cannot be built must not stop the others
        log.exception("message %s cannot be built", claim.message_id)
        return _NOT_BUILT


def _finish(
    claim: Claim, composed: _Built | Failure, keys: Sequence[SigningKey], selector: str | None
) -> _Built | Failure:
    """Return what goes to this claim's recipient, signed."""
    if isinstance(composed, Failure):
        return composed
    try:
        data = composed.data
        if _is_marketing(claim) and not _UNSUBSCRIBE.search(data.partition(b"\r\n\r\n")[0]):
            data = _unsubscribe_fields(claim) + data
        if selector and not _BIMI_SELECTOR.search(data.partition(b"\r\n\r\n")[0]):
            data = f"BIMI-Selector: v=BIMI1; s={selector};\r\n".encode() + data
        signed = _Built(sign(data, keys) if keys else data, composed.smtputf8)
    except UnreadableKey as error:
        # Unsigned it would be taken for forged. Once the domain has another key, it goes.
        log.error("message %s waits: %s", claim.message_id, error)
        return _held_up(str(error), "4.7.0")
    except Exception:  # an edge, as above
        log.exception("message %s cannot be signed", claim.message_id)
        return _NOT_BUILT
    DKIM_SIGNATURES.add(amount=len(keys))
    return signed


def _unsubscribe_fields(claim: Claim) -> bytes:
    # Mail to it is taken only where something listens for it.
    mailbox = leave_address_of(claim) if settings().inbound_listen is not None else None
    # The link stays in one piece: some receivers do not unfold it. The mailbox is folded.
    return "".join(
        f"{name}: {value}\r\n".replace(", <", ",\r\n <")
        for name, value in unsubscribe_headers(recipient_of(claim), mailbox=mailbox)
    ).encode()


def recipient_of(claim: Claim) -> Recipient:
    """Return whom tokens of a delivery are for."""
    return Recipient(
        claim.organization_id,
        claim.project_id,
        claim.message_id,
        claim.delivery_id,
        claim.address,
    )


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


def _held_up(text: str, enhanced_code: str) -> Failure:
    found = BounceClass.TEMPORARY_FAILURE
    return Failure(Verdict.DEFERRED, found, text, enhanced_code, is_local=True)


_BLOCKED = _held_up("an auto-block keeps the domain from sending", "4.7.1")
_NOT_BUILT = _held_up("the message could not be built", "4.3.0")
"""What is accepted can be built, so this is a fault of ours: it is tried again until the message
expires, by when it is mended, rather than given up."""
