"""What whoever runs an import decides, and how names become ours."""

from dataclasses import dataclass

from ..accounts.rules import NAME_LENGTH, checked_name
from ..core.actor import UserId
from ..core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Choices:
    """What whoever runs the import decides."""

    owner_id: UserId | None
    """Owns organizations of which nobody else can."""
    joins_people: bool
    """Whoever has an account with the address of one of Postal's people is taken for them."""
    selector_prefix: str
    """Of DKIM selectors, as Postal's `dns.dkim_identifier` says."""
    return_path_prefix: str
    """Below each domain, as Postal's `dns.custom_return_path_prefix` says."""
    password_hash: str
    """Of a password that nobody knows: people choose one by a link."""


def named(text: str, instead: str) -> str:
    """Return a name that can be one here: *text*, cut where it is too long, or *instead*."""
    for candidate in (text, instead):
        try:
            return checked_name(candidate.strip()[:NAME_LENGTH], field="name")
        except InvalidInput:
            continue
    return "Unnamed"
