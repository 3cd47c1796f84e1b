"""Bodies that nobody meant: whatever comes, the answer is one that clients can read."""

import random
from typing import Any

import pytest

from .world import Shop

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
    "{{" * 300,
    "{{*}}{{=name}}{{%name}}{{{name}}}",
    "{% for a in range(10**9) %}{% endfor %}",
    '"' * 99,
    "=?utf-8?q?=0D=0ABcc:_x?=",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"a": {"b": []}},
    {"": {"content": "YQ=="}},
    {"a\r\nb": {"content": "YQ==", "content_type": "\r\n"}},
    {"ann@example.net": {"name": {"deep": [1, None, "\x00"]}}},
    {"X-A": None, "X-B": [], "X:C": "1", "": "", "Content-Type": "x", "Date": "y", "To": "<<<"},
    ["a@example.net"] * 60,
)
NAMES = {
    "send_message": (
        "recipients headers content template variables attachments recipient_override uid deliver"
    ).split(),
    "get_messages": ["page", "per_page"],
    "messages_history_detailed": ["from", "to", "page"],
    "get_message_transmissions": ["uid"],
}


@pytest.mark.parametrize("method", NAMES)
async def test_any_value_in_any_place_is_answered(shop: Shop, method: str) -> None:
    """A few hundred bodies, the same in every run: some values right, and some odd."""
    dice = random.Random(method)
    good: dict[str, Any] = shop.message() if method == "send_message" else {}

    for n in range(150):
        arguments = dict(good)
        for name in dice.sample(NAMES[method], dice.randint(1, min(3, len(NAMES[method])))):
            arguments[name] = dice.choice(ODD)
        uid = dice.choice([n, str(n), None, "", dice.choice(ODD)])

        status, found = await shop.call(method, arguments, uid=uid)

        assert status < 500, (arguments, found)


@pytest.mark.parametrize("key", ["arguments", "uid", "api_key"])
async def test_any_value_in_the_envelope_is_answered(shop: Shop, key: str) -> None:
    for value in ODD:
        body = {"api_key": shop.key, "arguments": {"uid": "u"}} | {key: value}

        answer = await shop.post("get_message_receipt", body)

        assert answer.status_code in (401, 404, 406), (value, answer.text)
        assert answer.json()["response"]["status"] != "ok"


async def test_arrays_within_arrays_come_to_an_end(shop: Shop) -> None:
    deep: Any = "ann@example.net"
    for _ in range(400):
        deep = [deep]

    status, _ = await shop.call("send_message", shop.message(deep), uid="u")

    assert status == 200
