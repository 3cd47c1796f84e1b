"""When a rule is breached, and what is said of it."""

from datetime import timedelta
from pathlib import Path

import pytest

from postlane.core.settings import SettingsError
from postlane.protection.catalogue import all_rules
from postlane.protection.rules import (
    Action,
    Measure,
    Strictness,
    action_of,
    is_breached,
    reason_of,
    reputation,
)
from tests.billing.setup import settings_with

STANDARD, STRICT, NONE = Strictness.STANDARD, Strictness.STRICT, Strictness.NONE


def measured(value: float, sample: int) -> Measure:
    return Measure(None, "1", "example.com", value, sample)


@pytest.mark.parametrize(
    ("value", "sample", "strictness", "breached"),
    [
        (5.0, 200, STANDARD, True),
        (4.99, 200, STANDARD, False),
        (50.0, 199, STANDARD, False),
        (2.5, 100, STRICT, True),
        (2.4, 1000, STRICT, False),
        (5.0, 200, NONE, True),
    ],
)
def test_a_threshold_needs_enough_behind_it(
    value: float, sample: int, strictness: Strictness, breached: bool
) -> None:
    rule = all_rules()["high_bounce_rate"]

    assert is_breached(rule, measured(value, sample), strictness) is breached


def test_one_listing_is_one_listing_for_everybody() -> None:
    rule = all_rules()["dnsbl_listed"]

    for strictness in Strictness:
        assert is_breached(rule, measured(1, 1), strictness)
        assert not is_breached(rule, measured(0, 0), strictness)


def test_who_is_not_judged_is_told() -> None:
    rule = all_rules()["high_bounce_rate"]

    assert action_of(rule, STANDARD) is Action.BLOCK_SENDING
    assert action_of(rule, NONE) is Action.ALERT_ONLY


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("high_bounce_rate", 8.2, "Hard bounce rate 8.2 % over 1 hour (threshold 5 %)."),
        ("high_complaint_rate", 0.35, "Complaint rate 0.35 % over 24 hours (threshold 0.3 %)."),
        ("auth_failures", 21, "Failed sign-ins 21 over 10 minutes (threshold 20)."),
        ("dnsbl_listed", 1, "Severe listings 1 (threshold 1)."),
    ],
)
def test_a_reason_is_a_sentence(key: str, value: float, sentence: str) -> None:
    assert reason_of(all_rules()[key], measured(value, 1)) == sentence


def test_the_rules_of_the_contract_are_there() -> None:
    rules = all_rules()

    assert {
        "high_bounce_rate",
        "high_complaint_rate",
        "high_block_rate",
        "dnsbl_listed",
        "deferral_spike",
        "volume_spike",
        "auth_failures",
        "virus_sent",
    } <= set(rules)
    assert len({rule.id for rule in rules.values()}) == len(rules)
    assert rules["high_bounce_rate"].duration == timedelta(hours=4)
    assert rules["dnsbl_listed"].duration is None


def test_an_operators_file_changes_a_rule(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[high_bounce_rate]\nthreshold = 2.5\nlocked = true\n", "utf-8")

    with settings_with(auto_block_file=str(path)):
        rule = all_rules()["high_bounce_rate"]

    assert (rule.threshold, rule.locked, rule.minimum_volume) == (2.5, True, 200)


@pytest.mark.parametrize(
    "text",
    [
        "[no_such_rule]\nthreshold = 1\n",
        "[high_bounce_rate]\nmetric = 'complaint_rate'\n",
        "[high_bounce_rate]\naction = 'explode'\n",
        "[high_bounce_rate]\nthreshold = 'many'\n",
        "not toml",
    ],
)
def test_a_file_that_says_what_none_may_is_told_at_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text, "utf-8")

    with (
        settings_with(auto_block_file=str(path)),
        pytest.raises(SettingsError, match="POSTLANE_AUTO_BLOCK_FILE"),
    ):
        all_rules()


@pytest.mark.parametrize(
    ("counts", "score"),
    [
        ((99, 0, 0, 0), None),
        ((1000, 0, 0, 0), 100.0),
        ((980, 20, 0, 0), 90.0),
        ((1000, 0, 0, 1), 70.0),
        ((500, 300, 200, 5), 0.0),
    ],
)
def test_a_reputation_falls_with_bounces_blocks_and_complaints(
    counts: tuple[int, int, int, int], score: float | None
) -> None:
    delivered, hard_bounced, blocked, complained = counts

    found = reputation(
        delivered=delivered, hard_bounced=hard_bounced, blocked=blocked, complained=complained
    )

    assert found == score
