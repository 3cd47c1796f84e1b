"""The page that says what of Postal's API is served, and where it differs."""

from collections.abc import Iterator, Sequence

from ..answers import Shape
from ..route import CompatRoute
from .dialect import (
    ACCESS_DENIED,
    HTTP_STATUSES,
    INVALID_KEY,
    NOT_AUTHORISED,
    SUSPENDED,
)
from .routes import METHODS, NO_MESSAGE_FOUND, REFUSALS
from .shapes import SOURCE, STATES

HEAD = f"""# Postal's HTTP API

Written by `make docs` from the routes themselves; do not edit. A whole installation is taken over
as [Moving from Postal](../moving-from-postal.md) says.

The API is that of Postal 3.3, documented at <{SOURCE}>. A client needs another host name and
nothing else: its key goes on standing in `X-Server-API-Key`, in any of the forms that keys have
here. A mail server of Postal's is a project, what it calls a message is a delivery, and what it
calls a delivery is an attempt.

Each action takes {", ".join(f"`{method}`" for method in METHODS)}, with or without `.json` or a
slash behind its path. Parameters are a JSON object with the query merged in, or JSON in the field
`params` of a form or of the query. What is answered is
`{{"status", "time", "flags", "data"}}` with HTTP 200, also for errors.

What is not named as different is the same: parameters and the forms in which they come, the order
of checks, codes and sentences, keys and their order, types and their writing.
"""

EVERYWHERE = (
    "Any host name is served; Postal refuses all but its own. Customers may have names of their "
    "own for it.",
    "A path with two slashes in a row is not there, as in `//api/v1/send/message`: a proxy's rule "
    "for a path would not see it. Take the slash away at the end of the client's host.",
    "A key of an organization that is suspended reads nothing, as with Postal, although it could "
    "over our other APIs.",
    "JSON in `params` that is broken, and values of a wrong type, are a `parameter-error`; Postal "
    "answers HTTP 500, from which no client learns what is wrong. A text with the digits of an "
    "`id` is taken.",
    "There are limits per key, so that one customer does not slow down the others: beyond, HTTP "
    "429 with `Retry-After`, and a body over 35 MiB is HTTP 413. Both have the envelope. Where a "
    "part of the service is down, it is HTTP 503, which clients and proxies try again.",
    "Numbers of messages count in all projects together, so that there are gaps.",
    "A key without the scope for an action is refused as `AccessDenied`. There are no kinds of "
    "keys: one that was for SMTP sends here, too, and reads nothing.",
    "Paths that both APIs have are Postal's where `X-Server-API-Key` is sent, and "
    "[PostMTA's](postmta.md) otherwise.",
)

WEBHOOKS = """## Webhooks

They are webhooks with the format `POSTAL`, made in the dashboard, or with `createWebhook` in
GraphQL as [Webhooks](../webhooks.md#in-postals-format) shows; Postal has no API for them. Their
`events` may be Postal's or ours.

| Postal's | Ours |
|---|---|
| `MessageSent` | `message.delivered` |
| `MessageDelayed` | `message.deferred` |
| `MessageDeliveryFailed` | `message.bounced` in the session, `message.expired` |
| `MessageHeld` | `message.suppressed`; `message.queued` in the sandbox |
| `MessageBounced` | `message.bounced` by a mail that came back |
| `MessageLinkClicked` | `message.clicked` |
| `MessageLoaded` | `message.opened`, unless only a click tells of it |
| `DomainDNSError` | `domain.degraded`, `domain.failed` |

Envelope, keys and their order, both signatures, the number of attempts and their intervals are
Postal's. The public key is at `/.well-known/jwks.json`; `postlane print-postal-key` prints it as
the `p=` value of a DKIM record. Where it differs:

- `SendLimitApproaching` and `SendLimitExceeded` are never sent: there is no limit per hour.
- `DomainDNSError` comes once when a domain breaks and once when it may send no more, instead of
  every hour, since receivers do not need to be told twice. Its `server` is the organization where
  the domain belongs to no project.
- What `simulateDelivery` makes of sandbox mail is told as of live mail, to try receivers with.
- Mail that came back is not kept: `bounce` has the `id` 0, an empty `token` and no subject.
- `details` are sentences of ours.
- `User-Agent` is `Postlane`, and URLs have no user name, because they stand in logs: a header
  `Authorization` does the same, and the import makes it of one.
- The key is not that of a DKIM record: it signs no mail.
- What waits is sent to the URL as it is then, and not while the webhook is off. It is switched off
  when it has failed for five days, but not by `410 Gone`.
- Attempts are kept for 14 days.
"""


def page(routes: Sequence[CompatRoute]) -> str:
    """Return the page: each action with its parameters, the errors, and every difference."""
    actions = list({route.path: route for route in reversed(routes)}.values())[::-1]
    parts = [
        HEAD,
        *(_action(route) for route in actions),
        _errors(),
        _states(),
        WEBHOOKS,
        _differences(),
    ]
    return "\n".join(parts)


def _action(route: CompatRoute) -> str:
    lines = [f"## `{route.path}`", "", f"{route.summary}.", ""]
    lines += ["| Parameter | Required | Meaning |", "|---|---|---|"]
    for declared in route.body.fields if route.body is not None else ():
        needed = "yes" if declared.required else ""
        lines.append(f"| `{declared.name}` | {needed} | {declared.about} |")
    many = "A list of objects" if route.is_list else "An object"
    lines += ["", f"{many} with {_names(route.shape)}.", "", "Where it differs:", ""]
    lines += [f"- {each}" for each in route.differences]
    return "\n".join([*lines, ""])


def _names(shape: Shape) -> str:
    always = [f"`{each.name}`" for each in shape.fields if not each.optional]
    asked = [f"`{each.name}`" for each in shape.fields if each.optional]
    return ", ".join(always) + (f"; when asked for, {', '.join(asked)}" if asked else "")


def _errors() -> str:
    rows = [ACCESS_DENIED, INVALID_KEY, (SUSPENDED, "(none)"), NOT_AUTHORISED, *REFUSALS.values()]
    rows.append(("MessageNotFound", NO_MESSAGE_FOUND))
    lines = ["## Errors", "", "| Code | Sentence |", "|---|---|"]
    lines += [f"| `{code}` | {sentence} |" for code, sentence in rows]
    lines += ["", "`send/raw` says `UnauthenticatedFromAddress` without a sentence."]
    lines += ["What is missing is a `parameter-error`: a sentence and no code."]
    lines += ["", "HTTP is 200 but for these refusals, which Postal does not know:", ""]
    lines += [f"- `{code.value}`: {status}" for code, status in HTTP_STATUSES.items()]
    return "\n".join([*lines, ""])


def _states() -> str:
    lines = ["## Statuses", "", "| Postal's | Ours |", "|---|---|"]
    found: dict[str, list[str]] = {}
    for ours, theirs in STATES.items():
        found.setdefault(theirs, []).append(f"`{ours.lower()}`")
    lines += [f"| `{theirs}` | {', '.join(ours)} |" for theirs, ours in found.items()]
    lines += [
        "",
        "Mail of the sandbox is `Held` until somebody says what becomes of it. What was delivered "
        "and came back later is `Bounced`. `Processed` and `Error` are never said.",
    ]
    return "\n".join([*lines, ""])


def _differences() -> str:
    lines: Iterator[str] = (f"- {each}" for each in EVERYWHERE)
    return "\n".join(["## Differences of all actions", "", *lines, ""])
