"""The one door: documents run against the schema, for HTTP and for every other edge.

    SEND = Document("mutation ($input: SendMessageInput!) { sendMessage(input: $input) {...} }")
    result = await execute(SEND, {"input": {...}}, context)

The documents of the other edges are constants: parsed at import, checked against the schema
when the app starts, and therefore neither limited nor validated when they run.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

from graphql import DocumentNode, ExecutionResult, parse, validate
from graphql import execute as execute_core
from strawberry.execution import optimized_is_awaitable

from .context import Context
from .errors import Refusal, refusals
from .schema import CORE, SCHEMA

DOCUMENTS: list["Document"] = []
"""Every document constant of the code that has been imported."""


class Document:
    """A GraphQL document that is part of the code, with exactly one operation."""

    __slots__ = ("node", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.node: DocumentNode = parse(text, no_location=True)
        DOCUMENTS.append(self)


@dataclass(frozen=True, slots=True)
class Result:
    """What a document came to: data, errors, or some of both."""

    data: dict[str, Any] | None
    errors: Sequence[Refusal] = ()


class DocumentsBroken(Exception):
    """Documents of the code do not fit the schema; the process must not start."""


def check_documents() -> None:
    """Do nothing if every document of the code fits the schema.

    Raises:
        DocumentsBroken: with each document and what is wrong with it.
    """
    faults = [
        f"{error.message} in\n{document.text}"
        for document in DOCUMENTS
        for error in validate(CORE, document.node)
    ]
    if faults:
        raise DocumentsBroken("\n\n".join(faults))


async def execute(
    document: Document, variables: Mapping[str, Any] | None, context: Context
) -> Result:
    """Run a document of the code for whoever *context* says."""
    return await run(document.node, variables, context)


async def run(
    node: DocumentNode,
    variables: Mapping[str, Any] | None,
    context: Context,
    *,
    operation_name: str | None = None,
) -> Result:
    """Run a parsed document that has been found valid."""
    running = execute_core(
        CORE,
        node,
        context_value=context,
        variable_values=dict(variables or {}),
        operation_name=operation_name,
        is_awaitable=cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable),
        executor_class=SCHEMA.execution_context_class,
        hide_suggestions=True,
        operation_extensions=None,
    )
    outcome = running if isinstance(running, ExecutionResult) else await running
    return Result(outcome.data, refusals(outcome.errors, request_id=context.request_id))
