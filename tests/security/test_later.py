"""Whoever asked for something is, when it is done, who they are by then."""

from datetime import timedelta

import pytest

from postlane.core import clock
from postlane.core.actor import VISITING, Mode, OrganizationId, Role, UserId
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.security.later import Asked, actor_of
from tests.factories import make_membership, make_organization, make_user

NOTHING = "SELECT {}::uuid"
SET_UP = "UPDATE users SET second_factor_at = now() WHERE id = {}"
DEMANDED = (
    "UPDATE organizations o SET requires_second_factor = true FROM memberships m "
    "WHERE m.organization_id = o.id AND m.user_id = {}"
)
TAKEN = "UPDATE users SET platform_admin = false WHERE id = {}"
LEFT = "DELETE FROM memberships WHERE user_id = {}"


@pytest.fixture
async def visit(database: None) -> Asked:
    """Return what a visitor of an organization asked for."""
    visited, home = await make_organization(), await make_organization()
    admin = await make_membership(home, await make_user(platform_admin=True))
    await fetch(
        "INSERT INTO visits (id, user_id, organization_id, reason, expires_at, created_at) "
        "VALUES ({}, {}, {}, 'a ticket', {}, {})",
        new_id(),
        admin.user_id,
        visited.id,
        clock.now() + timedelta(hours=1),
        clock.now(),
    )
    return Asked(
        organization_id=OrganizationId(visited.id),
        project_id=None,
        user_id=UserId(admin.user_id),
        api_key_id=None,
        permissions=[each.value for each in VISITING],
        mode=Mode.LIVE,
        request_id="request",
    )


@pytest.mark.parametrize("changes", [(NOTHING,), (DEMANDED, SET_UP)])
async def test_a_visitor_goes_on_as_one(visit: Asked, changes: tuple[str, ...]) -> None:
    for change in changes:
        await fetch(change, visit.user_id)

    actor = await actor_of(visit)

    assert actor is not None
    assert (actor.role, actor.permissions) == (Role.ADMIN, VISITING)
    assert not actor.platform_admin


@pytest.mark.parametrize("changes", [(TAKEN,), (DEMANDED,), (LEFT,), (SET_UP, TAKEN)])
async def test_whoever_could_not_go_and_visit_now_does_nothing_any_more(
    visit: Asked, changes: tuple[str, ...]
) -> None:
    for change in changes:
        await fetch(change, visit.user_id)

    assert await actor_of(visit) is None


async def test_whoever_joined_meanwhile_acts_as_what_they_are_there(visit: Asked) -> None:
    await fetch(
        "INSERT INTO memberships (id, organization_id, user_id, role) "
        "VALUES ({}, {}, {}, 'viewer')",
        new_id(),
        visit.organization_id,
        visit.user_id,
    )
    await fetch(TAKEN, visit.user_id)

    actor = await actor_of(visit)

    assert actor is not None
    assert actor.role is Role.VIEWER
