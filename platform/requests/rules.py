"""In which API something was asked, and what became of it."""

from enum import StrEnum

BROKEN = frozenset({"INTERNAL", "SERVICE_UNAVAILABLE", "TIME_LIMIT"})
"""Refusals that are no fault of whoever asked."""


class Api(StrEnum):
    """Which API was asked."""

    GRAPHQL = "graphql"
    REST = "rest"
    POSTAL = "postal"
    POSTAGEAPP = "postageapp"


class Outcome(StrEnum):
    """What became of a request."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"


def outcome_of(status: int, code: str | None) -> Outcome:
    """Return what became of a request that was answered with *status*.

    The status alone does not tell: GraphQL and Postal's API answer 200 to what they refuse.
    *code* is the first refusal's, as the schema names it; None is none.
    """
    if status >= 500 or code in BROKEN:
        return Outcome.FAILED
    if status >= 400 or code is not None:
        return Outcome.REFUSED
    return Outcome.SUCCEEDED
