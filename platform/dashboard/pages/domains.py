"""Domains: what to publish so that mail is believed, and what we see of it."""

from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown

RECORD = "purpose type name value ttl required status found message checkedAt"


def _ref(call: Call) -> dict[str, Any]:
    return {"name": call.path["domain"]}


LIST = Page(
    path="/o/{org:str}/domains",
    title=N_("Domains"),
    template="domains/index.html",
    document=shown(
        "query Domains($after: String) { ...Shell organization { "
        "domains(first: 50, after: $after) { pageInfo { hasNextPage endCursor } "
        "nodes { name status canSend lastCheckedAt checks { dkim returnPath spf dmarc } } } } }"
    ),
    variables=lambda call: {"after": call.query.get("after") or None},
    view=lambda data, call: {
        "domains": data["organization"]["domains"]["nodes"],
        "more": data["organization"]["domains"]["pageInfo"],
        "name": call.form.get("name", ""),
        "can_add": call.may("domains:write"),
    },
)


def _domain_view(data: Any, call: Call) -> dict[str, Any]:
    domain = data["organization"]["domain"]
    zone = "\n".join(
        f"{record['name']}. {record['ttl']} IN {record['type']} {_zone_value(record)}"
        for record in domain["records"]
    )
    return {
        "title": domain["name"],
        "domain": domain,
        "zone_file": zone,
        "can_change": call.may("domains:write"),
        "can_delete": call.may("domains:delete"),
    }


def _zone_value(record: dict[str, Any]) -> str:
    """Return a record's value as a zone file has it.

    Source: RFC 1035 section 5.1; a string has at most 255 bytes (section 3.3).
    """
    value = record["value"]
    if record["type"] == "TXT":
        parts = [value[start : start + 255] for start in range(0, len(value), 255)]
        return " ".join(
            '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts
        )
    return value if value.endswith(".") else f"{value}."


DOMAIN = Page(
    path="/o/{org:str}/domains/{domain:str}",
    title=N_("Domain"),
    template="domains/domain.html",
    document=shown(
        "query Domain($ref: DomainRef!) { ...Shell organization { domain(ref: $ref) { "
        "name status canSend returnPathDomain verifiedAt degradedAt lastCheckedAt nextCheckAt "
        f"records {{ {RECORD} }} "
        "dkim { selector rotationDays nextRotationAt keys { selector algorithm state createdAt } } "
        "} } }"
    ),
    variables=lambda call: {"ref": _ref(call)},
    view=_domain_view,
)
PAGES = (LIST, DOMAIN)

ACTIONS = (
    Action(
        path="/o/{org:str}/domains",
        page=LIST,
        document=Document(
            "mutation AddDomain($input: CreateDomainInput!) "
            "{ createDomain(input: $input) { domain { name } } }"
        ),
        variables=lambda call: {"input": {"name": call.form.get("name", "").strip()}},
        then=lambda data, call: Done(
            call.link(f"/domains/{data['createDomain']['domain']['name']}", done="domain-added")
        ),
    ),
    Action(
        path="/o/{org:str}/domains/{domain:str}/check",
        page=DOMAIN,
        document=Document(
            "mutation CheckDomain($input: VerifyDomainInput!) "
            "{ verifyDomain(input: $input) { domain { name } } }"
        ),
        variables=lambda call: {"input": {"domain": _ref(call)}},
        then=lambda data, call: Done(
            call.link(f"/domains/{call.path['domain']}", done="domain-checked")
        ),
        form="check",
    ),
    Action(
        path="/o/{org:str}/domains/{domain:str}/rotate",
        page=DOMAIN,
        document=Document(
            "mutation RotateDkim($input: RotateDomainDkimInput!) "
            "{ rotateDomainDkim(input: $input) { domain { name } } }"
        ),
        variables=lambda call: {"input": {"domain": _ref(call)}},
        then=lambda data, call: Done(
            call.link(f"/domains/{call.path['domain']}", done="rotation-begun")
        ),
        form="rotate",
    ),
    Action(
        path="/o/{org:str}/domains/{domain:str}/delete",
        page=DOMAIN,
        document=Document(
            "mutation DeleteDomain($input: DeleteDomainInput!) "
            "{ deleteDomain(input: $input) { __typename } }"
        ),
        # Whoever deletes it has typed its name; another one names nothing that is there.
        variables=lambda call: (
            {"input": {"domain": {"name": call.form.get("typed", "")}}}
            if call.form.get("typed", "").strip().lower() == call.path["domain"].lower()
            else {"input": {"domain": {"name": ""}}}
        ),
        then=lambda data, call: Done(call.link("/domains", done="domain-deleted")),
        form="delete",
    ),
)
