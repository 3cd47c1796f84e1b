"""The catalogue of plans: what each costs and brings.

Source: postmta-api section 5.13.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..accounts.plans import LIMITS, PlanLimits
from ..accounts.rules import Plan
from ..core.money import Money
from ..credits.rules import CreditType
from ..security.rules import REQUESTS_PER_MINUTE
from .rules import CURRENCY, Interval, priced, share_left

FREE = Money(0, CURRENCY)
_FEATURES = ("api", "smtp", "webhooks", "analytics", "warmup")
_NONE: Mapping[CreditType, int] = {}


@dataclass(frozen=True, slots=True)
class PlanOffer:
    """One plan of the catalogue."""

    plan: Plan
    name: str
    prices: Mapping[Interval, Money]
    """Without a price for an interval, the plan cannot be paid in it."""
    by_contract: bool = False
    """It is agreed with sales, not bought here."""
    features: tuple[str, ...] = _FEATURES
    included: Mapping[CreditType, int] = field(default_factory=lambda: _NONE)
    """Whole credits granted at the start of each period."""

    @property
    def limits(self) -> PlanLimits:
        """How much of each thing it allows."""
        return LIMITS[self.plan]

    @property
    def requests_per_minute(self) -> int | None:
        """What it allows one credential; None is any number."""
        return REQUESTS_PER_MINUTE[self.plan]

    @property
    def price(self) -> Money:
        """What a month costs."""
        return self.prices.get(Interval.MONTH, FREE)


CATALOGUE: Mapping[Plan, PlanOffer] = {
    offer.plan: offer
    for offer in (
        PlanOffer(
            Plan.TRIAL,
            "Trial",
            {Interval.MONTH: FREE},
            included={CreditType.EMAIL: 10_000},
        ),
        PlanOffer(
            Plan.STARTER,
            "Starter",
            {Interval.MONTH: Money(4_900, CURRENCY)},
            included={CreditType.EMAIL: 100_000, CreditType.SPAM_CHECK: 1_000},
        ),
        PlanOffer(
            Plan.PROFESSIONAL,
            "Professional",
            {Interval.MONTH: Money(19_900, CURRENCY)},
            # Its emails are not limited, but they are counted: nobody gets through as many.
            included={CreditType.EMAIL: 10_000_000, CreditType.SPAM_CHECK: 10_000},
        ),
        PlanOffer(Plan.ENTERPRISE, "Enterprise", {}, by_contract=True),
        PlanOffer(Plan.SELF_HOSTED, "Self-hosted", {Interval.MONTH: FREE}),
    )
}
"""Every plan."""


def offer_of(plan: str) -> PlanOffer:
    """Return what the catalogue says of a plan."""
    return CATALOGUE[Plan(plan)]


@dataclass(frozen=True, slots=True)
class Part:
    """What is left of a period of a plan: what it costs in minor units, and its credits."""

    price: int
    included: Mapping[CreditType, int]


def part_of(
    offer: PlanOffer,
    period: tuple[datetime, datetime],
    *,
    at: datetime,
    beyond: PlanOffer | None = None,
) -> Part:
    """Return what is left of *period* at *at*, price and credits in one proportion.

    Of both only what *offer* has *beyond* another that was had until then.
    """
    had = beyond.included if beyond else {}
    price = offer.price.amount - (beyond.price.amount if beyond else 0)
    share = share_left(price, start=period[0], end=period[1], at=at)
    included = {
        type: int(max(0, amount - had.get(type, 0)) * share)
        for type, amount in offer.included.items()
    }
    return Part(priced(price, share), included)
