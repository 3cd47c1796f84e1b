"""What a page follows while it is looked at: one stream for each visible tab.

The stream carries names of topics, never what happened: parts of the page that belong to a
topic then fetch themselves, with the rights that whoever looks has by then.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from litestar import Response

from ..core.languages import gettext as _
from ..graphql.execute import Document
from ..graphql.following import Answers, followed, stream_of
from .faults import Fault
from .handing import Handed
from .visit import Visit

LIVE = "/o/{org:str}/live"
MOST_TOPICS = 10
TICK_SECONDS = 3.0
"""What changes without an event is named this often."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a part of a page can follow."""

    needs: str | None = None
    """The permission to see that part; None is anybody of the organization."""
    kinds: tuple[str, ...] = ()
    """How the types of events begin that change it."""
    ticks: bool = False
    """It changes without an event, too."""
    finds: Document | None = None
    """Of one thing, named behind a colon: the document that is refused if there is none."""


_MESSAGE = Document("query LiveMessage($id: ID!) { organization { message(id: $id) { uuid } } }")
_WEBHOOK = Document("query LiveWebhook($id: ID!) { organization { webhook(id: $id) { uuid } } }")

TOPICS: Mapping[str, Topic] = {
    "overview": Topic(kinds=("message_", "credits_", "domain_")),
    "messages": Topic("messages:read", ("message_queued", "message_suppressed")),
    "message": Topic("messages:read", ("message_",), finds=_MESSAGE),
    "queues": Topic("queues:read", ("message_",), ticks=True),
    "domains": Topic("domains:read", ("domain_",), ticks=True),
    "webhooks": Topic("webhooks:read", ticks=True),
    "webhook": Topic("webhooks:read", ticks=True, finds=_WEBHOOK),
    "suppressions": Topic("messages:read", ("suppression_",), ticks=True),
    "credits": Topic("credits:read", ("message_queued", "credits_", "billing_")),
    "jobs": Topic("messages:read", ticks=True),
    "vmtas": Topic("vmtas:read", ("vmta_",), ticks=True),
    "security": Topic("security:read", ("security_",)),
}
CHANGES = Document(
    "subscription LiveChanges($messages: [ID!]) { organizationChanges(messageIds: $messages) "
    "{ types messageUuids } }"
)


@dataclass(frozen=True, slots=True)
class Followed:
    """One topic that a page asked for."""

    name: str
    topic: Topic
    thing: str = ""

    @classmethod
    def read(cls, name: str) -> "Followed":
        """Return what *name* stands for.

        Raises:
            Fault: there is no such topic.
        """
        word, _colon, thing = name.partition(":")
        topic = TOPICS.get(word)
        if topic is None or bool(thing) != (topic.finds is not None):
            raise Fault(404, _("There is nothing of this name to follow."))
        return cls(name, topic, thing)

    def is_changed(self, types: Collection[str], messages: Collection[str]) -> bool:
        """Say whether it may look another way after events of these types."""
        if self.topic.finds is _MESSAGE:
            return self.thing in messages
        return any(type_.lower().startswith(self.topic.kinds) for type_ in types)


async def follow(visit: Visit) -> Response[Any]:
    """Return the stream of the topics that a page asks for.

    Raises:
        Fault: one of them does not exist, is not theirs, or may not be seen.
    """
    names = [name for name in visit.call.query.get("topics", "").split(",") if name]
    if not 1 <= len(names) <= MOST_TOPICS:
        raise Fault(404, _("There is nothing to follow."))
    followed_topics = [Followed.read(name) for name in dict.fromkeys(names)]
    for each in followed_topics:
        if each.topic.needs is not None and not visit.call.may(each.topic.needs):
            raise Fault(403, _("Your role does not see what this page follows."))
        if each.topic.finds is not None:
            result = await visit.run(each.topic.finds, {"id": each.thing})
            if result.errors:
                raise visit.fault(result.errors[0])
    return Handed(stream_of(named(visit, followed_topics)))


async def named(visit: Visit, topics: Collection[Followed]) -> AsyncGenerator[dict[str, Any], None]:
    """Give the names of topics as what they stand for changes.

    Raises:
        OperationError: whoever looks is signed out, or may not see it any more.
        FeedClosed: this process ends.
    """
    messages = [each.thing for each in topics if each.topic.finds is _MESSAGE] or None
    async with (
        followed(
            CHANGES, {"messages": messages}, visit.context(), lambda: visit.who(is_repeated=True)
        ) as answers,
        aclosing(_moments(answers)) as moments,
    ):
        async for change in moments:
            if change is None:
                names = [each.name for each in topics if each.topic.ticks]
            else:
                types, seen = change["types"], change["messageUuids"]
                names = [each.name for each in topics if each.is_changed(types, seen)]
            if names:
                yield {"topics": names}


async def _moments(answers: Answers) -> AsyncGenerator[Mapping[str, Any] | None, None]:
    """Give what changed as it does, and between, every few seconds, None."""
    loop = asyncio.get_running_loop()
    tick = loop.time() + TICK_SECONDS
    waiting = asyncio.ensure_future(anext(answers))
    try:
        while True:
            await asyncio.wait({waiting}, timeout=max(0.0, tick - loop.time()))
            if waiting.done():
                data = waiting.result()
                waiting = asyncio.ensure_future(anext(answers))
                yield data["organizationChanges"]
            if loop.time() >= tick:
                tick = loop.time() + TICK_SECONDS
                yield None
    finally:
        waiting.cancel()
        # It holds the generator, which cannot be closed while it runs.
        await asyncio.gather(waiting, return_exceptions=True)
