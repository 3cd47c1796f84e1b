"""What is refused of exports."""

from ..core.errors import Conflict, ErrorCode, LimitReached


class TooManyExports(LimitReached):
    """So many are being written or kept already."""


class AlreadyOver(Conflict):
    """There is nothing left to stop and no file to throw away."""

    code = ErrorCode.ALREADY_FINAL
    message = "The export is over, and there is no file of it."
