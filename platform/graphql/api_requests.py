"""The log of requests with API keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor, ApiKeyId
from ..requests import queries
from ..requests.queries import RequestFilter
from ..requests.rules import Api, Outcome
from ..requests.tables import ApiRequest as RequestRow
from .api_keys import ApiKey, load_api_keys
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection

describe_enum(
    Api,
    "Which API was asked.",
    {
        "GRAPHQL": "GraphQL over HTTP.",
        "REST": "The REST API.",
        "POSTAL": "Postal's API.",
        "POSTAGEAPP": "PostageApp's API.",
    },
)
describe_enum(
    Outcome,
    "What became of a request.",
    {
        "SUCCEEDED": "It was done.",
        "REFUSED": "Something about it was wrong; also where the API answers 200 to that.",
        "FAILED": "It could not be answered, which is no fault of whoever asked.",
    },
    name="ApiRequestOutcome",
)


@strawberry.type(
    description="What was asked with an API key, or several requests that are alike. Bodies, "
    "queries and credentials are not kept."
)
class ApiRequest(Node):
    row: strawberry.Private[RequestRow]

    @strawberry.field(description="UUID of the API key.")
    def api_key_uuid(self) -> UUID:
        return self.row.api_key_id

    @strawberry.field(description="The API key; null if it is deleted.")
    async def api_key(self, info: Info) -> ApiKey | None:
        return await info.context.loaders.load(load_api_keys, self.row.api_key_id)

    @strawberry.field(description="Which API was asked.")
    def api(self) -> Api:
        return Api(self.row.api)

    @strawberry.field(description="Its HTTP method.")
    def method(self) -> str:
        return self.row.method

    @strawberry.field(description="Its path, with the names of places in it: `/messages/{id}`.")
    def route(self) -> str:
        return self.row.route

    @strawberry.field(
        description="Of GraphQL the operation's name, or its first field; null if it was not "
        "understood, or the line stands for operations of many names."
    )
    def operation(self) -> str | None:
        return self.row.operation

    @strawberry.field(description="HTTP status of the answer.")
    def status(self) -> int:
        return self.row.status

    @strawberry.field(description="Why it was refused, as its first error says; null if not.")
    def code(self) -> str | None:
        return self.row.code

    @strawberry.field(description="What became of it.")
    def outcome(self) -> Outcome:
        return Outcome(self.row.outcome)

    @strawberry.field(
        description="`X-Request-Id` of its answer; of the last one, if the line is for several."
    )
    def request_id(self) -> str:
        return self.row.request_id

    @strawberry.field(
        description="How many requests the line stands for: 1, or more where very many came "
        "within a second."
    )
    def requests(self) -> int:
        return self.row.requests

    @strawberry.field(description="How long it took; on average, if the line is for several.")
    def duration_ms(self) -> float:
        taken: int = self.row.microseconds
        return round(taken / self.row.requests / 1000, 3)

    @strawberry.field(description="When it was answered; the first, if the line is for several.")
    def created_at(self) -> datetime:
        return self.row.created_at


def _request(row: RequestRow) -> ApiRequest:
    return ApiRequest(uuid=row.id, row=row)


async def load_requests(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, ApiRequest]:
    """Return those of *ids* that the actor may see."""
    found = await queries.find_requests(actor, ids)
    return {id: _request(row) for id, row in found.items()}


register(ApiRequest, load_requests)


@strawberry.input(description="Which requests; an absent field is any.")
class ApiRequestFilterInput:
    api_key_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only with this API key."
    )
    api: Api | None = strawberry.field(default=None, description="Only of this API.")
    outcome: Outcome | None = strawberry.field(
        default=None, description="Only those of which this became."
    )


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="Requests with API keys, the newest first, about a second late: a developer "
        "sees those of their own keys, an admin or owner every one. Needs `api_keys:read`."
    )
    async def api_requests(
        self,
        info: Info,
        filter: Annotated[
            ApiRequestFilterInput | None, strawberry.argument(description="Which ones.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ApiRequest]:
        given = filter or ApiRequestFilterInput()
        key = None if given.api_key_id is None else parse_id(given.api_key_id, "ApiKey")
        where = RequestFilter(
            api_key_id=None if key is None else ApiKeyId(key),
            api=given.api,
            outcome=given.outcome,
        )
        page = await queries.list_requests(
            actor_of(info), page_request(first, after, last, before), where=where
        )
        return to_connection(page, _request)
