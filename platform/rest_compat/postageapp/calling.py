"""What all of PostageApp's methods share: how they are called."""

from typing import Any

from ...core.actor import Permission
from ..answers import TEXT, Out, Shape
from ..fields import Fields
from ..route import MIB, Call, CompatRoute, KeyReach
from .decoding import Envelope
from .shapes import SOURCE

BODY_BYTES = 35 * MIB
ANSWER = Shape("PostageAppAnswer", Out("response", TEXT), Out("data", TEXT))
ANY = Fields()
"""A body is read by the dialect, which finds the key in it."""


def envelope_of(call: Call) -> Envelope:
    """Return what the request says."""
    found: Envelope = call.given["envelope"]
    return found


def method(name: str, summary: str, **values: Any) -> CompatRoute:
    """Return the route of a method for a project's key, unless *values* say otherwise."""
    usual: dict[str, Any] = {
        "method": "POST",
        "path": name,
        "source": f"{SOURCE}/{name}",
        "summary": summary,
        "shape": ANSWER,
        "body": ANY,
        "body_limit_bytes": BODY_BYTES,
        "reach": KeyReach.PROJECT,
        "permission": Permission.READ_MESSAGES,
        "is_closed_while_suspended": True,
    }
    return CompatRoute(**{**usual, **values})
