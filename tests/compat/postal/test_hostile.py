"""Bodies that nobody meant: whatever comes, the answer is one that clients can read."""

import base64
import random
from typing import Any

import pytest

from .world import Server

ODD = (
    None,
    True,
    False,
    0,
    -1,
    2**70,
    1.5,
    "",
    " ",
    "a",
    "a@example.net",
    "A <a@example.net>, B <b@example.net",
    "\r\nBcc: x@example.net",
    "\x00",
    "\u2028<&>",
    "é" * 400,
    "<" * 200 + "(" * 200,
    '"' * 99,
    "=?utf-8?q?=0D=0ABcc:_x?=",
    "@" * 50,
    base64.b64encode(b"From: a@b.example\n\n" + b"\xff\0" * 50).decode(),
    base64.b64encode(b"From: \xff\xfe\nSubject: =?x?b?!!?=\n").decode(),
    [],
    {},
    [None],
    [[]],
    [{}],
    {"a": {"b": []}},
    [{"name": 1, "data": "YQ=="}],
    [{"name": "\r\n", "data": {}, "content_type": []}],
    {"X-A": None, "X-B": [], "X:C": "1", "": "", "Content-Type": "x", "Date": "y", "To": "<<<"},
    ["a@example.net"] * 60,
    ["status", 5, None, "raw_message"],
)
NAMES = {
    "send/message": (
        "to cc bcc from sender subject tag reply_to plain_body html_body bounce headers attachments"
    ).split(),
    "send/raw": ["rcpt_to", "mail_from", "data", "bounce"],
    "messages/message": ["id", "_expansions"],
    "messages/deliveries": ["id"],
}


@pytest.mark.slow
@pytest.mark.parametrize("action", NAMES)
async def test_any_value_in_any_place_is_answered(server: Server, action: str) -> None:
    """A few hundred bodies, the same in every run: some values right, and some odd."""
    dice = random.Random(action)
    id = await server.sent()
    right: dict[str, dict[str, Any]] = {
        "send/message": server.message(),
        "send/raw": {
            "rcpt_to": ["a@example.net"],
            "mail_from": server.sender,
            "data": base64.b64encode(f"From: {server.sender}\r\n\r\nx".encode()).decode(),
        },
        "messages/message": {"id": id, "_expansions": True},
        "messages/deliveries": {"id": id},
    }
    for name in NAMES[action]:
        for value in ODD:
            body = right[action] | {name: value}
            if dice.random() < 0.3:
                body[dice.choice(NAMES[action])] = dice.choice(ODD)

            answer = await server.post(action, body)

            assert answer.status_code == 200, (body, answer.text)
            found = answer.json()
            assert list(found) == ["status", "time", "flags", "data"]
            if found["status"] == "error":
                assert found["data"]["code"] != "Internal", body
            if action.startswith("send/") and (copies := found["data"].get("messages")):
                # What is taken can be built, and read.
                copy = next(iter(copies.values()))
                assert list(await server.read(copy["id"]))[-1] == "activity_entries"
