"""Filling: messages that say something else to each recipient."""

import uuid
from collections.abc import Mapping, Sequence

from ..delivery.contents import (
    NOTHING_OF_ITS_OWN,
    Mailing,
    Personal,
    decode_mailing,
)
from ..delivery.work import Claim, Content, read_personal
from ..mail.compose import Parts
from ..mail.outcome import BounceClass, Failure, Verdict
from ..mail.renderers import RENDERERS
from ..mail.templating import Unrenderable

AT_ONCE = 20
"""Recipients of one message that are filled at a time, if that stays small."""

Filled = dict[uuid.UUID, Parts | Failure]
"""What each recipient's mail is made of, by delivery, or why there is none."""


async def fill(
    claims: Sequence[Claim], contents: Mapping[uuid.UUID, Content], *, room: int
) -> Filled:
    """Return what the mail of recipients is made of; of at least one, if there is any.

    What is beyond *room* bytes is left out, and to be asked for again.
    """
    found: Filled = {}
    if not claims:
        return found
    own = await read_personal([claim.delivery_id for claim in claims])
    by_content: dict[uuid.UUID, list[Claim]] = {}
    for claim in claims:
        by_content.setdefault(claim.content_id, []).append(claim)
    for content_id, some in by_content.items():
        content = contents.get(content_id)
        if content is None:
            found |= {claim.delivery_id: NO_CONTENT for claim in some}
            continue
        filled = await _fill_one(decode_mailing(content.body), some, own, room=room)
        found |= filled
        room -= sum(map(size_of, filled.values()))
        if room <= 0:
            break
    return found


async def _fill_one(
    mailing: Mailing, claims: Sequence[Claim], own: Mapping[uuid.UUID, Personal], *, room: int
) -> Filled:
    """Fill one message; how large it becomes its first recipient's says."""
    found: Filled = {}
    largest = room
    while room > 0 and len(found) < len(claims):
        count = max(1, min(AT_ONCE, room // max(1, largest)))
        some = claims[len(found) : len(found) + count]
        personal = [own.get(claim.delivery_id, NOTHING_OF_ITS_OWN) for claim in some]
        values = [mailing.values_for(each) for each in personal]
        rendered = await RENDERERS.render(mailing.layers, values)
        filled: Filled = {
            claim.delivery_id: _not_rendered(made)
            if isinstance(made, Unrenderable)
            else mailing.parts_for(made, each, claim.address)
            for claim, each, made in zip(some, personal, rendered, strict=True)
        }
        found |= filled
        sizes = [size_of(each) for each in filled.values()]
        largest, room = max(sizes), room - sum(sizes)
    return found


def size_of(filled: Parts | Failure) -> int:
    """Return how large what was filled is, in characters; attachments are everybody's."""
    if isinstance(filled, Failure):
        return 0
    return sum(len(text or "") for text in (filled.subject, filled.html, filled.text))


NO_CONTENT = Failure(
    Verdict.BOUNCED,
    BounceClass.CONTENT_REJECTED,
    "the message's content is gone",
    "5.6.0",
    is_local=True,
)


def _not_rendered(why: Unrenderable) -> Failure:
    reason = f"the template cannot be rendered for this recipient: {why.reason}"
    if why.is_boundless:
        # The machine may just have been too busy for it.
        found = BounceClass.TEMPORARY_FAILURE
        return Failure(Verdict.DEFERRED, found, reason, "4.3.0", is_local=True)
    # Its values stay as they are, so that it would never be rendered.
    found = BounceClass.CONTENT_REJECTED
    return Failure(Verdict.BOUNCED, found, reason, "5.6.0", is_local=True)
