"""How a document is walked: graphql-core's executor, with a short way to plain fields.

A page of a hundred messages is some three thousand fields, and nearly all of them are an
attribute, or a method that takes nothing, of a type that is written as it is. For these
neither an info object nor arguments nor a path of wrappers is needed. An object of which only such
fields are selected is written in one go, and the resolver of a mutation is called as it stands.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Self, TypeGuard

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    default_field_resolver,
    default_type_resolver,
    is_leaf_type,
    is_list_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetails, FieldDetailsList, FragmentDetails
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, Undefined
from strawberry.schema.name_converter import NameConverter
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.field import StrawberryField

from .inputs import NotPlain, argument_converter
from .writing import Read, Reads, Unfit, Writers, leaf


@dataclass(frozen=True, slots=True)
class PlainField:
    """A field whose value is read off its object and written as it is."""

    read: Read
    write: Callable[[Any], Any]
    is_nullable: bool


PlainFields = Mapping[str, Mapping[str, PlainField]]


def plain_fields(schema: GraphQLSchema) -> PlainFields:
    """Return the plain fields of each type of *schema*, by the names of both."""
    return {
        name: {
            field_name: plain
            for field_name, field in type_.fields.items()
            if (plain := _plain(field)) is not None
        }
        for name, type_ in _objects(schema)
    }


def plain_reads(schema: GraphQLSchema) -> Reads:
    """Return how fields are read that need nothing but their object, whatever they hold.

    A type that is one of several is left out, as it is asked of each object whether it is one.
    """
    return {
        name: {
            field_name: read
            for field_name, field in type_.fields.items()
            if (read := _read(field)) is not None
        }
        for name, type_ in _objects(schema)
        if type_.is_type_of is None
    }


def _objects(schema: GraphQLSchema) -> Iterator[tuple[str, GraphQLObjectType]]:
    for name, type_ in schema.type_map.items():
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__"):
            yield name, type_


def shorten(schema: GraphQLSchema, names: NameConverter) -> None:
    """Let resolvers be called without more ado, if their arguments are plain as well."""
    for _, type_ in _objects(schema):
        # There, a resolver makes the events and is not asked for the value of one.
        if type_ is not schema.subscription_type:
            for field in type_.fields.values():
                _shorten(field, names)


def _declared(field: GraphQLField) -> StrawberryField | None:
    declared = field.extensions.get("strawberry-definition")
    if not isinstance(declared, StrawberryField) or declared.extensions:
        return None
    return declared


def _shorten(field: GraphQLField, to_graphql: NameConverter) -> None:
    declared = _declared(field)
    if declared is None or declared.base_resolver is None:
        return
    resolver = declared.base_resolver
    own, *names = resolver.signature.parameters
    if own != "self" or names[:1] != ["info"]:
        return
    given = declared.arguments
    if names[1:] != [argument.python_name for argument in given]:
        return
    try:
        steps = [
            (to_graphql.from_argument(each), each.python_name, argument_converter(each.type))
            for each in given
        ]
    except NotPlain:
        return
    call: Any = resolver.wrapped_func

    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        found = {
            name: arguments[key] if convert is None else convert(arguments[key])
            for key, name, convert in steps
            if key in arguments
        }
        return call(source, strawberry.Info(_raw_info=info, _field=declared), **found)

    field.resolve = resolve


def _read(field: GraphQLField) -> Read | None:
    """Return how a field is read that needs nothing but its object."""
    declared = _declared(field)
    if declared is None or field.args:
        return None
    resolver = declared.base_resolver
    if resolver is None:
        return attrgetter(declared.python_name)
    if list(resolver.signature.parameters) == ["self"] and not resolver.is_async:
        read: Read = resolver.wrapped_func  # type: ignore[assignment]
        return read
    return None


def _plain(field: GraphQLField) -> PlainField | None:
    read = _read(field)
    if read is None:
        return None
    type_, is_nullable = field.type, True
    if isinstance(type_, GraphQLNonNull):
        type_, is_nullable = type_.of_type, False
    if is_leaf_type(type_):
        return PlainField(read, leaf(type_), is_nullable)
    if is_list_type(type_) and isinstance(type_.of_type, GraphQLNonNull):
        item = type_.of_type.of_type
        if is_leaf_type(item):
            return PlainField(read, _written_list(leaf(item)), is_nullable)
    return None


def _written_list(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def written(values: Any) -> Any:
        # A dict would give its keys, and what can be gone through once would be used up.
        if not isinstance(values, list | tuple) or None in values:
            raise Unfit
        return [write(value) for value in values]

    return written


class LeanExecutor(Executor[None]):
    """Executes documents of a schema without `@defer` and `@stream`."""

    operation_extensions = None

    @classmethod
    def of(
        cls,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: VariableValues,
        *,
        root: Any,
        context: Any,
        is_awaitable: Callable[[Any], TypeGuard[Awaitable[Any]]],
    ) -> Self:
        """Return what executes *operation* of a valid document; its variables are coerced."""
        definitions = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        fragments = {name: FragmentDetails(each) for name, each in definitions.items()}
        return cls(
            schema,
            definitions,
            fragments,
            root,
            context,
            operation,
            variables,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=is_awaitable,
            hide_suggestions=True,
        )

    build_resolve_info = StrawberryGraphQLCoreExecutionContext.build_resolve_info
    plain: PlainFields = {}
    writers = Writers({})

    def execute_operation(self, serially: bool | None = None) -> Any:
        """Return the result, or an awaitable of it."""
        node = _only_field(self.operation)
        if node is None:
            return super().execute_operation(serially)
        return self._execute_alone(node)

    async def _execute_alone(self, node: FieldNode) -> Any:
        """Execute the only field there is, for which nothing is collected and nothing awaits."""
        root = self.schema.get_root_type(self.operation.operation)
        assert root is not None
        key = node.alias.value if node.alias else node.name.value
        details, path = [FieldDetails(node, None)], Path(None, key, root.name)
        try:
            value = self.execute_field(root, self.root_value, details, path, None)
            if self.is_awaitable(value):
                value = await value
        except GraphQLError as error:
            self.collected_errors.add(error, None)
            return self.build_response(None)
        return self.build_response({} if value is Undefined else {key: value})

    def build_response(self, data: dict[str, Any] | None) -> Any:
        """Return the result, and let go of everything.

        What resolvers are offered as helpers holds the executor, and that the helpers: until the
        collector came by, a message of megabytes stayed with the variables.
        """
        response = super().build_response(data)
        self.__dict__.pop("async_helpers", None)
        return response

    async def complete_awaitable_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: None,
    ) -> Any:
        """Do what graphql-core's own does, which looks out for a signal that nobody gives."""
        try:
            completed = self.complete_value(
                return_type, field_details_list, info, path, await result, position_context
            )
            if self.is_awaitable(completed):
                completed = await completed
        except Exception as error:  # an edge: told as the error of this field
            self.handle_field_error(error, return_type, field_details_list, path)
            return None
        return completed

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: None,
    ) -> Any:
        """Return how a value is written, or an awaitable of that."""
        if len(field_details_list) == 1:
            write = self.writers.find(return_type, field_details_list[0].node)
            if write is not None:
                try:
                    return write(result)
                except Exception:  # an edge: graphql-core finds it again and tells it
                    pass
        return super().complete_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: None,
    ) -> Any:
        """Return the value of one field, or an awaitable of it."""
        fields = self.plain.get(parent_type.name)
        plain = fields and fields.get(field_details_list[0].node.name.value)
        try:
            if plain:
                value = plain.read(source)
                if value is not None:
                    return plain.write(value)
                if plain.is_nullable:
                    return None
        except Exception:  # an edge: graphql-core finds it again and tells it
            pass
        return super().execute_field(
            parent_type, source, field_details_list, path, position_context
        )


def _only_field(operation: OperationDefinitionNode) -> FieldNode | None:
    """Return the only thing that a query or mutation selects, if it is a plain field."""
    if operation.directives or operation.operation is OperationType.SUBSCRIPTION:
        return None
    selections = operation.selection_set.selections
    first = selections[0]
    if len(selections) != 1 or not isinstance(first, FieldNode) or first.directives:
        return None
    return first
