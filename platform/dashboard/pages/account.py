"""What is somebody's own: organizations, name and zone, password, second factor, sessions."""

from typing import Any
from zoneinfo import available_timezones

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import SHOWN_ONCE, Action, Call, Done, Page, shown
from .signing_in import SIGNED_IN, code_of

ORGANIZATIONS = Page(
    path="/orgs",
    title=N_("Organizations"),
    template="account/organizations.html",
    document=shown("query Organizations { ...Shell }"),
)


THEMES = {"SYSTEM": N_("As this device"), "LIGHT": N_("Light"), "DARK": N_("Dark")}


def _account_view(data: Any, call: Call) -> dict[str, Any]:
    return {
        "sessions": data["viewer"]["sessions"]["nodes"],
        "factor": data["viewer"]["secondFactor"],
        "passkeys": data["viewer"]["passkeys"],
        "identities": data["viewer"]["providerIdentities"],
        "provider": data["signInProvider"],
        "zones": sorted(available_timezones()),
        "themes": THEMES,
        "languages": {each["tag"]: each["name"] for each in data["viewer"]["languages"]},
    }


ACCOUNT = Page(
    path="/account",
    title=N_("Account"),
    template="account/index.html",
    document=shown(
        "query Account { ...Shell viewer { languages { tag name } "
        "secondFactor { hasAuthenticator isRequired recoveryCodes } "
        "passkeys { uuid name isSynced lastUsedAt createdAt } "
        "providerIdentities { uuid issuer email lastUsedAt } "
        "sessions(first: 50) { nodes { uuid isCurrent organizationName sourceAddress userAgent "
        "lastUsedAt createdAt expiresAt } } } signInProvider { name } }"
    ),
    view=_account_view,
)
PAGES = (ORGANIZATIONS, ACCOUNT)


def _keeps(field: str, to: str) -> Any:
    """Return what goes on with the token that a mutation answered, as it ended all others."""

    def then(data: Any, call: Call) -> Done:
        found = data[field]
        return Done(to, session=(found["token"], found["expiresInSeconds"]))

    return then


ACTIONS = (
    Action(
        path="/orgs",
        page=ORGANIZATIONS,
        document=Document(
            "mutation CreateOrganization($input: CreateOrganizationInput!) "
            f"{{ createOrganization(input: $input) {SIGNED_IN} }}"
        ),
        variables=lambda call: {"input": {"name": call.form.get("name", "")}},
        then=lambda data, call: Done(
            f"/o/{data['createOrganization']['organization']['slug']}?done=organization-made",
            session=(
                data["createOrganization"]["token"],
                data["createOrganization"]["expiresInSeconds"],
            ),
        ),
    ),
    Action(
        path="/account",
        page=ACCOUNT,
        document=Document(
            "mutation UpdateMe($input: UpdateViewerInput!) { updateViewer(input: $input) "
            "{ __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "name": call.form.get("name", ""),
                "timezone": call.form.get("timezone", "UTC"),
            }
        },
        then=lambda data, call: Done("/account?done=saved"),
        form="profile",
    ),
    Action(
        path="/account/looks",
        page=ACCOUNT,
        document=Document(
            "mutation UpdateLooks($input: UpdateViewerInput!) { updateViewer(input: $input) "
            "{ __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "theme": call.form["theme"] if call.form.get("theme") in THEMES else "SYSTEM",
                "shortcuts": call.form.get("shortcuts") == "yes",
                "language": call.form.get("language", ""),
            }
        },
        then=lambda data, call: Done("/account?done=saved"),
        form="looks",
    ),
    Action(
        path="/account/password",
        page=ACCOUNT,
        document=Document(
            "mutation ChangePassword($input: ChangePasswordInput!) "
            f"{{ changePassword(input: $input) {SIGNED_IN} }}"
        ),
        variables=lambda call: {
            "input": {
                "currentPassword": call.form.get("current", ""),
                "newPassword": call.form.get("password", ""),
            }
        },
        names={"currentPassword": "current", "newPassword": "password"},
        then=_keeps("changePassword", "/account?done=password-changed"),
        form="password",
    ),
    Action(
        path="/account/factor",
        page=ACCOUNT,
        document=Document(
            "mutation BeginFactor($input: BeginSecondFactorInput!) "
            "{ begun: beginSecondFactor(input: $input) { secret uri } }"
        ),
        variables=lambda call: {"input": {"password": call.form.get("password", "")}},
        then=lambda data, call: SHOWN_ONCE,
        form="factor",
    ),
    Action(
        path="/account/factor/confirm",
        page=ACCOUNT,
        document=Document(
            "mutation ConfirmFactor($input: ConfirmSecondFactorInput!) "
            "{ confirmed: confirmSecondFactor(input: $input) { recoveryCodes "
            f"signIn {SIGNED_IN} }} }}"
        ),
        variables=lambda call: {"input": {"totpCode": call.form.get("code", "").replace(" ", "")}},
        names={"totpCode": "code"},
        then=lambda data, call: Done(
            "",
            session=(
                data["confirmed"]["signIn"]["token"],
                data["confirmed"]["signIn"]["expiresInSeconds"],
            ),
        ),
        form="confirm",
    ),
    Action(
        path="/account/factor/disable",
        page=ACCOUNT,
        document=Document(
            "mutation DisableFactor($input: DisableSecondFactorInput!) "
            f"{{ disableSecondFactor(input: $input) {SIGNED_IN} }}"
        ),
        variables=lambda call: {
            "input": {
                "password": call.form.get("password", ""),
                **code_of(call.form.get("code", "")),
            }
        },
        then=_keeps("disableSecondFactor", "/account?done=factor-disabled"),
        form="disable",
    ),
    Action(
        path="/account/sessions/{id:str}/end",
        page=ACCOUNT,
        document=Document(
            "mutation EndSession($input: EndSessionInput!) { endSession(input: $input) "
            "{ __typename } }"
        ),
        variables=lambda call: {"input": {"sessionId": call.path["id"]}},
        then=lambda data, call: Done("/account?done=session-ended"),
        form="session",
    ),
)
