"""PostMTA's users: who belongs to the organization, and as what."""

from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import INTEGER, TIME, UUID, Out, Shape
from ...fields import TEXT, Field, Fields, choice
from ...parameters import Param
from ...route import Call, CompatRoute, IdForm
from ..lists import both_ways, list_document, list_params, list_variables, page_answer
from ..shapes import ROLE, ROLES, SOURCE, USER_STATUS

_HEAD = (
    Out("id", UUID, of="uuid"),
    Out("email"),
    Out("name"),
    Out("role", ROLE),
    Out("status", USER_STATUS),
)
SUMMARY = Shape(
    "UserSummary", *_HEAD, Out("last_login_at", TIME, maybe=True), Out("created_at", TIME)
)
USER = Shape(
    "User",
    *_HEAD,
    Out("timezone"),
    Out("api_key_count", INTEGER),
    Out("last_login_at", TIME, maybe=True),
    Out("created_at", TIME),
    Out("updated_at", TIME),
)
SORTS = both_ways("created_at", "email", "name", "last_login_at")
MEMBER_EXISTS = Document("query Member($id: ID!) { organization { member(id: $id) { uuid } } }")


def _user(data: Any, call: Call) -> dict[str, Any]:
    found = data["viewer"]["user"] if call.path["id"] == "me" else data["organization"]["member"]
    return USER.write(found)


ROUTES = (
    CompatRoute(
        method="GET",
        path="/api/v1/users",
        source=SOURCE,
        summary="List all users in the organization",
        permission=Permission.READ_USERS,
        query=list_params(
            Param("role", choice(*ROLES, aliases={"member": "developer"}), "Only with this role."),
            Param("status", choice("active", "disabled"), "Only in this state."),
            Param("q", TEXT, "Part of the email address or the name.", ours="search"),
            sorts=SORTS,
            usual="created_at",
        ),
        document=list_document(
            "members",
            SUMMARY,
            declared="$filter: MemberFilterInput, $order: MemberOrderInput",
            passed="filter: $filter, orderBy: $order",
        ),
        variables=lambda call: list_variables(call, usual=SORTS["created_at"]),
        answer=page_answer(SUMMARY),
        shape=SUMMARY,
        is_list=True,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/users/{id}",
        source=SOURCE,
        summary="Get user details",
        permission=Permission.READ_USERS,
        ids={"id": IdForm.UUID_OR_ME},
        document=Document(
            "query User($id: ID!, $me: Boolean!) { "
            f"viewer @include(if: $me) {{ user {USER.selection()} }} "
            f"organization @skip(if: $me) {{ member(id: $id) {USER.selection()} }} }}"
        ),
        variables=lambda call: {"id": call.path["id"], "me": call.path["id"] == "me"},
        answer=_user,
        shape=USER,
    ),
    CompatRoute(
        method="PUT",
        path="/api/v1/users/{id}/role",
        source=SOURCE,
        summary="Update a user's role",
        permission=Permission.WRITE_USERS,
        ids={"id": IdForm.UUID},
        target=MEMBER_EXISTS,
        body=Fields(
            Field(
                "role",
                choice(*ROLES, aliases={"member": "developer"}),
                "The new role; `member` is another word for `developer`.",
                required=True,
                example="admin",
            )
        ),
        document=Document(
            "mutation ChangeRole($input: ChangeRoleInput!) "
            f"{{ changeRole(input: $input) {{ user {USER.selection()} }} }}"
        ),
        variables=lambda call: {"input": {"userId": call.path["id"], **call.body}},
        answer=lambda data, call: USER.write(data["changeRole"]["user"]),
        shape=USER,
        refusals=(ErrorCode.CANNOT_CHANGE_OWN_ROLE, ErrorCode.LAST_OWNER),
        differences=(
            "Nobody gives a role that may do more than theirs: `billing` is an owner's to give, "
            "since it changes what an admin only reads.",
        ),
    ),
)
