"""What the doctor says of webhooks: of calls that nobody makes, and of those switched off."""

from datetime import timedelta

from postlane.core import clock
from postlane.core.database import fetch
from postlane.server.findings import Finding, Verdict
from postlane.server.webhook_checks import webhooks

from .conftest import Hooks
from .receiver import Receiver


async def found(**ours: str) -> list[Finding]:
    """Return what is found of the webhooks whose ids the sentences name."""
    return [each for each in await webhooks() if all(id in each.sentence for id in ours.values())]


async def test_calls_that_nobody_makes_are_a_fault(hooks: Hooks, receiver: Receiver) -> None:
    # Only the first is named, and other tests leave calls that nobody makes.
    await fetch("DELETE FROM webhook_progress")
    webhook = await hooks.create(receiver.url)
    receiver.then(500)
    await hooks.emit("tx-1")
    await hooks.round()

    in_time = await found(id=webhook["uuid"])
    with clock.frozen(clock.now() + timedelta(minutes=12)):
        [late] = await found(id=webhook["uuid"])
        await fetch(
            "UPDATE webhook_progress SET leased_until = {} WHERE organization_id = {}",
            clock.now() + timedelta(seconds=30),
            hooks.actor.organization_id,
        )
        [slow] = await found(id=webhook["uuid"])
    await hooks.update(webhook, enabled=False)
    with clock.frozen(clock.now() + timedelta(minutes=12)):
        off = await found(id=webhook["uuid"])

    assert in_time == off == []
    assert (late.verdict, slow.verdict) == (Verdict.FAULT, Verdict.WARNING)
    assert str(hooks.actor.organization_id) in late.sentence
    # It was tried again after five seconds, or should have been.
    assert "due for 12 minutes" in late.sentence
    assert late.remedy == "Workers make them: start one, or look for warnings in its log."


async def test_webhooks_that_were_switched_off_are_counted(
    hooks: Hooks, receiver: Receiver
) -> None:
    webhook = await hooks.create(receiver.url)
    before = await counted()
    receiver.then(410)
    await hooks.emit("tx-1")

    await hooks.round()

    assert (await hooks.show(webhook))["disabledReason"] == "GONE"
    assert await counted() == before + 1
    await hooks.update(webhook, enabled=True)
    assert await counted() == before


async def counted() -> int:
    """Return how many the doctor says."""
    said = [each for each in await webhooks() if "switched off" in each.sentence]
    assert [each.verdict for each in said] in ([], [Verdict.WARNING])
    return int(said[0].sentence.split()[0].replace(",", "")) if said else 0
