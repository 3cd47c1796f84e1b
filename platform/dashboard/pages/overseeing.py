"""The platform's own pages: every organization, and how the deployment runs."""

from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown

STATES = ("ACTIVE", "SUSPENDED")
STRICTNESS = {
    "STANDARD": N_("at their thresholds"),
    "STRICT": N_("at half of each threshold"),
    "NONE": N_("never; they only tell"),
}
ROW = (
    "uuid slug name status suspendedFor plan createdAt members credits "
    "volume { accepted sent delivered bounced complained bounceRate complaintRate }"
)


def _filter(call: Call) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if search := call.query.get("search", "").strip():
        asked["search"] = search
    if (status := call.query.get("status", "")) in STATES:
        asked["status"] = status
    return asked


def _list_view(data: Any, call: Call) -> dict[str, Any]:
    found = data["overseenOrganizations"]
    asked = {name: call.query.get(name, "") for name in ("search", "status")}
    after = found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None
    return {
        "organizations": found["nodes"],
        "search": asked,
        "is_filtered": bool(_filter(call)),
        "org_states": STATES,
        "more": call.at("/admin/orgs", **asked, after=after) if after else None,
    }


LIST = Page(
    path="/admin/orgs",
    title=N_("Platform"),
    template="overseeing/index.html",
    document=shown(
        "query Overseen($filter: OverseenFilter, $after: String) { ...Shell "
        f"overseenOrganizations(filter: $filter, first: 50, after: $after) {{ nodes {{ {ROW} }} "
        "pageInfo { hasNextPage endCursor } } }"
    ),
    variables=lambda call: {"filter": _filter(call), "after": call.query.get("after") or None},
    view=_list_view,
)
ONE = Page(
    path="/admin/orgs/{target:str}",
    title=N_("Organization"),
    template="overseeing/organization.html",
    document=shown(
        "query OverseenOne($slug: String!) { ...Shell "
        f"overseenOrganization(slug: $slug) {{ {ROW} reputationPolicy }} }}"
    ),
    variables=lambda call: {"slug": call.path["target"]},
    view=lambda data, call: {
        "title": data["overseenOrganization"]["name"],
        "organization": data["overseenOrganization"],
        "belongs": any(
            each["slug"] == call.path["target"] for each in data["viewer"]["memberships"]
        ),
        "strictness": STRICTNESS,
        "values": {n: call.form.get(n, "") for n in ("reason", "amount", "reference", "visit")},
    },
)
HEALTH = Page(
    path="/admin/health",
    title=N_("Health"),
    template="overseeing/health.html",
    document=shown(
        "query Health { ...Shell deployment { findings { subject verdict sentence remedy } "
        "jobQueue { queued active scheduled workers } "
        "consumers { name events seconds lookedAt } } }"
    ),
    view=lambda data, call: {
        "findings": sorted(
            data["deployment"]["findings"],
            key=lambda each: ("FAULT", "WARNING", "OK").index(each["verdict"]),
        ),
        "jobs": data["deployment"]["jobQueue"],
        "consumers": data["deployment"]["consumers"],
    },
)
PAGES = (LIST, ONE, HEALTH)


def _back(note: str) -> Any:
    return lambda data, call: Done(call.at(f"/admin/orgs/{call.path['target']}", done=note))


def _amount(call: Call) -> str:
    # What is no number is refused by the schema, in its words.
    return call.form.get("amount", "").strip() or "0"


def _strictness(call: Call) -> str:
    asked = call.form.get("policy", "")
    return asked if asked in STRICTNESS else "STANDARD"


ACTIONS = (
    Action(
        path="/admin/orgs/{target:str}/suspend",
        page=ONE,
        document=Document(
            "mutation Suspend($input: SuspendOrganizationInput!) "
            "{ suspendOrganization(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {"slug": call.path["target"], "reason": call.form.get("reason", "")}
        },
        then=_back("organization-suspended"),
        form="suspend",
    ),
    Action(
        path="/admin/orgs/{target:str}/resume",
        page=ONE,
        document=Document(
            "mutation Resume($input: ResumeOrganizationInput!) "
            "{ resumeOrganization(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"slug": call.path["target"]}},
        then=_back("organization-resumed"),
        form="resume",
    ),
    Action(
        path="/admin/orgs/{target:str}/credits",
        page=ONE,
        document=Document(
            "mutation Grant($input: GrantCreditsInput!) "
            "{ grantCredits(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "organization": {"slug": call.path["target"]},
                "type": "EMAIL",
                "amount": _amount(call),
                "reference": call.form.get("reference", "").strip() or None,
                # Sent twice by an impatient click, it is still granted once.
                "idempotencyKey": call.form.get("once") or None,
            }
        },
        then=_back("credits-granted"),
        form="credits",
    ),
    Action(
        path="/admin/orgs/{target:str}/judging",
        page=ONE,
        document=Document(
            "mutation Judge($input: SetReputationPolicyInput!) "
            "{ setReputationPolicy(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "organizationId": call.form.get("id", ""),
                "policy": _strictness(call),
            }
        },
        then=_back("organization-judged"),
        form="judging",
    ),
    Action(
        path="/admin/orgs/{target:str}/visit",
        page=ONE,
        document=Document(
            "mutation Visit($input: BeginVisitInput!) { beginVisit(input: $input) { expiresAt } }"
        ),
        variables=lambda call: {
            "input": {"slug": call.path["target"], "reason": call.form.get("visit", "")}
        },
        names={"reason": "visit"},
        then=lambda data, call: Done(f"/o/{call.path['target']}"),
        form="visit",
    ),
    Action(
        path="/admin/orgs/{target:str}/leave",
        page=ONE,
        document=Document(
            "mutation Leave($input: EndVisitInput!) { endVisit(input: $input) { ended } }"
        ),
        variables=lambda call: {"input": {"slug": call.path["target"]}},
        then=_back("visit-ended"),
        form="leave",
    ),
)
