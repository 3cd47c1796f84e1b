"""How long things are kept, on each plan: what is told is what is done."""

from datetime import timedelta
from typing import Any

import pytest

from postlane.accounts.queries import kept_days
from postlane.accounts.work import terms_of
from postlane.core import clock
from postlane.core.retention import Kind
from tests.billing.setup import settings_with
from tests.client import Client
from tests.factories import make_actor, make_organization, make_webhook

RETENTION = """
    { organization { retention { contentDays messageDays webhookCallDays requestDays auditDays } } }
"""
REPLAY = """
    mutation ($input: ReplayWebhookCallsInput!) {
      replayWebhookCalls(input: $input) { replay { uuid } } }
"""
BY_PLAN = (
    "trial.contents=0,trial.messages=7,trial.calls=2,trial.requests=3,trial.audit=30,"
    "starter.messages=14"
)


async def retention(client: Client, plan: str) -> list[int]:
    actor = await make_actor(await make_organization(plan=plan))
    data = await client.data(RETENTION, actor=actor)
    return list(data["organization"]["retention"].values())


async def test_an_organization_is_told_how_long_its_things_are_kept(client: Client) -> None:
    usual = await retention(client, "trial")
    with settings_with(keep_days_by_plan=BY_PLAN, keep_message_days="60"):
        on_trial = await retention(client, "trial")
        on_starter = await retention(client, "starter")
        elsewhere = await retention(client, "self_hosted")

    assert usual == [3, 30, 14, 7, 730]
    assert on_trial == [0, 7, 2, 3, 30]
    assert on_starter == [3, 14, 14, 7, 730]
    assert elsewhere == [3, 60, 14, 7, 730]


@pytest.mark.parametrize("kind", Kind)
async def test_what_is_told_is_what_is_done(client: Client, kind: Kind) -> None:
    organization = await make_organization(plan="trial")
    actor = await make_actor(organization)

    with settings_with(keep_days_by_plan=BY_PLAN):
        told = await kept_days(actor, kind)
        terms = await terms_of(kind)

    ours = [each.days for each in terms if organization.id in (each.organization_ids or ())]
    assert terms[0].organization_ids is None
    assert ours == [told]


async def test_a_replay_goes_as_far_back_as_calls_are_kept(client: Client) -> None:
    organization = await make_organization(plan="trial")
    actor = await make_actor(organization)
    webhook_id, _, _ = await make_webhook(organization, "https://hooks.example")

    def asked(days: int) -> dict[str, Any]:
        since = (clock.now() - timedelta(days=days)).isoformat()
        return {"input": {"webhookId": str(webhook_id), "since": since}}

    with settings_with(keep_days_by_plan=BY_PLAN):
        refused = await client.graphql(REPLAY, asked(3), actor=actor)
        allowed = await client.graphql(REPLAY, asked(1), actor=actor)

    assert refused["errors"][0]["message"] == "Calls are kept for 2 days."
    assert "errors" not in allowed
