"""The gallery: every component that pages are made of, in every state, on one page."""

from typing import Any

from ...core.errors import ErrorCode
from ..page import Call, Page, Trouble, shown
from ..picture import Series, bars, climb

THEMES = ("LIGHT", "DARK")
AT = "2026-03-02T14:05:00Z"
REFUSED = Trouble(
    ErrorCode.INVALID_INPUT,
    "Two of the fields are not right.",
    {"wrong": "This is not an email address.", "wrong-text": "At most 20 characters."},
)
SERIES = (
    Series("Delivered", "delivered", (820, 940, 610, 990)),
    Series("Bounced", "bounced", (12, 9, 70, 4)),
    Series("Refused for now", "deferred", (40, 22, 180, 31)),
)
DELIVERIES = tuple(
    {
        "state": state,
        "domain": "example.net",
        "mxHost": "mx.example.net",
        "reply": reply,
        "nextAttemptAt": AT,
    }
    for state, reply in (
        ("DELIVERED", "250 2.0.0 Taken"),
        ("DEFERRED", "421 4.7.28 Too much mail from this address"),
        ("BOUNCED", "550 5.1.1 There is no such user"),
        ("SUPPRESSED", None),
    )
)


def _view(data: Any, call: Call) -> dict[str, Any]:
    asked = call.query.get("theme", "").upper()
    viewer = data["viewer"]
    if asked in THEMES:
        viewer = viewer | {"preferences": viewer["preferences"] | {"theme": asked}}
    return {
        "viewer": viewer,
        "theme": asked if asked in THEMES else "",
        "at": AT,
        "refused": REFUSED,
        "deliveries": DELIVERIES,
        "bars": bars(SERIES, ["Monday", "Tuesday", "Wednesday", "Thursday"]),
        "climb": climb([(1, 100, 80), (2, 200, 197), (3, 400, 400), (4, 800, None)]),
    }


GALLERY = Page(
    path="/gallery",
    title="Gallery",
    template="gallery/index.html",
    document=shown("query Gallery { ...Shell }"),
    view=_view,
)
PAGES = (GALLERY,)
