"""PostMTA's credits: balances by type, consuming, packages, alerts."""

from collections.abc import Mapping
from typing import Any

from ....core.actor import Permission
from ....core.errors import DetailCode, ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, TEXT_MAP, TIME, UUID, Leaf, Many, Out, Shape, word
from ...fields import (
    Field,
    Fields,
    Findings,
    Flag,
    Integer,
    JsonSchema,
    ListOf,
    Number,
    Text,
    TextMap,
    choice,
    enum_name,
)
from ...parameters import Param, Params
from ...route import Call, CompatRoute, IdForm
from ...times import restyle_time
from ..lists import envelope
from ..shapes import CREDIT_TYPE, CREDIT_TYPES, SOURCE
from .credit_usage import HISTORY

INCLUDED = "INCLUDED"


def _included(balance: Mapping[str, Any]) -> dict[str, Any]:
    lots = [lot for lot in balance["lots"] if lot["source"] == INCLUDED]
    # A trial's credits end with the trial, in the middle of a month, and none follow before.
    ends = [lot["expiresAt"] for lot in lots if lot["expiresAt"]]
    return {
        "granted": sum(lot["granted"] for lot in lots),
        "remaining": sum(lot["remaining"] for lot in lots),
        "resets_at": restyle_time(min(ends, default=balance["periodEnd"])),
    }


def _purchased(balance: Mapping[str, Any]) -> dict[str, Any]:
    lots = [lot for lot in balance["lots"] if lot["source"] != INCLUDED and lot["remaining"]]
    ends = [lot["expiresAt"] for lot in lots if lot["expiresAt"]]
    first = min(ends, default=None)
    return {
        "remaining": sum(lot["remaining"] for lot in lots),
        "next_expiry_at": first and restyle_time(first),
        "next_expiry_amount": sum(lot["remaining"] for lot in lots if lot["expiresAt"] == first)
        if first
        else 0,
    }


LOT = Shape(
    "CreditLot",
    Out("id", UUID, of="uuid"),
    Out("granted", INTEGER),
    Out("remaining", INTEGER),
    Out("source", word("included", "purchase", "adjustment")),
    Out("expires_at", TIME, maybe=True),
)
"""The fields of a lot; `included` and `purchased` of a balance are sums over them."""

_INCLUDED = Leaf(
    {
        "type": "object",
        "description": "What the plan includes in this period.",
        "required": ["granted", "remaining", "resets_at"],
        "properties": {
            "granted": {"type": "integer"},
            "remaining": {"type": "integer"},
            "resets_at": {"type": "string", "format": "date-time"},
        },
    }
)
_PURCHASED = Leaf(
    {
        "type": "object",
        "description": "What was bought or given beyond the plan.",
        "required": ["remaining", "next_expiry_at", "next_expiry_amount"],
        "properties": {
            "remaining": {"type": "integer"},
            "next_expiry_at": {"type": ["string", "null"], "format": "date-time"},
            "next_expiry_amount": {"type": "integer"},
        },
    }
)
_HEAD = (
    Out("type", CREDIT_TYPE),
    Out("balance", INTEGER, maybe=True, about="Null when unlimited."),
    Out("unlimited", FLAG),
    Out("included", _INCLUDED, from_whole=_included),
    Out("purchased", _PURCHASED, from_whole=_purchased),
    Out("used_this_period", INTEGER),
    Out("period_start", TIME),
    Out("period_end", TIME),
)
BALANCE = Shape("CreditBalance", *_HEAD, Out("updated_at", TIME), extra=f"lots {LOT.selection()}")
BALANCE_WITH_LOTS = Shape(
    "CreditBalanceWithLots", *_HEAD, Out("lots", Many(LOT)), Out("updated_at", TIME)
)


def _balances(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["credits"]["balances"]
    return envelope([BALANCE.write(balance) for balance in found], call)


class KnownType:
    """A type of credits; one that is none is told as not found, as references are."""

    parts = None

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, str):
            found.wrong_type(at, "a string")
            return None
        if value not in CREDIT_TYPES:
            found.add(at, DetailCode.NOT_FOUND, "There is no such type of credits.")
        return enum_name(value)

    def schema(self) -> JsonSchema:
        return {"type": "string", "enum": list(CREDIT_TYPES)}


CONSUME = Fields(
    Field("type", KnownType(), "A credit type.", required=True, example="email"),
    Field("amount", Integer(1, 1_000_000), "Whole credits.", required=True, example=25),
    Field(
        "reference",
        Text(shortest=1, longest=128),
        "Your name for it: with type and amount it is consumed once in 90 days.",
        example="import-2026-06-01",
    ),
    Field("description", Text(longest=200), "A note.", example="List import"),
    Field(
        "metadata",
        TextMap(20, longest_key=40, longest=256),
        "Names and values of your own.",
        default={},
    ),
)
CONSUMED = Shape(
    "ConsumedCredits",
    Out("id", UUID, of="uuid"),
    Out("type", CREDIT_TYPE),
    Out("amount", INTEGER),
    Out("balance_after", INTEGER, maybe=True, about="Null when unlimited."),
    Out("reference", maybe=True),
    Out("description", maybe=True),
    Out("metadata", TEXT_MAP),
    Out("replayed", FLAG, from_whole=lambda entry: entry["replayed"]),
    Out("created_at", TIME),
)
_PRICE = Leaf(
    {
        "type": "object",
        "description": "In minor units of the currency.",
        "required": ["amount", "currency"],
        "properties": {"amount": {"type": "integer"}, "currency": {"type": "string"}},
    }
)
PACKAGE = Shape(
    "CreditPackage",
    Out("id", Leaf({"type": "string", "examples": ["email-100k"]}), of="code"),
    Out("name"),
    Out("type", CREDIT_TYPE),
    Out("quantity", INTEGER),
    Out(
        "price",
        _PRICE,
        from_whole=lambda package: {
            "amount": package["priceAmount"],
            "currency": package["priceCurrency"],
        },
    ),
    Out("validity_days", INTEGER, maybe=True),
    Out("available", FLAG),
    extra="priceAmount priceCurrency",
)
CHANNELS = ("email", "webhook")
UNITS = ("absolute", "percent")
THRESHOLD = Leaf({"type": "number"}, lambda value: int(value) if value == int(value) else value)
ALERT = Shape(
    "CreditAlert",
    Out("id", UUID, of="uuid"),
    Out("type", CREDIT_TYPE),
    Out("threshold", THRESHOLD),
    Out("unit", word(*UNITS)),
    Out("channels", Many(word(*CHANNELS))),
    Out("recipients", Many(Leaf({"type": "string", "format": "email"}))),
    Out("enabled", FLAG),
    Out("state", word("armed", "triggered")),
    Out("last_triggered_at", TIME, maybe=True),
    Out("created_at", TIME),
    Out("updated_at", TIME),
)
SET_ALERT = Fields(
    Field("type", KnownType(), "A credit type.", required=True, example="email"),
    Field(
        "threshold",
        Number(0),
        "Whole credits, or percent from 1 to 99 of what there was to spend in this period.",
        required=True,
        example=5000,
    ),
    Field("unit", choice(*UNITS), "What the threshold counts.", default="absolute"),
    Field("channels", ListOf(choice(*CHANNELS), fewest=1), "How.", default=list(CHANNELS)),
    Field(
        "recipients",
        ListOf(Text(format="email"), most=20),
        "Who gets mail; owners and billing users without it.",
    ),
    Field("enabled", Flag(), "False switches it off.", default=True),
)
OF_TYPE = Params(Param("type", choice(*CREDIT_TYPES), "Only this type."))


def _consumed(data: Any, call: Call) -> dict[str, Any]:
    payload = data["consumeCredits"]
    return CONSUMED.write({**payload["entry"], "replayed": payload["replayed"]})


def _all_of(field: str, shape: Shape) -> CompatRoute:
    """Return the route of a small list, which is shown whole."""

    def answer(data: Any, call: Call) -> dict[str, Any]:
        found = data["organization"]["credits"][field]
        return envelope([shape.write(item) for item in found], call)

    return CompatRoute(
        method="GET",
        path=f"/api/v1/credits/{field}",
        source=SOURCE,
        summary={
            "packages": "Available credit packages",
            "alerts": "Credit alert thresholds",
        }[field],
        permission=Permission.READ_CREDITS,
        query=OF_TYPE,
        document=Document(
            "query Listed($type: CreditType) { organization { credits { "
            f"{field}(type: $type) {shape.selection()} }} }} }}"
        ),
        variables=lambda call: {"type": call.query.get("type")},
        answer=answer,
        shape=shape,
        is_list=True,
    )


ROUTES = (
    CompatRoute(
        method="GET",
        path="/api/v1/credits",
        source=SOURCE,
        summary="Get all credit balances",
        permission=Permission.READ_CREDITS,
        document=Document(
            f"query Credits {{ organization {{ credits {{ balances {BALANCE.selection()} }} }} }}"
        ),
        variables=lambda call: {},
        answer=_balances,
        shape=BALANCE,
        is_list=True,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/credits/{type}",
        source=SOURCE,
        summary="Get the balance of one credit type",
        permission=Permission.READ_CREDITS,
        ids={"type": IdForm.ANY},
        document=Document(
            "query Credit($type: String!) { organization { credits { balance(type: $type) "
            f"{BALANCE_WITH_LOTS.selection()} }} }} }}"
        ),
        variables=lambda call: {"type": call.path["type"]},
        answer=lambda data, call: BALANCE_WITH_LOTS.write(
            data["organization"]["credits"]["balance"]
        ),
        shape=BALANCE_WITH_LOTS,
        refusals=(ErrorCode.UNKNOWN_CREDIT_TYPE,),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/credits/consume",
        source=SOURCE,
        summary="Consume credits",
        permission=Permission.CONSUME_CREDITS,
        body=CONSUME,
        is_idempotent=True,
        document=Document(
            "mutation Consume($input: ConsumeCreditsInput!) { consumeCredits(input: $input) "
            f"{{ replayed entry {CONSUMED.selection()} }} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=_consumed,
        shape=CONSUMED,
        refusals=(ErrorCode.INSUFFICIENT_CREDITS, ErrorCode.REFERENCE_CONFLICT),
        differences=(
            "A sandbox key consumes nothing: it is answered with an id that is in no ledger.",
        ),
    ),
    HISTORY,
    _all_of("packages", PACKAGE),
    _all_of("alerts", ALERT),
    CompatRoute(
        method="POST",
        path="/api/v1/credits/alerts",
        source=SOURCE,
        summary="Set a credit alert threshold",
        permission=Permission.SET_CREDIT_ALERTS,
        body=SET_ALERT,
        document=Document(
            "mutation SetAlert($input: SetCreditAlertInput!) { setCreditAlert(input: $input) "
            f"{{ created alert {ALERT.selection()} }} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: ALERT.write(data["setCreditAlert"]["alert"]),
        shape=ALERT,
        status=lambda data: 201 if data["setCreditAlert"]["created"] else 200,
        statuses=(200, 201),
        refusals=(ErrorCode.ALERT_LIMIT_REACHED,),
        differences=(
            "Where no recipients were named the list is empty; owners and billing users are "
            "mailed then.",
        ),
    ),
)
