"""Reading and validating documents so that they go with their last use.

graphql-core ties a document in circles: each token holds the one before and the one after it, and
each rule of the validation holds itself by its methods, and the document. Nobody needs either
afterwards, but both would keep the document until the garbage collector came by, which is seldom:
texts of strangers took several times the memory that kept documents may have.
"""

from collections.abc import Callable
from typing import Any, cast

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    Lexer,
    Node,
    OperationDefinitionNode,
    Source,
    Token,
    TypeInfoVisitor,
    ValidationContext,
    specified_rules,
    validate,
    visit,
)
from graphql.language.parser import Parser
from graphql.validation.validation_context import VariableUsage, VariableUsageVisitor


def parse_untied(text: str, *, max_tokens: int) -> DocumentNode:
    """Return the document of *text*, whose tokens do not know each other.

    Raises:
        GraphQLSyntaxError: it is none, or has more tokens.
        RecursionError: it is nested too deeply.
    """
    lexer = Lexer(Source(text))
    parser = Parser(
        lexer.source, max_tokens=max_tokens, lexer=lexer, allow_empty_selection_sets=False
    )
    first = lexer.token
    try:
        return parser.parse_document()
    finally:
        _cut(first)


def _cut(token: Token | None) -> None:
    while token is not None:
        following, token.prev, token.next = token.next, None, None
        token = following


def take_apart(document: DocumentNode) -> None:
    """Let *document* hold nothing: what validation was looking at when it gave up is still held."""
    waiting: list[Node] = [document]
    while waiting:
        held = vars(waiting.pop())
        for value in held.values():
            several = value if isinstance(value, list | tuple) else [value]
            waiting.extend(each for each in several if isinstance(each, Node))
        held.clear()


def validate_untied(
    schema: GraphQLSchema, document: DocumentNode, *, max_errors: int
) -> list[GraphQLError]:
    """Return what is wrong with *document*, which nothing holds for that afterwards."""
    used: list[Any] = []

    def noted(rule: type[ASTValidationRule]) -> Callable[[ValidationContext], Any]:
        def make(context: ValidationContext) -> ASTValidationRule:
            if not used:
                _let_go_of_usages(context)
                used.extend((context, context._type_info))
            used.append(rule(context))
            made: ASTValidationRule = used[-1]
            return made

        return make

    # A rule is only ever called; that it is a class is nobody's concern.
    rules = cast("list[type[ASTValidationRule]]", [noted(rule) for rule in specified_rules])
    try:
        faults = validate(schema, document, rules, max_errors=max_errors, hide_suggestions=True)
        for fault in faults:
            # Frames that it went through hold what found it.
            fault.__traceback__ = fault.__context__ = fault.__cause__ = None
            fault.original_error = None
        return faults
    finally:
        for each in used:
            each.__dict__.clear()


def _let_go_of_usages(context: ValidationContext) -> None:
    """Let *context* look for variables as it does, and keep no more than what it found."""

    def get_variable_usages(
        node: OperationDefinitionNode | FragmentDefinitionNode,
    ) -> list[VariableUsage]:
        found = context._variable_usages.get(node)
        if found is None:
            fragment = node if isinstance(node, FragmentDefinitionNode) else None
            visitor = VariableUsageVisitor(context._type_info, fragment)
            visit(node, TypeInfoVisitor(context._type_info, visitor))
            found = context._variable_usages[node] = visitor.usages
            visitor.__dict__.clear()
        return found

    context.get_variable_usages = get_variable_usages  # type: ignore[method-assign]
