"""MTA-STS policies of the domains that mail goes to: from memory, the database, their owners.

Source: RFC 8461 sections 3.3 and 5.1.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from ..core import clock
from ..delivery.work import KeptPolicy, find_policy, keep_policy
from ..mail.destinations import Network
from ..mail.dns import Resolver
from ..mail.fetching import Fetcher
from ..mail.mta_sts import StsPolicy, announced_id, fetch_policy, read_policy
from ..mail.tls import context_for

log = logging.getLogger(__name__)

TRY_AGAIN_SECONDS = 300.0
"""How long after a policy could not be fetched it is not asked for again."""

READ_AGAIN_SECONDS = 300.0
"""How long what the database has is remembered; another worker may have fetched a newer one."""

REFRESH_AFTER = timedelta(days=1)
"""A policy this old, or half as old as it may get, is fetched again though its id is the same."""

DOMAINS_REMEMBERED = 10_000


@dataclass(slots=True)
class _Memory:
    """What is remembered of one domain."""

    kept: KeptPolicy | None
    policy: StsPolicy | None
    read_at: float
    not_before: float = 0.0
    """When its owner may be asked again, by the monotonic clock."""

    @property
    def holds(self) -> bool:
        """Whether there is a policy and it has not expired."""
        return self.kept is not None and self.kept.expires_at > clock.now()

    def is_fresh(self, record_id: str) -> bool:
        """Return whether it holds, is the announced one, and is not to be refreshed yet."""
        if self.kept is None or not self.holds or self.kept.record_id != record_id:
            return False
        lifetime = self.kept.expires_at - self.kept.fetched_at
        return clock.now() < self.kept.fetched_at + min(REFRESH_AFTER, lifetime / 2)


class StsPolicies:
    """Knows the policy of a domain.

    A policy that was seen once holds until it expires, whatever happens to the DNS or the web
    server: who wants to keep us from encrypting would begin there.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        allowed: Collection[Network] = (),
        ca_file: str | None = None,
    ) -> None:
        self._resolver = resolver
        self._allowed = allowed
        self._ca_file = ca_file
        self._memory: OrderedDict[str, _Memory] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[None]] = {}

    async def find(self, domain: str) -> StsPolicy | None:
        """Return the policy that holds for mail to *domain*, if there is one."""
        memory = await self._remember(domain)
        answer = await self._resolver.txt(f"_mta-sts.{domain}")
        record_id = announced_id(answer.values)
        if record_id is not None and not memory.is_fresh(record_id):
            await self._fetch_once(domain, record_id, memory)
        return memory.policy if memory.holds else None

    async def _remember(self, domain: str) -> _Memory:
        memory = self._memory.get(domain)
        now = time.monotonic()
        if memory is None or memory.read_at + READ_AGAIN_SECONDS < now:
            kept = await find_policy(domain)
            policy = read_policy(kept.text) if kept else None
            not_before = memory.not_before if memory else 0.0
            memory = _Memory(kept, policy if isinstance(policy, StsPolicy) else None, now)
            memory.not_before = not_before
            self._memory[domain] = memory
            if len(self._memory) > DOMAINS_REMEMBERED:
                self._memory.popitem(last=False)
        return memory

    async def _fetch_once(self, domain: str, record_id: str, memory: _Memory) -> None:
        """Fetch the policy, all who wait for it together, unless that failed a moment ago."""
        if memory.not_before > time.monotonic():
            return
        task = self._fetching.get(domain)
        if task is None:
            task = asyncio.create_task(self._fetch(domain, record_id, memory))
            self._fetching[domain] = task
            task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        # Shielded: whoever gives up waiting must not take the answer from the others.
        await asyncio.shield(task)

    async def _fetch(self, domain: str, record_id: str, memory: _Memory) -> None:
        context = context_for(verified=True, ca_file=self._ca_file)
        async with Fetcher(self._resolver, allowed=self._allowed, context=context) as fetcher:
            found = await fetch_policy(fetcher, domain)
        if isinstance(found, str):
            memory.not_before = time.monotonic() + TRY_AGAIN_SECONDS
            log.info("the MTA-STS policy of %s cannot be read: %s", domain, found)
            return
        now = clock.now()
        expires_at = now + timedelta(seconds=found.max_age_seconds)
        memory.kept = KeptPolicy(domain, record_id, found.text, now, expires_at)
        memory.policy = found
        await keep_policy(memory.kept)
