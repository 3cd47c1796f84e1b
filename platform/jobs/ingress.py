"""Ingress mailboxes: looking into accounts, and posting what came in, as long as a worker runs.

It is no job: whoever's server or program never answers would take the places of jobs, which send
everybody's mail. Organizations take turns here, and none has more than a few places.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import timedelta
from functools import partial
from ipaddress import ip_address

from ..core.crypto import SealBroken
from ..core.settings import settings
from ..core.turns import Turns
from ..ingress.rules import LOOK_SECONDS, POST_SECONDS
from ..ingress.work import (
    Due,
    Look,
    begin_look,
    begin_post,
    due_looks,
    due_posts,
    end_failed_look,
    end_look,
    settle_post,
    take_found,
)
from ..mail.destinations import is_allowed
from ..mail.dns import resolver
from ..mail.fetching import Fetcher, NoReply, Request, open_fetcher
from ..mail.imap import LOOKS_AT_ONCE, FoundMail, ImapAccount, ImapFailed, Place, look
from .hearing import wait_for

log = logging.getLogger(__name__)

LOOKS_EACH = 2
POSTS_AT_ONCE = 40
POSTS_EACH = 4
LARGE_BYTES = 2**20
"""A mail that is larger is posted by turns of its own: a few of them are all of the memory."""
LARGE_AT_ONCE = 6
LARGE_EACH = 1
FOUND_AT_ONCE = 400
"""Posts, and looks, that one round finds; more are found as these end."""
APART_SECONDS = 0.1
"""Between two rounds, so that many notifications cost one."""
RETRY_SECONDS = 1.0
REPLY_BYTES = 4_096


class Ingress:
    """Looks and posts of this worker."""

    def __init__(
        self, *, sign: asyncio.Event | None = None, stopping: asyncio.Event | None = None
    ) -> None:
        """A round is made whenever *sign* is set; nothing begins once *stopping* is."""
        self.sign = sign or asyncio.Event()
        self.stopping = stopping or asyncio.Event()
        # How many connections there are follows from the turns.
        self._fetcher = open_fetcher(connections=0)
        self._looks = Turns(LOOKS_AT_ONCE, each=LOOKS_EACH)
        self._posts = Turns(POSTS_AT_ONCE, each=POSTS_EACH)
        self._large = Turns(LARGE_AT_ONCE, each=LARGE_EACH)
        self._tasks: dict[uuid.UUID, asyncio.Task[None]] = {}

    async def keep(self) -> None:
        """Make rounds until `stopping` is set; then let what is on its way end."""
        async with self._fetcher:
            try:
                await self._make_rounds()
                await asyncio.gather(*self._tasks.values())
            finally:
                for task in self._tasks.values():
                    task.cancel()
                await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _make_rounds(self) -> None:
        while not self.stopping.is_set():
            self.sign.clear()
            try:
                await self._find()
            except Exception as error:  # an edge: the next round finds what this one missed
                log.warning("ingress could not be looked at; the next time comes soon: %r", error)
                self.sign.set()
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(APART_SECONDS)
            await wait_for(self.sign, self.stopping)

    async def _find(self) -> None:
        """Put what is due in line, but no more of an organization than it may have at once."""
        for due in await due_posts(each=POSTS_EACH, limit=FOUND_AT_ONCE):
            turns = self._large if due.size_bytes > LARGE_BYTES else self._posts
            self._begin(due, turns, partial(post_mail, due.id, self._fetcher))
        for due in await due_looks(each=LOOKS_EACH, limit=FOUND_AT_ONCE):
            self._begin(due, self._looks, partial(look_into, due.id))

    def _begin(self, due: Due, turns: Turns, work: Callable[[], Awaitable[None]]) -> None:
        # What waits for its turn is found again, for it is still due.
        if due.id not in self._tasks:
            run = self._in_turn(due, turns, work)
            self._tasks[due.id] = asyncio.create_task(run, context=Context())

    async def _in_turn(self, due: Due, turns: Turns, work: Callable[[], Awaitable[None]]) -> None:
        try:
            # Before it is taken: the wait counts against no lease and no time limit.
            async with turns.turn(due.organization_id):
                if not self.stopping.is_set():
                    await work()
        except Exception as error:  # an edge: it is due again when its lease ends
            log.warning("a look or a post broke off: %r", error, extra={"ingress_id": str(due.id)})
            await asyncio.sleep(RETRY_SECONDS)
        finally:
            del self._tasks[due.id]
            self.sign.set()


async def look_into(mailbox_id: uuid.UUID) -> None:
    """Take what is new in a mailbox; nothing happens to one that somebody looks into, or lately
    has."""
    found = await begin_look(mailbox_id)
    if found is None:
        return
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            place, has_more = await _look(found)
    except ImapFailed as failure:
        await end_failed_look(found, str(failure))
    except TimeoutError:
        await end_failed_look(found, "The server did not answer in time.")
    except SealBroken:
        await end_failed_look(found, "The password can no longer be read; set it again.")
    else:
        await end_look(found, place, has_more=has_more)


async def _look(found: Look) -> tuple[Place, bool]:
    account = ImapAccount(
        host=found.host,
        address=await _address_of(found.host),
        port=found.port,
        username=found.username,
        password=found.password,
        tls=found.tls,
    )

    async def take(place: Place, mail: FoundMail) -> bool:
        return await take_found(found, place, mail.data)

    return await look(account, found.since, take)


async def _address_of(host: str) -> str:
    """Return an address of *host* that may be connected to.

    Raises:
        ImapFailed: there is none, or one that may not.
    """
    try:
        addresses: tuple[str, ...] = (str(ip_address(host)),)
    except ValueError:
        addresses = (await resolver().addresses(host)).values
    if not addresses:
        raise ImapFailed("There is no address for the server's name.")
    allowed = settings().private_destinations
    # One that is not allowed among others is a trick, or a mistake to be told about.
    if not all(is_allowed(each, allowed=allowed) for each in addresses):
        raise ImapFailed("The server's address is not public.")
    return addresses[0]


async def post_mail(mail_id: uuid.UUID, fetcher: Fetcher) -> None:
    """Post a mail that is due; nothing happens to one that is not, or is being posted."""
    due = await begin_post(mail_id)
    if due is None:
        return
    try:
        post = due.post()
    except SealBroken:
        await settle_post(due, status=None, failure="The secret can no longer be read.")
        return
    answer = await fetcher.fetch(
        Request(
            due.url,
            within=timedelta(seconds=POST_SECONDS),
            max_bytes=REPLY_BYTES,
            method="POST",
            headers=post.headers,
            body=post.body,
            https_only=settings().webhook_urls == "https",
        )
    )
    if isinstance(answer, NoReply):
        await settle_post(due, status=None, failure=answer.message)
    else:
        await settle_post(due, status=answer.status, failure=None)
