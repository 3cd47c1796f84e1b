"""Consuming: never below zero, once for each reference and key, refused in the field's words."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from postlane.core.actor import Actor, ActorKind, Mode, Permission
from postlane.core.database import fetch
from postlane.credits.rules import CreditType
from postlane.credits.work import forget_references, reconcile
from tests.client import Client
from tests.factories import make_actor, make_organization

from .books import give, ledger, left

CONSUME = """
    mutation ($input: ConsumeCreditsInput!) { consumeCredits(input: $input) { replayed
      entry { uuid type amount balanceAfter reference description metadata source direction } } }
"""


@pytest.fixture
async def owner(database: None) -> Actor:
    """Somebody with ten credits of the type `validation`."""
    actor = await make_actor(await make_organization(plan="trial"))
    await give(actor.organization_id, 10, credit_type=CreditType.VALIDATION)
    return actor


async def consume(client: Client, actor: Actor, **values: Any) -> Any:
    body = {"input": {"type": "VALIDATION", "amount": 3} | values}
    return await client.graphql(CONSUME, body, actor=actor)


def code(answer: Any) -> str:
    (error,) = answer["errors"]
    found: str = error["extensions"]["code"]
    return found


def details(answer: Any) -> list[tuple[str, str]]:
    (error,) = answer["errors"]
    return [(each["field"], each["code"]) for each in error["extensions"]["details"]]


async def test_consuming_takes_credits_and_says_what_for(client: Client, owner: Actor) -> None:
    answer = await consume(
        client, owner, reference="import-1", description="List import", metadata={"list": "7"}
    )

    payload = answer["data"]["consumeCredits"]
    assert payload["replayed"] is False
    assert payload["entry"] == {
        "uuid": payload["entry"]["uuid"],
        "type": "VALIDATION",
        "amount": 3,
        "balanceAfter": 7,
        "reference": "import-1",
        "description": "List import",
        "metadata": {"list": "7"},
        "source": "API",
        "direction": "DEBIT",
    }
    assert sum((await left(owner.organization_id)).values()) == 7


async def test_fifty_consumers_of_the_last_ten_credits_spend_exactly_ten(
    client: Client, owner: Actor
) -> None:
    answers = await asyncio.gather(*(consume(client, owner, amount=1) for _ in range(50)))

    refused = [code(answer) for answer in answers if "errors" in answer]
    assert (len(answers) - len(refused), set(refused)) == (10, {"INSUFFICIENT_CREDITS"})
    assert sum((await left(owner.organization_id)).values()) == 0
    assert [line[3] for line in await ledger(owner.organization_id)] == [10] + [1] * 10
    assert [e for e in await reconcile() if e.organization_id == owner.organization_id] == []


async def test_parallel_requests_with_one_reference_take_once(client: Client, owner: Actor) -> None:
    answers = await asyncio.gather(
        *(consume(client, owner, reference="import-1") for _ in range(8))
    )

    payloads = [answer["data"]["consumeCredits"] for answer in answers]
    assert sorted(payload["replayed"] for payload in payloads) == [False] + [True] * 7
    assert len({payload["entry"]["uuid"] for payload in payloads}) == 1
    assert sum((await left(owner.organization_id)).values()) == 7


async def test_a_reference_stands_for_its_amount_and_type(client: Client, owner: Actor) -> None:
    await give(owner.organization_id, 10)
    first = await consume(client, owner, reference="import-1", description="First")

    again = await consume(client, owner, reference="import-1", description="Second")
    other = await consume(client, owner, reference="import-1", amount=4)
    another_type = await consume(client, owner, reference="import-1", type="EMAIL")

    assert again["data"]["consumeCredits"]["replayed"] is True
    assert again["data"]["consumeCredits"]["entry"] == first["data"]["consumeCredits"]["entry"]
    assert code(other) == "REFERENCE_CONFLICT"
    assert another_type["data"]["consumeCredits"]["replayed"] is False
    assert len(await ledger(owner.organization_id)) == 4


async def test_a_reference_is_free_again_after_ninety_days(client: Client, owner: Actor) -> None:
    await consume(client, owner, reference="import-1")
    await fetch(
        "UPDATE credit_references SET created_at = created_at - {}::interval "
        "WHERE organization_id = {}",
        timedelta(days=91),
        owner.organization_id,
    )

    again = await consume(client, owner, reference="import-1", amount=4)
    await forget_references()

    assert again["data"]["consumeCredits"]["replayed"] is False
    assert sum((await left(owner.organization_id)).values()) == 3


async def test_a_refused_consumption_leaves_its_reference_free(
    client: Client, owner: Actor
) -> None:
    refused = await consume(client, owner, reference="import-1", amount=11)
    taken = await consume(client, owner, reference="import-1", amount=10)

    assert code(refused) == "INSUFFICIENT_CREDITS"
    assert details(refused) == [("type", "TOO_SMALL")]
    assert taken["data"]["consumeCredits"]["replayed"] is False


async def test_a_repeated_key_answers_the_same_and_takes_once(client: Client, owner: Actor) -> None:
    first = await consume(client, owner, idempotencyKey="k-1", metadata={"a": "1"})
    again = await consume(client, owner, idempotencyKey="k-1", metadata={"a": "1"})
    other = await consume(client, owner, idempotencyKey="k-1", metadata={"a": "2"})

    assert again["data"] == first["data"]
    assert code(other) == "IDEMPOTENCY_KEY_REUSE"
    assert sum((await left(owner.organization_id)).values()) == 7


async def test_a_refusal_is_repeated_for_its_key(client: Client, owner: Actor) -> None:
    first = await consume(client, owner, amount=11, idempotencyKey="k-1")
    await give(owner.organization_id, 10, credit_type=CreditType.VALIDATION)
    again = await consume(client, owner, amount=11, idempotencyKey="k-1")

    assert code(first) == code(again) == "INSUFFICIENT_CREDITS"
    assert sum((await left(owner.organization_id)).values()) == 20


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"amount": 0}, [("amount", "TOO_SMALL")]),
        ({"amount": -5}, [("amount", "TOO_SMALL")]),
        ({"amount": 1_000_001}, [("amount", "TOO_LARGE")]),
        ({"reference": ""}, [("reference", "TOO_SHORT")]),
        ({"reference": "x" * 129}, [("reference", "TOO_LONG")]),
        ({"reference": "a\u0000b"}, [("reference", "INVALID_FORMAT")]),
        ({"description": "x" * 201}, [("description", "TOO_LONG")]),
        ({"metadata": [1]}, [("metadata", "INVALID_TYPE")]),
        ({"metadata": {"a": 1}}, [("metadata.a", "INVALID_TYPE")]),
        ({"metadata": {str(n): "" for n in range(21)}}, [("metadata", "TOO_MANY")]),
        ({"metadata": {"a": "x" * 257}}, [("metadata.a", "TOO_LONG")]),
        ({"metadata": {"a": "\u0000"}}, [("metadata.a", "INVALID_FORMAT")]),
    ],
)
async def test_what_breaks_a_rule_takes_nothing(
    client: Client, owner: Actor, values: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    answer = await consume(client, owner, **values)

    assert (code(answer), details(answer)) == ("INVALID_INPUT", expected)
    assert sum((await left(owner.organization_id)).values()) == 10


@pytest.mark.parametrize(
    "amount", [2.5, 2**31, 10**400, "3", None, True], ids=lambda value: repr(value)[:12]
)
async def test_what_is_no_number_of_credits_takes_nothing(
    client: Client, owner: Actor, amount: Any
) -> None:
    answer = await consume(client, owner, amount=amount)

    assert "errors" in answer
    assert answer["errors"][0]["extensions"]["code"] in {"INVALID_INPUT", "DOCUMENT_INVALID"}
    assert sum((await left(owner.organization_id)).values()) == 10


async def test_a_type_that_is_none_takes_nothing(client: Client, owner: Actor) -> None:
    assert "errors" in await consume(client, owner, type="GOLD")


async def test_who_lacks_the_scope_takes_nothing(client: Client, owner: Actor) -> None:
    organization = await make_organization(plan="trial")
    reader = await make_actor(
        organization, kind=ActorKind.API_KEY, permissions=[Permission.READ_CREDITS]
    )
    await give(reader.organization_id, 10, credit_type=CreditType.VALIDATION)

    answer = await consume(client, reader)

    assert code(answer) == "INSUFFICIENT_SCOPE"
    assert sum((await left(reader.organization_id)).values()) == 10


async def test_a_sandbox_key_takes_nothing_and_is_answered(client: Client) -> None:
    actor = await make_actor(await make_organization(plan="trial"), mode=Mode.SANDBOX)
    await give(actor.organization_id, 10, credit_type=CreditType.VALIDATION)

    answer = await consume(client, actor)

    assert answer["data"]["consumeCredits"]["entry"]["balanceAfter"] == 10
    assert len(await ledger(actor.organization_id)) == 1


async def test_an_unlimited_plan_consumes_without_a_balance(client: Client) -> None:
    actor = await make_actor(await make_organization(plan="self_hosted"))

    answer = await consume(client, actor, amount=1_000_000)

    assert answer["data"]["consumeCredits"]["entry"]["balanceAfter"] is None
    assert await ledger(actor.organization_id) == [("balance", "used", "api", 1_000_000)]
