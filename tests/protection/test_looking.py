"""Looking at the rules by the clock: however many workers there are, one looks."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.jobs import protection
from postlane.protection.catalogue import all_rules
from postlane.protection.measuring import KINDS
from postlane.protection.rules import Rule, Scope
from postlane.security import abuse
from tests.billing.setup import settings_with
from tests.statements import count_statements


@pytest.fixture
async def calm(database: None) -> None:
    """Nothing went wrong, nothing is blocked, and nobody has looked."""
    for table in ("auto_block_looks", "auto_blocks", "abuse_counts"):
        await fetch(f"DELETE FROM {table}")  # type: ignore[arg-type]  # a constant of ours


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is looked at, instead of looking."""
    seen: list[str] = []

    async def look(rules: Sequence[Rule]) -> int:
        scopes = {rule.scope for rule in rules}
        assert scopes in (set(Scope), {Scope.SOURCE_IP})
        seen.append("networks" if scopes == {Scope.SOURCE_IP} else "all")
        return 0

    monkeypatch.setattr(protection, "look", look)
    return seen


async def look_at(start: datetime, *seconds: int) -> None:
    for each in seconds:
        with clock.frozen(start + timedelta(seconds=each)):
            await protection.look_if_due()


async def test_of_several_workers_one_looks(calm: None, looks: list[str]) -> None:
    await abuse.note(abuse.Kind.SIGN_IN, "192.0.2.0/24")
    start = clock.now()

    for seconds in (0, 10):
        with clock.frozen(start + timedelta(seconds=seconds)):
            await asyncio.gather(*(protection.look_if_due() for _ in range(6)))

    assert looks == ["all", "networks"]


async def test_an_end_that_fails_keeps_nobody_from_looking(
    calm: None, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> int:
        raise TimeoutError

    monkeypatch.setattr(protection, "end_expired", fail)
    monkeypatch.setattr(protection, "take_turn", _with_an_end(protection.take_turn))

    with pytest.raises(TimeoutError):
        await protection.look_if_due()

    assert looks == ["all"]


def _with_an_end(take_turn: Any) -> Any:
    async def take(**options: Any) -> Any:
        return replace(await take_turn(**options), has_ended=True)

    return take


async def test_the_next_look_comes_when_it_is_time(calm: None, looks: list[str]) -> None:
    await abuse.note(abuse.Kind.SIGN_IN, "192.0.2.0/24")

    await look_at(clock.now(), 0, 3, 10, 13, 20, 60, 63, 70)

    assert looks == ["all", "networks", "networks", "all", "networks"]
    assert await fetch("SELECT key FROM auto_block_looks ORDER BY key") == [
        {"key": "all"},
        {"key": Scope.SOURCE_IP.value},
    ]


async def test_networks_are_looked_at_while_anything_went_wrong_in_their_longest_window(
    calm: None, looks: list[str]
) -> None:
    start = clock.now()
    longest = max(rule.window for rule in all_rules().values() if rule.scope is Scope.SOURCE_IP)
    over = int((longest + timedelta(minutes=2)).total_seconds())

    await look_at(start, 0, 10)
    quiet = list(looks)
    # What keys do wrong is looked at with all else.
    await abuse.note(abuse.Kind.FORGED_SENDER, "key")
    await look_at(start, 20)
    await abuse.note(abuse.Kind.SMTP_REFUSALS, "192.0.2.0/24")
    await look_at(start, 30, over, over + 10)

    assert quiet == ["all"]
    assert looks == ["all", "networks", "all"]


def test_networks_are_judged_by_what_is_counted_of_them() -> None:
    networks = [rule for rule in all_rules().values() if rule.scope is Scope.SOURCE_IP]

    assert [rule.key for rule in networks if rule.metric not in KINDS] == []


async def test_looking_takes_one_statement_while_nothing_went_wrong(calm: None) -> None:
    start = clock.now()
    await look_at(start, 0)

    with count_statements() as sent:
        await look_at(start, 10)

    assert len(sent) == 1


async def test_rules_that_are_off_are_not_looked_at(calm: None, looks: list[str]) -> None:
    with settings_with(auto_block="off"):
        await look_at(clock.now(), 0)

    assert looks == []
    assert await fetch("SELECT key FROM auto_block_looks") == []


async def test_a_block_ends_with_the_next_look(calm: None, looks: list[str]) -> None:
    start = clock.now()
    await fetch(
        "INSERT INTO auto_blocks (id, rule_key, scope, target_id, target_name, action, status, "
        "metric_value, threshold, sample_size, reason, evidence, triggered_at, expires_at) "
        "VALUES (gen_random_uuid(), 'auth_failures', 'source_ip', '192.0.2.0/24', "
        "'192.0.2.0/24', 'block_ip', 'active', 9, 5, 9, 'Nine.', jsonb_build_object(), {}, {})",
        start,
        start + timedelta(seconds=15),
    )

    found = []
    for seconds in (0, 10, 20):
        await look_at(start, seconds)
        rows = await fetch("SELECT status FROM auto_blocks")
        found += [row["status"] for row in rows]

    assert found == ["active", "active", "expired"]
