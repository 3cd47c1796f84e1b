"""What the platform does with domains for itself."""

import time
import uuid
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..core.actor import OrganizationId
from ..core.crypto import unseal
from ..core.database import fetch
from ..mail.dkim import KeyAlgorithm, SigningKey
from .rules import CAN_SEND, KEY_PURPOSE, DomainStatus, KeyState, covering_names

KEYS_FRESH_SECONDS = 5.0
"""How long a process may sign with keys it read before; a rotation takes effect within this."""

REMEMBERED_DOMAINS = 10_000


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
        "track_opens, track_clicks, default_pool "
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


_keys: OrderedDict[uuid.UUID, tuple[float, Sequence[SigningKey]]] = OrderedDict()


async def signing_keys(
    domain_ids: Collection[uuid.UUID],
) -> Mapping[uuid.UUID, Sequence[SigningKey]]:
    """Return the active keys of each domain, private halves opened; none for an unknown one.

    What was read in the last few seconds is not read again.
    """
    # The monotonic clock, because this is the age of a copy and not a time of the product.
    now = time.monotonic()
    known = {
        domain_id: held[1]
        for domain_id in domain_ids
        if (held := _keys.get(domain_id)) and now - held[0] < KEYS_FRESH_SECONDS
    }
    missing = set(domain_ids) - known.keys()
    if missing:
        read = await _read_keys(missing)
        for domain_id, keys in read.items():
            _keys[domain_id] = (now, keys)
            _keys.move_to_end(domain_id)
        while len(_keys) > REMEMBERED_DOMAINS:
            _keys.popitem(last=False)
        known.update(read)
    return known


async def _read_keys(domain_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Sequence[SigningKey]]:
    rows = await fetch(
        "SELECT domain_id, name, selector, algorithm, private_key "
        "FROM dkim_keys JOIN domains ON domains.id = domain_id "
        "WHERE domain_id = ANY({}::uuid[]) AND state = {} AND private_key IS NOT NULL "
        "ORDER BY algorithm DESC",
        list(domain_ids),
        KeyState.ACTIVE.value,
    )
    keys: dict[uuid.UUID, list[SigningKey]] = {domain_id: [] for domain_id in domain_ids}
    for row in rows:
        private_pem = unseal(row["private_key"], purpose=KEY_PURPOSE)
        keys[row["domain_id"]].append(
            SigningKey(row["name"], row["selector"], KeyAlgorithm(row["algorithm"]), private_pem)
        )
    return {domain_id: tuple(found) for domain_id, found in keys.items()}
