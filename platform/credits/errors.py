"""Refusals of credits."""

from ..core.errors import Detail, DetailCode, ErrorCode, LimitReached, NotFound


class InsufficientCredits(LimitReached):
    """The balance does not cover what the operation costs; nothing was taken."""

    code = ErrorCode.INSUFFICIENT_CREDITS

    def __init__(self, credit_type: str, *, available: int, needed: int) -> None:
        sentence = f"This needs {needed} {credit_type} credits and {available} are left."
        super().__init__(sentence, details=(Detail("type", DetailCode.TOO_SMALL, sentence),))


class UnknownCreditType(NotFound):
    """There is no such type of credits."""

    code = ErrorCode.UNKNOWN_CREDIT_TYPE
    message = "There is no such type of credits."
