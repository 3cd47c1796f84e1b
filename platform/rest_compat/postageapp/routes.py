"""PostageApp's methods that a project's key may call, and those that any key may."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ...core import clock
from ...core.actor import Permission
from ...core.errors import DetailCode, ErrorCode
from ...graphql.execute import Document
from ..route import Call, CompatRoute, Refused
from . import shapes
from .accounts import ROUTES as ACCOUNT_ROUTES
from .calling import envelope_of, method
from .decoding import PostageAppError, call_error
from .dialect import UNKNOWN_METHOD
from .mailboxes import ROUTES as MAILBOX_ROUTES
from .sending import NO_RECIPIENTS, send_variables
from .shapes import Answered

MOST_ON_PAGE = 250
LAST_PAGE = 400
"""Beyond it there is nothing: whoever wants all of a hundred thousand uids asks by dates."""
UNKNOWN_UID = "Message with UID {} was not found."
DUPLICATE = "Uid {} already exists. Assuming message duplication."
TEST_ERROR = "Test error"

# --- sending


def _sent(data: Any, call: Call) -> Answered:
    sent = data["sendPersonalMessage"]
    message = {"id": sent["number"], "url": sent["url"]}
    return Answered({"message": message}, {"uid": call.given["uid"]})


_SENTENCES: Mapping[tuple[str, DetailCode], str] = {
    ("recipients", DetailCode.REQUIRED): NO_RECIPIENTS,
    ("html", DetailCode.REQUIRED): "The message has neither content nor a template.",
}


def _not_sent(refused: Refused, call: Call) -> Refused:
    uid = call.given["uid"]
    if refused.code is ErrorCode.MESSAGE_UID_TAKEN:
        return PostageAppError("bad_request", DUPLICATE.format(uid), uid=uid)
    if not refused.details:
        return refused
    first = refused.details[0]
    text = _SENTENCES.get((first.field, first.code), first.message)
    if first.field == "template" and first.code is DetailCode.NOT_FOUND:
        text = f"Template '{envelope_of(call).arguments.get('template')}' was not found."
    if refused.code in (ErrorCode.INVALID_INPUT, ErrorCode.MESSAGE_TOO_LARGE):
        return PostageAppError("precondition_failed", text)
    return refused


# --- one message


def _by_uid(call: Call) -> dict[str, Any]:
    uid = envelope_of(call).looked_up
    call.given["uid"] = _as_sent(call)
    if uid is None or "\0" in uid:
        raise _not_found(Refused(ErrorCode.NOT_FOUND, ""), call)
    return {"uid": uid}


def _as_sent(call: Call) -> Any:
    envelope = envelope_of(call)
    found = envelope.arguments.get("uid")
    return envelope.uid if found is None or found == "" else found


def _not_found(refused: Refused, call: Call) -> Refused:
    if refused.code is not ErrorCode.NOT_FOUND:
        return refused
    return PostageAppError("not_found", None, uid=_as_sent(call))


def _not_found_in_words(refused: Refused, call: Call) -> Refused:
    if refused.code is not ErrorCode.NOT_FOUND:
        return refused
    return PostageAppError("not_found", UNKNOWN_UID.format(_as_sent(call)), uid=_as_sent(call))


def _of_message(name: str, selection: str) -> Document:
    return Document(
        f"query {name}($uid: String!) "
        f"{{ organization {{ messageByUid(uid: $uid) {{ {selection} }} }} }}"
    )


def _message(data: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = data["organization"]["messageByUid"]
    return found


def _looked_up(data: Any, call: Call, **response: Any) -> Answered:
    return Answered(data, {"uid": call.given["uid"], **response})


def _receipt(data: Any, call: Call) -> Answered:
    message = _message(data)
    return _looked_up({"message": {"id": message["number"], "url": message["url"]}}, call)


def _transmissions(data: Any, call: Call) -> Answered:
    message = _message(data)
    found = {shapes.recipient(d): shapes.transmission(d) for d in message["deliveries"]}
    return _looked_up({"message": {"id": message["number"]}, "transmissions": found}, call)


def _status(data: Any, call: Call) -> Answered:
    return _looked_up({"message_status": dict(shapes.counts(_message(data)))}, call)


def _delivery_status(data: Any, call: Call) -> Answered:
    message = _message(data)
    rows = [
        {
            "unique_id": shapes.unique_id(delivery, message["messageId"]),
            "recipient": shapes.recipient(delivery),
            "status": shapes.STATES[delivery["state"]],
        }
        for delivery in message["deliveries"]
    ]
    word = shapes.word_of(shapes.counts(message))
    return _looked_up({"delivery_status": rows}, call, delivery_status=word)


def _recipients(data: Any, call: Call) -> Answered:
    found = {shapes.recipient(d): shapes.recipient_info(d) for d in _message(data)["deliveries"]}
    return _looked_up({"recipients": found}, call)


# --- many messages


@dataclass(frozen=True, slots=True)
class _Page:
    page: int
    per_page: int

    @property
    def is_beyond(self) -> bool:
        return self.page > LAST_PAGE


def _page(call: Call) -> _Page:
    envelope = envelope_of(call)
    page = _number(envelope.argument("page"), "page", 1)
    per_page = _number(envelope.argument("per_page"), "per_page", MOST_ON_PAGE)
    return _Page(max(1, page), min(max(1, per_page), MOST_ON_PAGE))


def _number(value: Any, name: str, usual: int) -> int:
    if value is None or value == "":
        return usual
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 10**9:
        raise call_error(f"The argument '{name}' is not an integer.")
    return value


def _paged(call: Call) -> dict[str, Any]:
    page = _page(call)
    return {"page": min(page.page, LAST_PAGE + 1), "perPage": page.per_page}


def _dated(call: Call) -> dict[str, Any]:
    start, end = _day(call, "from"), _day(call, "to")
    return {
        **_paged(call),
        "from": _written(start) if start else None,
        # The last day is part of it.
        "to": _written(end + timedelta(days=1)) if end else None,
    }


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _day(call: Call, name: str) -> datetime | None:
    value = envelope_of(call).argument(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise call_error(f"The argument '{name}' is not a string.")
    try:
        return datetime.strptime(value.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        text = f"The argument '{name}' is no date such as 2024-05-31."
        raise PostageAppError("precondition_failed", text) from None


_DATES = "$page: Int!, $perPage: Int!, $from: DateTime, $to: DateTime"
_PASSED = "page: $page, perPage: $perPage, from: $from, to: $to"


def _messages(data: Any, call: Call) -> Answered:
    number = data["viewer"]["credential"]["project"]["number"]
    rows = data["organization"]["uidMessages"]
    return Answered({row["uid"]: shapes.message_row(row, number) for row in rows})


def _history(data: Any, call: Call) -> Answered:
    rows = [
        {
            "message_id": row["number"],
            "uid": row["uid"],
            "status": shapes.word_of(shapes.counts(row)),
            "created_at": shapes.plain(row["createdAt"]),
        }
        for row in data["organization"]["uidMessages"]
    ]
    return Answered({"messages_history": rows})


def _detailed_history(data: Any, call: Call) -> Answered:
    rows = [
        {
            "unique_id": shapes.unique_id(row, row["message"]["messageId"]),
            "message_id": row["message"]["number"],
            "uid": row["message"]["uid"],
            "recipient": shapes.recipient(row),
            "status": shapes.STATES[row["state"]],
            "created_at": shapes.plain(row["createdAt"]),
        }
        for row in data["organization"]["uidDeliveries"]
    ]
    return Answered({"messages_history": rows})


# --- sums


_ALIASES = tuple(f"{period}{when}" for period in shapes.PERIODS for when in ("Now", "Then"))
_SUMS = " ".join(
    f"{alias}: analytics(from: ${alias}From, to: ${alias}To) "
    f"{{ summary(compare: false) {{ metrics {{ {shapes.MEASURED} }} }} }}"
    for alias in _ALIASES
)
_TIMES = ", ".join(f"${alias}From: DateTime!, ${alias}To: DateTime!" for alias in _ALIASES)


def _periods(call: Call) -> dict[str, Any]:
    now = clock.now()
    end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    found: dict[str, str] = {}
    for name, (begin, before) in shapes.periods(now).items():
        found |= {
            f"{name}NowFrom": _written(begin),
            f"{name}NowTo": _written(end),
            f"{name}ThenFrom": _written(before),
            f"{name}ThenTo": _written(begin),
        }
    return found


def _metrics(data: Any, call: Call) -> Answered:
    sums = data["organization"]

    def read(alias: str) -> dict[str, int]:
        return shapes.values(sums[alias]["summary"]["metrics"])

    found = {
        period: shapes.compared(read(f"{period}Now"), read(f"{period}Then"))
        for period in shapes.PERIODS
    }
    return Answered({"metrics": found}, {"message": "metrics"})


_COUNTED = " ".join(
    f"{alias}: analytics({asked}) {{ summary(compare: false) {{ metrics {{ accepted }} }} }}"
    for alias, asked in (
        ("today", "from: $today, to: $to"),
        ("month", "from: $month, to: $to"),
        ("overall", "from: $overall, to: $to"),
    )
)
_USERS = "members(first: 100) { nodes { email name } }"


def _overall(call: Call) -> dict[str, Any]:
    now = clock.now()
    end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    running = shapes.periods(now)
    return {
        "today": _written(running["date"][0]),
        "month": _written(running["month"][0]),
        "overall": _written(end - timedelta(days=730)),
        "to": _written(end),
    }


_SINCE = "$today: DateTime!, $month: DateTime!, $overall: DateTime!, $to: DateTime!"


def _facts(data: Any, *, name: str, url: str) -> dict[str, Any]:
    organization = data["organization"]

    def count(alias: str) -> int:
        found: int = organization[alias]["summary"]["metrics"]["accepted"]
        return found

    return {
        "name": name,
        "url": url,
        "transmissions": {
            "today": count("today"),
            "this_month": count("month"),
            "overall": count("overall"),
        },
        "users": shapes.people(organization["members"]["nodes"]),
    }


def _account(data: Any, call: Call) -> Answered:
    organization = data["organization"]
    facts = _facts(data, name=organization["name"], url=organization["url"])
    return Answered({"account": facts})


def _project(data: Any, call: Call) -> Answered:
    found = data["viewer"]["credential"]["project"]
    return Answered({"project": _facts(data, name=found["name"], url=found["url"])})


# --- methods


def _nothing(call: Call) -> dict[str, Any]:
    return {}


def _methods(data: Any, call: Call) -> Answered:
    return Answered({"methods": ", ".join(METHODS)})


def _fail(call: Call) -> dict[str, Any]:
    raise PostageAppError("internal_server_error", TEST_ERROR)


def _unknown(call: Call) -> dict[str, Any]:
    name = call.path["method"].removesuffix(".json")[:100]
    raise call_error(UNKNOWN_METHOD.format(name))


WHOEVER = Document("query PostageAppKey { viewer { credential { kind } } }")


def of_message(name: str, summary: str, selection: str, answer: Any, **values: Any) -> CompatRoute:
    """Return the route of a method that looks one message up by its uid."""
    title = "".join(word.capitalize() for word in name.split("_"))
    return method(
        name,
        summary,
        document=_of_message(f"PostageApp{title}", selection),
        variables=_by_uid,
        answer=answer,
        **{"refused": _not_found, **values},
    )


ROUTES = (
    method(
        "send_message",
        "Send a message",
        permission=Permission.SEND_MESSAGES,
        document=Document(
            "mutation PostageAppSend($input: SendPersonalMessageInput!) "
            "{ sendPersonalMessage(input: $input) { number url } }"
        ),
        variables=send_variables,
        answer=_sent,
        refused=_not_sent,
    ),
    of_message("get_message_receipt", "Was a uid accepted?", "number url", _receipt),
    of_message(
        "get_message_transmissions",
        "How far each recipient's mail is",
        f"number deliveries {{ {shapes.TRANSMISSION} }}",
        _transmissions,
    ),
    of_message("message_status", "How many mails are how far", shapes.COUNTS, _status),
    of_message(
        "message_delivery_status",
        "How far a message is",
        f"messageId {shapes.COUNTS} deliveries {{ token address standsFor state }}",
        _delivery_status,
        refused=_not_found_in_words,
    ),
    of_message(
        "get_recipients_list",
        "What is known of a message's recipients",
        f"deliveries {{ {shapes.RECIPIENT} }}",
        _recipients,
    ),
    method(
        "get_messages",
        "The uids that are known",
        document=Document(
            f"query PostageAppMessages({_DATES}) {{ viewer {{ credential {{ project "
            f"{{ number }} }} }} organization {{ uidMessages({_PASSED}) "
            f"{{ uid templateSlug createdAt keptUntil {shapes.COUNTS} }} }} }}"
        ),
        variables=lambda call: {**_paged(call), "from": None, "to": None},
        answer=_messages,
    ),
    method(
        "messages_history",
        "Messages by date",
        document=Document(
            f"query PostageAppHistory({_DATES}) {{ organization {{ "
            f"uidMessages({_PASSED}, oldestFirst: true) "
            f"{{ number uid createdAt {shapes.COUNTS} }} }} }}"
        ),
        variables=_dated,
        answer=_history,
    ),
    method(
        "messages_history_detailed",
        "Transmissions by date",
        document=Document(
            f"query PostageAppDetailedHistory({_DATES}) {{ organization {{ "
            f"uidDeliveries({_PASSED}) {{ token address standsFor state createdAt "
            "message { number uid messageId } } } }"
        ),
        variables=_dated,
        answer=_detailed_history,
    ),
    method(
        "get_metrics",
        "What mail came to in four periods",
        permission=Permission.READ_ANALYTICS,
        document=Document(f"query PostageAppMetrics({_TIMES}) {{ organization {{ {_SUMS} }} }}"),
        variables=_periods,
        answer=_metrics,
    ),
    method(
        "get_suppression_list",
        "Addresses that get no mail",
        document=Document(
            "query PostageAppSuppressions { organization { suppressedAddresses "
            "{ address reason description expiresAt } } }"
        ),
        variables=_nothing,
        answer=lambda data, call: Answered(
            shapes.suppressed(data["organization"]["suppressedAddresses"])
        ),
    ),
    method(
        "get_account_info",
        "The account",
        reach=None,
        permission=Permission.READ_ANALYTICS,
        document=Document(
            f"query PostageAppAccount({_SINCE}) "
            f"{{ organization {{ name url {_COUNTED} {_USERS} }} }}"
        ),
        variables=_overall,
        answer=_account,
    ),
    method(
        "get_project_info",
        "The project",
        permission=Permission.READ_ANALYTICS,
        document=Document(
            f"query PostageAppProject({_SINCE}) "
            "{ viewer { credential { project { name url } } } "
            f"organization {{ {_COUNTED} {_USERS} }} }}"
        ),
        variables=_overall,
        answer=_project,
    ),
    method(
        "get_method_list",
        "The methods",
        reach=None,
        permission=None,
        document=WHOEVER,
        variables=_nothing,
        answer=_methods,
    ),
    *ACCOUNT_ROUTES,
    *MAILBOX_ROUTES,
    method(
        "test_error",
        "Fail",
        reach=None,
        permission=None,
        document=WHOEVER,
        variables=_fail,
        answer=_methods,
    ),
    method(
        "{method}",
        "Any other method",
        reach=None,
        permission=None,
        document=WHOEVER,
        variables=_unknown,
        answer=_methods,
    ),
)
METHODS = sorted(route.path for route in ROUTES if route.path not in ("{method}", "test_error"))
"""In alphabetical order, as they are listed."""
