"""Members: who may do what, and who is invited."""

from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown
from . import removals

ROLES = {
    "OWNER": N_("Everything, and billing"),
    "ADMIN": N_("Everything but paying"),
    "DEVELOPER": N_("Send, domains, keys, webhooks"),
    "VIEWER": N_("Look, and change nothing"),
    "BILLING": N_("Credits and invoices only"),
}


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    return {
        **removals.shown(found),
        "here_again": call.link("/members", after=call.query.get("after", "")),
        "members": found["members"]["nodes"],
        "more": found["members"]["pageInfo"],
        "invitations": (found.get("invitations") or {"nodes": []})["nodes"],
        "roles": ROLES,
        "values": {"email": call.form.get("email", ""), "role": call.form.get("role", "DEVELOPER")},
        "can_change": call.may("users:write"),
        "needs_factor": found["requiresSecondFactor"],
    }


LIST = Page(
    path="/o/{org:str}/members",
    title=N_("Members"),
    template="members/index.html",
    document=shown(
        "query Members($after: String, $invitations: Boolean!, $removals: Boolean!) "
        "{ ...Shell organization { "
        "requiresSecondFactor members(first: 50, after: $after) { "
        "nodes { uuid email name role status hasSecondFactor lastLoginAt joinedAt } "
        "pageInfo { hasNextPage endCursor } } "
        "invitations(first: 50) @include(if: $invitations) "
        "{ nodes { uuid email role expiresAt invitedBy { name } } } "
        + removals.asked("MEMBER")
        + " } }"
    ),
    variables=lambda call: {
        "after": call.query.get("after") or None,
        "invitations": call.may("users:write"),
        "removals": call.may("users:write"),
    },
    view=_view,
)
PAGES = (LIST,)


def _done(note: str) -> Any:
    return lambda data, call: Done(call.link("/members", done=note))


ACTIONS = (
    Action(
        path="/o/{org:str}/members",
        page=LIST,
        document=Document(
            "mutation Invite($input: InviteMemberInput!) { inviteMember(input: $input) "
            "{ __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "email": call.form.get("email", "").strip(),
                "role": call.form["role"] if call.form.get("role") in ROLES else "VIEWER",
            }
        },
        then=_done("invited"),
        form="invite",
    ),
    Action(
        path="/o/{org:str}/members/{user:str}/role",
        page=LIST,
        document=Document(
            "mutation ChangeRole($input: ChangeRoleInput!) { changeRole(input: $input) "
            "{ __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "userId": call.path["user"],
                "role": call.form["role"] if call.form.get("role") in ROLES else "VIEWER",
            }
        },
        then=_done("role-changed"),
        form="role",
    ),
    removals.remove(
        LIST, "/o/{org:str}/members/{id:str}/remove", back="/members", subject="userId"
    ),
    removals.undo(LIST, back="/members"),
    Action(
        path="/o/{org:str}/invitations/{invitation:str}/withdraw",
        page=LIST,
        document=Document(
            "mutation Withdraw($input: WithdrawInvitationInput!) "
            "{ withdrawInvitation(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"invitationId": call.path["invitation"]}},
        then=_done("invitation-withdrawn"),
        form="withdraw",
    ),
)
