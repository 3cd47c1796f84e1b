"""Comparing an answer with what an example shows, generated values aside."""

import json
import re
from typing import Any

TOKENS = {
    "<uuid>": r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "<version>": r"\d+\.\d+\.\d+",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "<text>": r".+",
    "<key>": r"pmta_[0-9a-f]{8}_[A-Za-z0-9]{43}",
    "<prefix>": r"pmta_[0-9a-f]{8}",
    "<dkim>": r"v=DKIM1; k=(rsa|ed25519); p=[A-Za-z0-9+/=]+",
    "<selector>": r"pmta\d{8}",
    "<secret>": r"whsec_[A-Za-z0-9+/]{43}=",
    "<token>": r"[A-Za-z0-9]{16}",
    "<digits>": r"\d+",
    "<lines>": r"(?:[A-Za-z0-9+/=]{1,60}\n)+",
}
AMONG = "<among others>"
"""First in a list of an example: the rest is to be found in the answer, in any place."""
_TOKEN = re.compile("|".join(map(re.escape, TOKENS)))


def filled(value: Any, names: dict[str, str]) -> Any:
    """Return an example with this test's own names in the places kept for them."""
    text = json.dumps(value)
    for name, given in names.items():
        text = text.replace(name, given)
    return json.loads(text)


def differences(expected: Any, found: Any, at: str = "") -> list[str]:
    """Return where *found* is not as the example says; the order of fields counts."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(expected) != list(found):
            return [f"{at}: fields {list(found)} instead of {list(expected)}"]
        return [
            each
            for name, value in expected.items()
            for each in differences(value, found[name], f"{at}.{name}")
        ]
    if isinstance(expected, list) and isinstance(found, list):
        if expected[:1] == [AMONG]:
            return [
                f"{at}: nothing in it is {each!r}"
                for each in expected[1:]
                if all(differences(each, item) for item in found)
            ]
        if len(expected) != len(found):
            return [f"{at}: {len(found)} items instead of {len(expected)}: {found}"]
        pairs = enumerate(zip(expected, found, strict=True))
        return [each for n, (e, f) in pairs for each in differences(e, f, f"{at}[{n}]")]
    if expected == "<number>":
        return [] if type(found) in (int, float) else [f"{at}: {found!r} is no number"]
    if expected == "<integer>":
        return [] if type(found) is int else [f"{at}: {found!r} is no integer"]
    if isinstance(expected, str) and isinstance(found, str):
        return [] if _fits(expected, found) else [f"{at}: {found!r} instead of {expected!r}"]
    same = type(expected) is type(found) and expected == found
    return [] if same else [f"{at}: {found!r} instead of {expected!r}"]


def _fits(expected: str, found: str) -> bool:
    pieces = _TOKEN.split(expected)
    tokens = _TOKEN.findall(expected)
    pattern = "".join(
        re.escape(piece) + (TOKENS[tokens[n]] if n < len(tokens) else "")
        for n, piece in enumerate(pieces)
    )
    return re.fullmatch(pattern, found) is not None
