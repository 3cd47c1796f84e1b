"""Greylisting: how mail from outside is put off, and what comes of it."""

from datetime import timedelta
from typing import Any

from ...core import clock
from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown

PERIODS = {
    "24h": (N_("24 hours"), timedelta(hours=24)),
    "7d": (N_("7 days"), timedelta(days=7)),
    "30d": (N_("30 days"), timedelta(days=30)),
}
NUMBERS = {
    "delay": "delaySeconds",
    "window": "retryWindowSeconds",
    "age": "maxAgeSeconds",
    "passes": "autoAllowAfter",
}
"""What the form calls each number, and what the schema does."""
ANSWERS = {"": None, "yes": True, "no": False}


def _period(call: Call) -> str:
    asked = call.query.get("period", "")
    return asked if asked in PERIODS else "24h"


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    own = found["greylistingConfig"]["own"]
    kept = {name: own[field] for name, field in NUMBERS.items()}
    kept |= {name: own[name] for name in ("enabled", "reports")}
    words = {None: "", True: "yes", False: "no"}
    values = {n: words[v] if v is None or v is True or v is False else v for n, v in kept.items()}
    values["exempt"] = "\n".join(own["exempt"])
    return {
        "config": found["greylistingConfig"],
        "stats": found["greylistingStats"],
        "periods": {name: word for name, (word, _) in PERIODS.items()},
        "period": _period(call),
        "can_change": call.may("security:write"),
        "values": {name: call.form.get(name, value) for name, value in values.items()},
    }


def _since(call: Call) -> dict[str, Any]:
    _, length = PERIODS[_period(call)]
    now = clock.now()
    return {"since": (now - length).isoformat(), "until": now.isoformat()}


GREYLISTING = Page(
    path="/o/{org:str}/security/greylisting",
    title=N_("Greylisting"),
    template="security/greylisting.html",
    document=shown(
        """
        query Greylisting($since: DateTime!, $until: DateTime!) { ...Shell organization {
          greylistingConfig { enabled delaySeconds retryWindowSeconds maxAgeSeconds
            autoAllowAfter ipv4Prefix ipv6Prefix responseCode responseText updatedAt
            exempt { networks domains reports }
            own { enabled delaySeconds retryWindowSeconds maxAgeSeconds autoAllowAfter reports
              exempt } }
          greylistingStats(since: $since, until: $until) {
            inbound { enabled triplets deferred passed expired pending exempted
              autoAllowedClients passRate medianDelaySeconds
              topDeferredNetworks { network deferred } }
            outbound { greylisted deliveredLater stillWaiting failed medianDelaySeconds }
          }
        } }
        """
    ),
    variables=_since,
    view=_view,
)
PAGES = (GREYLISTING,)


def _number(call: Call, name: str) -> int | None:
    text = call.form.get(name, "").strip()
    if not text:
        return None
    # What is no number is refused by the schema, in its words.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _said(call: Call) -> dict[str, Any]:
    asked: dict[str, Any] = {field: _number(call, name) for name, field in NUMBERS.items()}
    for name in ("enabled", "reports"):
        asked[name] = ANSWERS.get(call.form.get(name, ""))
    asked["exempt"] = call.form.get("exempt", "").replace(",", " ").split()
    return {"input": asked}


ACTIONS = (
    Action(
        path="/o/{org:str}/security/greylisting",
        page=GREYLISTING,
        document=Document(
            "mutation SetGreylisting($input: SetGreylistingInput!) "
            "{ setGreylisting(input: $input) { __typename } }"
        ),
        variables=_said,
        names={field: name for name, field in NUMBERS.items()},
        then=lambda data, call: Done(call.link("/security/greylisting", done="saved")),
        form="greylisting",
    ),
)
