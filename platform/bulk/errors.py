"""What is refused of bulk actions."""

from ..core.errors import Conflict, ErrorCode, LimitReached


class TooManyBulkActions(LimitReached):
    """So many are at work already."""


class AlreadyOver(Conflict):
    """There is nothing left to stop."""

    code = ErrorCode.ALREADY_FINAL
    message = "The bulk action is over."
