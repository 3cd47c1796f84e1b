"""Words of English sentences that are not translated: errors, and what commands print."""


def noun_for(count: float, one: str, many: str = "", /) -> str:
    """Return *one* for one thing, else *many*, which has an `s` more if it is not given."""
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str = "", /) -> str:
    """Return how many things there are, such as `1 second` and `2 seconds`."""
    return f"{count} {noun_for(count, one, many)}"
