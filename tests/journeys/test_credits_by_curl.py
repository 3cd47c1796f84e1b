"""A day with credits, typed with curl: spending them, and being told that few are left."""

from email import message_from_bytes, policy

import pytest

from tests.parts import CURL, needs

from .matching import TIME, UUID
from .shop import sign_up
from .stack import World

pytestmark = [pytest.mark.slow, needs(CURL)]


async def test_who_spends_credits_is_told_that_few_are_left(world: World) -> None:
    curl, ops = await sign_up(world), f"ops@{world.name()}"
    left = (await curl("GET", "/api/v1/credits/email")).body["balance"]
    asked = {"type": "email", "threshold": left - 10, "channels": ["email"], "recipients": [ops]}
    consumed = {
        "id": UUID,
        "type": "email",
        "amount": 15,
        "balance_after": left - 15,
        "reference": "import-1",
        "description": None,
        "metadata": {},
        "replayed": False,
        "created_at": TIME,
    }

    alert = (await curl("POST", "/api/v1/credits/alerts", asked, status=201)).body
    body = {"type": "email", "amount": 15, "reference": "import-1"}
    first = (await curl("POST", "/api/v1/credits/consume", body)).body
    again = (await curl("POST", "/api/v1/credits/consume", body)).body

    assert alert["state"] == "armed"
    assert first == consumed
    assert again == consumed | {"replayed": True}

    (mail,) = await world.mail_for(ops)
    message = message_from_bytes(mail.data, policy=policy.default)
    assert message["Subject"].endswith(f"has {left - 15} credits left for email")
    told = (await curl("GET", "/api/v1/credits/alerts")).body["data"]
    standing = {(each["threshold"], each["unit"]): (each["id"], each["state"]) for each in told}
    assert standing[left - 10, "absolute"] == (alert["id"], "triggered")
    # With these every organization begins.
    assert {key: state for key, (_, state) in standing.items() if key[1] == "percent"} == {
        (5, "percent"): "armed",
        (20, "percent"): "armed",
    }

    rest = {"type": "email", "amount": left - 15}
    refused = await curl(
        "POST", "/api/v1/credits/consume", rest | {"amount": left - 14}, status=402
    )
    await curl("POST", "/api/v1/credits/consume", rest)
    usage = (await curl("GET", "/api/v1/credits/usage?group_by=source&source=api")).body
    balance = (await curl("GET", "/api/v1/credits/email")).body

    assert refused.code == "insufficient_credits"
    assert usage["data"] == [{"key": "api", "debits": left, "credits": 0, "entries": 2}]
    assert (balance["balance"], balance["used_this_period"]) == (0, left)
    assert len(await world.mail_for(ops)) == 1
