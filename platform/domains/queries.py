"""Reading domains; no query of this module selects a private key."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from piccolo.columns.combination import WhereRaw
from piccolo.custom_types import Combinable

from ..core.actor import Actor, OrganizationId, Permission
from ..core.database import fetch
from ..core.errors import Detail, DetailCode, InvalidInput, NotFound
from ..core.ids import parse_id
from ..core.paging import Order, Page, PageRequest, by_id, fetch_page
from ..mail.address import InvalidAddress, parse_domain
from ..mail.dkim import KeyAlgorithm, record_value
from .logos import StoredLogo, read_logos
from .records import PublicKey, RecordPurpose
from .rules import DomainStatus, KeyState
from .tables import Domain, DomainCheck, DomainRecord

BY_NAME = Order("name", "name", lambda domain: domain.name)
NEWEST_FIRST = by_id()
LONGEST_SEARCH = 253


@dataclass(frozen=True, slots=True)
class DomainRef:
    """Names one domain: by its id, or by its name."""

    id: uuid.UUID | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class KeyView(PublicKey):
    """A DKIM key as its owner may see it: never its private half."""

    domain_id: uuid.UUID
    created_at: datetime
    activated_at: datetime | None
    retires_at: datetime | None


async def get_domain(actor: Actor, ref: DomainRef) -> Domain:
    """Return one domain of the actor's organization.

    Raises:
        NotFound: it is absent or somebody else's.
    """
    actor.require(Permission.READ_DOMAINS)
    return await domain_of(actor, ref)


async def domain_of(actor: Actor, ref: DomainRef) -> Domain:
    """Return one domain of the actor's organization, whatever the actor may do with it.

    Raises:
        NotFound: it is absent or somebody else's.
    """
    query = Domain.objects().where(Domain.organization_id == actor.organization_id)
    if ref.id is not None:
        query = query.where(Domain.id == ref.id)
    else:
        try:
            query = query.where(Domain.name == parse_domain(ref.name or ""))
        except InvalidAddress:
            raise NotFound from None
    found = await query.first()
    if found is None:
        raise NotFound
    return found


async def list_domains(
    actor: Actor,
    *,
    page: PageRequest,
    status: DomainStatus | None = None,
    search: str | None = None,
    order: Order = BY_NAME,
) -> Page[Domain]:
    """Return the organization's domains; *search* is part of a name."""
    query = Domain.objects().where(*_conditions(actor, status, search))
    scope = f"{status or ''}/{_wanted(search)}"
    return await fetch_page(query, page, order, scope=scope)


async def count_domains(
    actor: Actor, status: DomainStatus | None = None, search: str | None = None
) -> int:
    """Return how many such domains the organization has."""
    found: int = await Domain.count().where(*_conditions(actor, status, search))
    return found


async def count_all(organization_id: OrganizationId) -> int:
    """Return how many domains an organization has, whoever asks."""
    return int(await Domain.count().where(Domain.organization_id == organization_id))


def _conditions(actor: Actor, status: DomainStatus | None, search: str | None) -> list[Combinable]:
    actor.require(Permission.READ_DOMAINS)
    found: list[Combinable] = [Domain.organization_id == actor.organization_id]
    if status is not None:
        found.append(Domain.status == status.value)
    if wanted := _wanted(search):
        found.append(Domain.name.like(f"%{_searchable(wanted)}%"))
    return found


def _wanted(search: str | None) -> str:
    return (search or "").strip().lower()


async def find_domains(actor: Actor, ids: Collection[uuid.UUID]) -> Sequence[Domain]:
    """Return those of the domains that are the organization's."""
    actor.require(Permission.READ_DOMAINS)
    return await Domain.objects().where(
        (Domain.organization_id == actor.organization_id) & Domain.id.is_in(list(ids))
    )


async def domain_names(actor: Actor, texts: Sequence[str]) -> list[str]:
    """Return *texts* with each UUID replaced by the name of the domain it stands for.

    Raises:
        InvalidInput: there is no such domain in the organization.
    """
    ids = {text: found for text in texts if (found := parse_id(text)) is not None}
    names: dict[uuid.UUID, str] = {}
    if ids:
        names = {row.id: row.name for row in await find_domains(actor, list(ids.values()))}
    wrong = [
        Detail(f"allowedDomains[{n}]", DetailCode.NOT_FOUND, "There is no such domain.")
        for n, text in enumerate(texts)
        if text in ids and ids[text] not in names
    ]
    if wrong:
        raise InvalidInput.all(wrong)
    return [names[ids[text]] if text in ids else text for text in texts]


async def list_keys(actor: Actor, domain_ids: Collection[uuid.UUID]) -> Sequence[KeyView]:
    """Return every key of the domains, retired ones too, oldest first."""
    actor.require(Permission.READ_DOMAINS)
    rows = await fetch(
        "SELECT dkim_keys.id, selector, algorithm, state, public_value, domain_id, "
        "dkim_keys.created_at, activated_at, retires_at "
        "FROM dkim_keys JOIN domains ON domains.id = domain_id "
        "WHERE organization_id = {} AND domain_id = ANY({}::uuid[]) ORDER BY dkim_keys.id",
        actor.organization_id,
        list(domain_ids),
    )
    return [
        KeyView(
            **{
                **row,
                "algorithm": KeyAlgorithm(row["algorithm"]),
                "state": KeyState(row["state"]),
            }
        )
        for row in rows
    ]


async def list_records(actor: Actor, domain_ids: Collection[uuid.UUID]) -> Sequence[DomainRecord]:
    """Return the records of the domains, those that matter most first."""
    actor.require(Permission.READ_DOMAINS)
    records = await DomainRecord.objects().where(
        (DomainRecord.domain_id.organization_id == actor.organization_id)
        & DomainRecord.domain_id.is_in(list(domain_ids))
    )
    purposes = [purpose.value for purpose in RecordPurpose]
    return sorted(records, key=lambda record: (purposes.index(record.purpose), record.id))


async def list_logos(
    actor: Actor, domain_ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, StoredLogo]:
    """Return the logos of the organization's domains for which one was set."""
    own = await find_domains(actor, domain_ids)
    return await read_logos([domain.id for domain in own])


async def list_checks(
    actor: Actor, *, page: PageRequest, ref: DomainRef | None = None
) -> Page[DomainCheck]:
    """Return the checks of the organization's domains, or of one of them, newest first.

    Raises:
        NotFound: the domain is absent or somebody else's.
    """
    actor.require(Permission.READ_DOMAINS)
    query = DomainCheck.objects()
    scope = ""
    if ref is not None:
        domain = await domain_of(actor, ref)
        query = query.where(DomainCheck.domain_id == domain.id)
        scope = str(domain.id)
    else:
        query = query.where(_of_own_domains(actor))
    return await fetch_page(query, page, NEWEST_FIRST, scope=scope)


async def find_checks(actor: Actor, ids: Collection[uuid.UUID]) -> Sequence[DomainCheck]:
    """Return those of the checks that are of the organization's domains."""
    actor.require(Permission.READ_DOMAINS)
    chosen = DomainCheck.objects().where(DomainCheck.id.is_in(list(ids)))
    return await chosen.where(_of_own_domains(actor))


def _of_own_domains(actor: Actor) -> WhereRaw:
    return WhereRaw(
        "domain_id IN (SELECT id FROM domains WHERE organization_id = {})", actor.organization_id
    )


def _searchable(text: str) -> str:
    """Return *text* as a pattern of LIKE; what no name can hold matches nothing."""
    if not text.isascii():
        try:
            text = parse_domain(text)
        except InvalidAddress:
            return "\\%"
    if not text.isprintable() or len(text) > LONGEST_SEARCH:
        return "\\%"
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def key_records(actor: Actor) -> Mapping[tuple[str, str], str]:
    """Return the record of every DKIM key that the organization's domains publish or should.

    By domain and selector, in lower case; for looking at signatures without asking DNS.
    """
    actor.require(Permission.READ_MESSAGES)
    rows = await fetch(
        "SELECT d.name, k.selector, k.algorithm, k.public_value FROM dkim_keys k "
        "JOIN domains d ON d.id = k.domain_id WHERE d.organization_id = {} "
        "AND k.state <> 'retired'",
        actor.organization_id,
    )
    return {
        (row["name"].lower(), row["selector"]): record_value(
            KeyAlgorithm(row["algorithm"]), row["public_value"]
        )
        for row in rows
    }
