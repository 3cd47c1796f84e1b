"""What a call says in PostageApp's formats: an event word, flat facts, and who may trust them.

Three spellings of one thing: JSON 1.1, JSON 1.0, and a form with the keys of 1.0.

Source: https://dev.postageapp.com/features/webhooks, and postageapp-api section 13.
"""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from ..core.markup import encode_json
from ..events.rules import EventType
from .rules import PayloadFormat

TOKEN_BYTES = 51
"""68 characters in base64."""
FORM = "application/x-www-form-urlencoded"

_WORDS: Mapping[str, str] = {
    EventType.MESSAGE_DELIVERED: "delivered",
    EventType.MESSAGE_BOUNCED: "failed",
    EventType.MESSAGE_EXPIRED: "failed",
    EventType.MESSAGE_SUPPRESSED: "failed",
    EventType.MESSAGE_OPENED: "opened",
    EventType.MESSAGE_CLICKED: "clicked",
    EventType.MESSAGE_UNSUBSCRIBED: "unsubscribed",
    EventType.MESSAGE_COMPLAINED: "spammed",
}
KNOWN = frozenset(_WORDS)
"""Types of events that PostageApp may have a word for."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What every call says of the message and of whose it is."""

    account: str
    project: str
    message_id: int
    message_uid: str | None
    recipient: str
    template: str | None
    headers: Sequence[tuple[str, str]]
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What happened, as calls are made of it."""

    type: str
    data: Mapping[str, Any]
    occurred_at: datetime
    facts: Facts


def has_word(type: str, data: Mapping[str, Any]) -> bool:
    """Say whether PostageApp tells of such an event."""
    # Nobody asked for the pixel of an open that only a click tells of.
    return type in KNOWN and not (type == EventType.MESSAGE_OPENED and data.get("implied"))


def word_of(type: str, data: Mapping[str, Any]) -> str:
    """Return PostageApp's word for an event that it has one for."""
    if type == EventType.MESSAGE_BOUNCED and data.get("source") == "dsn":
        return "bounced"
    return _WORDS[type]


def token_of(call_id: uuid.UUID) -> str:
    """Return 68 characters that name a call, the same at every attempt."""
    octets = hashlib.sha512(call_id.bytes).digest()[:TOKEN_BYTES]
    return base64.urlsafe_b64encode(octets).decode()


def signature(secret: str, *, timestamp: int, token: str) -> str:
    """Return what shows that a call is ours: 64 hexadecimal digits."""
    signed = f"{timestamp}{token}".encode()
    return hmac.digest(secret.encode(), signed, hashlib.sha256).hex()


def postageapp_body(told: Told, *, id: uuid.UUID, secret: str, form: PayloadFormat) -> bytes:
    """Return the bytes of the call *id*, the same at every attempt."""
    return _SPELLINGS[form](_flat(told, id, secret), told.facts)


def _flat(told: Told, id: uuid.UUID, secret: str) -> dict[str, Any]:
    facts, data = told.facts, told.data
    timestamp, token = int(told.occurred_at.timestamp()), token_of(id)
    code = data.get("smtp_code")
    found = {
        "event": word_of(told.type, data),
        "account": facts.account,
        "project": facts.project,
        "message_id": facts.message_id,
        "message_uid": facts.message_uid,
        "recipient": facts.recipient,
        "domain": facts.recipient.rpartition("@")[2],
        "template": facts.template,
        "timestamp": timestamp,
        "token": token,
        "signature": signature(secret, timestamp=timestamp, token=token),
        "smtp_code": f"SMTP_{code}" if code is not None else None,
        "smtp_message": data.get("smtp_response") or data.get("reason"),
    }
    if told.type == EventType.MESSAGE_CLICKED:
        found["url"] = data.get("url")
    return found


def _newest(flat: dict[str, Any], facts: Facts) -> bytes:
    headers = [list(pair) for pair in facts.headers]
    return encode_json(
        {**flat, "message_headers": headers, "message_variables": dict(facts.variables)}
    )


def _oldest(flat: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """Return the keys of version 1.0, in which each variable stands beside them."""
    headers = json.dumps([list(pair) for pair in facts.headers], ensure_ascii=False)
    own = {**flat, "message_headers": headers}
    del own["message_id"], own["message_uid"]
    # A variable that is called like a key of ours does not take its place.
    return {**facts.variables, **own}


def _form(flat: dict[str, Any], facts: Facts) -> bytes:
    pairs = [
        (name, value if isinstance(value, str | int) else json.dumps(value))
        for name, value in _oldest(flat, facts).items()
        if value is not None
    ]
    return urlencode(pairs).encode()


_SPELLINGS: Mapping[PayloadFormat, Callable[[dict[str, Any], Facts], bytes]] = {
    PayloadFormat.POSTAGEAPP: _newest,
    PayloadFormat.POSTAGEAPP_1_0: lambda flat, facts: encode_json(_oldest(flat, facts)),
    PayloadFormat.POSTAGEAPP_FORM: _form,
}
FORMATS = frozenset(_SPELLINGS)
