"""PostageApp's methods for mailboxes, which the account's key may call."""

from collections.abc import Mapping
from typing import Any

from ...core.actor import Permission
from ...core.errors import Detail, DetailCode, ErrorCode
from ...graphql.execute import Document
from ..route import Call, CompatRoute, Refused
from . import shapes
from .accounts import flag, needed, number, of_account, text, uid
from .calling import envelope_of
from .decoding import PostageAppError, call_error, uid_text
from .shapes import Answered

NO_MAILBOX = "The mailbox was not found."
UNREAD = frozenset({ErrorCode.INVALID_INPUT})
THEIRS = {"account": "host", "url": "postback_url"}
"""Their names for fields of ours that have others."""


def _port(call: Call) -> int | None:
    value = envelope_of(call).argument("port")
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise call_error("The argument 'port' is not a number.")
    # Beyond, it is not one that GraphQL can say either.
    return value if 0 <= value < 2**31 else 0


def _account(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {name: text(call, name) for name in ("host", "username", "password")}
    found |= {"port": _port(call), "tls": flag(call, "tls")}
    return {name: value for name, value in found.items() if value is not None}


def _created(call: Call) -> dict[str, Any]:
    account = _account(call)
    for name in ("host", "username", "password"):
        needed(name, account.get(name))
    given = {
        "url": needed("postback_url", text(call, "postback_url")),
        "uid": uid(call),
        "label": text(call, "label"),
        "format": "POSTAGEAPP",
        "account": account,
    }
    return {"input": {name: value for name, value in given.items() if value is not None}}


def _reference(call: Call) -> dict[str, Any]:
    if (found := number(call)) is not None:
        return {"number": found}
    return {"uid": needed("id of the mailbox", uid(call))}


def _updated(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {
        "mailbox": _reference(call),
        "label": text(call, "label"),
        "url": text(call, "postback_url"),
        "account": _account(call) or None,
    }
    # Beside an id the uid is a new one.
    if number(call) is not None:
        found["uid"] = uid_text(envelope_of(call).arguments.get("uid"))
    return {"input": {name: value for name, value in found.items() if value is not None}}


def _answered(data: Any, call: Call) -> Answered:
    payload = next(iter(data.values()))
    found = mailbox(payload["ingressMailbox"])
    if "secret" in payload:
        found["postback_secret"] = payload["secret"]
    sent = envelope_of(call).arguments.get("uid", envelope_of(call).uid)
    return Answered({"mailbox": found}, {"uid": found["uid"] if sent is None else sent})


def _listed(data: Any, call: Call) -> Answered:
    rows = data["organization"]["ingressMailboxes"]["nodes"]
    return Answered({"mailboxes": [mailbox(row) for row in rows]})


MAILBOX = "number uid label url createdAt account { host port username tls }"


def mailbox(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mailbox; its password is never told."""
    account = row["account"] or dict.fromkeys(("host", "port", "username", "tls"))
    return {
        "id": row["number"],
        "uid": row["uid"],
        "label": row["label"],
        **{name: account[name] for name in ("host", "port", "username", "tls")},
        "postback_url": row["url"],
        "created_at": shapes.iso(row["createdAt"]),
    }


def _refused(refused: Refused, call: Call) -> Refused:
    if refused.code is ErrorCode.NOT_FOUND:
        return PostageAppError("not_found", NO_MAILBOX)
    if refused.code in UNREAD and refused.details:
        return PostageAppError("precondition_failed", _sentence(refused.details[0]))
    return refused


def _sentence(detail: Detail) -> str:
    """Return what is wrong, with the client's name for where it is."""
    name = detail.field.rpartition(".")[2]
    name = THEIRS.get(name, name)
    if detail.code is DetailCode.REQUIRED:
        return f"The argument '{name}' is required."
    return f"The argument '{name}': {detail.message}"


def _of_mailboxes(name: str, summary: str, **values: Any) -> CompatRoute:
    return of_account(name, summary, **{"refused": _refused, **values})


ROUTES = (
    _of_mailboxes(
        "create_mailbox",
        "Make a mailbox",
        document=Document(
            "mutation PostageAppCreateMailbox($input: CreateIngressMailboxInput!) "
            "{ createIngressMailbox(input: $input) "
            f"{{ secret ingressMailbox {{ {MAILBOX} }} }} }}"
        ),
        variables=_created,
        answer=_answered,
    ),
    _of_mailboxes(
        "update_mailbox",
        "Change a mailbox",
        document=Document(
            "mutation PostageAppUpdateMailbox($input: UpdateIngressMailboxInput!) "
            f"{{ updateIngressMailbox(input: $input) {{ ingressMailbox {{ {MAILBOX} }} }} }}"
        ),
        variables=_updated,
        answer=_answered,
    ),
    _of_mailboxes(
        "delete_mailbox",
        "Delete a mailbox",
        document=Document(
            "mutation PostageAppDeleteMailbox($input: DeleteIngressMailboxInput!) "
            f"{{ deleteIngressMailbox(input: $input) {{ ingressMailbox {{ {MAILBOX} }} }} }}"
        ),
        variables=lambda call: {"input": {"mailbox": _reference(call)}},
        answer=_answered,
    ),
    _of_mailboxes(
        "list_mailboxes",
        "The mailboxes",
        permission=Permission.READ_PROJECTS,
        document=Document(
            "query PostageAppMailboxes { organization "
            f"{{ ingressMailboxes(first: 100) {{ nodes {{ {MAILBOX} }} }} }} }}"
        ),
        variables=lambda call: {},
        answer=_listed,
    ),
)
