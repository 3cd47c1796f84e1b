"""Stopping mail to addresses that fail: for good, or for a while."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from ...core.actor import OrganizationId
from ...core.database import Tx, fetch
from ...mail.outcome import BounceClass, BounceType, Verdict
from ...suppressions.rules import SuppressionReason
from ...suppressions.work import NewSuppression, add
from ..rules import FINAL, DeliveryState
from .settlements import Settled, Step
from .telling import response

COOLING_AFTER = 3
"""Final soft failures of one address within COOLING_WINDOW that stop mail to it."""

COOLING_WINDOW = timedelta(days=7)
COOLING_FOR = timedelta(hours=72)

SOFT_CLASSES = tuple(
    each.value for each in BounceClass if each.type_for(Verdict.DEFERRED) is BounceType.SOFT
)

# The classes are written out, for the index holds these failures and no others; and of an
# address no more are looked at than matter.
FAILING = (
    "SELECT asked.nth FROM unnest({}::uuid[], {}::text[]) WITH ORDINALITY "
    "AS asked (organization_id, address_key, nth) CROSS JOIN LATERAL ("
    "SELECT count(*) AS failures FROM (SELECT FROM deliveries "
    "WHERE organization_id = asked.organization_id AND address_key = asked.address_key "
    "AND settled_at > {} AND state IN ('bounced', 'expired') AND NOT simulated "
    f"AND bounce_class IN ({', '.join(map(repr, SOFT_CLASSES))}) LIMIT {{}}) AS found"
    ") AS counted WHERE counted.failures >= {}"
)


async def suppress(tx: Tx, settled: Sequence[Settled], now: datetime) -> None:
    """Stop mail to addresses that failed for good, and for a while to those that keep failing."""
    hard, soft = [], []
    for each in settled:
        outcome = each.step.settlement.outcome
        if outcome is None or outcome.is_local or each.state not in FINAL:
            continue
        if each.state is DeliveryState.BOUNCED and outcome.bounce_type is BounceType.HARD:
            hard.append(_suppression_of(each.step, SuppressionReason.HARD_BOUNCE, None))
        elif outcome.bounce_type is BounceType.SOFT and each.state is not DeliveryState.CANCELLED:
            soft.append(each.step)
    cooling = [
        _suppression_of(step, SuppressionReason.SOFT_BOUNCE_COOLING, now + COOLING_FOR)
        for step in await _keep_failing(soft, now)
    ]
    await add(tx, hard + cooling)


def _suppression_of(
    step: Step, reason: SuppressionReason, expires_at: datetime | None
) -> NewSuppression:
    outcome = step.settlement.outcome
    return NewSuppression(
        organization_id=step.claim.organization_id,
        project_id=None,
        address=step.claim.address,
        reason=reason,
        description=response(outcome.code, outcome.text) if outcome else None,
        expires_at=expires_at,
    )


async def _keep_failing(steps: Sequence[Step], now: datetime) -> list[Step]:
    addresses = [(step.claim.organization_id, step.claim.address.lower()) for step in steps]
    return [steps[nth] for nth in await keep_failing(addresses, now)]


async def keep_failing(addresses: Sequence[tuple[OrganizationId, str]], now: datetime) -> list[int]:
    """Return which of *addresses* have failed so often lately that mail to them has to pause."""
    if not addresses:
        return []
    rows = await fetch(
        FAILING,
        [organization_id for organization_id, _ in addresses],
        [address_key for _, address_key in addresses],
        now - COOLING_WINDOW,
        COOLING_AFTER,
        COOLING_AFTER,
    )
    return [row["nth"] - 1 for row in rows]
