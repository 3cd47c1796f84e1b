"""Why something with a domain is refused."""

from ..core.errors import Conflict, ErrorCode, NotPermitted, Unavailable


class DomainExists(Conflict):
    """The organization has the domain already."""

    code = ErrorCode.DOMAIN_EXISTS
    message = "Your organization has this domain already."


class DomainClaimed(Conflict):
    """Another organization has proven that the domain is its own."""

    code = ErrorCode.DOMAIN_CLAIMED
    message = "Another organization has verified this domain. It must let go of it first."


class TooManyDomains(NotPermitted):
    """The organization's plan allows no further domain."""

    code = ErrorCode.FEATURE_NOT_IN_PLAN
    message = "Your plan allows no further domain. Delete one, or change the plan."


class DomainInUse(Conflict):
    """Mail from the domain is still on its way."""

    code = ErrorCode.DOMAIN_IN_USE
    message = "Messages from this domain are still open. Wait for them, or delete it with force."


class SelectorInUse(Conflict):
    """The domain has, or had, a key with this selector."""

    code = ErrorCode.SELECTOR_IN_USE
    message = "This domain has used the selector before; take another one."


class RotationInProgress(Conflict):
    """A new key waits for its record."""

    code = ErrorCode.ROTATION_IN_PROGRESS
    message = "A new key waits for its DNS record already. Publish it, or replace it with force."


class DnsUnavailable(Unavailable):
    """No name server answered, so nothing can be said about any record."""

    code = ErrorCode.DNS_UNAVAILABLE
    message = "No name server answered. Nothing was changed; try again shortly."
