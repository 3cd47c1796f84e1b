"""Objects written by steps that are worked out once for each selection.

graphql-core collects the fields of every object anew and walks each of them by itself, which for
the receipt of one message was a third of what its request cost. Where nothing is selected but what
is read off its object, the steps are the same every time. What does not go by them is left to it:
it says what is wrong, and where.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    SelectionNode,
    is_leaf_type,
)

from .remembering import Remembered

Read = Callable[[Any], Any]
Write = Callable[[Any], Any]
Reads = Mapping[str, Mapping[str, Read]]
"""How a field is read off its object where nothing else is needed, by the names of its type and
its own."""

_STRICT = frozenset((GraphQLBoolean, GraphQLFloat, GraphQLInt))
"""Types that raise for every exception by themselves, and never come to None."""


class NotPlain(Exception):
    """A selection that is left to graphql-core."""


class Unfit(Exception):
    """A value that is left to graphql-core."""


class Writers:
    """What writes the values of fields, worked out at the first use."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._known: Remembered[Write | None] = Remembered(self._worked_out)

    def find(self, type_: GraphQLOutputType, node: FieldNode) -> Write | None:
        """Return what writes a value of *type_* as *node* selects, None if graphql-core is to.

        What it returns raises whatever it likes where a value does not fit, and changes nothing.
        """
        return None if node.selection_set is None else self._known.of(node, type_)

    def _worked_out(self, node: FieldNode, type_: GraphQLOutputType) -> Write | None:
        try:
            return self._of(type_, node)
        except NotPlain:
            return None

    def _of(self, type_: GraphQLOutputType, node: FieldNode) -> Write:
        if isinstance(type_, GraphQLNonNull):
            return _not_null(self._of_nullable(type_.of_type, node))
        write = self._of_nullable(type_, node)
        return lambda value: None if value is None else write(value)

    def _of_nullable(self, type_: GraphQLOutputType, node: FieldNode) -> Write:
        if isinstance(type_, GraphQLList):
            return _list(self._of(type_.of_type, node))
        if isinstance(type_, GraphQLObjectType) and node.selection_set is not None:
            return self._object(type_, node.selection_set.selections)
        if is_leaf_type(type_):
            return leaf(type_)
        raise NotPlain

    def _object(self, type_: GraphQLObjectType, selections: Sequence[SelectionNode]) -> Write:
        reads = self._reads.get(type_.name, {})
        steps: dict[str, tuple[Read, Write]] = {}
        for selection in selections:
            if not isinstance(selection, FieldNode) or selection.directives or selection.arguments:
                raise NotPlain
            name = selection.name.value
            key = selection.alias.value if selection.alias else name
            if name not in reads or key in steps:
                raise NotPlain
            steps[key] = reads[name], self._of(type_.fields[name].type, selection)
        fields = [(key, *step) for key, step in steps.items()]

        def write(source: Any) -> Any:
            # It may have attributes of the fields' names, as those that tell of a refusal do.
            if isinstance(source, Exception):
                raise Unfit
            return {key: written(read(source)) for key, read, written in fields}

        return write


def _not_null(write: Write) -> Write:
    def written(value: Any) -> Any:
        if value is None or (found := write(value)) is None:
            raise Unfit
        return found

    return written


def _list(write: Write) -> Write:
    def written(values: Any) -> Any:
        if not isinstance(values, list | tuple):
            raise Unfit
        return [write(value) for value in values]

    return written


def leaf(type_: GraphQLLeafType) -> Write:
    """Return what writes values of *type_* as it does itself.

    Strawberry goes through the members of an enum for each value, and a text is what it is. What
    it returns raises for exceptions, which graphql-core raises whatever the type, and never returns
    None.
    """
    coerce: Write = type_.coerce_output_value
    if type_ in _STRICT:
        return coerce

    def write(value: Any) -> Any:
        if isinstance(value, Exception) or (found := coerce(value)) is None:
            raise Unfit
        return found

    if type_ in (GraphQLString, GraphQLID):
        return lambda value: value if type(value) is str else write(value)
    kind = getattr(type_, "wrapped_cls", None)
    if kind is None:
        return write
    names = {member: coerce(member) for member in kind}
    return lambda value: names[value] if type(value) is kind else write(value)
