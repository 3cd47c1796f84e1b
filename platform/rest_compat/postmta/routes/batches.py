"""PostMTA's sending of up to a hundred messages, each of which stands or falls by itself."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ....core.actor import Permission
from ....core.errors import Detail, DetailCode, ErrorCode
from ....graphql.execute import Document
from ...answers import INTEGER, TIME, UUID, Leaf, Many, Out, Shape
from ...fields import Field, Fields, Findings, Flag, JsonSchema, Text
from ...route import MIB, Call, CompatRoute, Refused
from ...times import restyle_time
from ..dialect import ERRORS
from ..shapes import MESSAGE_STATUS, MESSAGE_STATUSES, SOURCE, bracketed
from .sending import MESSAGE, of_template, sent

MOST_MESSAGES = 100
_PLACE = re.compile(r"messages\[(\d+)\]")


class Misread:
    """A message of a batch that could not be read, and why."""

    __slots__ = ("details", "item")

    def __init__(self, item: Any, details: Sequence[Detail]) -> None:
        self.item = item
        self.details = details


class Messages:
    """The messages of a batch, each read by itself."""

    parts = MESSAGE

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, list):
            found.wrong_type(at, "an array")
            return None
        if len(value) > MOST_MESSAGES:
            found.add(at, DetailCode.TOO_MANY, f"A batch has at most {MOST_MESSAGES} messages.")
            return None
        return [_read_item(item, f"{at}[{n}]") for n, item in enumerate(value)]

    def schema(self) -> JsonSchema:
        items = MESSAGE.schema()
        return {"type": "array", "minItems": 1, "maxItems": MOST_MESSAGES, "items": items}


def _read_item(item: Any, at: str) -> dict[str, Any] | Misread:
    found = Findings()
    if not isinstance(item, dict):
        found.wrong_type(at, "an object")
        return Misread(item, found.details)
    read = MESSAGE.read(item, found)
    return Misread(item, found.details) if found.details else sent(read)


BATCH = Fields(
    Field(
        "messages",
        Messages(),
        "1 to 100 messages, with at most 1,000 recipients in all.",
        required=True,
        example=[MESSAGE.example()],
    ),
    Field(
        "batch_id",
        Text(1, 128, r"^[A-Za-z0-9._:-]+$"),
        "Your name for the batch; used again, it adds to the same batch. A UUID without it.",
        example="campaign_spring_2026",
    ),
    Field("atomic", Flag(), "One message that is not valid refuses all.", default=False),
)
ITEM_ERROR = Shape(
    "ItemError",
    Out("code", Leaf({"type": "string", "enum": sorted({code for _, code in ERRORS.values()})})),
    Out("message"),
    Out("details", Many(Leaf({"$ref": "#/components/schemas/ErrorDetail"}))),
)
RESULT = Shape(
    "BatchResult",
    Out("index", INTEGER),
    Out("id", UUID, maybe=True),
    Out("status", Leaf({"type": "string", "enum": [*MESSAGE_STATUSES, "rejected"]})),
    Out("message_id", maybe=True),
    Out("accepted", INTEGER),
    Out("suppressed", INTEGER),
    Out("error", ITEM_ERROR, maybe=True),
)
RECEIPT = Shape(
    "BatchReceipt",
    Out("batch_id"),
    Out("total", INTEGER),
    Out("accepted", INTEGER),
    Out("rejected", INTEGER),
    Out("credits_consumed", INTEGER),
    Out("credits_remaining", INTEGER, maybe=True, about="Null when unlimited."),
    Out("results", Many(RESULT)),
    Out("created_at", TIME),
)
_ACCEPTED = Shape(
    "BatchItem",
    Out("id", UUID, of="uuid"),
    Out("status", MESSAGE_STATUS),
    Out("message_id", bracketed()),
    Out("accepted", INTEGER),
    Out("suppressed", INTEGER),
)


def _variables(call: Call) -> dict[str, Any]:
    messages = call.body["messages"]
    misread = {n: item for n, item in enumerate(messages) if isinstance(item, Misread)}
    if misread and (len(misread) == len(messages) or call.body.get("atomic")):
        raise _rejected(misread, atomic=bool(call.body.get("atomic")))
    if misread:
        # They are not handed on, and make another request of it nevertheless.
        held = msgspec.json.encode([(n, each.item) for n, each in misread.items()])
        call.mark = hashlib.sha256(held).hexdigest()
    readable = [item for item in messages if not isinstance(item, Misread)]
    return {"input": {**call.body, "messages": readable}}


def _rejected(misread: dict[int, Misread], *, atomic: bool) -> Refused:
    message = (
        "A message of the batch is not valid, and the batch is atomic."
        if atomic
        else "No message of the batch is valid."
    )
    return Refused(ErrorCode.BATCH_REJECTED, message, details=_misread_details(misread))


def _misread_details(misread: dict[int, Misread]) -> list[Detail]:
    return [
        Detail(_rooted(n, detail.field), detail.code, detail.message)
        for n, item in misread.items()
        for detail in item.details
    ]


def _rooted(n: int, field: str) -> str:
    return field if field == f"messages[{n}]" else f"messages[{n}].{field}"


def _places(call: Call) -> list[int]:
    """Return where in the request each message stood that was handed on."""
    return [n for n, item in enumerate(call.body["messages"]) if not isinstance(item, Misread)]


def _in_place(refused: Refused, call: Call) -> Refused:
    """Return a refusal of the rest of a batch in terms of the whole batch."""
    places = _places(call)

    def moved(path: str) -> str:
        return _PLACE.sub(lambda found: f"messages[{places[int(found[1])]}]", path, count=1)

    misread = {n: m for n, m in enumerate(call.body["messages"]) if isinstance(m, Misread)}
    moved_details = [
        Detail(BATCH.theirs(of_template(moved(d.field))), d.code, d.message)
        for d in refused.details
    ]
    if refused.code is ErrorCode.BATCH_REJECTED:
        moved_details += _misread_details(misread)
    return Refused(
        refused.code,
        refused.message,
        details=sorted(moved_details, key=_place_of),
        retry_after_seconds=refused.retry_after_seconds,
    )


def _place_of(detail: Detail) -> int:
    found = _PLACE.match(detail.field)
    return int(found[1]) if found else -1


def _answer(data: Any, call: Call) -> dict[str, Any]:
    payload = data["sendMessages"]
    results: list[dict[str, Any]] = [
        _rejected_item(n, "validation_failed", _sentence(item.details), _words(item.details))
        for n, item in enumerate(call.body["messages"])
        if isinstance(item, Misread)
    ]
    for place, result in zip(_places(call), payload["results"], strict=True):
        results.append(_result(place, result))
    results.sort(key=lambda result: result["index"])
    return {
        "batch_id": payload["batchId"],
        "total": len(results),
        "accepted": payload["accepted"],
        "rejected": len(results) - payload["accepted"],
        "credits_consumed": payload["creditsConsumed"],
        "credits_remaining": payload["creditsRemaining"],
        "results": results,
        "created_at": restyle_time(payload["createdAt"]),
    }


def _result(index: int, result: dict[str, Any]) -> dict[str, Any]:
    if result["receipt"] is not None:
        return {"index": index, **_ACCEPTED.write(result["receipt"]), "error": None}
    refusal = result["refusal"]
    found = [
        {
            "field": MESSAGE.theirs(of_template(detail["field"])),
            "code": detail["code"].lower(),
            "message": detail["message"],
        }
        for detail in refusal["details"]
    ]
    code = ERRORS[ErrorCode(refusal["code"])][1]
    return _rejected_item(index, code, refusal["message"], found)


def _rejected_item(
    index: int, code: str, message: str, found: Sequence[dict[str, str]]
) -> dict[str, Any]:
    return {
        "index": index,
        "id": None,
        "status": "rejected",
        "message_id": None,
        "accepted": 0,
        "suppressed": 0,
        "error": {"code": code, "message": message, "details": found},
    }


def _sentence(found: Sequence[Detail]) -> str:
    noun = "field" if len(found) == 1 else "fields"
    return f"The message has {len(found)} invalid {noun}."


def _words(found: Sequence[Detail]) -> list[dict[str, str]]:
    return [{"field": d.field, "code": d.code.value.lower(), "message": d.message} for d in found]


SEND_BATCH = CompatRoute(
    method="POST",
    path="/api/v1/messages/batch",
    source=SOURCE,
    summary="Send up to 100 messages in one request",
    permission=Permission.SEND_MESSAGES,
    body=BATCH,
    body_limit_bytes=50 * MIB,
    is_idempotent=True,
    document=Document(
        "mutation SendBatch($input: SendMessagesInput!) { sendMessages(input: $input) { "
        "batchId accepted creditsConsumed creditsRemaining createdAt "
        f"results {{ index receipt {_ACCEPTED.selection()} "
        "refusal { code message details { field code message } } } } }"
    ),
    variables=_variables,
    answer=_answer,
    refused=_in_place,
    shape=RECEIPT,
    status=202,
    refusals=(
        ErrorCode.INSUFFICIENT_CREDITS,
        ErrorCode.DOMAIN_NOT_VERIFIED,
        ErrorCode.DOMAIN_NOT_ALLOWED,
        ErrorCode.MESSAGE_TOO_LARGE,
        ErrorCode.BATCH_REJECTED,
    ),
)
