"""Mailboxes: where mail for the organization comes in, and whether its program took it."""

from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import SHOWN_ONCE, Action, Call, Done, Page, shown

FORMATS = {
    "RAW": N_("The mail itself, signed as Standard Webhooks say"),
    "POSTAGEAPP": N_("As PostageApp posts it"),
}
ROW = (
    "uuid uid label address url format account { host port username tls } failure lookedAt "
    "createdAt"
)
MAIL = (
    "uuid mailboxUuid source sender subject sizeBytes state attempts status failure dueAt "
    "createdAt completedAt"
)
LIST_PATH = "/o/{org:str}/mailboxes"
PATH = "/o/{org:str}/mailboxes/{mailbox:str}"


def _may_change(call: Call) -> bool:
    return call.may("projects:write") and call.may("webhooks:write")


def _values(call: Call, mailbox: Any = None) -> dict[str, str]:
    """Return what stands in the form: what was sent, or else what is stored."""
    stored = mailbox or {}
    account = stored.get("account") or {"tls": True}
    usual = {
        "url": stored.get("url", ""),
        "label": stored.get("label") or "",
        "format": stored.get("format", "RAW"),
        "host": account.get("host", ""),
        "port": str(account.get("port", 993)),
        "username": account.get("username", ""),
        "tls": "on" if account["tls"] else "",
    }
    if not call.form:
        return usual
    return {name: call.form.get(name, "") for name in usual}


LIST = Page(
    path=LIST_PATH,
    title=N_("Mailboxes"),
    template="ingress/index.html",
    document=shown(
        "query Mailboxes($after: String) { ...Shell organization { "
        f"ingressMailboxes(first: 50, after: $after) {{ nodes {{ {ROW} }} "
        "pageInfo { hasNextPage endCursor } } } }"
    ),
    variables=lambda call: {"after": call.query.get("after") or None},
    view=lambda data, call: {
        "mailboxes": data["organization"]["ingressMailboxes"]["nodes"],
        "more": data["organization"]["ingressMailboxes"]["pageInfo"],
        "formats": FORMATS,
        "values": _values(call),
        "can_change": _may_change(call),
    },
)


def _mailbox_view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    mailbox = found["ingressMailbox"]
    mails = found.get("ingressMails") or {"nodes": [], "pageInfo": {"hasNextPage": False}}
    after = mails["pageInfo"]["endCursor"] if mails["pageInfo"]["hasNextPage"] else None
    at = f"/mailboxes/{mailbox['uuid']}"
    return {
        "title": mailbox["label"] or mailbox["uid"],
        "mailbox": mailbox,
        "mails": mails["nodes"],
        "more": call.link(at, after=after) if after else None,
        "is_older": bool(call.query.get("after")),
        "formats": FORMATS,
        "values": _values(call, mailbox),
        "can_change": _may_change(call),
        "sees_mails": call.may("messages:read"),
    }


MAILBOX = Page(
    path=PATH,
    title=N_("Mailbox"),
    template="ingress/mailbox.html",
    document=shown(
        "query Mailbox($id: ID!, $mails: Boolean!, $after: String) { ...Shell organization { "
        f"ingressMailbox(ref: {{id: $id}}) {{ {ROW} }} "
        f"ingressMails(mailbox: $id, first: 25, after: $after) @include(if: $mails) "
        f"{{ nodes {{ {MAIL} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
    ),
    variables=lambda call: {
        "id": call.path["mailbox"],
        "mails": call.may("messages:read"),
        "after": call.query.get("after") or None,
    },
    view=_mailbox_view,
)
PAGES = (LIST, MAILBOX)


def _account(call: Call) -> dict[str, Any] | None:
    """Return the account of the form; None is none."""
    host = call.form.get("host", "").strip()
    if not host:
        return None
    port = call.form.get("port", "").strip()
    password = call.form.get("password", "")
    return {
        "host": host,
        # What is no number is refused by the schema as any other port that cannot be.
        "port": int(port) if port.isascii() and port.isdigit() and len(port) < 7 else 0,
        "username": call.form.get("username", "").strip(),
        "tls": "tls" in call.form,
        **({"password": password} if password else {}),
    }


def _made(call: Call) -> dict[str, Any]:
    account = _account(call)
    if account is not None:
        account.setdefault("password", "")
    return {
        "url": call.form.get("url", "").strip(),
        "label": call.form.get("label", "").strip() or None,
        "format": call.form.get("format", "RAW"),
        "account": account,
    }


def _changed(call: Call) -> dict[str, Any]:
    return {
        "mailbox": {"id": call.path["mailbox"]},
        "url": call.form.get("url", "").strip(),
        "label": call.form.get("label", "").strip(),
        "format": call.form.get("format", "RAW"),
        "account": _account(call),
    }


def _back(note: str) -> Any:
    return lambda data, call: Done(call.link(f"/mailboxes/{call.path['mailbox']}", done=note))


UPDATE = Document(
    "mutation ChangeMailbox($input: UpdateIngressMailboxInput!) "
    "{ changed: updateIngressMailbox(input: $input) { secret ingressMailbox { uuid } } }"
)
NAMES = {
    "account.host": "host",
    "account.port": "port",
    "account.username": "username",
    "account.password": "password",
}

ACTIONS = (
    Action(
        path=LIST_PATH,
        page=LIST,
        document=Document(
            "mutation AddMailbox($input: CreateIngressMailboxInput!) "
            "{ made: createIngressMailbox(input: $input) "
            "{ secret ingressMailbox { uuid address url } } }"
        ),
        variables=lambda call: {"input": _made(call)},
        names=NAMES,
        then=lambda data, call: SHOWN_ONCE,
    ),
    Action(
        path=PATH,
        page=MAILBOX,
        document=UPDATE,
        variables=lambda call: {"input": _changed(call)},
        names=NAMES,
        then=_back("saved"),
        form="change",
    ),
    Action(
        path=f"{PATH}/look",
        page=MAILBOX,
        document=Document(
            "mutation LookNow($input: LookIntoIngressMailboxInput!) "
            "{ lookIntoIngressMailbox(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"mailbox": {"id": call.path["mailbox"]}}},
        then=_back("mailbox-looked"),
        form="look",
    ),
    Action(
        path=f"{PATH}/rotate",
        page=MAILBOX,
        document=UPDATE,
        variables=lambda call: {
            "input": {"mailbox": {"id": call.path["mailbox"]}, "rotateSecret": True}
        },
        then=lambda data, call: SHOWN_ONCE,
        form="rotate",
    ),
    Action(
        path=f"{PATH}/delete",
        page=MAILBOX,
        document=Document(
            "mutation DeleteMailbox($input: DeleteIngressMailboxInput!) "
            "{ deleteIngressMailbox(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"mailbox": {"id": call.path["mailbox"]}}},
        then=lambda data, call: Done(call.link("/mailboxes", done="mailbox-deleted")),
        form="delete",
    ),
)
