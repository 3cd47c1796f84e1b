"""How a document is walked: graphql-core's executor, with a short way to plain fields.

A page of a hundred messages is some three thousand fields, and nearly all of them are an
attribute, or a method that takes nothing, of a type that is written as it is. For these
neither an info object nor arguments nor a path of wrappers is needed.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Self, TypeGuard

import strawberry
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    default_field_resolver,
    default_type_resolver,
    is_leaf_type,
    is_list_type,
    is_object_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, FragmentDetails
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.field import StrawberryField

Read = Callable[[Any], Any]


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
        for name, type_ in schema.type_map.items()
        if is_object_type(type_) and not name.startswith("__")
    }


def shorten(schema: GraphQLSchema) -> None:
    """Let resolvers that take nothing but the info be called without more ado."""
    for name, type_ in schema.type_map.items():
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__"):
            for field in type_.fields.values():
                _shorten(field)


def _declared(field: GraphQLField) -> StrawberryField | None:
    declared = field.extensions.get("strawberry-definition")
    if not isinstance(declared, StrawberryField) or declared.extensions or field.args:
        return None
    return declared


def _shorten(field: GraphQLField) -> None:
    declared = _declared(field)
    if declared is None or declared.base_resolver is None:
        return
    resolver = declared.base_resolver
    names = [parameter.name for parameter in resolver.signature.parameters.values()]
    if names != ["self", "info"]:
        return
    call: Any = resolver.wrapped_func

    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        return call(source, strawberry.Info(_raw_info=info, _field=declared))

    field.resolve = resolve


def _plain(field: GraphQLField) -> PlainField | None:
    declared = _declared(field)
    if declared is None:
        return None
    resolver = declared.base_resolver
    if resolver is None:
        read: Read = attrgetter(declared.python_name)
    elif list(resolver.signature.parameters) == ["self"] and not resolver.is_async:
        read = resolver.wrapped_func  # type: ignore[assignment]
    else:
        return None
    type_, is_nullable = field.type, True
    if isinstance(type_, GraphQLNonNull):
        type_, is_nullable = type_.of_type, False
    if is_leaf_type(type_):
        return PlainField(read, type_.coerce_output_value, is_nullable)
    if is_list_type(type_) and isinstance(type_.of_type, GraphQLNonNull):
        item = type_.of_type.of_type
        if is_leaf_type(item):
            return PlainField(read, _written_list(item.coerce_output_value), is_nullable)
    return None


def _written_list(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def written(values: Any) -> Any:
        found = [write(value) for value in values]
        if None in found:
            raise TypeError("a list without nulls holds one")
        return found

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
        if not plain:
            return super().execute_field(
                parent_type, source, field_details_list, path, position_context
            )
        try:
            value = plain.read(source)
            if value is not None:
                value = plain.write(value)
            if value is None and not plain.is_nullable:
                raise TypeError(f"{parent_type.name}.{path.key} is null and may not be")
        except Exception as error:  # an edge: told as the error of this field
            field = parent_type.fields[field_details_list[0].node.name.value]
            self.handle_field_error(error, field.type, field_details_list, path)
            return None
        return value
