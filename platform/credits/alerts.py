"""Alerts: setting and deleting them; `work` looks at them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..audit import operations as audit
from ..core import clock
from ..core.actor import Actor, OrganizationId, Permission
from ..core.database import Tx, fetch, transaction
from ..core.errors import Detail, DetailCode, InvalidInput, NotFound
from ..core.ids import new_id
from ..mail.address import InvalidAddress, parse_mailbox
from .errors import AlertLimitReached
from .rules import (
    FIRST_ALERTS,
    MAX_ALERTS,
    MAX_RECIPIENTS,
    MOST_GRANTED,
    AlertChannel,
    AlertLevel,
    AlertUnit,
    CreditType,
)
from .tables import CreditAlert


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert as it is asked for."""

    type: CreditType
    threshold: Decimal
    unit: AlertUnit = AlertUnit.ABSOLUTE
    channels: Sequence[AlertChannel] = tuple(AlertChannel)
    recipients: Sequence[str] = ()
    """Empty: the owners of the organization and those who look after its bills."""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class SetAlert:
    """An alert as it is now; *created* when it was not there before."""

    alert: CreditAlert
    created: bool


async def set_alert(actor: Actor, asked: NewAlert) -> SetAlert:
    """Set the alert of this type, threshold and unit; it is made if there is none.

    A balance that is below the threshold already is told within seconds. Switched on again,
    an alert tells again.

    Raises:
        InvalidInput: names every field that breaks a rule.
        AlertLimitReached: there are ten of the type.
    """
    actor.require(Permission.SET_CREDIT_ALERTS)
    recipients = _checked(asked)
    async with transaction() as tx:
        await _refuse_one_too_many(tx, actor, asked)
        row = await _upsert(tx, actor, asked, recipients)
        created: bool = row.pop("created")
        alert = CreditAlert(_exists_in_db=True, **row)
        await audit.record(
            tx,
            actor,
            action="credits.alert_set",
            target_type="credit_alert",
            target_id=alert.id,
            changes={
                "type": asked.type.value,
                "threshold": str(asked.threshold),
                "unit": asked.unit.value,
                "channels": [channel.value for channel in asked.channels],
                "recipients": recipients,
                "enabled": asked.enabled,
            },
        )
    return SetAlert(alert, created)


async def set_first_alerts(tx: Tx, organization_id: OrganizationId) -> None:
    """Give a new organization the alerts that everybody begins with, over both channels.

    Source: postmta-api E03.
    """
    now = clock.now()
    await CreditAlert.insert(
        *(
            CreditAlert(
                organization_id=organization_id,
                type=CreditType.EMAIL.value,
                threshold=Decimal(percent),
                unit=AlertUnit.PERCENT.value,
                channels=[channel.value for channel in AlertChannel],
                recipients=[],
                enabled=True,
                level=AlertLevel.ABOVE.value,
                created_at=now,
                updated_at=now,
            )
            for percent in FIRST_ALERTS
        )
    )


async def delete_alert(actor: Actor, alert_id: uuid.UUID) -> None:
    """Delete an alert.

    Raises:
        NotFound: there is no such alert.
    """
    actor.require(Permission.SET_CREDIT_ALERTS)
    async with transaction() as tx:
        rows = await fetch(
            "DELETE FROM credit_alerts WHERE id = {} AND organization_id = {} "
            "RETURNING type, threshold, unit",
            alert_id,
            actor.organization_id,
        )
        if not rows:
            raise NotFound("There is no such alert in this organization.")
        await audit.record(
            tx,
            actor,
            action="credits.alert_deleted",
            target_type="credit_alert",
            target_id=alert_id,
            changes={**rows[0], "threshold": str(rows[0]["threshold"])},
        )


async def _refuse_one_too_many(tx: Tx, actor: Actor, asked: NewAlert) -> None:
    # The lock is what a second request meets, so that two cannot both make the tenth.
    await fetch(
        "SELECT pg_advisory_xact_lock(hashtextextended({}, 7025))",
        f"{actor.organization_id}/{asked.type.value}",
    )
    rows = await fetch(
        "SELECT count(*) AS others FROM credit_alerts WHERE organization_id = {} AND type = {} "
        "AND (unit, threshold) <> ({}::text, {}::numeric)",
        actor.organization_id,
        asked.type.value,
        asked.unit.value,
        asked.threshold,
    )
    if rows[0]["others"] >= MAX_ALERTS:
        raise AlertLimitReached


async def _upsert(
    tx: Tx, actor: Actor, asked: NewAlert, recipients: Sequence[str]
) -> dict[str, Any]:
    now = clock.now()
    rows = await fetch(
        "INSERT INTO credit_alerts AS old (id, organization_id, type, threshold, unit, channels, "
        "recipients, enabled, level, created_at, updated_at) "
        "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) "
        "ON CONFLICT (organization_id, type, unit, threshold) DO UPDATE "
        "SET channels = excluded.channels, recipients = excluded.recipients, "
        "enabled = excluded.enabled, updated_at = excluded.updated_at, "
        "level = CASE WHEN old.enabled THEN old.level ELSE excluded.level END "
        "RETURNING *, xmax = 0 AS created",
        new_id(),
        actor.organization_id,
        asked.type.value,
        asked.threshold,
        asked.unit.value,
        [channel.value for channel in dict.fromkeys(asked.channels)],
        list(recipients),
        asked.enabled,
        AlertLevel.ABOVE.value,
        now,
        now,
    )
    return dict(rows[0])


def _checked(asked: NewAlert) -> list[str]:
    """Return the recipients, each once."""
    faults: list[Detail] = []
    if fault := _threshold_fault(asked.threshold, asked.unit):
        faults.append(fault)
    if not asked.channels:
        faults.append(Detail("channels", DetailCode.TOO_SHORT, "Choose at least one channel."))
    if len(asked.recipients) > MAX_RECIPIENTS:
        message = f"At most {MAX_RECIPIENTS} recipients."
        faults.append(Detail("recipients", DetailCode.TOO_MANY, message))
        raise InvalidInput.all(faults)
    found: dict[str, None] = {}
    for index, text in enumerate(asked.recipients):
        try:
            found[parse_mailbox(text).address] = None
        except InvalidAddress:
            message = "Write one email address."
            faults.append(Detail(f"recipients[{index}]", DetailCode.INVALID_EMAIL, message))
    if faults:
        raise InvalidInput.all(faults)
    return list(found)


def _threshold_fault(threshold: Decimal, unit: AlertUnit) -> Detail | None:
    least, most = (1, 99) if unit is AlertUnit.PERCENT else (0, MOST_GRANTED)
    if not threshold.is_finite():
        return Detail("threshold", DetailCode.INVALID_TYPE, "Write it as a number.")
    if threshold < least:
        return Detail("threshold", DetailCode.TOO_SMALL, f"It is at least {least}.")
    if threshold > most:
        return Detail("threshold", DetailCode.TOO_LARGE, f"It is at most {most}.")
    places = 2 if unit is AlertUnit.PERCENT else 0
    if threshold != round(threshold, places):
        message = "Percent have at most two decimals." if places else "Write a whole number."
        return Detail("threshold", DetailCode.INVALID_FORMAT, message)
    return None
