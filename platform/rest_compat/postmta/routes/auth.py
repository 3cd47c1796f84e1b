"""PostMTA's way in: registering, signing in, and who one is."""

from typing import Any

from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, TIME, UUID, Leaf, Many, Out, Shape
from ...fields import TEXT, Field, Fields, Text
from ...route import Call, CompatRoute
from ...times import restyle_time
from ..shapes import MODE, ORGANIZATION_STATUS, PLAN, ROLE, SOURCE, USER_STATUS

EMAIL = Text(longest=254, format="email")
USER = Shape(
    "SignedInUser",
    Out("id", UUID, of="uuid"),
    Out("email"),
    Out("name"),
    Out("role", ROLE),
    Out("status", USER_STATUS),
    Out("created_at", TIME),
)
ORGANIZATION = Shape(
    "SignedInOrganization",
    Out("id", UUID, of="uuid"),
    Out("name"),
    Out("plan", PLAN),
    Out("created_at", TIME),
)
SIGNED_IN = Shape(
    "SignedIn",
    Out("token", about="Send it as `Authorization: Bearer ...`."),
    Out("token_type"),
    Out("expires_in", INTEGER, of="expiresInSeconds"),
    Out("expires_at", TIME),
    Out("user", USER),
    Out("organization", ORGANIZATION),
)
OWN_USER = Shape(
    "OwnUser",
    Out("id", UUID, of="uuid"),
    Out("email"),
    Out("name"),
    Out("role", ROLE),
    Out("status", USER_STATUS),
    Out("timezone"),
    Out("platform_admin", FLAG, from_whole=lambda user: user["platformAdmin"]),
    Out("last_login_at", TIME, maybe=True),
    Out("created_at", TIME),
)
OWN_ORGANIZATION = Shape(
    "OwnOrganization",
    Out("id", UUID, of="uuid"),
    Out("name"),
    Out("plan", PLAN),
    Out("status", ORGANIZATION_STATUS),
)
CREDENTIAL = Shape(
    "Credential",
    Out("method", Leaf({"type": "string", "enum": ["jwt", "api_key"]})),
    Out("api_key_id", UUID, maybe=True),
    Out("mode", MODE),
    Out("scopes", Many(Leaf({"type": "string"}))),
    Out("expires_at", TIME, maybe=True),
)
ME = Shape(
    "Me",
    Out("user", OWN_USER),
    Out("organization", OWN_ORGANIZATION),
    Out("auth", CREDENTIAL),
)


def _me(data: Any, call: Call) -> dict[str, Any]:
    viewer = data["viewer"]
    credential, expires_at = viewer["credential"], viewer["credential"]["expiresAt"]
    key = credential["apiKey"]
    return {
        "user": OWN_USER.write({**viewer["user"], "platformAdmin": viewer["platformAdmin"]}),
        "organization": OWN_ORGANIZATION.write(viewer["organization"]),
        "auth": {
            "method": "jwt" if key is None else "api_key",
            "api_key_id": None if key is None else key["uuid"],
            "mode": MODE.write(credential["mode"]),
            # A token may do whatever its person may; a key what it was made for.
            "scopes": ["*"] if key is None else key["scopes"],
            "expires_at": None if expires_at is None else restyle_time(expires_at),
        },
    }


ROUTES = (
    CompatRoute(
        method="POST",
        path="/api/v1/auth/register",
        source=SOURCE,
        summary="Register a new user and organization",
        is_public=True,
        body=Fields(
            Field("email", EMAIL, "Not taken yet.", required=True, example="admin@example.com"),
            Field(
                "password",
                Text(12, 128),
                "Not a common one, and neither the address nor the name.",
                required=True,
                example="correct horse battery staple",
            ),
            Field("name", Text(1, 100), "The person's.", required=True, example="Ada Admin"),
            Field(
                "organization_name",
                Text(1, 100),
                "Required unless there is an `invite_token`.",
                example="Example Ltd",
            ),
            Field(
                "invite_token",
                TEXT,
                "Joins the inviting organization instead of making one.",
                ours="invitationToken",
            ),
            Field("timezone", TEXT, "IANA name.", default="UTC"),
        ),
        document=Document(
            "mutation Register($input: RegisterInput!) "
            f"{{ register(input: $input) {SIGNED_IN.selection()} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: SIGNED_IN.write(data["register"]),
        shape=SIGNED_IN,
        status=201,
        refusals=(
            ErrorCode.REGISTRATION_CLOSED,
            ErrorCode.EMAIL_TAKEN,
            ErrorCode.INVITATION_EXPIRED,
            ErrorCode.RATE_LIMITED,
        ),
        window="register",
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/auth/login",
        source=SOURCE,
        summary="Log in with email and password; returns a JWT",
        is_public=True,
        body=Fields(
            Field("email", EMAIL, "As registered.", required=True, example="admin@example.com"),
            Field(
                "password",
                Text(1, 128),
                "The password.",
                required=True,
                example="correct horse battery staple",
            ),
            Field("totp_code", TEXT, "Of the authenticator, for who has set one up."),
            Field("recovery_code", TEXT, "Instead of `totp_code`; each is good once."),
        ),
        document=Document(
            "mutation LogIn($input: LogInInput!) "
            f"{{ logIn(input: $input) {SIGNED_IN.selection()} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: SIGNED_IN.write(data["logIn"]),
        shape=SIGNED_IN,
        refusals=(
            ErrorCode.INVALID_CREDENTIALS,
            ErrorCode.SECOND_FACTOR_REQUIRED,
            ErrorCode.SECOND_FACTOR_WRONG,
            ErrorCode.USER_DISABLED,
            ErrorCode.ACCOUNT_LOCKED,
            ErrorCode.RATE_LIMITED,
        ),
        window="log_in",
        differences=("Who has a second factor also sends `totp_code` or `recovery_code`.",),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/auth/me",
        source=SOURCE,
        summary="Get details of the current authenticated user",
        document=Document(
            "query Me { viewer { platformAdmin "
            f"user {OWN_USER.selection()} organization {OWN_ORGANIZATION.selection()} "
            "credential { mode expiresAt apiKey { uuid scopes } } } }"
        ),
        variables=lambda call: {},
        answer=_me,
        shape=ME,
    ),
)
