"""What each kind of bulk action does to a page of messages."""

import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from ..core.actor import Actor
from ..core.database import Tx
from ..core.errors import ErrorCode, NotFound, OperationError, Unavailable
from ..delivery.matching import MatchingDelivery, hasten_deliveries, matching_deliveries
from ..delivery.operations import ring
from ..delivery.rules import OPEN, DeliveryState
from ..messages.errors import NotCancellable
from ..messages.operations import RESEND, cancel_message, resend_message
from ..messages.queries import FoundMessage, MessageFilter, asked_of_deliveries
from ..security.idempotency import forget_refusal
from ..suppressions.rules import SuppressionReason
from ..suppressions.work import NewSuppression, add
from .rules import BulkKind

NOTE = "Suppressed with all that matched a search."
PASSING = frozenset(
    {ErrorCode.AUTO_BLOCK_ACTIVE, ErrorCode.IDEMPOTENCY_IN_PROGRESS, ErrorCode.RATE_LIMITED}
)
"""Refusals that say nothing of a message, and are over after a while."""


@dataclass(frozen=True, slots=True)
class Did:
    """What was done to some messages."""

    affected: int = 0
    refused: int = 0
    left: int = 0
    """What was left for later."""

    def __add__(self, other: "Did") -> "Did":
        return Did(
            self.affected + other.affected, self.refused + other.refused, self.left + other.left
        )


class StopsAll(Exception):
    """What keeps one message from it keeps every other as well; the text says why."""


class Later(Exception):
    """What keeps it from being done will pass, and nothing was done; the text says what it is."""


class DomainBlocked(Exception):
    """What keeps it from being done will pass, and is about mail of this domain alone."""


def is_passing(refusal: OperationError) -> bool:
    """Say whether the same is worth trying again later."""
    return isinstance(refusal, Unavailable) or refusal.error_code in PASSING


Together: TypeAlias = Callable[[Tx, Actor, Sequence[FoundMessage], MessageFilter], Awaitable[Did]]
OneByOne: TypeAlias = Callable[[uuid.UUID, Actor, FoundMessage, MessageFilter], Awaitable[Did]]


async def _matching(
    actor: Actor,
    messages: Sequence[FoundMessage],
    wanted: MessageFilter,
    states: Collection[DeliveryState] = tuple(DeliveryState),
) -> list[MatchingDelivery]:
    ids = [message.id for message in messages]
    asked = asked_of_deliveries(wanted)
    return await matching_deliveries(actor.organization_id, ids, asked, states=states)


async def _retry(
    tx: Tx, actor: Actor, messages: Sequence[FoundMessage], wanted: MessageFilter
) -> Did:
    """Let what was refused for now be tried at once; limits and holds still count."""
    found = await _matching(actor, messages, wanted, {DeliveryState.DEFERRED})
    hastened, queues = await hasten_deliveries(tx, [each.id for each in found])
    tx.after_commit(partial(ring, queues, actor.organization_id))
    return Did(hastened)


async def _suppress(
    tx: Tx, actor: Actor, messages: Sequence[FoundMessage], wanted: MessageFilter
) -> Did:
    """Stop sending to the recipients that match."""
    found = await _matching(actor, messages, wanted)
    return Did(
        await add(
            tx,
            [
                NewSuppression(
                    actor.organization_id,
                    actor.project_id,
                    each.address,
                    SuppressionReason.MANUAL,
                    description=NOTE,
                )
                for each in found
            ],
        )
    )


async def _cancel(id: uuid.UUID, actor: Actor, message: FoundMessage, wanted: MessageFilter) -> Did:
    """Cancel the recipients that match; all of them, if nothing is said of recipients."""
    only: set[uuid.UUID] | None = None
    if not asked_of_deliveries(wanted).is_everybody:
        only = {each.id for each in await _matching(actor, [message], wanted, OPEN)}
        if not only:
            return Did()
    try:
        done = await cancel_message(actor, message.id, only=only)
    except (NotCancellable, NotFound):
        return Did()
    return Did(done.cancelled and 1)


async def _resend(id: uuid.UUID, actor: Actor, message: FoundMessage, wanted: MessageFilter) -> Did:
    """Send it again to those who match and did not get it."""
    unreached = await _unreached(actor, message, wanted)
    if not unreached:
        return Did()
    key = f"bulk-{id}-{message.id}"
    try:
        await resend_message(actor, message.id, only=unreached, key=key)
    except OperationError as refusal:
        # By its code: what is told again of an earlier attempt is of no class of its own.
        if refusal.error_code is ErrorCode.INSUFFICIENT_CREDITS:
            raise StopsAll(refusal.sentence) from refusal
        if is_passing(refusal):
            await forget_refusal(actor.organization_id, RESEND, key)
            is_blocked = refusal.error_code is ErrorCode.AUTO_BLOCK_ACTIVE and message.domain_id
            raise (DomainBlocked if is_blocked else Later)(refusal.sentence) from refusal
        # It is no longer kept, its domain is gone, or it obeys the rules no more.
        return Did(refused=1)
    return Did(1)


async def leave(actor: Actor, message: FoundMessage, wanted: MessageFilter) -> Did:
    """Leave for later what is to be sent again, if there is anything."""
    return Did(left=1 if await _unreached(actor, message, wanted) else 0)


async def _unreached(
    actor: Actor, message: FoundMessage, wanted: MessageFilter
) -> Collection[uuid.UUID]:
    """Return the deliveries to those who match and did not get it."""
    found = await _matching(actor, [message], wanted)
    return {each.id for each in found if each.state not in {*OPEN, DeliveryState.DELIVERED}}


TOGETHER: Mapping[BulkKind, Together] = {BulkKind.RETRY: _retry, BulkKind.SUPPRESS: _suppress}
"""What one statement does to a page."""
ONE_BY_ONE: Mapping[BulkKind, OneByOne] = {BulkKind.CANCEL: _cancel, BulkKind.RESEND: _resend}
"""What is a change of its own for each message."""
