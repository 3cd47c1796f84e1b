"""What one request carries to its resolvers."""

from dataclasses import dataclass, field
from typing import TypeAlias

import strawberry

from ..core import tenants
from ..core.actor import Actor, known
from .loaders import Loaders


@dataclass(slots=True)
class Context:
    """Who asks, from where, under which request id; one for each request."""

    actor: Actor | None
    request_id: str = ""
    source_address: str | None = None
    """Whom the request came from, after trusted proxies."""
    user_agent: str = ""
    """The `User-Agent` header, for the list of sessions."""
    idempotency_key: str | None = None
    """The `Idempotency-Key` header; a key in a mutation's input stands before it."""
    idempotency_mark: str = ""
    """What else has to be the same for a repeat: what an edge could not hand on as input."""
    may_introspect: bool = False
    """Whether the schema is shown, and not only used."""
    replayed: bool = False
    """Set by a resolver that answered from an idempotency record."""
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        self.loaders = Loaders(self.actor)

    def become(self, actor: Actor) -> None:
        """Let the rest of the document ask as *actor*, who has just signed in."""
        self.actor = actor
        self.loaders = Loaders(actor)
        tenants.become(actor.organization_id)

    @property
    def tenants(self) -> tenants.Organizations:
        """Whose rows there are for it; none for whoever has not signed in."""
        if self.actor is None:
            return tenants.NOBODY
        return frozenset((self.actor.organization_id,))


Info: TypeAlias = strawberry.Info[Context, None]


def actor_of(info: Info) -> Actor:
    """Return who asks.

    Raises:
        NotAuthenticated: nobody is signed in.
    """
    return known(info.context.actor)
