"""The page that says what of PostageApp's API is served, and where it differs."""

from collections.abc import Mapping, Sequence

from ..route import CompatRoute, KeyReach
from .dialect import LOCKED, STATUSES, UNAUTHORIZED, VERSIONS, WRONG_VERSION
from .differences import EVERYWHERE, METHODS
from .shapes import REASONS, SOURCE, STATES

HEAD = f"""# PostageApp's JSON API

Written by `make docs` from the routes themselves; do not edit.

The API is documented at <{SOURCE}>. A client needs another host name and nothing else: its key goes
on standing in the body as `api_key`, in any of the forms that keys have here; `createApiKey` makes
one of 32 letters and digits with the format `POSTAGEAPP`. A key that is bound to one project is a
project's key, one that is not is the account's.

The versions {" and ".join(f"`/{version}/`" for version in VERSIONS)} are one and the same, with or
without `.json` or a slash behind the method. Every method is a `POST`; the body is JSON in UTF-8,
whatever its type says. What is answered is `{{"response", "data"}}`, with HTTP 200 for success
only, and `response.uid` as it was sent.
"""

SENDING = """## How a message is read

- The uid is the envelope's, or else that among the arguments, or else a hash of the arguments. A
  number and its digits are the same. The first message with it wins; it stays taken as long as the
  message is known. A call that was refused takes none.
- `recipients` is a text with commas, whose recipients see each other; an array, or an object with
  each one's variables, whose recipients get mails of their own. Who is there twice gets one.
- Names of variables are compared in lower case; values stand as they are; a name that nobody gives
  leaves nothing. `{{&name}}` escapes for HTML.
- `from` is that of the headers, of the template, or of its layouts; else `mail@` of the
  organization's oldest verified domain.
- `cc` and `bcc` get a mail of their own, too; `to`, `date`, `message-id` and what says how the mail
  is encoded are passed over, and so are fields that are ours to write.
- `text/css` becomes a `<style>` element. A plain string is plain text.
- `template` is the slug of a published template of the project or of all projects, in either
  syntax; content goes where it says `{{*}}` or `{{ content }}`.
- With `deliver: false` it is accepted as sandbox mail, which never leaves.
- What is not on this page is passed over.
"""

WEBHOOKS = """## Webhooks

They are webhooks with the formats `POSTAGEAPP`, `POSTAGEAPP_1_0` and `POSTAGEAPP_FORM`, made with
`createWebhook` in GraphQL as [Webhooks](../webhooks.md#in-postageapps-formats) shows. The keys, and
how the signature is made, are decided here where PostageApp does not document them.
"""


def page(routes: Sequence[CompatRoute]) -> str:
    """Return the page: each method and where it differs, the errors, the words."""
    named = {route.path.rpartition("/")[2]: route for route in routes}
    named.pop("{method}", None)
    parts = [
        HEAD,
        _methods(named),
        SENDING,
        *map(_compared, named),
        _differences(),
        _errors(),
        _words(),
        WEBHOOKS,
    ]
    return "\n".join(parts)


def _methods(routes: Mapping[str, CompatRoute]) -> str:
    keys = {KeyReach.PROJECT: "project", KeyReach.ORGANIZATION: "account", None: "either"}
    lines = ["## Methods", "", "| Method | Answers | Key | Scope |", "|---|---|---|---|"]
    for name, route in routes.items():
        scope = f"`{route.permission.value}`" if route.permission else ""
        link = f"[`{name}`](#{name})"
        lines.append(f"| {link} | {route.summary} | {keys[route.reach]} | {scope} |")
    lines += ["", "Any other name, `test_mail_server` and `test_recipient` among them, is a"]
    lines += ["`call_error`: PostageApp's lists name them, and no page says what they do."]
    return "\n".join([*lines, ""])


def _compared(name: str) -> str:
    found = METHODS[name]
    lines = [f"## `{name}`", "", f"What is the same: {found.same}"]
    if found.differs:
        lines += ["", "Where it differs:", "", *(f"- {each}" for each in found.differs)]
    else:
        lines += ["", "It differs in nothing."]
    return "\n".join([*lines, ""])


def _errors() -> str:
    lines = ["## Errors", "", "| Status | HTTP |", "|---|---|"]
    lines += [f"| `{word}` | {http} |" for word, http in STATUSES.items() if word != "ok"]
    lines += [
        "",
        "They come in this order: version, method of HTTP, UTF-8, JSON, an object, the key, the "
        "method, types, no arguments at all, the uid, and the rest.",
        "",
        f"Of `unauthorized` the sentence is `{UNAUTHORIZED}`, of `locked` `{LOCKED}`, of "
        f"`conflict` `{WRONG_VERSION}`.",
    ]
    return "\n".join([*lines, ""])


def _words() -> str:
    lines = ["## Statuses", "", "| PostageApp's | Ours |", "|---|---|"]
    found: dict[str, list[str]] = {}
    for ours, theirs in STATES.items():
        found.setdefault(theirs, []).append(f"`{ours.lower()}`")
    lines += [f"| `{theirs}` | {', '.join(ours)} |" for theirs, ours in found.items()]
    lines += ["", "| Why it is suppressed | Status | State |", "|---|---|---|"]
    lines += [
        f"| `{ours.lower()}` | `{status}` | `{state}` |"
        for ours, (status, state) in REASONS.items()
    ]
    return "\n".join([*lines, ""])


def _differences() -> str:
    lines = ["## Differences of all methods", "", *(f"- {each}" for each in EVERYWHERE)]
    return "\n".join([*lines, ""])
