"""Scanning: what is looked at for viruses and spam by itself, and a look at one message or file."""

import base64
from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import SHOWN_ONCE, Action, Call, Done, Page, Upload, shown

SWITCHES = {
    "outgoing_virus": (
        "outgoingVirus",
        N_("Outgoing mail, for viruses"),
        N_("What has one bounces."),
    ),
    "outgoing_spam": ("outgoingSpam", N_("Outgoing mail, for spam"), N_("What is spam bounces.")),
    "inbound_virus": ("inboundVirus", N_("Mail from outside, for viruses"), N_("It is refused.")),
    "inbound_spam": ("inboundSpam", N_("Mail from outside, for spam"), N_("It is refused.")),
}
"""What the form calls each, what the schema does, what a person does, and what follows."""
ANSWERS = {"": None, "yes": True, "no": False}
WHEN_DOWN = {"HOLD": N_("is tried again later"), "PASS": N_("goes on without a scan")}
USUAL_THRESHOLD = 5.0
LARGEST_FILE = 26 * 2**20
"""A form with a file of 25 MiB; the schema refuses a larger file in its own words."""
COMPOSED = ("sender", "subject", "text", "html")


def _view(data: Any, call: Call) -> dict[str, Any]:
    policy = data["organization"]["scanPolicy"]
    own = policy["own"]
    words = {None: "", True: "yes", False: "no"}
    kept = {name: words[own[field]] for name, (field, _, _) in SWITCHES.items()}
    kept["threshold"] = "" if own["spamThreshold"] is None else f"{own['spamThreshold']:g}"
    kept["down"] = own["whenDown"] or ""
    kept |= dict.fromkeys((*COMPOSED, "raw"), "")
    kept["limit"] = f"{USUAL_THRESHOLD:g}"
    return {
        "policy": policy,
        "switches": SWITCHES,
        "when_down": WHEN_DOWN,
        "can_change": call.may("security:write"),
        "can_scan": call.may("security:scan"),
        "values": {name: call.form.get(name, value) for name, value in kept.items()},
    }


SCANNING = Page(
    path="/o/{org:str}/security/scanning",
    title=N_("Scanning"),
    template="security/scanning.html",
    document=shown(
        """
        query Scanning { ...Shell organization { scanPolicy {
          outgoingVirus outgoingSpam inboundVirus inboundSpam spamThreshold whenDown
          own { outgoingVirus outgoingSpam inboundVirus inboundSpam spamThreshold whenDown }
        } } }
        """
    ),
    view=_view,
)
PAGES = (SCANNING,)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        # What is no number is refused by the schema, in its words.
        return 0.0


def _policy(call: Call) -> dict[str, Any]:
    asked: dict[str, Any] = {
        field: ANSWERS.get(call.form.get(name, "")) for name, (field, _, _) in SWITCHES.items()
    }
    threshold = call.form.get("threshold", "").strip()
    asked["spamThreshold"] = _number(threshold) if threshold else None
    down = call.form.get("down", "")
    asked["whenDown"] = down if down in WHEN_DOWN else None
    return {"input": asked}


def _message(call: Call) -> dict[str, Any]:
    """Return a whole message if there is one, or else what one is composed of."""
    limit = call.form.get("limit", "").strip()
    asked: dict[str, Any] = {"threshold": _number(limit) if limit else USUAL_THRESHOLD}
    if raw := call.form.get("raw", ""):
        # Browsers send lines of forms with CRLF, as mail has them.
        return {"input": asked | {"raw": base64.b64encode(raw.encode()).decode()}}
    asked |= {name: call.form.get(name, "") or None for name in ("subject", "text", "html")}
    return {"input": asked | {"from": call.form.get("sender", "").strip() or None}}


def _file(call: Call) -> dict[str, Any]:
    found = call.files.get("file") or Upload("", b"")
    content = base64.b64encode(found.content).decode()
    return {"input": {"filename": found.filename or "file", "content": content}}


ACTIONS = (
    Action(
        path="/o/{org:str}/security/scanning",
        page=SCANNING,
        document=Document(
            "mutation SetScanPolicy($input: SetScanPolicyInput!) "
            "{ setScanPolicy(input: $input) { __typename } }"
        ),
        variables=_policy,
        names={"spamThreshold": "threshold"},
        then=lambda data, call: Done(call.link("/security/scanning", done="saved")),
        form="policy",
    ),
    Action(
        path="/o/{org:str}/security/scanning/message",
        page=SCANNING,
        document=Document(
            """
            mutation ScoreMessage($input: CheckSpamInput!) { scored: checkSpam(input: $input) {
              score threshold verdict engine engineVersion creditsConsumed durationMs
              rules { name score description } suggestions { message }
            } }
            """
        ),
        variables=_message,
        names={"from": "sender", "threshold": "limit"},
        then=lambda data, call: SHOWN_ONCE,
        form="message",
    ),
    Action(
        path="/o/{org:str}/security/scanning/file",
        page=SCANNING,
        document=Document(
            """
            mutation ScanOneFile($input: ScanFileInput!) { scanned: scanFile(input: $input) {
              verdict threats { name } filename sizeBytes sha256 engine engineVersion
              signaturesUpdatedAt creditsConsumed durationMs
            } }
            """
        ),
        variables=_file,
        names={"filename": "file", "content": "file"},
        then=lambda data, call: SHOWN_ONCE,
        form="file",
        largest=LARGEST_FILE,
    ),
)
