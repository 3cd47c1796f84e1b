"""The areas joined into one schema."""

from typing import Annotated, Any

import strawberry
from graphql import (
    GraphQLCompositeType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLResolveInfo,
    GraphQLSchema,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
)
from strawberry.printer import print_schema
from strawberry.schema.config import StrawberryConfig

from ..core.errors import DetailCode, ErrorCode, NotAuthenticated, NotFound
from . import (
    accounts,
    analytics_files,
    api_keys,
    auto_blocks,
    billing_changes,
    blocklists,
    bulk,
    credit_changes,
    deployment,
    domain_changes,
    domain_tls,
    erasures,
    exports,
    greylisting,
    ingress_changes,
    lenient_sending,
    nodes,
    overseeing,
    passkeys,
    personal_sending,
    platform_admins,
    providers,
    queues,
    removals,
    resending,
    scanning,
    second_factors,
    sending,
    sessions,
    simulating,
    subscriptions,
    suppression_imports,
    suppressions,
    template_changes,
    tls_requirements,
    tracking,
    users,
    viewer,
    vmta_changes,
    webhook_changes,
)
from . import enums as _enums  # noqa: F401 it describes those of core
from .context import Info, actor_of
from .inputs import compile_inputs
from .nodes import LARGEST_LIST, Node
from .organization import Organization
from .scalars import SCALARS


@strawberry.type(description="Everything that can be read.")
# One line for each area with root fields, in alphabetical order.
class Query(
    passkeys.Query,
    deployment.Query,
    overseeing.Query,
    platform_admins.Query,
    providers.Query,
    users.Query,
    viewer.Query,
):
    @strawberry.field(
        description="The organization that the credential acts for. With a slug, it is found "
        "only if the slug is its own: `switchOrganization` gives a token for another one."
    )
    async def organization(
        self,
        info: Info,
        slug: Annotated[
            str | None, strawberry.argument(description="Lower-case name of the organization.")
        ] = None,
    ) -> Organization:
        found = Organization(uuid=actor_of(info).organization_id)
        if slug is not None and slug != await found.slug(info):
            raise NotFound
        return found

    @strawberry.field(
        description="The object with this global id; null if there is none in your organization."
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="A global id.")],
    ) -> Node | None:
        actor_of(info)
        return await nodes.find_node(info, id)

    @strawberry.field(
        description=f"The objects with these global ids, at most {LARGEST_LIST}, in the same "
        "order; null in the place of one that is not in your organization."
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="Global ids; repeats are fine.")
        ],
    ) -> list[Node | None]:
        actor_of(info)
        return await nodes.find_nodes(info, ids)


@strawberry.type(description="Everything that can be changed.")
# One line for each area, in alphabetical order.
class Mutation(
    accounts.Mutation,
    analytics_files.Mutation,
    api_keys.Mutation,
    auto_blocks.Mutation,
    credit_changes.Mutation,
    billing_changes.Mutation,
    blocklists.Mutation,
    bulk.Mutation,
    domain_changes.Mutation,
    domain_tls.Mutation,
    erasures.Mutation,
    greylisting.Mutation,
    ingress_changes.Mutation,
    exports.Mutation,
    lenient_sending.Mutation,
    passkeys.Mutation,
    overseeing.Mutation,
    personal_sending.Mutation,
    platform_admins.Mutation,
    providers.Mutation,
    queues.Mutation,
    removals.Mutation,
    resending.Mutation,
    scanning.Mutation,
    vmta_changes.Mutation,
    second_factors.Mutation,
    sending.Mutation,
    sessions.Mutation,
    simulating.Mutation,
    suppression_imports.Mutation,
    suppressions.Mutation,
    template_changes.Mutation,
    tls_requirements.Mutation,
    tracking.Mutation,
    users.Mutation,
    webhook_changes.Mutation,
): ...


SCHEMA = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=subscriptions.Subscription,
    types=[ErrorCode, DetailCode],
    config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
)
compile_inputs(SCHEMA)
CORE: GraphQLSchema = SCHEMA._schema
"""The same for graphql-core, which parses, validates and executes."""


def printed() -> str:
    """Return the schema as the committed `schema.graphql` holds it."""
    return print_schema(SCHEMA) + "\n"


def _show_schema(root: Any, info: GraphQLResolveInfo[Any]) -> GraphQLSchema:
    if not info.context.may_introspect:
        raise NotAuthenticated("Sign in to read the schema.")
    return info.schema


def _show_type(root: Any, info: GraphQLResolveInfo[Any], name: str) -> GraphQLNamedType | None:
    # To a stranger no type is there, whether it is or not.
    return info.schema.get_type(name) if info.context.may_introspect else None


def _guard_introspection(core: GraphQLSchema) -> None:
    """Let `__schema` and `__type` ask the context whether they may show the schema."""
    guarded = {
        "__schema": GraphQLField(SchemaMetaFieldDef.type, resolve=_show_schema),
        "__type": GraphQLField(
            TypeMetaFieldDef.type, args=TypeMetaFieldDef.args, resolve=_show_type
        ),
    }
    get_field = core.get_field

    def guarded_field(parent: GraphQLCompositeType, name: str) -> GraphQLField | None:
        if name in guarded:
            return guarded[name] if parent is core.query_type else None
        return get_field(parent, name)

    core.get_field = guarded_field  # type: ignore[method-assign, assignment]


def _tell_one_of(core: GraphQLSchema) -> None:
    """Let graphql-core know of `@oneOf`, so that it validates and coerces by it.

    Strawberry checks it with a rule and an error of its own, which name no field.
    """
    for type_ in core.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            declared = type_.extensions.get("strawberry-definition")
            type_.is_one_of = bool(getattr(declared, "is_one_of", False))


_guard_introspection(CORE)
_tell_one_of(CORE)
