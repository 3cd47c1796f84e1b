"""What each plan lets an organization have; prices are the business of billing."""

from dataclasses import dataclass

from .rules import Plan


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """How much of each thing a plan allows; None is any number."""

    emails_per_month: int | None = None
    domains: int | None = None
    vmtas: int | None = None
    users: int | None = None


LIMITS: dict[Plan, PlanLimits] = {
    Plan.TRIAL: PlanLimits(emails_per_month=10_000, domains=1, vmtas=1),
    Plan.STARTER: PlanLimits(emails_per_month=100_000, domains=1, vmtas=1),
    Plan.PROFESSIONAL: PlanLimits(vmtas=2),
    Plan.ENTERPRISE: PlanLimits(),
    Plan.SELF_HOSTED: PlanLimits(),
}
"""Source: postmta-api section 5.13."""


def limits_of(plan: str) -> PlanLimits:
    """Return what an organization on *plan* may have."""
    return LIMITS[Plan(plan)]
