"""What is written when something changes."""

from datetime import UTC, datetime

from postlane.audit import operations, work
from postlane.audit.tables import AuditEntry
from postlane.core import clock
from postlane.core.database import transaction
from postlane.core.ids import new_id

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


async def test_entries_go_after_two_years(database: None) -> None:
    actor = await make_actor()
    old, young = datetime(2024, 5, 31, tzinfo=UTC), datetime(2024, 6, 3, tzinfo=UTC)
    for at in (old, young):
        with clock.frozen(at):
            async with transaction() as tx:
                await operations.record(
                    tx, actor, action="vmta.paused", target_type="vmta", target_id="v"
                )

    with clock.frozen(datetime(2026, 6, 1, tzinfo=UTC)):
        await work.remove_old_entries()

    kept = await AuditEntry.select(AuditEntry.created_at).where(
        AuditEntry.organization_id == actor.organization_id
    )
    assert kept == [{"created_at": young}]
