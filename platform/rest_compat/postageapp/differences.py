"""What of each of PostageApp's methods is the same, what differs, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compared:
    """One method beside PostageApp's; sentences for its users."""

    same: str
    differs: Sequence[str] = ()


_LOOKED_UP = "The uid, among the arguments or beside them; 404 `not_found` for one that is unknown"
_PAGES = (
    "A page has at most 250 items and there are 400 pages, since counting on is slow for everybody "
    "beyond: whoever wants more asks by dates."
)
_DAYS = (
    "`from` and `to` are days in UTC, both inclusive, and the oldest come first: PostageApp does "
    "not say which."
)
_COUNTED = (
    "`overall` is of the last two years, as long as sums are kept, and days and months are UTC's."
)
_USERS = "Of the users the first 100 are told."
_ANSWER = "PostageApp documents no answer: it is `data.{0}`, with the fields of {1}."
_LIMIT_OF_MAILBOXES = "An organization has at most 100, each of which is looked into in turn."
_SCOPE = "The scope `webhooks:write` is needed as well, because it decides where mail is posted to."

METHODS: Mapping[str, Compared] = {
    "send_message": Compared(
        "Every argument and form of it, the uid and what it does, the order of refusals, and the "
        "answer with an integer `id` and a `url`.",
        (
            "A message has at most 10,000 recipients and 20 files, and each mail at most 25 MiB: "
            "most receivers take no more.",
            "From must be of a verified domain, which is what receivers and DMARC judge.",
            "A recipient who gets no mail is `rejected` at once; one whose values the template "
            "cannot be rendered with is `failed`, because it is rendered where it is sent, and "
            "only the first of them before it is accepted.",
            "Names of variables are compared in lower case, so that camelCase works, too.",
            "Mail to `null.postageapp.com` is kept and counts as delivered, and "
            "`POSTLANE_SINK_DOMAINS` names other such domains: that one is somebody else's.",
        ),
    ),
    "get_message_receipt": Compared(f"{_LOOKED_UP}, which is told without a sentence."),
    "get_message_transmissions": Compared(
        f"{_LOOKED_UP}; the forms of times; `result_message` and `error_message`, which are one "
        "and the same.",
        (
            "Keys are bare addresses, and with `recipient_override` those that were meant: so a "
            "program finds whom it named.",
        ),
    ),
    "message_status": Compared(f"{_LOOKED_UP}; words with a count of zero are left out."),
    "message_delivery_status": Compared(
        f"{_LOOKED_UP}, in a sentence.",
        (
            "Both the word in `response` and the list in `data` are answered, since PostageApp's "
            "page has the one and its clients read the other.",
        ),
    ),
    "get_recipients_list": Compared(
        f"{_LOOKED_UP}; every count is there.",
        (
            "What is told is of this message, not of all mail to the address, which would be "
            "looked through. `score` is 50, and 10 more for delivery, 20 each for an open and a "
            "click; 25 after a soft bounce, and none for who gets no mail: PostageApp does not "
            "say how it counts.",
        ),
    ),
    "get_messages": Compared(
        "An object by uid, empty where there is nothing; times without a fraction.",
        (_PAGES, "The newest come first, which PostageApp does not say."),
    ),
    "messages_history": Compared(
        "The arguments and the list key of `messages_history_detailed`.",
        (
            _DAYS,
            _PAGES,
            "PostageApp names it without describing it: a row is a message, with `message_id`, "
            "`uid`, `status` and `created_at`.",
        ),
    ),
    "messages_history_detailed": Compared("Rows and their fields.", (_DAYS, _PAGES)),
    "get_metrics": Compared(
        "Four periods of eight series of five numbers; `response.message` is `metrics`.",
        (
            "Periods are UTC's and weeks begin on Monday: PostageApp does not say. What was sent "
            "in the last seconds may be missing, because sums are written apart from mail. "
            "`queued` is what of the period has no end yet.",
        ),
    ),
    "get_suppression_list": Compared(
        "An object by address, empty where there is nothing.",
        (
            "It has the newest 10,000: it has no pages, and more would be no answer in time. "
            "`suppressions` in GraphQL has all.",
            "What does not end has `blocked_until` `9999-12-31T23:59:59Z`, as programs read a "
            "time there. `manual` and `erased` are `opt_out`, for want of a word.",
        ),
    ),
    "get_account_info": Compared(
        "Fields and their types, with either key.",
        (
            "With a project's key it counts the project's mail only: that is all the key may see.",
            _COUNTED,
            _USERS,
        ),
    ),
    "get_project_info": Compared("Fields and their types.", (_COUNTED, _USERS)),
    "get_method_list": Compared(
        "One text, in alphabetical order.",
        ("It names the methods that are here; `test_error` is not told, as there.",),
    ),
    "create_project": Compared(
        "Fields, which of them are required, and 412 for a uid that is taken.",
        (
            _ANSWER.format("project", "the project and its `api_key`"),
            "The key is told this once, for only its hash is kept. An organization has at most "
            "100 keys.",
            "`unsubscribe_header` makes the project's mail marketing: whoever unsubscribes gets "
            "none of it any more, and would otherwise go on getting it.",
        ),
    ),
    "update_project": Compared(
        "`id` or `uid` selects; with both, `uid` is the new one.",
        (_ANSWER.format("project", "the project; `api_key` is null"),),
    ),
    "delete_project": Compared(
        "`id` or `uid` selects, and `id` before the other.",
        (
            "It archives: the key is refused and the uid is free, while messages stay readable as "
            "long as they are kept, for whoever has to account for them.",
        ),
    ),
    "list_projects": Compared(
        "With an account's key.",
        (_ANSWER.format("projects", "each project; `api_key` is null"),),
    ),
    "create_mailbox": Compared(
        "Fields, their defaults, and which of them are required.",
        (
            _ANSWER.format("mailbox", "the mailbox without its password"),
            "`postback_secret`, which signs what is posted, is told this once.",
            "What is in a mailbox when it is made is not posted, and nothing in it is changed; a "
            "mail has at most 25 MiB. See [Mail that comes in](../ingress.md).",
            _LIMIT_OF_MAILBOXES,
            _SCOPE,
        ),
    ),
    "update_mailbox": Compared(
        "`id` or `uid` selects; `postback_url` may be changed, too.",
        (
            "The password is said again with another host, port or username, and to encrypt no "
            "more, so that nobody has it sent to a server of their own.",
            _ANSWER.format("mailbox", "the mailbox without its password"),
            _SCOPE,
        ),
    ),
    "delete_mailbox": Compared(
        "`id` or `uid` selects, and `id` before the other.",
        ("What has come in and waits to be posted is not posted any more.", _SCOPE),
    ),
    "list_mailboxes": Compared(
        "With an account's key.",
        (_ANSWER.format("mailboxes", "each mailbox without its password"),),
    ),
    "test_error": Compared("It fails, with HTTP 500 and `internal_server_error`."),
}

EVERYWHERE = (
    "A disabled key is `unauthorized`, which tells a stranger less; `locked` is that of a "
    "suspended organization.",
    "There are limits per key, so that one customer does not slow down the others: beyond, HTTP "
    "429 with `Retry-After`; a body over 35 MiB is HTTP 413.",
    "Bodies may be compressed with `Content-Encoding: gzip`, and have at most 35 MiB then as well.",
)
