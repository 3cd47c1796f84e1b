"""What a foreign endpoint is: `CompatRoute`; one request to it: `Call`; refusals of the edge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..core.actor import Permission
from ..core.errors import Detail, ErrorCode
from ..graphql.execute import Document
from .answers import Shape
from .fields import Fields, JsonSchema
from .parameters import Params

MIB = 2**20


class Fault(StrEnum):
    """What a request can get wrong before anybody asks what it wants."""

    INVALID_JSON = "INVALID_JSON"
    INVALID_REQUEST = "INVALID_REQUEST"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"


class Refused(Exception):
    """The answer is a refusal; the dialect puts it into its client's words."""

    def __init__(
        self,
        code: ErrorCode | Fault,
        message: str,
        *,
        details: Sequence[Detail] = (),
        retry_after_seconds: int | None = None,
        headers: Sequence[tuple[str, str]] = (),
        in_our_words: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.retry_after_seconds = retry_after_seconds
        self.headers = tuple(headers)
        self.in_our_words = in_our_words
        """The details name fields as our schema does, not as the client does."""


@dataclass(slots=True)
class Call:
    """What one request asks of a route, read and found well-formed."""

    path: Mapping[str, str]
    """The values in the path, by name."""
    query: dict[str, Any] = field(default_factory=dict)
    """Query parameters as GraphQL variables, by our names."""
    body: dict[str, Any] = field(default_factory=dict)
    """The body as a GraphQL input."""
    given: dict[str, Any] = field(default_factory=dict)
    """Query parameters as the client is shown them, by its own names."""
    mark: str = ""
    """Stands for what the body held that could not be read, for repeats to be known by."""


class KeyReach(StrEnum):
    """How far a key has to reach: what a key of the other kind may not call."""

    PROJECT = "project"
    ORGANIZATION = "organization"


Variables = Callable[[Call], dict[str, Any]]
Answer = Callable[[Any, Call], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatRoute:
    """One foreign endpoint: what it is, what it runs, how it answers, where we learnt it."""

    method: str
    path: str
    """With names in braces: `/api/v1/domains/{id}/verify`."""
    source: str
    """Where the foreign API describes it."""
    summary: str
    document: Document
    variables: Variables
    answer: Answer
    """Makes the body out of the document's data."""
    shape: Shape
    """What the body is, for OpenAPI; of a list, one item."""
    is_list: bool = False
    status: int | Callable[[Any], int] = 200
    statuses: Sequence[int] = (200,)
    """Those there are, if the status depends on the answer."""
    permission: Permission | None = None
    """Asked for before the body is read, so that refusals come in the documented order;
    the operation asks again. None is anybody who signed in."""
    is_closed_while_suspended: bool = False
    """A suspended organization may not even read here."""
    is_public: bool = False
    """No credential is asked for."""
    reach: KeyReach | None = None
    """Which kind of key may call it; None is either."""
    window: str | None = None
    """The limit per network address that its answers tell of."""
    ids: Mapping[str, "IdForm"] = field(default_factory=dict)
    """How each value in the path is written."""
    target: Document | None = None
    """Finds what the path names; run only when the body is wrong, because a wrong path
    is to be told first."""
    query: Params | None = None
    body: Fields | None = None
    body_is_optional: bool = False
    body_limit_bytes: int = MIB
    takes_file: bool = False
    """A multipart form with one file will do, too: as `filename`, `content` and `content_type`."""
    refused: Callable[[Refused, Call], Refused] | None = None
    """Puts a refusal of the document into terms of the request."""
    is_idempotent: bool = False
    """Honours `Idempotency-Key`."""
    refusals: Sequence[ErrorCode] = ()
    """What it may be refused with beyond what every route may."""
    example: JsonSchema | None = None
    differences: Sequence[str] = ()
    """Where we answer otherwise than the foreign API, in sentences for its users."""
    state: str = "complete"


class IdForm(StrEnum):
    """How a value in a path is written; anything else is not found."""

    UUID = "uuid"
    UUID_OR_ME = "uuid_or_me"
    UUID_OR_DOMAIN = "uuid_or_domain"
    ANY = "any"
