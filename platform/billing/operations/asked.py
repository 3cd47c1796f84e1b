"""Reading which plan is asked for."""

from ...accounts.rules import Plan
from ...core.errors import DetailCode, InvalidInput
from ..plans import CATALOGUE, PlanOffer
from ..rules import RANKS, Interval


def checked_offer(plan: str | None) -> PlanOffer:
    """Return the plan of the catalogue that is called *plan* and can be changed to.

    Raises:
        InvalidInput: there is none, or none was named.
    """
    if plan is None:
        raise InvalidInput.of("plan", DetailCode.REQUIRED, "Name the plan.")
    try:
        found = Plan(plan.lower())
    except ValueError:
        found = Plan.SELF_HOSTED
    if found not in RANKS:
        names = ", ".join(plan.value for plan in sorted(RANKS, key=lambda plan: RANKS[plan]))
        raise InvalidInput.of("plan", DetailCode.NOT_FOUND, f"There is no such plan: {names}.")
    return CATALOGUE[found]


def checked_interval(offer: PlanOffer, interval: Interval) -> None:
    """Do nothing if the plan can be paid so.

    Raises:
        InvalidInput: it has no such price.
    """
    if not offer.by_contract and interval not in offer.prices:
        raise InvalidInput.of(
            "interval", DetailCode.NOT_ALLOWED, f"{offer.name} has no price per {interval.value}."
        )
