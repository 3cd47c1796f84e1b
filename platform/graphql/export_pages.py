"""What files hold of each list: the document that reads a page, and the lines that it makes."""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.actor import Actor
from ..core.errors import ErrorCode
from ..exports.pages import Asking, Page, PageMissing, PageRefused, ReadPage
from ..exports.rules import Dataset
from .context import Context
from .execute import Document, execute
from .scalars import read_time

Node = Mapping[str, Any]
Line = Sequence[object]

PASSING = frozenset({ErrorCode.INTERNAL, ErrorCode.TIME_LIMIT, ErrorCode.SERVICE_UNAVAILABLE})
"""Refusals that may be over the next time."""


@dataclass(frozen=True, slots=True)
class List:
    """A list of an organization's, and how it is written."""

    field: str
    """Of the organization."""
    document: Document
    """Takes `filter`, `first`, `after` and `last`; shows `createdAt` of each node."""
    header: Sequence[str]
    of_node: Callable[[Node], Iterator[Line]]

    def lines(self, nodes: Iterable[Node]) -> list[Line]:
        """Return the lines that nodes make."""
        return [line for node in nodes for line in self.of_node(node)]


def _document(field: str, filter_type: str, fields: str) -> Document:
    return Document(
        f"query Export($filter: {filter_type}, $first: Int, $after: String, $last: Int) "
        f"{{ organization {{ {field}(filter: $filter, first: $first, after: $after, last: $last) "
        f"{{ nodes {{ createdAt {fields} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
    )


MESSAGE_FIELDS = (
    "uuid completedAt status sender to cc bcc subject batchId tags vmtaName opens clicks "
    "deliveries { code bounceClass }"
)
MESSAGE_HEADER = (
    "id created_at completed_at status from to subject batch_id tags vmta smtp_code bounce_class "
    "opens clicks"
).split()
EVENT_FIELDS = (
    "uuid deliveries { uuid address isp } events { uuid occurredAt type deliveryUuid data }"
)
EVENT_HEADER = (
    "id timestamp type message_id recipient_id email vmta isp smtp_code bounce_class"
).split()
SUPPRESSION_COLUMNS = {
    "email": "address",
    "reason": "reason",
    "description": "description",
    "stream": "stream",
    "project_id": "projectUuid",
    "expires_at": "expiresAt",
    "created_at": "createdAt",
}
AUDIT_COLUMNS = {
    "time": "createdAt",
    "action": "action",
    "actor": "actorKind",
    "user_id": "userUuid",
    "api_key_id": "apiKeyUuid",
    "target_type": "targetType",
    "target_id": "targetId",
    "changes": "changes",
    "source_address": "sourceAddress",
    "request_id": "requestId",
}


def _message(node: Node) -> Iterator[Line]:
    deliveries = node["deliveries"]
    codes = [each["code"] for each in deliveries if each["code"] is not None]
    classes = [each["bounceClass"].lower() for each in deliveries if each["bounceClass"]]
    yield (
        node["uuid"],
        node["createdAt"],
        node["completedAt"],
        node["status"].lower(),
        node["sender"],
        " ".join([*node["to"], *node["cc"], *node["bcc"]]),
        node["subject"],
        node["batchId"],
        " ".join(node["tags"]),
        node["vmtaName"],
        codes[0] if codes else None,
        classes[0] if classes else None,
        node["opens"],
        node["clicks"],
    )


def _events(node: Node) -> Iterator[Line]:
    known = {each["uuid"]: each for each in node["deliveries"]}
    for event in node["events"]:
        delivery, data = known.get(event["deliveryUuid"], {}), event["data"]
        yield (
            event["uuid"],
            event["occurredAt"],
            event["type"].lower().replace("_", ".", 1),
            node["uuid"],
            event["deliveryUuid"],
            delivery.get("address"),
            data.get("vmta"),
            (delivery.get("isp") or "").lower(),
            data.get("smtp_code"),
            data.get("bounce_class"),
        )


def _suppression(node: Node) -> Iterator[Line]:
    words = ("reason", "stream")
    yield [
        node[field].lower() if field in words and node[field] else node[field]
        for field in SUPPRESSION_COLUMNS.values()
    ]


def _entry(node: Node) -> Iterator[Line]:
    yield [
        json.dumps(node[field], ensure_ascii=False) if field == "changes" else node[field]
        for field in AUDIT_COLUMNS.values()
    ]


MESSAGES = List(
    "messages", _document("messages", "MessageFilter", MESSAGE_FIELDS), MESSAGE_HEADER, _message
)
EVENTS = List(
    "messages", _document("messages", "MessageFilter", EVENT_FIELDS), EVENT_HEADER, _events
)
SUPPRESSIONS = List(
    "suppressions",
    _document("suppressions", "SuppressionFilter", " ".join(SUPPRESSION_COLUMNS.values())),
    list(SUPPRESSION_COLUMNS),
    _suppression,
)
AUDIT_LOG = List(
    "auditLog",
    _document("auditLog", "AuditFilterInput", " ".join(AUDIT_COLUMNS.values())),
    list(AUDIT_COLUMNS),
    _entry,
)
LISTS = {
    Dataset.MESSAGES: MESSAGES,
    Dataset.EVENTS: EVENTS,
    Dataset.SUPPRESSIONS: SUPPRESSIONS,
    Dataset.AUDIT_LOG: AUDIT_LOG,
}


def pages_for(find_actor: Callable[[Asking], Awaitable[Actor]]) -> ReadPage:
    """Return what reads the pages of exports; *find_actor* says as whom."""

    async def read(asking: Asking) -> Page:
        return await _read(asking, await find_actor(asking))

    return read


async def _read(asking: Asking, actor: Actor) -> Page:
    meant = LISTS[asking.dataset]
    size = {"last" if asking.is_last else "first": asking.size}
    variables = {"filter": dict(asking.filter), "after": asking.after, **size}
    context = Context(actor=actor, request_id=actor.request_id)
    result = await execute(meant.document, variables, context)
    if result.errors or result.data is None:
        refusal = result.errors[0]
        raise (PageMissing if refusal.code in PASSING else PageRefused)(refusal.message)
    found = result.data["organization"][meant.field]
    nodes, info = found["nodes"], found["pageInfo"]
    return Page(
        header=meant.header,
        rows=meant.lines(nodes),
        until=read_time(nodes[-1]["createdAt"]) if nodes else None,
        place=info["endCursor"] if info["hasNextPage"] else None,
    )
