"""What a new API key may be: values that can be stored, and no more than its maker holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, ip_network
from typing import Any

from ..accounts.errors import ProjectArchived
from ..accounts.queries import find_projects, get_organization
from ..accounts.rules import MOST_PER_MINUTE, checked_domains, checked_name
from ..core import clock
from ..core.actor import Actor, ActorKind, Mode, ProjectId
from ..core.errors import Detail, DetailCode, InvalidInput
from .errors import BeyondOwnRights
from .rules import KeyFormat, Network, granted, is_scope, networks, rate_limit
from .tables import ApiKey

MOST_SCOPES = 50
MOST_NETWORKS = 50


@dataclass(frozen=True, slots=True)
class NewKey:
    """What an API key is to be."""

    name: str
    scopes: Sequence[str]
    mode: Mode = Mode.LIVE
    format: KeyFormat = KeyFormat.STANDARD
    project_id: ProjectId | None = None
    """The only project that it may touch; None is every one that its maker may touch."""
    expires_at: datetime | None = None
    allowed_networks: Sequence[str] = ()
    """Addresses or CIDR blocks; empty is any."""
    allowed_domains: Sequence[str] = ()
    """Names of sending domains; empty is any."""
    rate_limit_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a key goes, apart from its scopes."""

    project_id: ProjectId | None
    mode: Mode
    expires_at: datetime | None
    networks: tuple[Network, ...]
    domains: frozenset[str]
    rate_limit_per_minute: int | None

    def covers(self, other: "Reach") -> bool:
        """Say whether a key that goes as far as *other* goes nowhere that this one does not."""
        return (
            self.project_id in (None, other.project_id)
            and (self.mode is Mode.LIVE or other.mode is Mode.SANDBOX)
            and _least(self.expires_at, other.expires_at) == other.expires_at
            and _least(self.rate_limit_per_minute, other.rate_limit_per_minute)
            == other.rate_limit_per_minute
            and _networks_cover(self.networks, other.networks)
            and (not self.domains or bool(other.domains and other.domains <= self.domains))
        )


def reach_of(row: ApiKey) -> Reach:
    """Return how far a stored key goes."""
    return Reach(
        project_id=row.project_id,
        mode=Mode(row.mode),
        expires_at=row.expires_at,
        networks=networks(tuple(row.allowed_networks)),
        domains=frozenset(row.allowed_domains),
        rate_limit_per_minute=row.rate_limit_per_minute,
    )


async def check_reach(actor: Actor, wanted: Reach) -> None:
    """Do nothing if the actor, should it be a key, reaches as far as *wanted*.

    Without this a key that is bound to a network could make itself one that is not.

    Raises:
        BeyondOwnRights: the new key would go further.
    """
    if actor.kind is not ActorKind.API_KEY:
        return
    own = await ApiKey.objects().where(ApiKey.id == actor.api_key_id).first()
    if own is None or not reach_of(own).covers(wanted):
        raise BeyondOwnRights(
            "A key that is made with a key has at least the same limits: project, mode, end, "
            "networks, domains, rate."
        )


async def checked(actor: Actor, new: NewKey) -> ApiKey:
    """Return the row of a key that *actor* may make; it is not stored.

    Raises:
        InvalidInput: a value cannot be one.
        BeyondOwnRights: it would hold a scope, reach or time that the actor lacks.
        ProjectArchived: its project is archived.
    """
    row = ApiKey(
        organization_id=actor.organization_id,
        created_by=actor.user_id,
        name=checked_name(new.name, field="name"),
        scopes=_scopes(actor, new.scopes),
        mode=new.mode.value,
        format=new.format.value,
        project_id=await _project(actor, new.project_id),
        expires_at=_end(new.expires_at),
        allowed_networks=_networks(new.allowed_networks),
        allowed_domains=checked_domains(new.allowed_domains, field="allowedDomains"),
        rate_limit_per_minute=await _limit(actor, new.rate_limit_per_minute),
    )
    await check_reach(actor, reach_of(row))
    return row


def _scopes(actor: Actor, asked: Sequence[str]) -> list[str]:
    if not asked:
        raise InvalidInput.of("scopes", DetailCode.REQUIRED, "A key needs at least one scope.")
    _check_count("scopes", asked, MOST_SCOPES)
    unknown = [
        Detail(f"scopes[{i}]", DetailCode.NOT_ALLOWED, f"{scope[:60]!r} is not a scope.")
        for i, scope in enumerate(asked)
        if not is_scope(scope)
    ]
    if unknown:
        raise InvalidInput.all(unknown)
    for scope in asked:
        if not granted([scope], actor.permissions):
            raise BeyondOwnRights(f"You do not hold the scope '{scope}', so your key cannot.")
    if actor.kind is ActorKind.API_KEY:
        # A wildcard is read anew at every request, as all that the person may do; from a key
        # it can only mean what that key holds.
        return sorted(permission.value for permission in granted(asked, actor.permissions))
    return list(dict.fromkeys(asked))


async def _project(actor: Actor, asked: ProjectId | None) -> ProjectId | None:
    if asked is None:
        return actor.project_id
    found = await find_projects(actor, [asked])
    if asked not in found:
        raise InvalidInput.of("projectId", DetailCode.NOT_FOUND, "There is no such project.")
    if found[asked].archived_at is not None:
        raise ProjectArchived
    return asked


def _end(asked: datetime | None) -> datetime | None:
    if asked is not None and asked <= clock.now():
        raise InvalidInput.of("expiresAt", DetailCode.IN_PAST, "The end must be in the future.")
    return asked


def _networks(asked: Sequence[str]) -> list[str]:
    _check_count("allowedNetworks", asked, MOST_NETWORKS)
    found: dict[str, None] = {}
    for i, text in enumerate(asked):
        try:
            found[str(ip_network(text.strip(), strict=False))] = None
        except ValueError as error:
            raise InvalidInput.of(
                f"allowedNetworks[{i}]",
                DetailCode.INVALID_IP,
                f"{text[:60]!r} is not an IP address or a network such as 198.51.100.0/24.",
            ) from error
    return list(found)


async def _limit(actor: Actor, asked: int | None) -> int | None:
    if asked is None:
        return None
    organization = await get_organization(actor)
    most = rate_limit(organization.plan, None) or MOST_PER_MINUTE
    if not 1 <= asked <= most:
        raise InvalidInput.of(
            "rateLimitPerMinute",
            DetailCode.TOO_SMALL if asked < 1 else DetailCode.TOO_LARGE,
            f"The limit is 1 to {most} requests a minute.",
        )
    return asked


def _check_count(field: str, asked: Sequence[str], most: int) -> None:
    if len(asked) > most:
        raise InvalidInput.of(field, DetailCode.TOO_MANY, f"{field} has at most {most} items.")


def _least(left: Any, right: Any) -> Any:
    """Return the nearer of two limits, where None is no limit."""
    if left is None or right is None:
        return right if left is None else left
    return min(left, right)


def _networks_cover(own: tuple[Network, ...], asked: tuple[Network, ...]) -> bool:
    if not own:
        return True
    return bool(asked) and all(any(_contains(mine, one) for mine in own) for one in asked)


def _contains(outer: Network, inner: Network) -> bool:
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return not isinstance(inner, IPv4Network) and inner.subnet_of(outer)
