"""A call as its receiver has it, checked step by step: is it one of ours, and if not, why not.

What would be right is not said: whoever may try a webhook has not been told its secret.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.errors import DetailCode, InvalidInput
from .postageapp import FORMATS
from .postageapp import signature as postageapp_signature
from .postal_keys import postal_key
from .postal_signing import PostalKey
from .rules import LARGEST_BODY, PayloadFormat
from .signing import signature, written
from .tables import Webhook
from .targets import signing_of

TOLERANCE = timedelta(minutes=5)
"""By how much a call may be older or newer than now.

Source: the reference libraries of Standard Webhooks.
"""
MOST_HEADERS = 100
MOST_FIELDS = 1_000
"""Of a form; a call of ours has few."""
STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
POSTAL_HEADERS = {"x-postal-signature-256": "SHA-256", "x-postal-signature": "SHA-1"}
LATEST = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


class Part(StrEnum):
    """What is looked at."""

    HEADERS = "headers"
    TIME = "time"
    KEY = "key"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Step:
    """One look; what comes behind a step that failed may not have been looked at."""

    part: Part
    passed: bool
    told: str


@dataclass(frozen=True, slots=True)
class Received:
    """A call as its receiver got it."""

    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Return what a header says, or nothing; of several of one name the last."""
        found = [value for each, value in self.headers if each.strip().lower() == name]
        return found[-1].strip() if found else ""


async def check_call(actor: Actor, webhook: Webhook, received: Received) -> Sequence[Step]:
    """Return what a receiver would find that checks the call with what the webhook signs with.

    Raises:
        InvalidInput: it is larger than a call can be.
        SealBroken: the secrets were sealed with another secret key.
    """
    actor.require(Permission.WRITE_WEBHOOKS)
    if len(received.headers) > MOST_HEADERS:
        message = f"At most {MOST_HEADERS} headers are looked at."
        raise InvalidInput.of("headers", DetailCode.TOO_MANY, message)
    if len(received.body) > LARGEST_BODY:
        message = f"A call has at most {LARGEST_BODY:,} bytes."
        raise InvalidInput.of("body", DetailCode.TOO_LONG, message)
    if webhook.format == PayloadFormat.POSTAL:
        return postal_steps(received, await postal_key())
    secrets = signing_of(webhook)
    if webhook.format in FORMATS:
        return postageapp_steps(received, written(secrets[0]))
    return standard_steps(received, secrets, now=clock.now())


def standard_steps(
    received: Received, secrets: Sequence[bytes], *, now: datetime
) -> Sequence[Step]:
    """Check as Standard Webhooks say; *secrets* has the newest first."""
    missing = [name for name in STANDARD_HEADERS if not received.header(name)]
    if missing:
        return [Step(Part.HEADERS, False, f"There is no {' and no '.join(missing)}.")]
    id, stamp, given = (received.header(name) for name in STANDARD_HEADERS)
    steps = [Step(Part.HEADERS, True, f"All three are there; the event is {id[:100]}.")]
    if not _is_moment(stamp):
        return [*steps, Step(Part.TIME, False, "webhook-timestamp is no time in Unix seconds.")]
    sent_at = datetime.fromtimestamp(int(stamp), UTC)
    steps.append(_time(sent_at, now))

    def which(body: bytes) -> int | None:
        for nth, secret in enumerate(secrets):
            right = signature(secret, id=id, timestamp=int(stamp), body=body)
            if any(_same(right, each) for each in given.split()):
                return nth
        return None

    nth = which(received.body)
    if nth is not None:
        word = "the secret" if nth == 0 else "the secret before, which signs for a while yet"
        told = f"It is right for {len(received.body):,} bytes, made with {word}."
        return [*steps, Step(Part.SIGNATURE, True, told)]
    if not any(each.startswith("v1,") for each in given.split()):
        return [*steps, Step(Part.SIGNATURE, False, "No signature begins with v1, a comma.")]
    return [*steps, Step(Part.SIGNATURE, False, _why_not(received.body, which))]


def postal_steps(received: Received, key: PostalKey) -> Sequence[Step]:
    """Check as receivers that were made for Postal do."""
    found = {name: received.header(name) for name in POSTAL_HEADERS if received.header(name)}
    if not found:
        return [Step(Part.HEADERS, False, f"There is no {' and no '.join(POSTAL_HEADERS)}.")]
    steps = [Step(Part.HEADERS, True, f"{' and '.join(found)} are there.")]
    named = received.header("x-postal-signature-kid")
    if named:
        is_ours = named == key.id
        told = "It is named and ours." if is_ours else "Another key is named than signs now."
        steps.append(Step(Part.KEY, is_ours, told))
    right = [name for name, value in found.items() if key.signed(received.body, value, name)]
    if right:
        words = " and ".join(POSTAL_HEADERS[name] for name in right)
        told = f"It is right for {len(received.body):,} bytes, by {words}."
        return [*steps, Step(Part.SIGNATURE, len(right) == len(found), told)]

    def which(body: bytes) -> int | None:
        return 0 if any(key.signed(body, value, name) for name, value in found.items()) else None

    return [*steps, Step(Part.SIGNATURE, False, _why_not(received.body, which))]


def postageapp_steps(received: Received, secret: str) -> Sequence[Step]:
    """Check as receivers that were made for PostageApp do: the signature is in the body."""
    told = _fields(received.body)
    missing = [name for name in ("timestamp", "token", "signature") if not told.get(name)]
    if missing:
        return [Step(Part.HEADERS, False, f"The body says no {' and no '.join(missing)}.")]
    steps = [Step(Part.HEADERS, True, "The body has a timestamp, a token and a signature.")]
    stamp = str(told["timestamp"])
    if not _is_moment(stamp):
        return [*steps, Step(Part.TIME, False, "The timestamp is no time in Unix seconds.")]
    try:
        right = postageapp_signature(secret, timestamp=int(stamp), token=str(told["token"]))
    except UnicodeEncodeError:
        return [*steps, Step(Part.SIGNATURE, False, "The token is no text: half of a character.")]
    if _same(right, str(told["signature"])):
        return [*steps, Step(Part.SIGNATURE, True, "It is right for timestamp and token.")]
    return [*steps, Step(Part.SIGNATURE, False, _OTHER_SECRET)]


_OTHER_SECRET = (
    "It was not made with the webhook's secret: it is another webhook's, or somebody else made it."
)


def _is_moment(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= LATEST


def _time(sent_at: datetime, now: datetime) -> Step:
    apart = abs(now - sent_at)
    words = f"It was made at {sent_at:%Y-%m-%d %H:%M:%S} UTC"
    if apart <= TOLERANCE:
        return Step(Part.TIME, True, f"{words}, {int(apart.total_seconds())} s from now.")
    minutes = int(TOLERANCE.total_seconds() // 60)
    return Step(
        Part.TIME,
        False,
        f"{words}, more than {minutes} minutes from now: receivers refuse that, so that nobody "
        "sends an old call again.",
    )


def _why_not(body: bytes, which: Any) -> str:
    """Return what would have to be changed of a body for its signature to be right."""
    for words, changed in _changes(body):
        if changed != body and which(changed) is not None:
            return (
                f"It is right for the body {words}: something on the way changed it. Check the "
                "bytes as they came, before anything reads them."
            )
    return (
        "It does not fit: the body was changed, or another secret made it, such as that of another "
        "webhook."
    )


def _changes(body: bytes) -> Sequence[tuple[str, bytes]]:
    """Return what programs that mean well make of a body, undone."""
    found = [
        ("without space at its ends", body.strip()),
        ("with plain line breaks", body.replace(b"\r\n", b"\n")),
    ]
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return found
    compact = json.dumps(read, separators=(",", ":"), ensure_ascii=False)
    return [*found, ("as it was before it was read and written again", _encoded(compact))]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return _form(body)
    return read if isinstance(read, dict) else {}


def _form(body: bytes) -> Mapping[str, str]:
    try:
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in form.items()}


def _same(right: str, given: str) -> bool:
    return hmac.compare_digest(right.encode(), _encoded(given))
