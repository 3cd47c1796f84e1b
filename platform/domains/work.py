"""What the platform does with domains for itself: the accept path, signing, the regular check."""

import time
import uuid
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..audit.operations import record_for_platform
from ..core import clock
from ..core.actor import OrganizationId
from ..core.crypto import SealBroken, unseal
from ..core.database import Tx, fetch, transaction
from ..core.queue import JobName, enqueue
from ..core.settings import settings
from ..mail.dkim import MADE, KeyAlgorithm, SigningKey
from ..mail.dns import resolver
from ..mail.fetching import open_fetcher
from ..vmtas import queries as vmtas
from .bimi import DEFAULT_SELECTOR, judge_bimi
from .history import KEPT_FOR
from .keys import choose_selector, make_sealed_key, start_rotation
from .logos import read_bimi, write_verdict
from .lookups import Sender, look_up
from .records import RecordPurpose, RecordStatus
from .rules import (
    CAN_SEND,
    DEFAULT_OVERLAP_SECONDS,
    KEY_PURPOSE,
    DomainStatus,
    KeyState,
    covering_names,
)
from .schedule import next_check, share_of
from .tables import Domain
from .verification import read_keys, read_plan, settle

KEYS_FRESH_SECONDS = 5.0
"""How long a process may sign with keys it read before; a rotation takes effect within this."""

REMEMBERED_DOMAINS = 10_000

ROTATION_LEASE = timedelta(hours=1)
"""How long one worker has for preparing new keys before another may try."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """What mail of a domain is signed with and says of itself."""

    keys: Sequence[SigningKey] = ()
    bimi_selector: str | None = None
    tracking_host: str | None = None


@dataclass(frozen=True, slots=True)
class SendingDomain:
    """A domain that may send, as the accept path needs it."""

    id: uuid.UUID
    organization_id: OrganizationId
    name: str
    status: DomainStatus
    return_path_domain: str
    tracking_domain: str | None
    track_opens: bool
    track_clicks: bool
    default_pool: str
    blocked_by: uuid.UUID | None = None
    blocked_until: datetime | None = None

    @property
    def is_blocked(self) -> bool:
        """Whether an auto-block keeps it from sending now."""
        until = self.blocked_until
        return self.blocked_by is not None and (until is None or until > clock.now())


async def oldest_domain(organization_id: OrganizationId, *, allowed: Collection[str]) -> str | None:
    """Return the name of the oldest domain that may send, of those *allowed* if it names any."""
    rows = await fetch(
        "SELECT name FROM domains WHERE organization_id = {} AND status = ANY({}::text[]) "
        "AND (cardinality({}::text[]) = 0 OR name = ANY({}::text[]) OR id::text = ANY({}::text[])) "
        "ORDER BY id LIMIT 1",
        organization_id,
        [status.value for status in CAN_SEND],
        *[list(allowed)] * 3,
    )
    return rows[0]["name"] if rows else None


async def sending_domains(
    asked: Collection[tuple[OrganizationId, str]],
) -> dict[tuple[OrganizationId, str], SendingDomain]:
    """Return the domain that covers each name: itself or the nearest parent that may send.

    A pair without one is left out. One statement for any number of pairs; it reads in the
    open transaction if there is one.
    """
    candidates = {
        (organization_id, name)
        for organization_id, asked_name in asked
        for name in covering_names(asked_name)
    }
    if not candidates:
        return {}
    rows = await fetch(
        "SELECT id, organization_id, name, status, return_path_domain, tracking_domain, "
        "track_opens, track_clicks, default_pool, blocked_by, blocked_until "
        "FROM unnest({}::uuid[], {}::text[]) AS asked (organization_id, name) "
        "JOIN domains USING (organization_id, name) WHERE status = ANY({}::text[])",
        [organization_id for organization_id, _ in candidates],
        [name for _, name in candidates],
        [status.value for status in CAN_SEND],
    )
    found = {
        (row["organization_id"], row["name"]): SendingDomain(
            **{**row, "status": DomainStatus(row["status"])}
        )
        for row in rows
    }
    covered = {
        (organization_id, asked_name): next(
            (
                found[organization_id, name]
                for name in covering_names(asked_name)
                if (organization_id, name) in found
            ),
            None,
        )
        for organization_id, asked_name in asked
    }
    return {pair: domain for pair, domain in covered.items() if domain}


async def find_domains_named(
    names: Collection[tuple[uuid.UUID, str]],
) -> dict[tuple[uuid.UUID, str], uuid.UUID]:
    """Return, for names that mail comes from, the id of the domain that covers each.

    That is the domain itself or its nearest parent; a name without one is left out.
    """
    if not names:
        return {}
    candidates = {(owner, each) for owner, name in names for each in covering_names(name)}
    rows = await fetch(
        "SELECT id, organization_id, name FROM unnest({}::uuid[], {}::text[]) "
        "AS asked (organization_id, name) JOIN domains USING (organization_id, name)",
        [owner for owner, _ in candidates],
        [name for _, name in candidates],
    )
    known = {(row["organization_id"], row["name"]): row["id"] for row in rows}
    found = {}
    for owner, name in names:
        covering = (known.get((owner, each)) for each in covering_names(name))
        if id := next((each for each in covering if each), None):
            found[owner, name] = id
    return found


async def block_sending(
    tx: Tx,
    organization_id: OrganizationId,
    domain_id: uuid.UUID,
    block_id: uuid.UUID,
    *,
    until: datetime | None,
) -> bool:
    """Let a domain send nothing; say whether it is there and no other block does so."""
    rows = await fetch(
        "UPDATE domains SET blocked_by = {}, blocked_until = {} "
        "WHERE id = {} AND organization_id = {} "
        "AND (blocked_by IS NULL OR blocked_until <= {}) RETURNING id",
        block_id,
        until,
        domain_id,
        organization_id,
        clock.now(),
    )
    return bool(rows)


async def allow_sending(tx: Tx, block_id: uuid.UUID) -> None:
    """Let the domain send again that a block has stopped."""
    await fetch(
        "UPDATE domains SET blocked_by = NULL, blocked_until = NULL WHERE blocked_by = {}", block_id
    )


async def blocked_domains(domain_ids: Collection[uuid.UUID]) -> frozenset[uuid.UUID]:
    """Return which of the domains send nothing now; read again every few seconds."""
    now = time.monotonic()
    missing = [
        id
        for id in domain_ids
        if id not in _blocked or now - _blocked[id][0] > BLOCKS_FRESH_SECONDS
    ]
    if missing:
        rows = await fetch(
            "SELECT id FROM domains WHERE id = ANY({}::uuid[]) AND blocked_by IS NOT NULL "
            "AND (blocked_until IS NULL OR blocked_until > {})",
            missing,
            clock.now(),
        )
        found = {row["id"] for row in rows}
        for id in missing:
            _blocked[id] = (now, id in found)
            _blocked.move_to_end(id)
        while len(_blocked) > REMEMBERED_DOMAINS:
            _blocked.popitem(last=False)
    return frozenset(id for id in domain_ids if id in _blocked and _blocked[id][1])


BLOCKS_FRESH_SECONDS = 2.0
"""How long a worker goes on sending for a domain that was blocked just now."""
_blocked: OrderedDict[uuid.UUID, tuple[float, bool]] = OrderedDict()
_identities: OrderedDict[uuid.UUID, tuple[float, _Identity]] = OrderedDict()


async def signing_keys(
    domain_ids: Collection[uuid.UUID],
) -> Mapping[uuid.UUID, Sequence[SigningKey]]:
    """Return the active keys of each domain, private halves opened; none for an unknown one.

    One that cannot be opened is there without its private half. What was read in the last few
    seconds is not read again.
    """
    return {domain_id: found.keys for domain_id, found in (await _known(domain_ids)).items()}


async def bimi_selectors(domain_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    """Return the selector of each domain that publishes its logo under one of its own.

    It remembers as `signing_keys` does, and together with it.
    """
    return {
        domain_id: found.bimi_selector
        for domain_id, found in (await _known(domain_ids)).items()
        if found.bimi_selector
    }


async def tracking_hosts(domain_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    """Return the tracking domain of each domain that has one whose record is in place.

    It remembers as `signing_keys` does, and together with it.
    """
    return {
        domain_id: found.tracking_host
        for domain_id, found in (await _known(domain_ids)).items()
        if found.tracking_host
    }


async def _known(domain_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, _Identity]:
    # The monotonic clock, because this is the age of a copy and not a time of the product.
    now = time.monotonic()
    known = {
        domain_id: held[1]
        for domain_id in domain_ids
        if (held := _identities.get(domain_id)) and now - held[0] < KEYS_FRESH_SECONDS
    }
    missing = set(domain_ids) - known.keys()
    if missing:
        read = await _read_identities(missing)
        for domain_id, identity in read.items():
            _identities[domain_id] = (now, identity)
            _identities.move_to_end(domain_id)
        while len(_identities) > REMEMBERED_DOMAINS:
            _identities.popitem(last=False)
        known.update(read)
    return known


async def ask_for_check(domain_id: uuid.UUID) -> None:
    """Have a worker look at a domain that is due; asking twice is asking once."""
    await enqueue(JobName.CHECK_DOMAIN, key=f"check:{domain_id}", domain_id=str(domain_id))


async def due_for_check(*, limit: int) -> list[uuid.UUID]:
    """Return the domains that it is time to look at, those that wait longest first."""
    rows = await fetch(
        "SELECT id FROM domains WHERE next_check_at <= {} ORDER BY next_check_at LIMIT {}",
        clock.now(),
        limit,
    )
    return [row["id"] for row in rows]


async def check(domain_id: uuid.UUID) -> None:
    """Look at a domain if it is due: keys to replace or destroy, then its records.

    It may run twice or at the same time as itself; nothing happens before the time the row
    names, and the row names the next one.
    """
    domain = await Domain.objects().where(Domain.id == domain_id).first()
    now = clock.now()
    if domain is None or domain.next_check_at is None or domain.next_check_at > now:
        return
    if domain.next_rotation_at is not None and domain.next_rotation_at <= now:
        await _rotate(domain)
    plan = await read_plan(domain.id)
    addresses = await vmtas.list_addresses(OrganizationId(domain.organization_id))
    sender = Sender(settings().hostname, tuple(addresses))
    findings = await look_up(resolver(), [planned.spec for planned in plan], sender=sender)
    if findings is None:
        await _put_off(domain)
        return
    await settle(domain_id, list(zip(plan, findings, strict=True)), audit=_audit)
    await _judge_logo(domain)


async def _judge_logo(domain: Domain) -> None:
    """Look again at the logo that a domain publishes, if it publishes one."""
    bimi = await read_bimi(domain.id)
    if bimi is None or bimi.logo is None:
        return
    async with open_fetcher() as fetcher:
        verdict = await judge_bimi(bimi, domain=domain.name, resolver=resolver(), fetcher=fetcher)
    await write_verdict(domain.id, bimi, verdict)


async def remove_old_checks() -> None:
    """Forget what was found in the DNS long ago; the newest of each domain stays."""
    await fetch(
        "DELETE FROM domain_checks AS old WHERE last_at < {} AND EXISTS "
        "(SELECT FROM domain_checks AS newer WHERE newer.domain_id = old.domain_id "
        "AND newer.id > old.id)",
        clock.now() - KEPT_FOR,
    )


async def _rotate(domain: Domain) -> None:
    """Prepare a new key of each kind that signs now, unless one waits already."""
    if not domain.dkim_rotation_days or not await _set_rotation(domain, ROTATION_LEASE):
        return
    keys = await read_keys(domain.id) if domain.status in CAN_SEND else []
    waiting = {key.algorithm.kind for key in keys if key.state is KeyState.PENDING}
    due = {k.algorithm.kind for k in keys if k.state is KeyState.ACTIVE} - waiting
    for algorithm in (each for each in MADE if each.kind in due):
        selector = await choose_selector(domain, None, algorithm, force=False)
        key = await make_sealed_key(selector, algorithm)
        async with transaction() as tx:
            await start_rotation(
                tx,
                domain.id,
                key,
                overlap_seconds=DEFAULT_OVERLAP_SECONDS,
                force=False,
                audit=_audit,
            )
    await _set_rotation(domain, timedelta(days=domain.dkim_rotation_days))


async def _set_rotation(domain: Domain, after: timedelta) -> bool:
    """Move the next rotation, unless somebody else has moved it since it was read."""
    at = clock.now() + after
    rows = await fetch(
        "UPDATE domains SET next_rotation_at = {} WHERE id = {} AND next_rotation_at = {} "
        "RETURNING id",
        at,
        domain.id,
        domain.next_rotation_at,
    )
    domain.next_rotation_at = at
    return bool(rows)


async def _put_off(domain: Domain) -> None:
    unanswered = domain.unanswered_checks + 1
    await fetch(
        "UPDATE domains SET unanswered_checks = {}, next_check_at = {} WHERE id = {}",
        unanswered,
        next_check(
            DomainStatus(domain.status),
            created_at=domain.created_at,
            now=clock.now(),
            unanswered=unanswered,
            share=share_of(domain.id),
        ),
        domain.id,
    )


async def _audit(tx: Tx, domain: Domain, action: str, changes: Mapping[str, Any]) -> None:
    await record_for_platform(
        tx,
        organization_id=OrganizationId(domain.organization_id),
        action=action,
        target_type="domain",
        target_id=domain.id,
        changes=changes,
    )


async def _read_identities(domain_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, _Identity]:
    rows = await fetch(
        "SELECT keys.domain_id, domains.name, keys.selector, algorithm, private_key, "
        "logos.selector AS bimi_selector, tracking.name AS tracking_host "
        "FROM dkim_keys AS keys "
        "JOIN domains ON domains.id = keys.domain_id "
        "LEFT JOIN domain_records AS tracking ON tracking.domain_id = domains.id "
        "AND tracking.purpose = {} AND tracking.status = {} "
        "LEFT JOIN domain_bimi AS logos ON logos.domain_id = domains.id AND enabled "
        "AND logo_url IS NOT NULL AND logos.selector <> {} "
        "WHERE keys.domain_id = ANY({}::uuid[]) AND state = {} AND private_key IS NOT NULL "
        "ORDER BY algorithm DESC",
        RecordPurpose.TRACKING.value,
        RecordStatus.VERIFIED.value,
        DEFAULT_SELECTOR,
        list(domain_ids),
        KeyState.ACTIVE.value,
    )
    keys: dict[uuid.UUID, list[SigningKey]] = {domain_id: [] for domain_id in domain_ids}
    selectors = {row["domain_id"]: row["bimi_selector"] for row in rows}
    hosts = {row["domain_id"]: row["tracking_host"] for row in rows}
    for row in rows:
        algorithm, private_pem = KeyAlgorithm(row["algorithm"]), _opened(row["private_key"])
        keys[row["domain_id"]].append(
            SigningKey(row["name"], row["selector"], algorithm, private_pem)
        )
    return {
        domain_id: _Identity(tuple(found), selectors.get(domain_id), hosts.get(domain_id))
        for domain_id, found in keys.items()
    }


def _opened(sealed: bytes) -> bytes | None:
    # One domain's must not stop the mail of all others that are read with it.
    try:
        return unseal(sealed, purpose=KEY_PURPOSE)
    except SealBroken:
        return None


async def count_domains(organization_id: OrganizationId) -> int:
    """Return how many domains an organization has set up."""
    return int(await Domain.count().where(Domain.organization_id == organization_id))
