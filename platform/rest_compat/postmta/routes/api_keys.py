"""PostMTA's API keys."""

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import INTEGER, TIME, UUID, Fixed, Group, Leaf, Many, Out, Shape
from ...fields import TEXT, Field, Fields, Integer, ListOf, Text, Time, choice
from ...parameters import Param
from ...route import CompatRoute, IdForm
from ..lists import both_ways, list_document, list_params, list_variables, page_answer
from ..shapes import KEY_STATUS, KEY_STATUSES, MODE, MODES, SOURCE

TEXTS = Many(Leaf({"type": "string"}))
_HEAD = (
    Out("prefix", about="The part of the key that may be shown."),
    Out("scopes", TEXTS),
    Out("mode", MODE),
    Out("status", KEY_STATUS),
    Out("expires_at", TIME, maybe=True),
)
_LIMITS = (
    Out("allowed_ips", TEXTS, of="allowedNetworks"),
    Out("allowed_domains", TEXTS),
    Out("rate_limit_per_minute", INTEGER, maybe=True),
)
_ID = (Out("id", UUID, of="uuid"), Out("name"))
_MAKER = Out("created_by", UUID, of="createdByUuid", maybe=True)
PREVIOUS = Shape("PreviousKey", Out("prefix"), Out("expires_at", TIME))
USAGE = Shape(
    "KeyUsage",
    Out("requests_24h", INTEGER, of="requestsIn24Hours"),
    Out("last_used_at", TIME, maybe=True),
    Out("last_used_ip", of="lastUsedAddress", maybe=True),
)
SUMMARY = Shape(
    "ApiKeySummary",
    *_ID,
    *_HEAD,
    _MAKER,
    Out("last_used_at", TIME, maybe=True),
    Out("created_at", TIME),
)
KEY = Shape(
    "ApiKey",
    *_ID,
    *_HEAD,
    *_LIMITS,
    Out("previous_key", PREVIOUS, maybe=True),
    Out("usage", Group(USAGE)),
    _MAKER,
    Out("rotated_at", TIME, maybe=True),
    Out("created_at", TIME),
)
_SECRET = Out("key", about="The whole key; shown this once.", from_whole=lambda key: key["key"])
NEW_KEY = Shape(
    "NewApiKey",
    *_ID,
    _SECRET,
    *_HEAD,
    *_LIMITS,
    _MAKER,
    Out("last_used_at", TIME, maybe=True),
    Out("created_at", TIME),
)
ROTATED = Shape(
    "RotatedApiKey",
    *_ID,
    _SECRET,
    Out("prefix"),
    Out("status", KEY_STATUS),
    Out("previous_key", PREVIOUS, maybe=True),
    Out("rotated_at", TIME),
)
DELETED = Shape("Deleted", Out("id", UUID), Out("deleted", Fixed(True, {"type": "boolean"})))
KEY_EXISTS = Document("query ApiKey($id: ID!) { organization { apiKey(id: $id) { uuid } } }")
SORTS = both_ways("created_at", "name", "last_used_at")
CREATE = Fields(
    Field("name", Text(1, 100), "What it is for.", required=True, example="Web shop"),
    Field(
        "scopes",
        ListOf(TEXT, fewest=1, most=50),
        "What it may do; no more than whoever makes it. `*` and `group:*` are understood.",
        required=True,
        example=["messages:send", "messages:read"],
    ),
    Field("mode", choice(*MODES), "A sandbox key delivers nothing.", default="live"),
    Field("expires_at", Time(), "In the future; never without it."),
    Field(
        "allowed_ips",
        ListOf(TEXT, most=50),
        "Addresses or CIDR blocks it may be used from.",
        ours="allowedNetworks",
        default=[],
    ),
    Field("allowed_domains", ListOf(TEXT), "Sending domains, by id or name.", default=[]),
    Field("rate_limit_per_minute", Integer(1), "No more than the plan's."),
)
ROTATE = Fields(
    Field(
        "grace_period_seconds",
        Integer(0, 604_800),
        "How long the old key stays good.",
        default=86_400,
    )
)


ROUTES = (
    CompatRoute(
        method="POST",
        path="/api/v1/api-keys",
        source=SOURCE,
        summary="Create a new API key",
        permission=Permission.WRITE_API_KEYS,
        body=CREATE,
        document=Document(
            "mutation CreateApiKey($input: CreateApiKeyInput!) "
            f"{{ createApiKey(input: $input) {{ key apiKey {NEW_KEY.selection()} }} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: NEW_KEY.write(
            {**data["createApiKey"]["apiKey"], "key": data["createApiKey"]["key"]}
        ),
        shape=NEW_KEY,
        status=201,
        refusals=(ErrorCode.API_KEY_LIMIT_REACHED,),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/api-keys",
        source=SOURCE,
        summary="List all API keys",
        permission=Permission.READ_API_KEYS,
        query=list_params(
            Param("status", choice(*KEY_STATUSES), "Only in this state."),
            Param("mode", choice(*MODES), "Only of this mode."),
            sorts=SORTS,
            usual="-created_at",
        ),
        document=list_document(
            "apiKeys",
            SUMMARY,
            declared="$filter: ApiKeyFilterInput, $order: ApiKeyOrderInput",
            passed="filter: $filter, orderBy: $order",
        ),
        variables=lambda call: list_variables(call, usual=SORTS["-created_at"]),
        answer=page_answer(SUMMARY),
        shape=SUMMARY,
        is_list=True,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/api-keys/{id}",
        source=SOURCE,
        summary="Get API key details",
        permission=Permission.READ_API_KEYS,
        ids={"id": IdForm.UUID},
        document=Document(
            f"query ApiKey($id: ID!) {{ organization {{ apiKey(id: $id) {KEY.selection()} }} }}"
        ),
        variables=lambda call: dict(call.path),
        answer=lambda data, call: KEY.write(data["organization"]["apiKey"]),
        shape=KEY,
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/api-keys/{id}/rotate",
        source=SOURCE,
        summary="Rotate an API key",
        permission=Permission.WRITE_API_KEYS,
        ids={"id": IdForm.UUID},
        target=KEY_EXISTS,
        body=ROTATE,
        body_is_optional=True,
        document=Document(
            "mutation RotateApiKey($input: RotateApiKeyInput!) "
            f"{{ rotateApiKey(input: $input) {{ key apiKey {ROTATED.selection()} }} }}"
        ),
        variables=lambda call: {"input": {"apiKeyId": call.path["id"], **call.body}},
        answer=lambda data, call: ROTATED.write(
            {**data["rotateApiKey"]["apiKey"], "key": data["rotateApiKey"]["key"]}
        ),
        shape=ROTATED,
        refusals=(ErrorCode.API_KEY_DISABLED,),
    ),
    CompatRoute(
        method="DELETE",
        path="/api/v1/api-keys/{id}",
        source=SOURCE,
        summary="Delete an API key",
        permission=Permission.WRITE_API_KEYS,
        ids={"id": IdForm.UUID},
        document=Document(
            "mutation DeleteApiKey($input: DeleteApiKeyInput!) "
            "{ deleteApiKey(input: $input) { deletedId } }"
        ),
        variables=lambda call: {"input": {"apiKeyId": call.path["id"]}},
        answer=lambda data, call: {"id": call.path["id"].lower(), "deleted": True},
        shape=DELETED,
    ),
)
