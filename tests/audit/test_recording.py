"""What is written when something changes."""

from datetime import UTC, datetime

import pytest

from postlane.audit import operations, work
from postlane.audit.tables import AuditEntry
from postlane.core import clock
from postlane.core.database import transaction
from postlane.core.ids import new_id
from postlane.core.retention import Kind, Term, days_for

from ..billing.setup import settings_with
from ..factories import make_actor


async def test_secrets_never_enter_the_log(database: None) -> None:
    actor = await make_actor(source_address="192.0.2.1")
    target = new_id()

    async with transaction() as tx:
        await operations.record(
            tx,
            actor,
            action="webhook.created",
            target_type="webhook",
            target_id=target,
            changes={"url": "https://example.com", "auth": [{"secret": "s3cret"}], "Password": "p"},
        )

    entry = await AuditEntry.objects().where(AuditEntry.target_id == str(target)).first()
    assert entry is not None
    assert "s3cret" not in str(entry.changes)
    assert (entry.action, entry.user_id, entry.source_address, entry.request_id) == (
        "webhook.created",
        actor.user_id,
        "192.0.2.1",
        "test",
    )


async def test_entry_goes_with_a_change_that_is_rolled_back(database: None) -> None:
    actor = await make_actor()
    target = new_id()

    try:
        async with transaction() as tx:
            await operations.record(
                tx, actor, action="vmta.paused", target_type="vmta", target_id=target
            )
            raise KeyError
    except KeyError:
        pass

    assert await AuditEntry.count().where(AuditEntry.target_id == str(target)) == 0


@pytest.mark.parametrize(
    ("days", "old", "young"),
    [
        ("730", datetime(2024, 5, 31, tzinfo=UTC), datetime(2024, 6, 3, tzinfo=UTC)),
        ("4000", datetime(2015, 6, 17, tzinfo=UTC), datetime(2015, 6, 20, tzinfo=UTC)),
    ],
)
async def test_entries_go_after_two_years_or_when_it_is_set(
    database: None, days: str, old: datetime, young: datetime
) -> None:
    actor = await make_actor()
    for at in (old, young):
        with clock.frozen(at):
            async with transaction() as tx:
                await operations.record(
                    tx, actor, action="vmta.paused", target_type="vmta", target_id="v"
                )

    with clock.frozen(datetime(2026, 6, 1, tzinfo=UTC)), settings_with(audit_days=days):
        await work.remove_old_entries(Term(days_for(Kind.AUDIT)))

    kept = await AuditEntry.select(AuditEntry.created_at).where(
        AuditEntry.organization_id == actor.organization_id
    )
    assert kept == [{"created_at": young}]
