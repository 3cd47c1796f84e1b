"""PostMTA's scans: how much like spam a message looks, and whether a file is a virus."""

import base64
from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, NUMBER, TIME, Leaf, Many, Out, Shape, word
from ...fields import TEXT, Choice, Field, Fields, ListOf, Number, Object, Text, TextMap
from ...route import MIB, Call, CompatRoute
from ..shapes import SOURCE
from .sending import ATTACHMENT, MAILBOX, MAILBOXES

RULE = Shape("SpamRule", Out("name"), Out("score", NUMBER), Out("description"))
SUGGESTION = Shape(
    "SpamSuggestion",
    Out("code", Leaf({"type": "string", "examples": ["missing_text_part"]})),
    Out("message", Leaf({"type": "string", "examples": ["Add a plain text part."]})),
)
SCORE = Shape(
    "SpamScore",
    Out("score", NUMBER),
    Out("threshold", NUMBER),
    Out("verdict", word("pass", "warn", "fail")),
    Out("is_spam", FLAG),
    Out("engine"),
    Out("rules", Many(RULE)),
    Out("suggestions", Many(SUGGESTION)),
    Out("credits_consumed", INTEGER),
    Out("duration_ms", INTEGER),
)
THREAT = Shape("Threat", Out("name"), Out("file"))
SCAN = Shape(
    "FileScan",
    Out("verdict", word("clean", "infected", "unscannable")),
    Out("infected", FLAG),
    Out("threats", Many(THREAT)),
    Out("filename"),
    Out("size_bytes", INTEGER),
    Out("sha256"),
    Out("engine"),
    Out("engine_version"),
    Out("signatures_updated_at", TIME, maybe=True, about="Null if the engine does not say."),
    Out("credits_consumed", INTEGER),
    Out("duration_ms", INTEGER),
)
ENCODING = Choice({"utf8": "utf8", "base64": "base64"})
MESSAGE = Fields(
    Field("raw", TEXT, "A whole RFC 5322 message; it, or `from` with `html` or `text`."),
    Field("raw_encoding", ENCODING, "How `raw` is written.", default="utf8"),
    Field("from", MAILBOX, "One mailbox.", example="sender@yourdomain.com"),
    Field("to", MAILBOXES, "Mailboxes."),
    Field("subject", Text(longest=998), "No line breaks.", example="Hello"),
    Field("html", TEXT, "At most 5 MiB.", example="<p>Hello!</p>"),
    Field("text", TEXT, "At most 5 MiB."),
    Field("headers", TextMap(50, pairs=True), "Further header fields.", default={}),
    Field("attachments", ListOf(Object(ATTACHMENT), most=20), "Files.", default=[]),
    Field("threshold", Number(), "From which score on it is spam, 1 to 20.", default=5.0),
)
FILE = Fields(
    Field("filename", Text(1, 255), "Its name.", required=True, example="invoice.pdf"),
    Field(
        "content",
        Text(format="base64"),
        "Base64, at most 25 MiB decoded.",
        required=True,
        example="JVBERi0xLjQ=",
    ),
    Field("content_type", TEXT, "It is looked at, and not believed."),
)


def _message(call: Call) -> dict[str, Any]:
    body = {name: value for name, value in call.body.items() if name != "rawEncoding"}
    if "raw" in body and call.body.get("rawEncoding", "utf8") == "utf8":
        body["raw"] = base64.b64encode(body["raw"].encode("utf-8", "surrogatepass")).decode()
    return {"input": body}


def _file(call: Call) -> dict[str, Any]:
    return {"input": {name: call.body[name] for name in ("filename", "content")}}


ROUTES = (
    CompatRoute(
        method="POST",
        path="/api/v1/security/spam-score",
        source=SOURCE,
        summary="Analyze a message's spam score",
        permission=Permission.SCAN,
        body=MESSAGE,
        body_limit_bytes=35 * MIB,
        document=Document(
            "mutation CheckSpam($input: CheckSpamInput!) "
            f"{{ checkSpam(input: $input) {SCORE.selection()} }}"
        ),
        variables=_message,
        answer=lambda data, call: SCORE.write(data["checkSpam"]),
        shape=SCORE,
        refusals=(ErrorCode.INSUFFICIENT_CREDITS, ErrorCode.SCANNER_UNAVAILABLE),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/security/av-scan",
        source=SOURCE,
        summary="Scan an attachment for viruses",
        permission=Permission.SCAN,
        body=FILE,
        body_limit_bytes=35 * MIB,
        takes_file=True,
        document=Document(
            "mutation ScanFile($input: ScanFileInput!) "
            f"{{ scanFile(input: $input) {SCAN.selection()} }}"
        ),
        variables=_file,
        answer=lambda data, call: SCAN.write(data["scanFile"]),
        shape=SCAN,
        refusals=(
            ErrorCode.INSUFFICIENT_CREDITS,
            ErrorCode.PAYLOAD_TOO_LARGE,
            ErrorCode.SCANNER_UNAVAILABLE,
        ),
    ),
)
