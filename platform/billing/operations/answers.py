"""What a change of the plan came to, and keeping it for repeated requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ...core.actor import Actor
from ...core.database import Tx
from ...core.errors import OperationError
from ...core.money import Money
from ...security import idempotency
from ..tables import Subscription


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What a change of the plan came to."""

    plan: str
    previous_plan: str
    status: str
    effective_at: datetime
    period_end: datetime
    pending_plan: str | None = None
    """A downgrade that takes effect at the period's end."""
    proration: Money | None = None
    """What was charged for the rest of the period."""
    invoice_id: UUID | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Repeat:
    """How a request is known again; without a key it is not."""

    operation: str
    key: str | None
    mark: bytes

    async def find(self, actor: Actor) -> PlanChange | None:
        """Return what the first request with this key was answered, or raise its refusal."""
        if self.key is None:
            return None
        kept = await idempotency.find(actor.organization_id, self.operation, self.key, self.mark)
        return None if kept is None else _read(kept.result())

    async def keep(self, tx: Tx, actor: Actor, answer: PlanChange) -> None:
        """Keep *answer* for the next request with this key, unless another was first."""
        if self.key is None:
            return
        owner = actor.organization_id
        if await idempotency.claim(tx, owner, self.operation, self.key, self.mark) is None:
            await idempotency.store(tx, owner, self.operation, self.key, _written(answer))

    async def keep_refusal(self, actor: Actor, refusal: OperationError) -> None:
        """Keep *refusal* for the next request with this key."""
        if self.key is not None:
            await idempotency.store_refusal(
                actor.organization_id, self.operation, self.key, self.mark, refusal
            )


def answer_of(
    row: Subscription,
    previous: str,
    effective_at: datetime,
    *,
    proration: Money | None = None,
    invoice_id: UUID | None = None,
) -> PlanChange:
    """Return the answer for a subscription as it is now."""
    return PlanChange(
        plan=row.plan,
        previous_plan=previous,
        status=row.status,
        effective_at=effective_at,
        period_end=row.period_end,
        pending_plan=row.pending_plan,
        proration=proration,
        invoice_id=invoice_id,
    )


def _written(answer: PlanChange) -> dict[str, Any]:
    money = answer.proration
    return {
        "plan": answer.plan,
        "previousPlan": answer.previous_plan,
        "status": answer.status,
        "effectiveAt": answer.effective_at.isoformat(),
        "periodEnd": answer.period_end.isoformat(),
        "pendingPlan": answer.pending_plan,
        "proration": None if money is None else [money.amount, money.currency],
        "invoiceId": None if answer.invoice_id is None else str(answer.invoice_id),
    }


def _read(kept: Mapping[str, Any]) -> PlanChange:
    return PlanChange(
        plan=kept["plan"],
        previous_plan=kept["previousPlan"],
        status=kept["status"],
        effective_at=datetime.fromisoformat(kept["effectiveAt"]),
        period_end=datetime.fromisoformat(kept["periodEnd"]),
        pending_plan=kept["pendingPlan"],
        proration=None if kept["proration"] is None else Money(*kept["proration"]),
        invoice_id=None if kept["invoiceId"] is None else UUID(kept["invoiceId"]),
        replayed=True,
    )
