"""The door for edges that tell people of what happens: a document of the code that is followed.

CHANGES = Document("subscription { organizationChanges { types } }")
async with followed(CHANGES, {}, context, ask) as answers:
    async for data in answers: ...
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

from ..core.actor import Actor, known
from ..core.errors import OperationError
from .context import Context
from .documents import prepare
from .execute import Document, Result
from .live import PLACES, Credential, Subscribed, subscribe
from .sse import EventStream

Answers = AsyncGenerator[dict[str, Any], None]


@asynccontextmanager
async def followed(
    document: Document,
    variables: Mapping[str, Any],
    context: Context,
    ask: Callable[[], Awaitable[Actor | None]],
) -> AsyncIterator[Answers]:
    """Give what a subscription answers, for as long as the body runs.

    *ask* says who it is now, again and again; the answers end with OperationError when the
    credential or its rights are gone, and with FeedClosed when the process ends.

    Raises:
        OperationError: it cannot be followed, or too much is followed already.
    """
    async with PLACES.one(known(context.actor)):
        prepared = prepare(document.text)
        begun = await subscribe(
            prepared.node, prepared.operation(None), variables, context, Credential(ask)
        )
        if isinstance(begun, Result):
            raise OperationError(begun.errors[0].message, code=begun.errors[0].code)
        async with aclosing(_answers(begun)) as answers:
            yield answers


async def _answers(begun: Subscribed) -> Answers:
    async with aclosing(begun.answers()) as results:  # type: ignore[type-var]
        async for result in results:
            if result.data is not None:
                yield result.data


def stream_of(bodies: AsyncIterator[dict[str, Any]]) -> ASGIApp:
    """Return an application that answers *bodies* as server-sent events, while they are read."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        state: Any = scope["state"]
        state["is_endless"] = True
        await EventStream(send, receive).run(bodies, (), state["request_id"])

    return answer
