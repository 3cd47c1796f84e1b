"""What an export is made of: pages of a list, as whoever asked for it may read them.

Lists are read through GraphQL, which lies above this area: whoever runs exports hands in how a
page is read.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from ..core.actor import ApiKeyId, OrganizationId, ProjectId, UserId
from .rules import Dataset


@dataclass(frozen=True, slots=True)
class Asking:
    """Which page of which list, and as whom it is read."""

    export_id: uuid.UUID
    organization_id: OrganizationId
    project_id: ProjectId | None
    user_id: UserId | None
    api_key_id: ApiKeyId | None
    permissions: Sequence[str]
    """What whoever asked might read then."""
    dataset: Dataset
    filter: Mapping[str, Any]
    size: int
    after: str | None = None
    is_last: bool = False
    """The end of the list is asked for."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a file."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    until: datetime | None
    """The time of the last thing that is in it; None if it is empty."""
    place: str | None
    """Behind it; None at the end of the list."""


class PageRefused(Exception):
    """The list cannot be read like that, now or later; the text says why."""


class PageMissing(Exception):
    """The page could not be read this time."""


ReadPage: TypeAlias = Callable[[Asking], Awaitable[Page]]
"""Raises `PageRefused` and `PageMissing`."""
