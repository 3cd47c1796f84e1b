"""PostMTA's credits: balances by type."""

from collections.abc import Mapping
from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, TIME, UUID, Leaf, Many, Out, Shape, word
from ...route import Call, CompatRoute, IdForm
from ...times import restyle_time
from ..lists import envelope
from ..shapes import CREDIT_TYPE, SOURCE

INCLUDED = "INCLUDED"


def _included(balance: Mapping[str, Any]) -> dict[str, Any]:
    lots = [lot for lot in balance["lots"] if lot["source"] == INCLUDED]
    return {
        "granted": sum(lot["granted"] for lot in lots),
        "remaining": sum(lot["remaining"] for lot in lots),
        "resets_at": restyle_time(balance["periodEnd"]),
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
)
