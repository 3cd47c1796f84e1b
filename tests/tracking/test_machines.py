"""Which requests no person made."""

import random
import time

import pytest

from postlane.tracking.machines import HitKind, burst_times, machine_of, network_of, rules

OPEN, CLICK = HitKind.OPEN, HitKind.CLICK
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"


@pytest.mark.parametrize(
    ("kind", "agent", "address", "purpose", "machine"),
    [
        (OPEN, CHROME, "198.51.100.7", "", None),
        (CLICK, CHROME, "198.51.100.7", "", None),
        (CLICK, CHROME, None, "", None),
        (CLICK, CHROME, "not an address", "", None),
        (OPEN, "Mozilla/5.0", "198.51.100.7", "", "apple_mail_privacy"),
        (CLICK, "Mozilla/5.0", "198.51.100.7", "", None),
        (OPEN, CHROME, "17.58.101.1", "", "apple"),
        (OPEN, CHROME, "::ffff:17.58.101.1", "", None),
        (CLICK, CHROME, "67.231.150.3", "", "proofpoint"),
        (CLICK, CHROME, "209.222.82.9", "", "barracuda"),
        (CLICK, CHROME, "40.94.28.1", "", None),
        (CLICK, "Barracuda Sentinel (EE)", None, "", "scanner"),
        (CLICK, CHROME, None, "prefetch;prerender", "prefetch"),
        (CLICK, "Slackbot-LinkExpanding 1.0", None, "", "robot"),
        (CLICK, "python-requests/2.32", None, "", "program"),
        (CLICK, "", None, "", "nameless"),
        (OPEN, "", None, "", None),
        (OPEN, "Thunderbird/128.0", None, "", None),
    ],
)
def test_machines_are_recognised_by_rules(
    kind: HitKind, agent: str, address: str | None, purpose: str, machine: str | None
) -> None:
    assert machine_of(kind, agent=agent, address=address, purpose=purpose) == machine


def test_every_rule_says_something_and_has_a_name_of_its_own() -> None:
    names = [rule.name for rule in rules()]

    assert len(names) == len(set(names))
    assert all(rule.agent or rule.networks or rule.purpose for rule in rules())


def test_no_name_of_a_program_takes_long() -> None:
    begun = time.process_time()
    for agent in ("bot" * 600, "a" * 2_000, "mozilla/5.0 " * 150, "\ud800" * 100):
        for _ in range(20):
            machine_of(CLICK, agent=agent, address="198.51.100.7", purpose=agent)

    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.77", "198.51.100.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::1", "::"),
        ("nonsense", None),
        (None, None),
    ],
)
def test_of_an_address_the_network_is_left(address: str | None, network: str | None) -> None:
    assert network_of(address) == network


def test_three_links_within_two_seconds_are_a_burst() -> None:
    assert burst_times([]) == frozenset()
    assert burst_times([(1.0, 0), (1.5, 1), (3.0, 2)]) == {1.0, 1.5, 3.0}
    assert burst_times([(1.0, 0), (1.5, 1), (3.1, 2)]) == frozenset()
    assert burst_times([(1.0, 0), (1.1, 0), (1.2, 0), (1.3, 1)]) == frozenset()
    late = [(0.0, 9), (5.0, 0), (5.1, 1), (5.2, 2), (9.0, 3)]
    assert burst_times(late) == {5.0, 5.1, 5.2}


def test_a_burst_is_what_a_plain_search_finds() -> None:
    chance = random.Random(5)
    for _ in range(300):
        clicks = [(chance.randrange(80) / 8, chance.randrange(4)) for _ in range(12)]

        plain = {
            at
            for at, _ in clicks
            for start, _ in clicks
            if start <= at <= start + 2
            and len({link for time, link in clicks if start <= time <= start + 2}) >= 3
        }

        assert burst_times(clicks) == plain


def test_many_clicks_take_time_in_proportion() -> None:
    begun = time.process_time()

    assert len(burst_times([(number / 1e6, number % 5) for number in range(100_000)])) == 100_000

    assert time.process_time() - begun < 5
