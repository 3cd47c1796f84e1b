"""Settings: the rules of an organization, and how far its plan goes."""

from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown

CHOICES = {"": N_("As each message asks"), "yes": N_("Always"), "no": N_("Never")}
TRACKED = {
    "opens": (N_("Opens"), N_("A picture that is loaded when mail is read.")),
    "clicks": (N_("Clicks"), N_("Links lead through your tracking domain.")),
    "textLinks": (
        N_("Clicks in plain text"),
        N_("Addresses in the text are changed, too, and look so."),
    ),
}
ENCRYPTION = {
    "OPPORTUNISTIC": N_("Where it works"),
    "REQUIRED": N_("Always, with any certificate"),
    "VERIFIED": N_("Always, with a good certificate"),
    "DISABLED": N_("Never"),
}


def _choice(value: bool | None) -> str:
    return {None: "", True: "yes", False: "no"}[value]


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    name = call.form.get("name", found["name"]) if "name" in call.form else found["name"]
    return {
        "organization": found,
        "values": {
            "name": name,
            "project": call.form.get("project", ""),
            "domain": call.form.get("domain", ""),
        },
        "choices": CHOICES,
        "tracked": [
            (field, word, about, _choice(found["tracking"][field]))
            for field, (word, about) in TRACKED.items()
        ],
        "encryption": ENCRYPTION,
        "projects": (found.get("projects") or {"nodes": []})["nodes"],
        "requirements": (found.get("tlsRequirements") or {"nodes": []})["nodes"],
        "plan": (found.get("billing") or {}).get("plan"),
        "can_rename": call.may("users:write"),
        "can_decide": call.may("projects:write"),
        "can_encrypt": call.may("vmtas:write"),
    }


SETTINGS = Page(
    path="/o/{org:str}/settings",
    title=N_("Settings"),
    template="settings/index.html",
    document=shown(
        """
        query Settings($projects: Boolean!, $vmtas: Boolean!, $billing: Boolean!) {
          ...Shell
          viewer { credential { rateLimitPerMinute } }
          organization {
            name slug requiresSecondFactor
            retention { contentDays messageDays }
            tracking { opens clicks textLinks aggregateOnly }
            projects(first: 50) @include(if: $projects) {
              nodes { uuid id slug name mode archivedAt rateLimitPerMinute }
            }
            tlsRequirements(first: 100) @include(if: $vmtas) { nodes { domain tls updatedAt } }
            billing @include(if: $billing) {
              plan { name limits { emailsPerMonth domains vmtas users requestsPerMinute } }
            }
          }
        }
        """
    ),
    variables=lambda call: {
        "projects": call.may("projects:read"),
        "vmtas": call.may("vmtas:read"),
        "billing": call.may("billing:read"),
    },
    view=_view,
)
PAGES = (SETTINGS,)


def _saved(data: Any, call: Call) -> Done:
    return Done(call.link("/settings", done="saved"))


def _decision(call: Call, field: str) -> bool | None:
    return {"yes": True, "no": False}.get(call.form.get(field, ""))


ACTIONS = (
    Action(
        path="/o/{org:str}/settings",
        page=SETTINGS,
        document=Document(
            "mutation Rename($input: UpdateOrganizationInput!) "
            "{ updateOrganization(input: $input) { name } }"
        ),
        variables=lambda call: {"input": {"name": call.form.get("name", "").strip()}},
        then=_saved,
        form="name",
    ),
    Action(
        path="/o/{org:str}/settings/tracking",
        page=SETTINGS,
        document=Document(
            "mutation DecideTracking($input: UpdateTrackingInput!) "
            "{ updateTracking(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {
                **{field: _decision(call, field) for field in TRACKED},
                "aggregateOnly": call.form.get("sums") == "yes",
            }
        },
        then=_saved,
        form="tracking",
    ),
    Action(
        path="/o/{org:str}/settings/factor",
        page=SETTINGS,
        document=Document(
            "mutation RequireFactor($input: RequireSecondFactorInput!) "
            "{ requireSecondFactor(input: $input) { required } }"
        ),
        variables=lambda call: {"input": {"required": call.form.get("required") == "yes"}},
        then=_saved,
        form="factor",
    ),
    Action(
        path="/o/{org:str}/settings/encryption",
        page=SETTINGS,
        document=Document(
            "mutation Encrypt($input: SetTlsRequirementInput!) "
            "{ setTlsRequirement(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "domain": call.form.get("domain", "").strip(),
                "tls": call.form["tls"] if call.form.get("tls") in ENCRYPTION else "REQUIRED",
            }
        },
        then=_saved,
        form="encryption",
    ),
    Action(
        path="/o/{org:str}/settings/encryption/remove",
        page=SETTINGS,
        document=Document(
            "mutation EncryptAsUsual($input: RemoveTlsRequirementInput!) "
            "{ removeTlsRequirement(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"domain": call.form.get("domain", "")}},
        then=_saved,
        form="usual",
    ),
    Action(
        path="/o/{org:str}/settings/projects",
        page=SETTINGS,
        document=Document(
            "mutation MakeProject($input: CreateProjectInput!) "
            "{ createProject(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"name": call.form.get("project", "").strip()}},
        names={"name": "project"},
        then=_saved,
        form="project",
    ),
    *(
        Action(
            path="/o/{org:str}/settings/projects/{id:str}/" + verb,
            page=SETTINGS,
            document=Document(
                f"mutation {verb.capitalize()}Project($input: {verb.capitalize()}ProjectInput!) "
                f"{{ {verb}Project(input: $input) {{ __typename }} }}"
            ),
            variables=lambda call: {"input": {"projectId": call.path["id"]}},
            then=_saved,
            form=verb,
        )
        for verb in ("archive", "restore")
    ),
)
