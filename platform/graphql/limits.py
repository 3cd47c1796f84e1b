"""What a document may ask for: size, depth, aliases and cost, all known before it runs.

Every limit has a number here, and every refusal names the limit and what was sent. The
documents of our own edges are constants and are not measured.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)

from ..core.errors import DetailCode, ErrorCode, InvalidInput, LimitReached
from .variables import LARGEST_ARRAY, text_fault

BODY_BYTES = 35 * 2**20
"""Of a request of somebody who is signed in: a message with its attachments in Base64."""
STRANGERS_BODY_BYTES = 2**20
CHARACTERS = 100_000
"""Of a document."""
TOKENS = 4_000
DEPTH = 20
"""Fields within fields. Relay's and GraphiQL's introspection needs 14."""
ALIASES = 100
FRAGMENTS = 100
SELECTIONS = 1_000
"""Fields and fragment spreads as written."""
REPEATS = 50
"""Fields with fields of their own under one name, wherever they stand: checking whether they
can be merged takes time that grows with the square."""
NESTING = 100
"""Fields and fragments within each other, before the depth is known."""
ROOT_MUTATIONS = 10
COST = 50_000
"""A field costs 1, a mutation 10, and a page as much as its items together; about a second
of work at the most."""
EVENT_COST = 1_000
"""Of one event of a subscription: there may be many in a second."""
EXECUTION_SECONDS = 30.0
ADMISSION_SECONDS = 10.0
"""For finding out who asks; longer means that the database has no time for us."""

MUTATION_COST = 10
PAGE_GUESS = 50
"""Items of a connection when neither `first` nor `last` is given."""
PAGE_LARGEST = 500
LIST_GUESS = 10
"""Items of a list that is not paged."""


class TooComplex(LimitReached):
    """The document is beyond a limit; the message names it."""

    code = ErrorCode.DOCUMENT_TOO_COMPLEX
    message = "The document is beyond a limit."


def check_limit(name: str, *, found: int, most: int) -> None:
    """Do nothing if *found* is at most *most*.

    Raises:
        TooComplex: naming the limit and both numbers.
    """
    if found > most:
        raise TooComplex(f"The document has {found} {name}; at most {most} are taken.")


def check_shape(document: DocumentNode) -> None:
    """Do nothing if the document, as written, is small enough to be validated.

    Raises:
        TooComplex: it has too many aliases, fields or fragments.
        InvalidInput: a text in it cannot be stored, or a list in it is too long.
    """
    aliases = selections = fragments = 0
    repeats: Counter[str] = Counter()
    waiting: list[Node] = list(document.definitions)
    while waiting:
        node = waiting.pop()
        if isinstance(node, FieldNode):
            selections += 1
            aliases += node.alias is not None
            if node.selection_set:
                repeats[(node.alias or node.name).value] += 1
        elif isinstance(node, FragmentSpreadNode | InlineFragmentNode):
            selections += 1
        elif isinstance(node, FragmentDefinitionNode):
            fragments += 1
        elif isinstance(node, StringValueNode):
            if fault := text_fault(node.value):
                raise InvalidInput.of("query", DetailCode.INVALID_FORMAT, fault)
        elif isinstance(node, ListValueNode) and len(node.values) > LARGEST_ARRAY:
            message = f"A list has {len(node.values)} items; at most {LARGEST_ARRAY} are taken."
            raise InvalidInput.of("query", DetailCode.TOO_MANY, message)
        waiting.extend(_children(node))
    most_repeated = max(repeats.values(), default=0)
    check_limit("fields of the same name", found=most_repeated, most=REPEATS)
    check_limit("aliases", found=aliases, most=ALIASES)
    check_limit("fragments", found=fragments, most=FRAGMENTS)
    check_limit("fields and fragment spreads", found=selections, most=SELECTIONS)


def _children(node: Node) -> list[Node]:
    found: list[Node] = []
    for key in node.keys:
        if key == "loc":
            continue
        value = getattr(node, key, None)
        if isinstance(value, Node):
            found.append(value)
        elif isinstance(value, tuple | list):
            found.extend(item for item in value if isinstance(item, Node))
    return found


@dataclass(frozen=True, slots=True)
class Price:
    """What a selection costs: *own*, and *times* the items within.

    *times* is a number, or the variables that the page size is taken from.
    """

    own: int
    times: "int | tuple[str, ...]" = 1
    within: "tuple[Price, ...]" = ()

    def of(self, variables: Mapping[str, Any], known: dict[int, int] | None = None) -> int:
        """Return the cost with these variables."""
        # Fragments are priced once and shared, so that nesting them cannot multiply the work.
        known = {} if known is None else known
        if id(self) not in known:
            inner = sum(price.of(variables, known) for price in self.within)
            known[id(self)] = self.own + self._items(variables) * inner
        return known[id(self)]

    def _items(self, variables: Mapping[str, Any]) -> int:
        if isinstance(self.times, int):
            return self.times
        for name in self.times:
            given = variables.get(name)
            if isinstance(given, int):
                return _page(given)
            if isinstance(given, list):
                return max(len(given), 1)
        return PAGE_GUESS


def _page(size: int) -> int:
    # A size beyond the largest page is refused by the list itself, in better words.
    return min(max(size, 1), PAGE_LARGEST)


class Pricing:
    """Prices the operations of one valid document, and checks their depth."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
        }
        self._priced: dict[str, tuple[Price, int]] = {}

    def price(self, operation: OperationDefinitionNode) -> Price:
        """Return what *operation* costs.

        Raises:
            TooComplex: it goes too deep, or has too many root mutations.
        """
        root = self._schema.get_root_type(operation.operation)
        if root is None:
            raise TooComplex("This schema has no such operations.")
        if operation.operation is OperationType.MUTATION:
            check_limit(
                "mutations", found=len(operation.selection_set.selections), most=ROOT_MUTATIONS
            )
        price, depth = self._set(root, operation.selection_set, 0)
        check_limit("levels of fields", found=depth, most=DEPTH)
        return price

    def _set(
        self, parent: Any, selections: SelectionSetNode | None, level: int
    ) -> tuple[Price, int]:
        check_limit("levels of fields and fragments", found=level, most=NESTING)
        prices: list[Price] = []
        deepest = 0
        for selection in selections.selections if selections else ():
            if isinstance(selection, FieldNode):
                price, depth = self._field(parent, selection, level + 1)
            elif isinstance(selection, FragmentSpreadNode):
                price, depth = self._fragment(selection.name.value, level + 1)
            elif isinstance(selection, InlineFragmentNode):
                on = selection.type_condition
                inner = self._schema.get_type(on.name.value) if on else parent
                price, depth = self._set(inner, selection.selection_set, level + 1)
            else:
                continue
            prices.append(price)
            deepest = max(deepest, depth)
        return Price(0, 1, tuple(prices)), deepest

    def _fragment(self, name: str, level: int) -> tuple[Price, int]:
        if name not in self._priced:
            fragment = self._fragments[name]
            on = self._schema.get_type(fragment.type_condition.name.value)
            self._priced[name] = self._set(on, fragment.selection_set, level)
        return self._priced[name]

    def _field(self, parent: Any, node: FieldNode, level: int) -> tuple[Price, int]:
        definition = self._schema.get_field(parent, node.name.value)
        if definition is None or node.name.value.startswith("__"):
            # Introspection is in memory; its depth is limited all the same.
            depth = self._set(_named(definition), node.selection_set, level)[1]
            return Price(1), depth + 1
        inner, depth = self._set(_named(definition), node.selection_set, level)
        own = _weight(definition, is_mutation=parent is self._schema.mutation_type)
        within = (inner,) if node.selection_set else ()
        return Price(own, _items(definition, node, parent), within), depth + 1


def _named(definition: GraphQLField | None) -> Any:
    return get_named_type(definition.type) if definition else None


def _weight(definition: GraphQLField, *, is_mutation: bool) -> int:
    """Return the `cost` in the field's metadata, else 1, or 10 for a mutation."""
    declared = definition.extensions.get("strawberry-definition")
    cost = getattr(declared, "metadata", {}).get("cost")
    return int(cost) if cost else MUTATION_COST if is_mutation else 1


def _items(definition: GraphQLField, node: FieldNode, parent: Any) -> "int | tuple[str, ...]":
    """Return how often what is within the field is paid: its page size, or a guess."""
    if not is_composite_type(get_named_type(definition.type)):
        return 1
    variables: list[str] = []
    for argument in node.arguments or ():
        if argument.name.value in ("first", "last", "ids"):
            if isinstance(argument.value, IntValueNode):
                return _page(int(argument.value.value[:9]))
            if isinstance(argument.value, ListValueNode):
                return max(len(argument.value.values), 1)
            if isinstance(argument.value, VariableNode):
                variables.append(argument.value.name.value)
    if variables:
        return tuple(variables)
    if "first" in definition.args:
        return PAGE_GUESS
    # The lists of a connection are paid with the connection.
    is_page = isinstance(parent, GraphQLObjectType) and "pageInfo" in parent.fields
    return LIST_GUESS if is_list_type(get_nullable_type(definition.type)) and not is_page else 1
