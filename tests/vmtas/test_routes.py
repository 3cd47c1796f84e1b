"""Which vMTA mail goes through."""

import pytest

from postlane.core.actor import OrganizationId
from postlane.core.ids import new_id
from postlane.vmtas.rules import Route, VmtaStatus, choose_by_name, choose_from_pool

US = OrganizationId(new_id())


def route(
    name: str,
    *,
    own: bool = True,
    pool: str = "default",
    weight: int = 100,
    status: VmtaStatus = VmtaStatus.ACTIVE,
) -> Route:
    return Route(new_id(), US if own else None, name, pool, weight, status)


@pytest.mark.parametrize(
    ("draw", "name"), [(0.0, "a"), (0.2499, "a"), (0.25, "b"), (0.9999999, "b")]
)
def test_mail_is_spread_by_weight(draw: float, name: str) -> None:
    routes = [route("a", weight=100), route("zero", weight=0), route("b", weight=300)]

    chosen = choose_from_pool(routes, "default", draw=draw)

    assert chosen is not None
    assert chosen.name == name


def test_own_vmtas_come_before_the_shared_one() -> None:
    routes = [route("default", own=False), route("mine")]

    chosen = choose_from_pool(routes, "default", draw=0.0)

    assert chosen is routes[1]


def test_an_empty_pool_uses_the_shared_vmta() -> None:
    routes = [route("default", own=False), route("mine", pool="bulk")]

    chosen = choose_from_pool(routes, "default", draw=0.5)

    assert chosen is routes[0]


def test_a_paused_member_is_passed_over_until_all_are_paused() -> None:
    paused = route("a", status=VmtaStatus.PAUSED)
    active = route("b")

    assert choose_from_pool([paused, active], "default", draw=0.0) is active
    assert choose_from_pool([paused], "default", draw=0.0) is paused


def test_a_weight_of_zero_is_chosen_by_name_only() -> None:
    alone = route("quiet", weight=0)

    assert choose_from_pool([alone], "default", draw=0.0) is None
    assert choose_by_name([alone], "quiet") is alone
    assert choose_by_name([alone], str(alone.vmta_id)) is alone


def test_a_name_of_ones_own_hides_the_shared_one() -> None:
    routes = [route("default", own=False), route("default")]

    assert choose_by_name(routes, "default") is routes[1]
    assert choose_by_name(routes, "absent") is None
