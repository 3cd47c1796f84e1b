"""Why an import does not begin or does not go on."""

from ..core.errors import Conflict, OperationError, Unavailable


class UnreadableSource(OperationError):
    """What rows should come from cannot be read."""

    message = "The source cannot be read."


class SourceUnreachable(Unavailable):
    """The database that rows should come from does not let us in."""


class NoOwner(Conflict):
    """Nobody who is named as the owner has an account."""
