"""Signing in with a provider of identities, and tying one to an account."""

from typing import Any

from ...graphql.execute import Document
from ..page import Action, Call, Done, Passage, Trouble
from .account import ACCOUNT
from .signing_in import SIGN_IN, SIGNED_IN, WAITING, code_of, passkey_of, signed_in


def _there(data: Any, call: Call) -> Done:
    (found,) = data.values()
    return Done(found["url"], ticket=found["ticket"])


def _return(call: Call) -> dict[str, Any]:
    return {
        "ticket": call.ticket,
        "state": call.query.get("state", ""),
        "code": call.query.get("code", ""),
        "issuer": call.query.get("iss"),
    }


def _back(data: Any, call: Call) -> Done:
    """Go home, or ask for the second factor first."""
    found = data["logInWithProvider"]
    if found["signIn"] is None:
        return Done("", more={"proof": found["proof"]})
    return signed_in({"signIn": found["signIn"]}, call)


def _second_factor(call: Call) -> dict[str, Any]:
    proof = {"proof": call.form.get("proof", "")}
    if call.form.get("credential"):
        return {**proof, "passkey": passkey_of(call)}
    return {**proof, **code_of(call.form.get("code", ""))}


def _ask_again(trouble: Trouble, call: Call) -> dict[str, Any]:
    return {"proof": call.form.get("proof", "")} if trouble.code in WAITING else {}


PASSAGES = (
    Passage(
        path="/login/provider",
        page=SIGN_IN,
        document=Document(
            "mutation BeginProvider($input: BeginProviderSignInInput!) "
            "{ beginProviderSignIn(input: $input) { url ticket } }"
        ),
        variables=lambda call: {"input": {"invitationToken": call.query.get("invitation")}},
        then=_there,
        is_public=True,
    ),
    Passage(
        path="/login/provider/callback",
        page=SIGN_IN,
        document=Document(
            "mutation SignInWithProvider($input: LogInWithProviderInput!) "
            f"{{ logInWithProvider(input: $input) {{ proof signIn {SIGNED_IN} }} }}"
        ),
        variables=lambda call: {"input": _return(call)},
        then=_back,
        is_public=True,
    ),
    Passage(
        path="/account/provider",
        page=ACCOUNT,
        document=Document("mutation BeginLinking { beginLinkingProvider { url ticket } }"),
        variables=lambda call: {},
        then=_there,
    ),
    Passage(
        path="/account/provider/callback",
        page=ACCOUNT,
        document=Document(
            "mutation LinkProvider($input: LinkProviderInput!) "
            "{ linkProvider(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": _return(call)},
        then=lambda data, call: Done("/account?done=provider-linked"),
    ),
)

ACTIONS = (
    Action(
        path="/login/provider/code",
        page=SIGN_IN,
        document=Document(
            "mutation FinishProvider($input: FinishProviderSignInInput!) "
            f"{{ finishProviderSignIn(input: $input) {SIGNED_IN} }}"
        ),
        variables=lambda call: {"input": _second_factor(call)},
        then=signed_in,
        again=_ask_again,
        is_public=True,
    ),
    Action(
        path="/account/provider/{id:str}/unlink",
        page=ACCOUNT,
        document=Document(
            "mutation UnlinkProvider($input: UnlinkProviderInput!) "
            "{ unlinkProvider(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "identityId": call.path["id"],
                "password": call.form.get("password", ""),
            }
        },
        then=lambda data, call: Done("/account?done=provider-unlinked"),
        form="provider",
    ),
)
