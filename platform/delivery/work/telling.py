"""Telling what became of a delivery: its events, in order.

`message.sent` is told with what the first attempt came to, so once, and not before that is
written down: a worker that dies tells of nothing, and the next one makes up for it. Whatever
ends an attempt says `attempt`, `vmta` and `mx_host`, and what is counted as sent follows
from that.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...events.operations import NewEvent
from ...events.rules import LOCAL, NO_WEBHOOKS, EventType
from ...mail.outcome import BounceClass, BounceType, Outcome
from ..isps import isp_of
from ..rules import DeliveryState
from .claims import Claim
from .settlements import Settled, Settlement


def events_of(settled: Settled, now: datetime) -> list[NewEvent]:
    """Return what is said of a delivery now that its claim is settled, in order."""
    claim, outcome = settled.step.claim, settled.step.settlement.outcome
    events: list[NewEvent] = []
    if outcome is not None and claim.is_untried:
        went = _way(settled.step.settlement, outcome)
        events.append(_event(claim, EventType.MESSAGE_SENT, went, outcome.started_at))
    said = _result(settled)
    if said is not None:
        events.append(_event(claim, *said, now, ends_attempt=outcome is not None))
    return events


def _way(settlement: Settlement, outcome: Outcome) -> dict[str, Any]:
    return {"vmta": settlement.vmta, "mx_host": outcome.mx_host}


def _result(settled: Settled) -> tuple[EventType, dict[str, Any]] | None:
    """Return the event of the new state; None for a delivery that was only put back."""
    settlement = settled.step.settlement
    outcome = settlement.outcome
    attempted = {} if outcome is None else _way(settlement, outcome)
    if outcome is not None:
        attempted["attempt"] = settlement.claim.attempt
        if outcome.is_local:
            attempted |= LOCAL
    if settled.state is DeliveryState.CANCELLED:
        by = settled.cancelled_by
        return EventType.MESSAGE_CANCELLED, {**attempted, "cancelled_by": by and str(by)}
    if settled.state is DeliveryState.EXPIRED:
        return EventType.MESSAGE_EXPIRED, {
            **attempted,
            "bounce_class": settled.bounce_class,
            "smtp_response": response(settled.code, settled.reply),
        }
    if outcome is None:
        return None
    data = {
        **attempted,
        "smtp_code": outcome.code,
        "smtp_response": response(outcome.code, outcome.text),
        "tls": outcome.tls_version,
        "duration_ms": milliseconds(outcome),
    }
    if settled.state is DeliveryState.DELIVERED:
        return EventType.MESSAGE_DELIVERED, data
    data["bounce_class"] = value_of(outcome.bounce_class)
    if settled.state is DeliveryState.BOUNCED:
        data["bounce_type"] = value_of(outcome.bounce_type)
        data["enhanced_code"] = outcome.enhanced_code
        data["source"] = "session"
        return EventType.MESSAGE_BOUNCED, data
    data["next_attempt_at"] = settled.due_at and _rfc3339(settled.due_at)
    return EventType.MESSAGE_DEFERRED, data


def _event(
    claim: Claim,
    type: EventType,
    data: Mapping[str, Any],
    occurred_at: datetime,
    *,
    ends_attempt: bool = False,
) -> NewEvent:
    return NewEvent(
        organization_id=claim.organization_id,
        project_id=claim.project_id,
        message_id=claim.message_id,
        delivery_id=claim.delivery_id,
        type=type,
        data=data if claim.calls_webhooks else {**data, **NO_WEBHOOKS},
        occurred_at=occurred_at,
        simulated=claim.simulated,
        vmta_id=claim.vmta_id,
        ends_attempt=ends_attempt,
        isp=isp_of(claim.address.rpartition("@")[2], data.get("mx_host")) if ends_attempt else "",
    )


def response(code: int | None, text: str | None) -> str | None:
    """Return a reply as one line, as the receiver said it."""
    return f"{code} {text}" if code is not None else text


def milliseconds(outcome: Outcome) -> int:
    """Return how long an attempt took."""
    return round(outcome.duration.total_seconds() * 1000)


def _rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def value_of(member: BounceClass | BounceType | None) -> str | None:
    """Return what is written down for a member, if there is one."""
    return member.value if member else None
