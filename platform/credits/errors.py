"""Refusals of credits."""

from ..core.errors import Conflict, Detail, DetailCode, ErrorCode, LimitReached, NotFound
from ..core.wording import noun_for


class InsufficientCredits(LimitReached):
    """The balance does not cover what the operation costs; nothing was taken."""

    code = ErrorCode.INSUFFICIENT_CREDITS

    def __init__(self, credit_type: str, *, available: int, needed: int) -> None:
        sentence = (
            f"This needs {needed} {credit_type} {noun_for(needed, 'credit')} and {available} "
            f"{noun_for(available, 'is', 'are')} left."
        )
        super().__init__(sentence, details=(Detail("type", DetailCode.TOO_SMALL, sentence),))


class UnknownCreditType(NotFound):
    """There is no such type of credits."""

    code = ErrorCode.UNKNOWN_CREDIT_TYPE
    message = "There is no such type of credits."


class ReferenceConflict(Conflict):
    """The reference stands for another amount."""

    code = ErrorCode.REFERENCE_CONFLICT
    message = "Another amount of these credits was consumed with this reference."


class AlertLimitReached(Conflict):
    """There are as many alerts of the type as there may be."""

    code = ErrorCode.ALERT_LIMIT_REACHED
    message = "There are ten alerts of this type of credits already."
