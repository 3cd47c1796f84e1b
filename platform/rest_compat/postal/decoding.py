"""Postal's parameters: a JSON body with the query merged in, or JSON in the field `params`."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from ..bodies import Request

_decode = msgspec.json.Decoder().decode

MOST_PAIRS = 1_000
"""In a query."""
DEEPEST = 32
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_INNER = re.compile(r"\[([^\[\]]*)\]")
_PARAMS = re.compile(rb"(?:^|&)params=([^&]*)")


class NotJson(ValueError):
    """The body of a request that says it is JSON is none, or its query cannot be read."""


class NotParams(ValueError):
    """The field `params` holds no JSON."""


def read_parameters(request: Request, body: bytes) -> dict[str, Any]:
    """Return the parameters of a request; what is no object is none, and lists hold no nulls.

    Raises:
        NotJson: the body or the query cannot be read.
        NotParams: the field `params` cannot be.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/json"):
        value = _json(body, NotJson) if body.strip() else {}
        found = value if isinstance(value, dict) else {}
        # Where both say something, the query counts.
        found |= read_query(request.query)
    else:
        text = _params(request, content_type, body)
        value = _json(text, NotParams) if text and not text.isspace() else {}
        found = value if isinstance(value, dict) else {}
    return {name: _without_nulls(value) for name, value in found.items()}


def _json(octets: bytes, fault: type[ValueError]) -> Any:
    try:
        return _decode(octets)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise fault(str(error)) from error


def _without_nulls(value: Any) -> Any:
    # Not deeper: no parameter has lists within, and how deep values go is the client's choice.
    return [item for item in value if item is not None] if isinstance(value, list) else value


def _params(request: Request, content_type: str, body: bytes) -> bytes | None:
    """Return the field `params` of a form, or of the query."""
    media = content_type.partition(";")[0].strip().lower()
    found = None
    if media == "multipart/form-data":
        found = _part(body, content_type)
    elif media == "application/x-www-form-urlencoded":
        found = _last(body)
    return found if found is not None else _last(request.query)


def _last(pairs: bytes) -> bytes | None:
    last = None
    for match in _PARAMS.finditer(pairs):
        last = match[1]
    if last is None:
        return None
    return unquote_plus(last.decode("latin-1"), "latin-1").encode("latin-1", "replace")


def _part(body: bytes, content_type: str) -> bytes | None:
    """Return the last part named `params` of a multipart form."""
    _, options = parse_options_header(content_type)
    found: list[bytes] | None = None
    try:
        parser = PushMultipartParser(options.get("boundary", ""), max_segment_count=100)
        for event in (*parser.parse(body), *parser.parse(b"")):
            if isinstance(event, MultipartSegment):
                current: list[bytes] = []
                found = current if event.name == "params" else found
            elif event:
                current.append(bytes(event))
    except MultipartError as error:
        raise NotParams(str(error)) from error
    return None if found is None else b"".join(found)


def read_query(query: bytes) -> dict[str, Any]:
    """Return a query with its names in brackets taken apart: `to[]=a&headers[X]=b`.

    Raises:
        NotJson: a name is a value in one place and a list or an object in another.
    """
    found: dict[str, Any] = {}
    for name, value in _pairs(query):
        match = _KEY.fullmatch(name)
        if match is None:
            continue
        path = [match[1], *_INNER.findall(match[2])]
        if len(path) > DEEPEST:
            raise NotJson("the query is nested too deeply")
        _put(found, path, value)
    return found


def _pairs(query: bytes) -> Iterator[tuple[str, str]]:
    if query.count(b"&") >= MOST_PAIRS:
        raise NotJson("the query has too many parameters")
    for pair in query.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        try:
            yield unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
        except UnicodeDecodeError as error:
            raise NotJson("the query is not UTF-8") from error


def _put(found: dict[str, Any], path: list[str], value: str) -> None:
    """Put *value* where *path* says; an empty step appends to a list."""
    name, *rest = path
    if not rest:
        found[name] = value
        return
    if rest[0] != "":
        inner = found.setdefault(name, {})
        if not isinstance(inner, dict):
            raise NotJson(f"{name} is a value and an object")
        _put(inner, rest, value)
        return
    items = found.setdefault(name, [])
    if not isinstance(items, list):
        raise NotJson(f"{name} is a value and a list")
    if len(rest) == 1:
        items.append(value)
        return
    # `files[][name]=a&files[][data]=b` is one object until a name of it comes again.
    if not items or not isinstance(items[-1], dict) or rest[1] in items[-1]:
        items.append({})
    _put(items[-1], rest[1:], value)
