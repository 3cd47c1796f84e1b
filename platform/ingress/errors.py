"""What is refused of ingress mailboxes."""

from ..core.errors import Conflict, DetailCode, InvalidInput, LimitReached


class TooManyMailboxes(LimitReached):
    """The organization has as many as it may."""

    message = "An organization has at most 100 mailboxes; delete one first."


class NoAccount(Conflict):
    """There is nothing to look into."""

    message = "The mailbox has no account to look into."


def uid_taken() -> InvalidInput:
    """Return the refusal of a uid that another mailbox has."""
    return InvalidInput.of("uid", DetailCode.DUPLICATE, "Another mailbox has this uid.")
