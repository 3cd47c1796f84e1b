"""Documents of strangers: parsed, limited, validated and priced once, and kept for a while."""

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
)

from ..core.errors import ErrorCode, OperationError
from . import limits
from .errors import Refusal, places
from .execute import DocumentsBroken
from .limits import Price, Pricing, TooComplex, check_limit
from .schema import CORE
from .untying import parse_untied, take_apart, validate_untied

KEPT_TOKENS = 200_000
"""Of all kept documents together."""
TOKEN_BYTES = 600
"""What a token takes once parsed. The text counts as well, twice: a comment or a string of any
length is one token, which keeps a copy of it."""
MOST_FAULTS = 20
"""Validation errors that one answer names."""
UNKNOWN_HASH = "PersistedQueryNotFound"
"""The words that clients of this protocol wait for before they send the text."""
NO_HASHES = "PersistedQueryNotSupported"
"""The words after which such clients send texts only."""
NOT_TRUSTED = "Only documents that were registered beforehand are taken here."
MISFIT = "The document does not fit the schema here. Sign in to be told why."
"""What a stranger is told of each place that is wrong."""
GAVE_UP = "Validation aborted."
"""What graphql-core says when comparing fields would take too long."""


class Taken(StrEnum):
    """Which documents clients may have run."""

    ANY = "any"
    """Every one; its hash is enough the next time."""
    TEXT = "text"
    """Every one, by its text each time; by its hash those that are trusted."""
    TRUSTED = "trusted"
    """Those that are trusted, and no other."""


class DocumentRefused(Exception):
    """The document cannot run; *refusals* say why."""

    def __init__(self, *refusals: Refusal, names_schema: bool = False) -> None:
        self.refusals = refusals
        self._names_schema = names_schema
        super().__init__(refusals[0].message)

    def told(self, *, may_introspect: bool) -> Sequence[Refusal]:
        """Return the refusals without what whoever may not see the schema would learn of it."""
        if may_introspect or not self._names_schema:
            return self.refusals
        return [replace(refusal, message=MISFIT) for refusal in self.refusals]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document."""

    node: OperationDefinitionNode
    price: Price

    @property
    def label(self) -> str:
        """Its name, or else that of its first field: what a log calls it."""
        if self.node.name is not None:
            return self.node.name.value
        first = self.node.selection_set.selections[0]
        return first.name.value if isinstance(first, FieldNode) else self.node.operation.value

    @property
    def is_mutation(self) -> bool:
        return self.node.operation is OperationType.MUTATION

    @property
    def is_subscription(self) -> bool:
        return self.node.operation is OperationType.SUBSCRIPTION


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that fits the schema and the limits."""

    node: DocumentNode
    operations: dict[str, Operation]
    tokens: int
    """As many as would take its memory."""

    def operation(self, name: str | None) -> Operation:
        """Return the operation of that name, or the only one.

        Raises:
            DocumentRefused: there is no such operation, or several and no name.
        """
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None:
            raise _refused(
                f"The document has {len(self.operations)} operations; say which by operationName."
            )
        if name not in self.operations:
            raise _refused("The document has no operation of the name in operationName.")
        return self.operations[name]


class Documents:
    """Prepared documents by the SHA-256 of their text; those used least are dropped.

    A client may send the hash alone, if the document is trusted, or once some request has
    brought the text.

    Source: https://www.apollographql.com/docs/apollo-server/performance/apq
    """

    def __init__(
        self,
        kept_tokens: int = KEPT_TOKENS,
        *,
        trusted: Mapping[str, str] = MappingProxyType({}),
        takes: Taken = Taken.ANY,
    ) -> None:
        """*trusted* are texts by their SHA-256.

        Raises:
            DocumentsBroken: one of them is not the text of its hash, or does not fit.
        """
        self._takes = takes
        self._trusted = {key: _trusted(key, text) for key, text in trusted.items()}
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._most = kept_tokens
        self._tokens = 0

    def prepared(self, text: str | None, sha256: str | None = None) -> Prepared:
        """Return the document of this text, or of this hash if there is no text.

        Raises:
            DocumentRefused: it does not parse, is beyond a limit, does not fit the schema, is
                not the text of this hash, or no text of this hash is known here.
            OperationError: likewise, for texts that cannot be stored.
        """
        key = sha256 if text is None else digest_of(text)
        if key is None:
            raise _refused("The request has no document.")
        if sha256 is not None and key != sha256:
            raise _refused("sha256Hash is not the hash of the query that came with it.")
        if key in self._trusted:
            return self._trusted[key]
        if self._takes is Taken.TRUSTED:
            raise DocumentRefused(Refusal(ErrorCode.DOCUMENT_NOT_TRUSTED, NOT_TRUSTED))
        if text is None and self._takes is Taken.TEXT:
            raise DocumentRefused(Refusal(ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED, NO_HASHES))
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        if text is None:
            raise DocumentRefused(Refusal(ErrorCode.PERSISTED_QUERY_NOT_FOUND, UNKNOWN_HASH))
        found = prepare(text)
        self._kept[key] = found
        self._tokens += found.tokens
        while self._tokens > self._most and len(self._kept) > 1:
            self._tokens -= self._kept.popitem(last=False)[1].tokens
        return found

    def __len__(self) -> int:
        return len(self._kept)


def _trusted(key: str, text: str) -> Prepared:
    if digest_of(text) != key:
        raise DocumentsBroken(f"{key} is not the SHA-256 of the trusted document\n{text}")
    try:
        return prepare(text)
    except (DocumentRefused, OperationError) as error:
        raise DocumentsBroken(f"{error} in the trusted document\n{text}") from error


def digest_of(text: str) -> str:
    """Return the SHA-256 of a document's text in hexadecimal."""
    # A lone surrogate has no UTF-8 form; it is refused once the text is read.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def prepare(text: str) -> Prepared:
    """Return the document of this text; see `Documents.prepared`."""
    check_limit("characters", found=len(text), most=limits.CHARACTERS)
    node = _parsed(text)
    limits.check_shape(node)
    faults = validate_untied(CORE, node, max_errors=MOST_FAULTS)
    if faults:
        gave_up = faults[0].message == GAVE_UP
        refusals = [_fault(fault) for fault in faults]
        take_apart(node)
        if gave_up:
            raise TooComplex("The document has too many fields that overlap to be checked.")
        raise DocumentRefused(*refusals, names_schema=True)
    pricing = Pricing(CORE, node)
    operations = {
        definition.name.value if definition.name else "": Operation(
            definition, pricing.price(definition)
        )
        for definition in node.definitions
        if isinstance(definition, OperationDefinitionNode)
    }
    if not operations:
        raise _refused("The document has no operation.")
    return Prepared(node, operations, tokens=_weight(node, text))


def _weight(node: DocumentNode, text: str) -> int:
    return (node.token_count or 1) + 2 * sys.getsizeof(text) // TOKEN_BYTES


def _parsed(text: str) -> DocumentNode:
    try:
        return parse_untied(text, max_tokens=limits.TOKENS)
    except GraphQLSyntaxError as error:
        if "tokens" in error.description:
            raise TooComplex(
                f"The document has more than {limits.TOKENS} tokens; at most that many are taken."
            ) from error
        raise DocumentRefused(_fault(error)) from error
    except RecursionError as error:
        raise _refused("The document is nested too deeply to be read.") from error


def _fault(error: GraphQLError) -> Refusal:
    return Refusal(ErrorCode.DOCUMENT_INVALID, error.message, locations=places(error))


def _refused(message: str) -> DocumentRefused:
    return DocumentRefused(Refusal(ErrorCode.DOCUMENT_INVALID, message))
