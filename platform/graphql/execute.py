"""The one door: documents run against the schema, for HTTP and for every other edge.

    SEND = Document("mutation ($input: SendMessageInput!) { sendMessage(input: $input) {...} }")
    result = await execute(SEND, {"input": {...}}, context)

The documents of the other edges are constants: checked against the schema before the app
starts, parsed when they are first needed, and neither limited nor validated when they run.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard, cast

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)
from strawberry.execution import optimized_is_awaitable

from ..core import tenants, tracing
from ..core.errors import ErrorCode, LimitReached, OperationError
from . import fitting, limits
from .coercing import coerced
from .context import Context
from .errors import Refusal, refusals, refuse, refuse_bug
from .executor import LeanExecutor, plain_fields, plain_reads, shorten
from .schema import CORE, SCHEMA
from .variables import check_text, coercion_error
from .writing import Writers

log = logging.getLogger(__name__)

MAY_BE_DONE = (
    "What it was to change is done as a whole or not at all; asking again with the same "
    "idempotency key tells which, and does it once."
)


class Executor(LeanExecutor):
    """The executor for our schema."""

    plain = plain_fields(CORE)
    writers = Writers(plain_reads(CORE))


shorten(CORE, SCHEMA.config.name_converter)

_is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)

DOCUMENTS: list["Document"] = []
"""Every document constant of the code that has been imported."""


class Document:
    """A GraphQL document that is part of the code, with exactly one operation."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fits = False
        """It has been found to fit the schema."""
        DOCUMENTS.append(self)

    @cached_property
    def node(self) -> DocumentNode:
        """The document as it was written."""
        return parse(self.text, no_location=True)

    @cached_property
    def operation(self) -> OperationDefinitionNode:
        """Its operation."""
        return next(d for d in self.node.definitions if isinstance(d, OperationDefinitionNode))

    @property
    def field(self) -> str:
        """The name of its first field, which for a mutation is the operation's."""
        first = self.operation.selection_set.selections[0]
        assert isinstance(first, FieldNode)
        return first.name.value


@dataclass(frozen=True, slots=True)
class Result:
    """What a document came to: data, errors, or some of both."""

    data: dict[str, Any] | None
    errors: Sequence[Refusal] = ()
    ran: bool = False
    """Resolvers were called; else it was refused before."""


class DocumentsBroken(Exception):
    """Documents of the code do not fit the schema; the process must not start."""


def check_documents() -> None:
    """Do nothing if every document of the code fits the schema.

    What was found to fit is not looked at again, not even by the next process: documents and
    schema are constants.

    Raises:
        DocumentsBroken: with each document and what is wrong with it.
    """
    waiting = [document for document in DOCUMENTS if not document.fits]
    known = fitting.noted() if waiting else frozenset()
    found, faults = set(known), []
    for document in waiting:
        digest = fitting.digest_of(document.text)
        errors = [] if digest in known else _faults(document)
        document.fits = not errors
        found.add(digest)
        faults += [f"{error.message} in\n{document.text}" for error in errors]
    if faults:
        raise DocumentsBroken("\n\n".join(faults))
    if found != known:
        fitting.note(found)


def _faults(document: Document) -> Sequence[GraphQLError]:
    try:
        return validate(CORE, document.node)
    except GraphQLError as error:  # it does not parse
        return [error]


async def execute(
    document: Document, variables: Mapping[str, Any] | None, context: Context
) -> Result:
    """Run a document of the code for whoever *context* says."""
    return await run(document.node, document.operation, variables or {}, context)


async def run(
    node: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    context: Context,
    *,
    root: Any = None,
) -> Result:
    """Run an operation of a parsed document that has been found valid.

    *root* is what happened, if it is a subscription. It is stopped when it takes longer than
    `limits.EXECUTION_SECONDS`, and never raises.
    """
    kind = operation.operation.value
    try:
        check_text(variables)
        with tenants.acting_for(context.tenants), tracing.span(f"GraphQL {kind}") as span:
            span.note("graphql.operation.type", kind)
            if operation.name is not None:
                span.note("graphql.operation.name", operation.name.value)
            async with asyncio.timeout(limits.EXECUTION_SECONDS):
                return await _run(node, operation, variables, context, root)
    except OperationError as error:
        return Result(None, [refuse(error)])
    except TimeoutError:
        log.warning("a document ran out of time", extra={"request_id": context.request_id})
        message = f"It took longer than the {limits.EXECUTION_SECONDS:g} seconds it may take."
        if operation.operation is OperationType.MUTATION:
            message += f" {MAY_BE_DONE}"
        return Result(None, [refuse(LimitReached(message, code=ErrorCode.TIME_LIMIT))], ran=True)
    except Exception as error:  # an edge: nothing but a masked answer leaves
        return Result(None, [refuse_bug(error, request_id=context.request_id)], ran=True)


async def _run(
    node: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    context: Context,
    root: Any,
) -> Result:
    executor = _build(node, operation, variables, context, root)
    if isinstance(executor, Result):
        return executor
    running: Any = executor.execute_operation()
    outcome = running if isinstance(running, ExecutionResult) else await running
    return Result(outcome.data, refusals(outcome.errors, request_id=context.request_id), ran=True)


def built(
    node: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    context: Context,
) -> Executor | Result:
    """Return what executes a valid operation, or why it cannot be executed."""
    try:
        check_text(variables)
    except OperationError as error:
        return Result(None, [refuse(error)])
    return _build(node, operation, variables, context, None)


def _build(
    node: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    context: Context,
    root: Any,
) -> Executor | Result:
    # What schema.execute() does besides, parsing, validating and calling extensions, has
    # been done or is not wanted; see docs/decisions.
    values = coerced(CORE, operation, variables)
    if values is not None:
        return Executor.of(
            *(CORE, node, operation, values),
            root=root,
            context=context,
            is_awaitable=_is_awaitable,
        )
    executor: Any = Executor.build(
        CORE,
        node,
        root_value=root,
        context_value=context,
        raw_variable_values=cast("dict[str, Any]", variables),
        operation_name=operation.name.value if operation.name else None,
        is_awaitable=_is_awaitable,
        hide_suggestions=True,
    )
    if isinstance(executor, Executor):
        return executor
    wrong = coercion_error(CORE, operation, variables, names_types=context.may_introspect)
    if wrong is None:
        return Result(None, refusals(executor, request_id=context.request_id))
    return Result(None, [refuse(wrong)])
