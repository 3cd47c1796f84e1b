"""Passkeys on the account's page, and signing in with one."""

from typing import Any

from ...graphql.execute import Document
from ..page import SHOWN_ONCE, Action, Call, Done
from .account import ACCOUNT
from .signing_in import SIGN_IN, SIGNED_IN, passkey_of, signed_in


def _added(data: Any, call: Call) -> Done:
    """Show recovery codes, which come with the first second factor, or go back to the list."""
    found = data["added"]["signIn"]
    if found is None:
        return Done("/account?done=passkey-added")
    return Done("", session=(found["token"], found["expiresInSeconds"]))


def _removed(data: Any, call: Call) -> Done:
    found = data["removePasskey"]["signIn"]
    session = None if found is None else (found["token"], found["expiresInSeconds"])
    return Done("/account?done=passkey-removed", session=session)


ACTIONS = (
    Action(
        path="/login/passkey",
        page=SIGN_IN,
        document=Document(
            "mutation SignInWithPasskey($input: LogInWithPasskeyInput!) "
            f"{{ logInWithPasskey(input: $input) {SIGNED_IN} }}"
        ),
        variables=lambda call: {"input": {"answer": passkey_of(call)}},
        then=signed_in,
        is_public=True,
    ),
    Action(
        path="/account/passkeys/begin",
        page=ACCOUNT,
        document=Document(
            "mutation BeginPasskey($input: BeginPasskeyInput!) "
            "{ begun: beginPasskey(input: $input) { challenge { ticket options } } }"
        ),
        variables=lambda call: {"input": {"password": call.form.get("password", "")}},
        then=lambda data, call: SHOWN_ONCE,
        form="passkey",
    ),
    Action(
        path="/account/passkeys",
        page=ACCOUNT,
        document=Document(
            "mutation AddPasskey($input: AddPasskeyInput!) "
            f"{{ added: addPasskey(input: $input) {{ recoveryCodes signIn {SIGNED_IN} }} }}"
        ),
        variables=lambda call: {
            "input": {"answer": passkey_of(call), "name": call.form.get("passkey", "")}
        },
        names={"name": "passkey"},
        then=_added,
        form="passkey",
    ),
    Action(
        path="/account/passkeys/{id:str}/rename",
        page=ACCOUNT,
        document=Document(
            "mutation RenamePasskey($input: RenamePasskeyInput!) "
            "{ renamePasskey(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {"passkeyId": call.path["id"], "name": call.form.get("name", "")}
        },
        then=lambda data, call: Done("/account?done=saved"),
        form="passkey",
    ),
    Action(
        path="/account/passkeys/{id:str}/remove",
        page=ACCOUNT,
        document=Document(
            "mutation RemovePasskey($input: RemovePasskeyInput!) "
            f"{{ removePasskey(input: $input) {{ signIn {SIGNED_IN} }} }}"
        ),
        variables=lambda call: {
            "input": {"passkeyId": call.path["id"], "password": call.form.get("password", "")}
        },
        then=_removed,
        form="passkey",
    ),
)
