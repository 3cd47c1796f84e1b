"""What a request of PostageApp's clients says: who asks, for which uid, with which arguments."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from ...core.errors import ErrorCode
from ..route import Refused

_decode = msgspec.json.Decoder().decode
_skip = msgspec.json.Decoder(msgspec.Raw).decode
LONGEST_NAMED = 4_096
"""Octets of a key, and of a uid that is echoed to whoever is not known yet."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")

NOT_JSON = "The posted content is not valid JSON."
NOT_UTF8 = (
    "The posted content is not encoded in UTF8 or contains invalid characters. "
    "Error detected at byte {}."
)


class PostageAppError(Refused):
    """A refusal in PostageApp's words; *uid* is what is echoed instead of the envelope's."""

    def __init__(self, status: str, message: str | None, *, uid: Any = None) -> None:
        super().__init__(ErrorCode.INVALID_INPUT, message or "")
        self.status = status
        self.text = message
        self.uid = uid


def call_error(message: str) -> PostageAppError:
    """Return the refusal of a value whose type is another one, or of an unknown method."""
    return PostageAppError("call_error", message)


class _Head(msgspec.Struct):
    """What of a body says who asks; the rest is checked to be JSON and passed by."""

    api_key: msgspec.Raw = msgspec.Raw(b"null")
    uid: msgspec.Raw = msgspec.Raw(b"null")


_read_head = msgspec.json.Decoder(_Head).decode


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request as far as it was read: the rest once it is known who asks."""

    api_key: str
    uid: Any
    """As it was sent: a string, a number, or None."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    def argument(self, name: str) -> Any:
        """Return a field from where the documentation says it is, or from where clients put it."""
        found = self.arguments.get(name)
        return self.body.get(name) if found is None else found

    @property
    def looked_up(self) -> str | None:
        """The uid that is asked for: the one among the arguments, or else the envelope's."""
        found = self.arguments.get("uid")
        if found is None or found == "":
            found = self.uid
        return uid_text(found)

    @property
    def own(self) -> str | None:
        """The uid that something new is to have: the envelope's, or else that of the arguments."""
        return uid_text(self.uid) or uid_text(self.arguments.get("uid"))


def uid_text(uid: Any) -> str | None:
    """Return a uid as we keep it: 12 and "12" are the same.

    Raises:
        PostageAppError: it is neither a string nor a number.
    """
    if uid is None or uid == "":
        return None
    if isinstance(uid, bool) or not isinstance(uid, str | int | float):
        raise call_error("The uid is neither a string nor a number.")
    return uid if isinstance(uid, str) else msgspec.json.encode(uid).decode()


def read_head(octets: bytes) -> Envelope:
    """Return who a body says to come from, and its uid; nothing else of it is kept.

    Raises:
        PostageAppError: it is not UTF-8, not JSON, no object, or its key is of another type.
    """
    try:
        # Of what is ASCII no copy has to be made to know it.
        if not octets.isascii():
            octets.decode()
    except UnicodeDecodeError as error:
        raise PostageAppError("invalid_utf8", NOT_UTF8.format(error.start)) from error
    if _SURROGATE.search(octets) and (lone := _SURROGATE.search(_PAIR.sub(b"x" * 12, octets))):
        raise PostageAppError("invalid_utf8", NOT_UTF8.format(lone.start()))
    try:
        head = _read_head(octets)
    except msgspec.ValidationError as error:
        _all_of(_skip, octets)
        raise call_error("The posted content is not a JSON object.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PostageAppError("invalid_json", NOT_JSON) from error
    key = _short(head.api_key)
    if key is not None and not isinstance(key, str):
        raise call_error("The api_key is not a string.")
    return Envelope((key or "").strip(), _short(head.uid))


def _short(value: msgspec.Raw) -> Any:
    """Return a value; one that is too long to be what it should be is not decoded."""
    return "" if len(memoryview(value)) > LONGEST_NAMED else _all_of(_decode, value)


def _all_of(read: Callable[[Any], Any], octets: bytes | msgspec.Raw) -> Any:
    try:
        return read(octets)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PostageAppError("invalid_json", NOT_JSON) from error


def read_rest(head: Envelope, octets: bytes) -> Envelope:
    """Return all that the body with *head* says.

    Raises:
        PostageAppError: it holds a number that is none.
    """
    body = _all_of(_decode, octets)
    return replace(head, uid=body.get("uid"), arguments=_arguments(body), body=body)


def _arguments(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments; what is no object is found out once it is known who asks."""
    found = body.get("arguments")
    return found if isinstance(found, dict) else {}


def check_arguments(envelope: Envelope) -> None:
    """Do nothing if the arguments are an object, or what PHP makes of an empty one.

    Raises:
        PostageAppError: they are something else.
    """
    found = envelope.body.get("arguments")
    if found is not None and found != [] and not isinstance(found, dict):
        raise call_error("The arguments are not an object.")
    uid_text(envelope.uid)
    uid_text(envelope.arguments.get("uid"))
