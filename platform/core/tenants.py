"""For whom statements run, so that the database itself keeps organizations apart.

    with acting_for([actor.organization_id]):
        ...

Whoever acts for nobody in particular (a job, a command, looking up a credential) is the platform.
A tenant's statements run as `ROLE`, which owns no table and bypasses no policy; which
organizations they are for is a setting of the connection that every policy compares with. Without
it there are no rows. The code filters all the same: this is the wall behind it.
"""

import uuid
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

import asyncpg

P = ParamSpec("P")
T = TypeVar("T")

ROLE = "postlane_tenant"
"""Whom tenants' statements run as; roles belong to the whole server, not to one database."""

SETTING = "postlane.organizations"

Organizations: TypeAlias = frozenset[uuid.UUID]

NOBODY: Organizations = frozenset()
"""For whom nothing is there."""


class _Scope:
    """What one document runs for; it changes when somebody signs in half-way."""

    __slots__ = ("organizations",)

    def __init__(self, organizations: Organizations | None) -> None:
        self.organizations = organizations


_scope: ContextVar[_Scope | None] = ContextVar("tenants", default=None)


def current() -> Organizations | None:
    """Return the organizations that statements are for now; None is the platform."""
    scope = _scope.get()
    return None if scope is None else scope.organizations


@contextmanager
def acting_for(organizations: Collection[uuid.UUID]) -> Iterator[None]:
    """Let the body see and change what is these organizations', and nothing else."""
    token = _scope.set(_Scope(frozenset(organizations)))
    try:
        yield
    finally:
        _scope.reset(token)


def become(organization_id: uuid.UUID) -> None:
    """Let the rest of the body that runs be for another organization: somebody signed in."""
    scope = _scope.get()
    if scope is not None:
        scope.organizations = frozenset((organization_id,))


def across_organizations(
    function: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return *function*, which does its work as the platform, whoever asks.

    For what is a person's and not an organization's, and for whoever looks after the deployment.
    Each is a hole in the wall: it stands where the function says whom it answers.
    """

    @wraps(function)
    async def crossing(*args: P.args, **kwargs: P.kwargs) -> T:
        token = _scope.set(None)
        try:
            return await function(*args, **kwargs)
        finally:
            _scope.reset(token)

    return crossing


class TenantConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that runs statements as `ROLE`, for some organizations at a time."""

    _organizations: Organizations | None = None
    _begins_for: Organizations | None = None

    def begin_for(self, organizations: Organizations) -> None:
        """Let the transaction that begins next see these organizations' rows, and it alone.

        Its beginning says so as well, which takes no round trip of its own: the organizations
        whose mail is accepted together are others nearly every time.
        """
        self._begins_for = organizations

    async def execute(self, query: str, *arguments: Any, timeout: float | None = None) -> str:
        """Run *query*; the beginning of a transaction says for whom it is."""
        if self._begins_for is not None and query.startswith("BEGIN"):
            query = f"{query} SET LOCAL {_said(self._begins_for)};"
            self._begins_for = None
        done: str = await super().execute(query, *arguments, timeout=timeout)
        return done

    async def act_for(self, organizations: Organizations) -> None:
        """Let what follows see these organizations' rows.

        It costs a round trip, and only when they are others than the last time: a pool lends
        the connection that came back last, which is often the same tenant's.
        """
        if organizations != self._organizations:
            self._organizations = None
            await self.execute(f"SET {_said(organizations)}")
            self._organizations = organizations

    async def reset(self, *, timeout: float | None = None) -> None:
        """Undo what was set, and forget for whom it was."""
        self._organizations = self._begins_for = None
        await super().reset(timeout=timeout)


def _said(organizations: Organizations) -> str:
    listed = ",".join(map(str, organizations))
    return f"{SETTING} = '{{{listed}}}'"
