"""Values that a test cannot know in advance, for comparing whole answers."""

import re


class Like:
    """Equals any text that fits a pattern as a whole."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self._pattern.fullmatch(other) is not None

    def __hash__(self) -> int:
        return hash(self._pattern)

    def __repr__(self) -> str:
        return f"<like {self._pattern.pattern}>"


UUID = Like(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TOKEN = Like(r"[\w-]+\.[\w-]+\.[\w-]+")
KEY = Like(r"pmta_[0-9a-f]{8}_[A-Za-z0-9]{43}")
PREFIX = Like(r"pmta_[0-9a-f]{8}")
DKIM = Like(r"v=DKIM1; k=rsa; p=[A-Za-z0-9+/=]{300,}")
