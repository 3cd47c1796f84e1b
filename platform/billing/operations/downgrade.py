"""Going down to a lesser plan when the period ends."""

from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import Tx, transaction
from ...core.errors import Conflict, DetailCode, InvalidInput
from ...security import idempotency
from ..errors import BillingNotConfigured, ChangeInProgress, DowngradeBlocked, NotADowngrade
from ..plans import PlanOffer
from ..provider import find_provider
from ..rules import is_downgrade
from ..subscribing import change, lock_subscription
from ..using import exceeded
from .answers import PlanChange, Repeat, answer_of
from .asked import checked_offer

DOWNGRADE = "downgradePlan"
"""Under this name answers are kept for repeated requests."""

LONGEST_REASON = 500


async def downgrade_plan(
    actor: Actor, *, plan: str, reason: str | None = None, idempotency_key: str | None = None
) -> PlanChange:
    """Change to a lesser plan when the period ends; asked for again, the last one counts.

    Whether what is in use fits is looked at now, and again when the change takes effect.

    Raises:
        InvalidInput: there is no such plan, or the reason is too long.
        BillingNotConfigured: there is no payment provider.
        NotADowngrade: it does not stand below the present one.
        DowngradeBlocked: more domains, vMTAs or users are there than it allows.
        ChangeInProgress: an upgrade waits for its payment.
    """
    actor.require(Permission.WRITE_BILLING)
    repeat = Repeat(DOWNGRADE, idempotency_key, idempotency.fingerprint([plan, reason]))
    if (known := await repeat.find(actor)) is not None:
        return known
    try:
        offer = checked_offer(plan)
        if reason is not None and len(reason) > LONGEST_REASON:
            raise InvalidInput.of(
                "reason", DetailCode.TOO_LONG, f"Write at most {LONGEST_REASON} characters."
            )
        if find_provider() is None:
            raise BillingNotConfigured
        async with transaction() as tx:
            answer = await _schedule(tx, actor, offer, reason)
            await repeat.keep(tx, actor, answer)
        return answer
    except (idempotency.KeyReused, idempotency.StillRunning):
        raise
    except (InvalidInput, Conflict) as refusal:
        await repeat.keep_refusal(actor, refusal)
        raise


async def _schedule(tx: Tx, actor: Actor, offer: PlanOffer, reason: str | None) -> PlanChange:
    row = await lock_subscription(tx, actor.organization_id)
    if not is_downgrade(row.plan, offer.plan):
        raise NotADowngrade
    if row.changing_invoice_id is not None:
        raise ChangeInProgress
    if too_much := await exceeded(actor.organization_id, offer.limits):
        raise DowngradeBlocked.by(too_much)
    await change(tx, row, pending_plan=offer.plan.value)
    await audit.record(
        tx,
        actor,
        action="billing.downgrade_scheduled",
        target_type="organization",
        target_id=actor.organization_id,
        changes={"pending_plan": offer.plan.value, "reason": reason},
    )
    return answer_of(row, row.plan, clock.now())
