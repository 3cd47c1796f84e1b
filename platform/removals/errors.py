"""What is refused of removals."""

from ..core.errors import Conflict, ErrorCode, NotPermitted


class TooLate(Conflict):
    """It is removed, or was taken back before."""

    code = ErrorCode.ALREADY_FINAL
    message = "It is too late to take this back: it is over."


class OwnRemoval(NotPermitted):
    """Whoever is being removed would keep themselves."""

    message = "Who is being removed cannot take that back; somebody else has to."
