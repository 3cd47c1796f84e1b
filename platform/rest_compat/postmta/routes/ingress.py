"""Ingress mailboxes over REST, which PostMTA's reference does not have."""

from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, TIME, UUID, Leaf, Out, Shape, word
from ...fields import TEXT, Field, Fields, Flag, Integer, Object, Text, choice
from ...route import Call, CompatRoute, IdForm
from ..lists import envelope, list_params
from ..shapes import SOURCE

PATH = "/api/v1/ingress-mailboxes"
BY_ID = {"id": IdForm.UUID}
FORMATS = ("raw", "postageapp")


def _account(*, is_new: bool) -> Object:
    return Object(
        Fields(
            Field("host", Text(1, 253), "Name of the IMAP server.", required=is_new),
            Field("username", Text(1, 255), "Who signs in.", required=is_new),
            Field("password", Text(1, 255), "Kept encrypted, never shown.", required=is_new),
            Field("port", Integer(1, 65_535), "Its port.", default=993 if is_new else None),
            Field("tls", Flag(), "Encrypted from the start.", default=True if is_new else None),
        )
    )


def _fields(*, is_new: bool) -> tuple[Field, ...]:
    return (
        Field(
            "url",
            Text(longest=2048, format="uri"),
            "Where each mail is posted.",
            required=is_new,
            example="https://app.example.com/mail",
        ),
        Field("uid", Text(1, 255), "Your name for it; unique in the organization."),
        Field("label", Text(longest=100), "What it is called."),
        Field(
            "format",
            choice(*FORMATS),
            "How each mail is posted.",
            default=FORMATS[0] if is_new else None,
        ),
        Field(
            "account",
            _account(is_new=is_new),
            "An account that is looked into every minute."
            + ("" if is_new else " Null: none any more."),
            clearable=not is_new,
        ),
    )


CREATE = Fields(
    *_fields(is_new=True), Field("project_id", TEXT, "The only project that it is for.")
)
UPDATE = Fields(
    *_fields(is_new=False),
    Field("rotate_secret", Flag(), "Make a new secret, which signs alone.", default=False),
)


def _like(example: Any) -> Leaf:
    """Return a leaf with an example of its own: elsewhere the field's name means something else."""
    kinds = {bool: "boolean", int: "integer", str: "string"}
    return Leaf({"type": kinds[type(example)], "examples": [example]})


ADDRESS = _like("in-0123456789abcdef01234567@mail.example.com")
URL = _like("https://app.example.com/mail")
ACCOUNT = Shape(
    "IngressAccount",
    Out("host", _like("imap.example.com")),
    Out("port", _like(993)),
    Out("username", _like("support@example.com")),
    Out("tls", _like(True)),
)
MAILBOX = Shape(
    "IngressMailbox",
    Out("id", UUID, of="uuid"),
    Out("uid", _like("support")),
    Out("label", _like("Support"), maybe=True),
    Out("address", ADDRESS, about="Mail to it is taken over SMTP."),
    Out("url", URL),
    Out("format", word(*FORMATS)),
    Out("account", ACCOUNT, maybe=True),
    Out(
        "failure",
        _like("The server cannot be reached."),
        maybe=True,
        about="Why the last look into its account failed.",
    ),
    Out("looked_at", TIME, maybe=True),
    Out("project_id", UUID, of="projectUuid", maybe=True),
    Out("created_at", TIME),
    Out("updated_at", TIME),
)
ISSUED = Shape(
    "IngressMailboxWithSecret",
    *MAILBOX.fields,
    Out(
        "secret",
        _like("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"),
        about="Signs what is posted, where it is new; shown this once.",
        maybe=True,
        from_whole=lambda mailbox: mailbox["secret"],
    ),
)
DELETED = Shape("DeletedIngressMailbox", Out("id", UUID), Out("deleted", FLAG))
MAIL = Shape(
    "IngressMail",
    Out("id", UUID, of="uuid"),
    Out("source", word("smtp", "imap")),
    Out("sender"),
    Out("subject"),
    Out("size_bytes", INTEGER),
    Out("state", word("pending", "delivered", "dead")),
    Out("attempts", INTEGER),
    Out("status", INTEGER, maybe=True, about="HTTP, of the last attempt."),
    Out(
        "failure",
        _like("timeout"),
        maybe=True,
        about="Why the last attempt had no answer.",
    ),
    Out("due_at", TIME, maybe=True),
    Out("created_at", TIME),
    Out("completed_at", TIME, maybe=True),
)
THERE = Document(
    "query MailboxThere($id: ID!) { organization { ingressMailbox(ref: {id: $id}) { uuid } } }"
)
PAGED = "pageInfo { hasNextPage endCursor }"


def _ref(call: Call) -> dict[str, Any]:
    return {"mailbox": {"id": call.path["id"]}}


def _paging(call: Call) -> dict[str, Any]:
    return {name: call.query[name] for name in ("first", "after") if name in call.query}


def _page(found: Any, shape: Shape, call: Call) -> dict[str, Any]:
    info = found["pageInfo"]
    return envelope(
        [shape.write(node) for node in found["nodes"]],
        call,
        next_cursor=info["endCursor"] if info["hasNextPage"] else None,
    )


def _issued(payload: Any) -> dict[str, Any]:
    return ISSUED.write({**payload["ingressMailbox"], "secret": payload["secret"]})


def _changed(name: str, *, secret: str = "") -> Document:
    title = name[0].upper() + name[1:]
    return Document(
        f"mutation Rest{title}($input: {title}Input!) {{ {name}(input: $input) "
        f"{{ {secret} ingressMailbox {MAILBOX.selection()} }} }}"
    )


LISTED = list_params(sorts={"created_at": False}, usual="created_at")
NEWEST = list_params(sorts={"-created_at": True}, usual="-created_at")

ROUTES = (
    CompatRoute(
        method="GET",
        path=PATH,
        source=SOURCE,
        summary="List ingress mailboxes",
        permission=Permission.READ_PROJECTS,
        query=LISTED,
        document=Document(
            "query RestMailboxes($first: Int, $after: String) { organization "
            "{ ingressMailboxes(first: $first, after: $after) "
            f"{{ nodes {MAILBOX.selection()} {PAGED} }} }} }}"
        ),
        variables=_paging,
        answer=lambda data, call: _page(data["organization"]["ingressMailboxes"], MAILBOX, call),
        shape=MAILBOX,
        is_list=True,
    ),
    CompatRoute(
        method="POST",
        path=PATH,
        source=SOURCE,
        summary="Create an ingress mailbox",
        permission=Permission.WRITE_PROJECTS,
        body=CREATE,
        document=_changed("createIngressMailbox", secret="secret"),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: _issued(data["createIngressMailbox"]),
        shape=ISSUED,
        status=201,
        refusals=(ErrorCode.NOT_FOUND, ErrorCode.RATE_LIMITED),
    ),
    CompatRoute(
        method="GET",
        path=f"{PATH}/{{id}}",
        source=SOURCE,
        summary="Get an ingress mailbox",
        permission=Permission.READ_PROJECTS,
        ids=BY_ID,
        document=Document(
            "query RestMailbox($id: ID!) { organization { ingressMailbox(ref: {id: $id}) "
            f"{MAILBOX.selection()} }} }}"
        ),
        variables=lambda call: {"id": call.path["id"]},
        answer=lambda data, call: MAILBOX.write(data["organization"]["ingressMailbox"]),
        shape=MAILBOX,
    ),
    CompatRoute(
        method="PUT",
        path=f"{PATH}/{{id}}",
        source=SOURCE,
        summary="Change an ingress mailbox",
        permission=Permission.WRITE_PROJECTS,
        ids=BY_ID,
        target=THERE,
        body=UPDATE,
        document=_changed("updateIngressMailbox", secret="secret"),
        variables=lambda call: {"input": {**_ref(call), **call.body}},
        answer=lambda data, call: _issued(data["updateIngressMailbox"]),
        shape=ISSUED,
        refusals=(ErrorCode.RATE_LIMITED,),
    ),
    CompatRoute(
        method="POST",
        path=f"{PATH}/{{id}}/look",
        source=SOURCE,
        summary="Look into the account of an ingress mailbox now",
        permission=Permission.WRITE_PROJECTS,
        ids=BY_ID,
        document=_changed("lookIntoIngressMailbox"),
        variables=lambda call: {"input": _ref(call)},
        answer=lambda data, call: MAILBOX.write(data["lookIntoIngressMailbox"]["ingressMailbox"]),
        shape=MAILBOX,
        status=202,
        refusals=(ErrorCode.CONFLICT, ErrorCode.RATE_LIMITED),
    ),
    CompatRoute(
        method="GET",
        path=f"{PATH}/{{id}}/mails",
        source=SOURCE,
        summary="List what came into an ingress mailbox",
        permission=Permission.READ_MESSAGES,
        ids=BY_ID,
        query=NEWEST,
        document=Document(
            "query RestMails($id: ID!, $first: Int, $after: String) { organization "
            "{ ingressMails(mailbox: $id, first: $first, after: $after) "
            f"{{ nodes {MAIL.selection()} {PAGED} }} }} }}"
        ),
        variables=lambda call: {"id": call.path["id"], **_paging(call)},
        answer=lambda data, call: _page(data["organization"]["ingressMails"], MAIL, call),
        shape=MAIL,
        is_list=True,
    ),
    CompatRoute(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        source=SOURCE,
        summary="Delete an ingress mailbox",
        permission=Permission.WRITE_PROJECTS,
        ids=BY_ID,
        document=Document(
            "mutation RestDeleteMailbox($input: DeleteIngressMailboxInput!) "
            "{ deleteIngressMailbox(input: $input) { ingressMailbox { uuid } } }"
        ),
        variables=lambda call: {"input": _ref(call)},
        answer=lambda data, call: DELETED.write(
            {"id": data["deleteIngressMailbox"]["ingressMailbox"]["uuid"], "deleted": True}
        ),
        shape=DELETED,
    ),
)
