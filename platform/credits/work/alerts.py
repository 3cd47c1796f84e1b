"""Looking at alerts: who is to be told that a balance fell below a threshold, once each time."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ...accounts.queries import languages_of
from ...accounts.work import Contacts, contacts_of
from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ...core.languages import speaking
from ...events.operations import NewEvent, append
from ...events.rules import EventType
from ...notices import operations as notices
from ...notices.queries import count_sent
from ...notices.rules import Notice
from ..rules import (
    MOST_ALERT_MAILS,
    AlertChannel,
    AlertLevel,
    AlertUnit,
    CreditType,
    is_unlimited,
    level_of,
    period_of,
)

# What lots hold that have not ended, and what there was to spend in this period: what the
# plan included, and what was left of the rest when the period began, which is what is left
# now and what was spent since, less what was bought since. Where there was nothing, it is
# what came since.
STANDINGS = """
    WITH wanted AS (
        SELECT DISTINCT organization_id, type FROM credit_alerts WHERE enabled
    ), lots AS (
        SELECT l.organization_id, l.type, l.granted, l.expired, l.expires_at, l.source,
            l.starts_at >= {} AS is_new, sum(s.remaining) AS "left"
        FROM wanted JOIN credit_lots l USING (organization_id, type)
        JOIN credit_shares s ON s.lot_id = l.id
        WHERE l.starts_at <= {} AND (l.expires_at IS NULL OR l.expires_at > {}) GROUP BY l.id
    ), standings AS (
        SELECT organization_id, type,
            coalesce(sum("left") FILTER (WHERE expires_at IS NULL OR expires_at > {}), 0)
                AS balance,
            sum("left" + expired)
                - coalesce(sum(granted) FILTER (WHERE is_new AND source <> 'included'), 0)
                AS unspent,
            coalesce(sum(granted) FILTER (WHERE is_new), 0) AS gained
        FROM lots GROUP BY 1, 2
    )
    SELECT a.id, a.organization_id, a.type, a.threshold, a.unit, a.channels, a.recipients,
        a.level, a.updated_at, coalesce(balance, 0)::bigint AS balance,
        coalesce(nullif(unspent + used.used, 0), gained, 0)::bigint AS whole
    FROM credit_alerts a LEFT JOIN standings USING (organization_id, type)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN a.unit = 'percent' THEN (
            SELECT coalesce(sum(u.used), 0) FROM credit_usage u
            WHERE u.organization_id = a.organization_id AND u.type = a.type AND u.day >= {}
        ) ELSE 0 END AS used
    ) AS used
    WHERE a.enabled ORDER BY a.organization_id, a.type, a.threshold, a.id
"""

PAID_FOR = {
    CreditType.EMAIL: N_("email"),
    CreditType.INBOUND: N_("inbound mail"),
    CreditType.VALIDATION: N_("validating addresses"),
    CreditType.SPAM_CHECK: N_("spam checks"),
    CreditType.AV_SCAN: N_("virus scans"),
}
"""What credits are for, as mail has it."""


@dataclass(frozen=True, slots=True)
class _Change:
    """An alert whose balance stands elsewhere than when it was last looked at."""

    id: uuid.UUID
    organization_id: OrganizationId
    type: str
    threshold: Decimal
    unit: AlertUnit
    channels: Sequence[str]
    recipients: Sequence[str]
    balance: int
    before: AlertLevel
    now: AlertLevel
    updated_at: datetime

    @property
    def fires(self) -> bool:
        """Whether the balance has fallen below the threshold."""
        return self.before is AlertLevel.ABOVE

    @property
    def shown_threshold(self) -> int | float:
        """The threshold as JSON writes it."""
        whole = self.threshold == self.threshold.to_integral_value()
        return int(self.threshold) if whole else float(self.threshold)


async def look_at_alerts() -> int:
    """Tell of every balance that fell below a threshold since the last look; return how many.

    One worker looks at a time. Mail and events are written in the transaction that notes
    that they were, so each crossing is told once, whoever dies meanwhile. A balance that is
    back at the threshold or above it arms the alert again. Unlimited plans have no balance.
    """
    # Nearly always there is nothing, and then one statement has to do.
    if not await _changes():
        return 0
    async with transaction() as tx:
        (lock,) = await fetch("SELECT pg_try_advisory_xact_lock(7024, 0) AS held")
        if not lock["held"]:
            return 0
        changes = await _changes()
        if not changes:
            return 0
        told = await contacts_of({change.organization_id for change in changes})
        counted = [c for c in changes if not is_unlimited(told[c.organization_id].plan)]
        written = await _write(counted)
        fired = [change for change in written if change.fires and change.now in _LOW]
        await append(tx, _events(written))
        await _send_mail(tx, fired, told)
    return len(fired)


_LOW = frozenset({AlertLevel.BELOW, AlertLevel.EMPTY})


async def _changes() -> list[_Change]:
    now = clock.now()
    start = period_of(now).start
    rows = await fetch(STANDINGS, start, now, start, now, start.date())
    found = []
    for row in rows:
        unit = AlertUnit(row["unit"])
        whole = row["whole"] if unit is AlertUnit.PERCENT else None
        before = AlertLevel(row["level"])
        level = level_of(row["balance"], row["threshold"], of=whole)
        if level is not before:
            found.append(
                _Change(
                    id=row["id"],
                    organization_id=OrganizationId(row["organization_id"]),
                    type=row["type"],
                    threshold=row["threshold"],
                    unit=unit,
                    channels=row["channels"],
                    recipients=row["recipients"],
                    balance=row["balance"],
                    before=before,
                    now=level,
                    updated_at=row["updated_at"],
                )
            )
    return found


async def _write(changes: Sequence[_Change]) -> list[_Change]:
    """Note where the balances stand; return the changes of alerts nobody has set meanwhile."""
    if not changes:
        return []
    rows = await fetch(
        "UPDATE credit_alerts a SET level = n.level, last_triggered_at = "
        "CASE WHEN n.fires THEN {} ELSE a.last_triggered_at END "
        "FROM unnest({}::uuid[], {}::text[], {}::boolean[], {}::timestamptz[]) "
        "AS n (id, level, fires, updated_at) "
        "WHERE a.id = n.id AND a.updated_at = n.updated_at RETURNING a.id",
        clock.now(),
        [change.id for change in changes],
        [change.now.value for change in changes],
        [change.fires and change.now in _LOW for change in changes],
        [change.updated_at for change in changes],
    )
    written = {row["id"] for row in rows}
    return [change for change in changes if change.id in written]


def _events(changes: Iterable[_Change]) -> list[NewEvent]:
    """Return what webhooks tell: each threshold crossed, and once a type that nothing is left of.

    A balance that was low already and is now empty is told, too.
    """
    events = []
    depleted: set[tuple[OrganizationId, str]] = set()
    for change in changes:
        owner = change.organization_id, change.type
        if AlertChannel.WEBHOOK not in change.channels:
            continue
        if change.now is AlertLevel.EMPTY and owner not in depleted:
            depleted.add(owner)
            events.append(_event(change, EventType.CREDITS_DEPLETED))
        elif change.now is AlertLevel.BELOW and change.fires:
            events.append(_event(change, EventType.CREDITS_LOW))
    return events


def _event(change: _Change, type: EventType) -> NewEvent:
    return NewEvent(
        organization_id=change.organization_id,
        project_id=None,
        message_id=None,
        delivery_id=None,
        type=type,
        data={
            "type": change.type,
            "balance": change.balance,
            "threshold": change.shown_threshold,
            "unit": change.unit.value,
        },
        occurred_at=clock.now(),
    )


async def _send_mail(
    tx: Tx, fired: Iterable[_Change], told: Mapping[OrganizationId, Contacts]
) -> None:
    room: dict[OrganizationId, int] = {}
    an_hour_ago = clock.now() - timedelta(hours=1)
    for change in fired:
        if AlertChannel.EMAIL not in change.channels:
            continue
        owner = change.organization_id
        if owner not in room:
            sent = await count_sent(tx, owner, Notice.CREDITS_LOW, since=an_hour_ago)
            room[owner] = max(0, MOST_ALERT_MAILS - sent)
        contacts = told[owner]
        unit = " %" if change.unit is AlertUnit.PERCENT else ""
        # Alerts can be set anew at will, and would else be a way to write to strangers at will.
        addresses = (change.recipients or contacts.addresses)[: room[owner]]
        room[owner] -= len(addresses)
        languages = await languages_of(addresses)
        for address in addresses:
            with speaking(languages[address]):
                await notices.send(
                    tx,
                    to=address,
                    notice=Notice.CREDITS_LOW,
                    organization_id=owner,
                    values={
                        "organization": contacts.name,
                        "type": _(PAID_FOR[CreditType(change.type)]),
                        "balance": str(change.balance),
                        "threshold": f"{change.shown_threshold}{unit}",
                    },
                )
