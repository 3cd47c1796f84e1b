"""Which media type an answer has, by the request's `Accept`.

Source: RFC 9110 section 12.5.1.
"""

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
LONGEST = 2_000
"""Characters of an `Accept` header that are looked at."""


def accepted(accept: str | None) -> str | None:
    """Return the media type to answer with, or None if none of ours is wanted.

    Plain JSON is what `*/*` and silence get; the one asked for by name stands before it.
    """
    if not accept or not accept.strip():
        return JSON
    wishes = [_wish(part) for part in accept[:LONGEST].split(",")]
    best, best_key = None, (0.0, 0)
    for name in (JSON, GRAPHQL_RESPONSE):
        quality, exactness = _quality(name, wishes)
        # Equal wishes by name go to GraphQL's own type, equal wildcards to JSON.
        key = (quality, exactness)
        if quality > 0 and (key > best_key or (key == best_key and exactness == 2)):
            best, best_key = name, key
    return best


def takes_events(accept: str | None) -> bool:
    """Say whether *accept* names server-sent events; `*/*` does not ask for a stream."""
    if not accept or "event-stream" not in accept:
        return False
    wishes = [_wish(part) for part in accept[:LONGEST].split(",")]
    return any(name == "text/event-stream" and quality > 0 for name, quality in wishes)


def _wish(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def _quality(name: str, wishes: list[tuple[str, float]]) -> tuple[float, int]:
    """Return how much *name* is wanted, and how exactly it was named: 2, 1, or 0 for `*/*`."""
    found = (0.0, -1)
    for pattern, exactness in ((name, 2), ("application/*", 1), ("*/*", 0)):
        for wish, quality in wishes:
            if wish == pattern and exactness > found[1]:
                found = (quality, exactness)
    return found
