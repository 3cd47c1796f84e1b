"""Coming in and going out: signing in, registering, invitations, new passwords."""

import json
import time
from typing import Any
from urllib.parse import quote

from ...core.crypto import SealBroken, seal, unseal
from ...core.errors import ErrorCode
from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, Trouble

KEPT_SECONDS = 300
"""How long a password that was right waits, sealed in the form, for the second factor."""
PURPOSE = "dashboard_sign_in"
WAITING = (
    ErrorCode.SECOND_FACTOR_REQUIRED,
    ErrorCode.SECOND_FACTOR_WRONG,
    ErrorCode.PASSKEY_WRONG,
)
"""The password was right, and what else is needed was not."""
SIGNED_IN = "{ token expiresInSeconds organization { slug } }"


def _where(call: Call) -> str:
    """Return the address that somebody wanted before signing in, if it is one of ours."""
    wanted = call.form.get("next") or call.query.get("next") or ""
    # Two slashes, or one and a backslash, would lead to another site.
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    is_page = is_ours and all(32 < ord(c) < 127 for c in wanted)
    return wanted if is_page and wanted not in ("/", "/login") else ""


def signed_in(data: Any, call: Call) -> Done:
    """Go where somebody wanted to go, or to their organization."""
    (found,) = data.values()
    home = f"/o/{quote(found['organization']['slug'])}"
    return Done(_where(call) or home, session=(found["token"], found["expiresInSeconds"]))


def _credentials(call: Call) -> dict[str, Any]:
    """Return who signs in; behind a second factor, from what the first form held."""
    if not (sealed := call.form.get("waiting")):
        return {"email": call.form.get("email", ""), "password": call.form.get("password", "")}
    try:
        found = json.loads(unseal(bytes.fromhex(sealed), purpose=PURPOSE))
    except (SealBroken, ValueError):
        return {"email": "nobody@invalid.example", "password": ""}
    if found.pop("until") < time.time():
        return {"email": found["email"], "password": ""}
    if call.form.get("credential"):
        return {**found, "passkey": passkey_of(call)}
    return {**found, **code_of(call.form.get("code", ""))}


def passkey_of(call: Call) -> dict[str, str]:
    """Return what a device answered."""
    return {
        "ticket": call.form.get("ticket", ""),
        "credential": call.form.get("credential", ""),
    }


def code_of(text: str) -> dict[str, str]:
    """Return what somebody typed as a code of the authenticator, or else of the recovery codes."""
    plain = text.replace(" ", "")
    if plain.isdigit() and len(plain) == 6:
        return {"totpCode": plain}
    return {"recoveryCode": text.strip()}


def _ask_for_code(trouble: Trouble, call: Call) -> dict[str, Any]:
    """Let the right password wait for the code, so that nobody types it twice."""
    if trouble.code not in WAITING:
        return {}
    if waiting := call.form.get("waiting"):
        return {"waiting": waiting}
    found = {**_credentials(call), "until": time.time() + KEPT_SECONDS}
    return {"waiting": seal(json.dumps(found).encode(), purpose=PURPOSE).hex()}


def _sign_in_view(data: Any, call: Call) -> dict[str, Any]:
    return {
        "waiting": "",
        "next": _where(call),
        "email": call.form.get("email", ""),
        "challenge": data["passkeyChallenge"],
        "provider": data["signInProvider"],
        "proof": "",
    }


SIGN_IN = Page(
    path="/login",
    title=N_("Sign in"),
    template="signing_in/sign_in.html",
    document=Document(
        "query SigningIn { passkeyChallenge { ticket options } signInProvider { name } }"
    ),
    view=_sign_in_view,
    is_public=True,
)
REGISTER = Page(
    path="/register",
    title=N_("Create an account"),
    template="signing_in/register.html",
    is_public=True,
)
INVITATION = Page(
    path="/invite/{token:str}",
    title=N_("Invitation"),
    template="signing_in/invitation.html",
    document=Document(
        "query Invitation($token: String!) { invitationOffer(token: $token) "
        "{ organizationName invitedBy email role expiresAt } signInProvider { name } }"
    ),
    variables=lambda call: {"token": call.path["token"]},
    view=lambda data, call: {
        "offer": data["invitationOffer"],
        "provider": data["signInProvider"],
    },
    is_public=True,
)
FORGOTTEN = Page(
    path="/reset",
    title=N_("New password"),
    template="signing_in/forgotten.html",
    is_public=True,
)
RESET = Page(
    path="/reset/{token:str}",
    title=N_("Choose a new password"),
    template="signing_in/reset.html",
    is_public=True,
)
PAGES = (SIGN_IN, REGISTER, INVITATION, FORGOTTEN, RESET)

ACTIONS = (
    Action(
        path="/login",
        page=SIGN_IN,
        document=Document(
            f"mutation SignIn($input: LogInInput!) {{ logIn(input: $input) {SIGNED_IN} }}"
        ),
        variables=lambda call: {"input": _credentials(call)},
        then=signed_in,
        again=_ask_for_code,
        is_public=True,
    ),
    Action(
        path="/register",
        page=REGISTER,
        document=Document(
            f"mutation SignUp($input: RegisterInput!) {{ register(input: $input) {SIGNED_IN} }}"
        ),
        variables=lambda call: {
            "input": {
                "email": call.form.get("email", ""),
                "password": call.form.get("password", ""),
                "name": call.form.get("name", ""),
                "organizationName": call.form.get("organization", ""),
                "timezone": call.form.get("timezone") or "UTC",
            }
        },
        names={"organizationName": "organization"},
        then=signed_in,
        is_public=True,
    ),
    Action(
        path="/invite/{token:str}",
        page=INVITATION,
        document=Document(
            "mutation SignUpInvited($input: RegisterInput!) "
            f"{{ register(input: $input) {SIGNED_IN} }}"
        ),
        variables=lambda call: {
            "input": {
                "email": call.form.get("email", ""),
                "password": call.form.get("password", ""),
                "name": call.form.get("name", ""),
                "invitationToken": call.path["token"],
                "timezone": call.form.get("timezone") or "UTC",
            }
        },
        then=signed_in,
        is_public=True,
    ),
    Action(
        path="/reset",
        page=FORGOTTEN,
        document=Document(
            "mutation Forgotten($input: RequestPasswordResetInput!) "
            "{ requestPasswordReset(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"email": call.form.get("email", "")}},
        then=lambda data, call: Done("/login?done=reset-mailed"),
        is_public=True,
    ),
    Action(
        path="/reset/{token:str}",
        page=RESET,
        document=Document(
            "mutation Reset($input: ResetPasswordInput!) "
            "{ resetPassword(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "token": call.path["token"],
                "newPassword": call.form.get("password", ""),
            }
        },
        names={"newPassword": "password"},
        then=lambda data, call: Done("/login?done=password-set"),
        is_public=True,
    ),
    Action(
        path="/logout",
        page=SIGN_IN,
        document=Document("mutation SignOut { logOut { __typename } }"),
        variables=lambda call: {},
        then=lambda data, call: Done("/login?done=signed-out", signs_out=True),
        is_public=True,
    ),
)
