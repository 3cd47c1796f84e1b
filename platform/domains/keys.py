"""Making DKIM keys: CPU away from the event loop, private halves sealed at once."""

import asyncio
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..core import clock
from ..core.crypto import seal
from ..core.database import Tx, fetch
from ..core.errors import DetailCode, InvalidInput, NotFound
from ..core.ids import new_id
from ..mail.dkim import MADE, KeyAlgorithm, make_key
from .errors import RotationInProgress, SelectorInUse
from .records import PublicKey
from .rules import KEY_PURPOSE, NOT_MADE, KeyState, checked_selector, next_selector
from .tables import DkimKey, Domain
from .verification import Audit, lock, next_look, read_keys, write_records

SELECTOR_INDEX = "dkim_keys_selector"
"""The unique index by which a domain uses a selector once."""

_one_at_a_time = asyncio.Semaphore(1)
"""An RSA key takes some 50 ms of one core; a crowd of them must not take every thread."""


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A new key whose private half only this deployment can open."""

    selector: str
    algorithm: KeyAlgorithm
    private_key: bytes
    public_value: str


async def make_sealed_key(selector: str, algorithm: KeyAlgorithm) -> SealedKey:
    """Return a new key; called outside transactions, because it takes a while."""
    async with _one_at_a_time:
        pair = await asyncio.to_thread(make_key, algorithm)
    return SealedKey(
        selector=selector,
        algorithm=algorithm,
        private_key=seal(pair.private_pem, purpose=KEY_PURPOSE),
        public_value=pair.public_value,
    )


async def insert_keys(
    tx: Tx, domain_id: uuid.UUID, keys: Sequence[SealedKey], *, overlap_seconds: int
) -> list[DkimKey]:
    """Write keys down as `pending`: they sign once their records were seen."""
    rows = [
        DkimKey(
            id=new_id(),
            domain_id=domain_id,
            selector=key.selector,
            algorithm=key.algorithm.value,
            state=KeyState.PENDING.value,
            private_key=key.private_key,
            public_value=key.public_value,
            overlap_seconds=overlap_seconds,
            created_at=clock.now(),
        )
        for key in keys
    ]
    await DkimKey.insert(*rows)
    return rows


async def choose_selector(
    domain: Domain, selector: str | None, algorithm: KeyAlgorithm, *, force: bool
) -> str:
    """Return the selector of a domain's next key: the one asked for, or a new one.

    Raises:
        RotationInProgress: a new key of that kind waits, and *force* is not given.
        SelectorInUse: the domain has, or had, a key with that selector.
        InvalidInput: it is no selector, or no kind of key that is made.
    """
    if algorithm not in MADE:
        raise InvalidInput.of("algorithm", DetailCode.NOT_ALLOWED, NOT_MADE)
    chosen = None if selector is None else checked_selector(selector, domain.name)
    keys = await read_keys(domain.id)
    _refuse_rotation(keys, algorithm, force=force)
    used = {key.selector for key in keys}
    if chosen is None:
        return next_selector(
            domain.dkim_selector, algorithm, name=domain.name, now=clock.now(), used=used
        )
    if chosen in used:
        raise SelectorInUse
    return chosen


async def start_rotation(
    tx: Tx,
    domain_id: uuid.UUID,
    key: SealedKey,
    *,
    overlap_seconds: int,
    force: bool,
    audit: Audit,
) -> Domain:
    """Write a new key down, which takes over when its record was seen; return the domain.

    Raises:
        NotFound: the domain was deleted meanwhile.
        RotationInProgress: a new key of that kind waits, and *force* is not given.
    """
    domain = await lock(tx, domain_id)
    if domain is None:
        raise NotFound
    _refuse_rotation(await read_keys(domain.id), key.algorithm, force=force)
    await fetch(
        "UPDATE dkim_keys SET state = {}, private_key = NULL "
        "WHERE domain_id = {} AND split_part(algorithm, '-', 1) = {} AND state = {}",
        KeyState.RETIRED.value,
        domain.id,
        key.algorithm.kind,
        KeyState.PENDING.value,
    )
    await insert_keys(tx, domain.id, [key], overlap_seconds=overlap_seconds)
    await write_records(tx, domain)
    domain.updated_at = clock.now()
    domain.next_check_at = await next_look(domain, domain.next_check_at, now=clock.now())
    await domain.save()
    told = {"selector": key.selector, "algorithm": key.algorithm.value}
    await audit(tx, domain, "domain.dkim_rotation_started", told)
    return domain


def _refuse_rotation(keys: Collection[PublicKey], algorithm: KeyAlgorithm, *, force: bool) -> None:
    waits = any(k.algorithm.kind == algorithm.kind and k.state is KeyState.PENDING for k in keys)
    if waits and not force:
        raise RotationInProgress
