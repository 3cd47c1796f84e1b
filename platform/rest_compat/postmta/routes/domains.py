"""PostMTA's sending domains: their records, their proof, their DKIM keys."""

from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, TIME, UUID, Fixed, Leaf, Many, Out, Shape, word
from ...fields import (
    TEXT,
    UUID_PATTERN,
    Field,
    Fields,
    Flag,
    Integer,
    ListOf,
    Text,
    choice,
)
from ...parameters import Param, Params
from ...route import Call, CompatRoute, IdForm
from ..lists import list_document, list_params, list_variables, page_answer
from ..shapes import SOURCE

STATUSES = ("pending", "verified", "degraded", "failed")
PURPOSES = ("dkim", "return_path", "spf", "dmarc", "mx", "tracking", "bimi")
ALGORITHMS = ("rsa-2048", "ed25519")
ISSUE_CODES = (
    "dmarc_not_enforced",
    "logo_unreachable",
    "logo_wrong_type",
    "logo_too_large",
    "logo_not_svg",
    "logo_not_tiny_ps",
    "logo_without_title",
    "logo_has_script",
    "logo_has_animation",
    "logo_has_raster",
    "logo_has_reference",
    "logo_not_square",
    "vmc_unreachable",
    "vmc_not_a_certificate",
    "vmc_not_a_mark",
    "vmc_broken_chain",
    "vmc_expired",
    "vmc_other_name",
    "vmc_other_logo",
)
RECORD_STATUS = word("verified", "pending", "mismatch", "error")
STATUS = word(*STATUSES)
PURPOSE = word(*PURPOSES)
TEXTS = Many(Leaf({"type": "string"}))

KEY = Shape(
    "DkimKey",
    Out("id", UUID, of="uuid"),
    Out("selector"),
    Out("algorithm", word(*ALGORITHMS, "rsa-1024")),
    Out("state", word("pending", "active", "retiring", "retired")),
    Out("created_at", TIME),
    Out("activated_at", TIME, maybe=True),
    Out("retires_at", TIME, maybe=True),
)
DKIM = Shape(
    "Dkim",
    Out("selector"),
    Out("rotation_days", INTEGER, maybe=True),
    Out("next_rotation_at", TIME, maybe=True),
    Out("keys", Many(KEY)),
)
_RECORD = (
    Out("purpose", PURPOSE),
    Out("type"),
    Out("name"),
)
_FOUND = (
    Out("required", FLAG),
    Out("status", RECORD_STATUS),
    Out("found", TEXTS),
    Out("message", maybe=True),
)
RECORD = Shape(
    "DnsRecord",
    *_RECORD,
    Out("value"),
    Out("ttl", INTEGER),
    *_FOUND,
    Out("checked_at", TIME, maybe=True),
)
_BIMI = (
    Out("enabled", FLAG),
    Out("selector"),
    Out("logo_url", maybe=True),
    Out("vmc_url", maybe=True),
    Out("status", word("disabled", "valid", "valid_without_vmc", "invalid", "pending_dns")),
)
ISSUES = Out("issues", Many(Shape("BimiIssue", Out("code", word(*ISSUE_CODES)), Out("message"))))
BIMI = Shape("Bimi", *_BIMI, ISSUES)
CHECKED_BIMI = Shape(
    "CheckedBimi",
    *_BIMI,
    Out("vmc_expires_at", TIME, maybe=True),
    ISSUES,
    Out("record", RECORD, maybe=True),
    Out("checked_at", TIME, maybe=True),
)
BIMI_UPDATE = Shape(
    "BimiUpdate",
    Out("id", UUID, of="uuid"),
    Out("domain", of="name"),
    Out("bimi", CHECKED_BIMI),
    Out("updated_at", TIME),
)
CHECKED_RECORD = Shape("CheckedDnsRecord", *_RECORD, *_FOUND)
DOMAIN = Shape(
    "Domain",
    Out("id", UUID, of="uuid"),
    Out("domain", of="name"),
    Out("status", STATUS),
    Out("can_send", FLAG),
    Out("return_path_domain"),
    Out("tracking_domain", maybe=True),
    Out("track_opens", FLAG),
    Out("track_clicks", FLAG),
    Out("default_pool"),
    Out("inbound_enabled", FLAG),
    Out("dmarc_rua", maybe=True),
    Out("dkim", DKIM),
    Out("bimi", BIMI),
    Out("records", Many(RECORD)),
    Out("verified_at", TIME, maybe=True),
    Out("last_checked_at", TIME, maybe=True),
    Out("created_at", TIME),
    Out("updated_at", TIME),
)
CHECKS = Shape("DomainChecks", *(Out(name, RECORD_STATUS, maybe=True) for name in PURPOSES))
SUMMARY = Shape(
    "DomainSummary",
    Out("id", UUID, of="uuid"),
    Out("domain", of="name"),
    Out("status", STATUS),
    Out("can_send", FLAG),
    Out("checks", CHECKS),
    Out("default_pool"),
    Out("verified_at", TIME, maybe=True),
    Out("last_checked_at", TIME, maybe=True),
    Out("created_at", TIME),
)
_VERDICT = Shape(
    "Verdict",
    Out("id", UUID, of="uuid"),
    Out("domain", of="name"),
    Out("status", STATUS),
    Out("can_send", FLAG),
)
_DATES = Shape(
    "VerdictDates",
    Out("verified_at", TIME, maybe=True),
    Out("last_checked_at", TIME, maybe=True),
)
_CHECK = Shape(
    "Check",
    Out("cached", FLAG),
    Out("duration_ms", INTEGER),
    Out("records", Many(CHECKED_RECORD)),
    Out("changed", Many(PURPOSE)),
)
VERIFICATION = Shape("DomainVerification", *_VERDICT.fields, *_CHECK.fields, *_DATES.fields)
DELETED = Shape(
    "DeletedDomain",
    Out("id", UUID, of="deletedUuid"),
    Out("deleted", Fixed(True, {"type": "boolean"})),
    Out("cancelled_messages", INTEGER),
)
CREATE = Fields(
    Field(
        "domain",
        Text(longest=253),
        "A domain name; not a public suffix, not below the deployment's host.",
        required=True,
        ours="name",
        example="example.com",
    ),
    Field(
        "dkim_selector",
        Text(longest=63),
        "DNS labels of a-z, 0-9 and hyphens.",
        default="pmta",
        example="pmta",
    ),
    Field(
        "dkim_algorithms",
        ListOf(choice(*ALGORITHMS)),
        "Kinds of keys; `rsa-2048` must be one.",
        default=["rsa-2048"],
    ),
    Field("dkim_rotation_days", Integer(30, 365), "Prepare a new key this often."),
    Field("return_path_domain", TEXT, "A subdomain; `bounce.<domain>` without it."),
    Field("tracking_domain", TEXT, "Host of tracked links; the deployment's without it."),
    Field("track_opens", Flag(), "Default for messages.", default=False),
    Field("track_clicks", Flag(), "Default for messages.", default=False),
    Field("default_pool", TEXT, "An existing pool.", default="default"),
    Field("inbound_enabled", Flag(), "Receive mail for the domain.", default=False),
    Field("dmarc_rua", Text(format="email"), "Address in the proposed DMARC record."),
)
VERIFY = Fields(
    Field(
        "records",
        ListOf(choice(*PURPOSES)),
        "Check these only; all without it.",
        ours="purposes",
        example=["dkim", "spf"],
    ),
)
ROTATE = Fields(
    Field("selector", TEXT, "Never used for this domain; made of today's date without it."),
    Field("algorithm", choice(*ALGORITHMS), "Which key is replaced.", default="rsa-2048"),
    Field(
        "overlap_seconds",
        Integer(86_400, 2_592_000),
        "How long the old key's record stays after the switch.",
        default=604_800,
    ),
    Field("force", Flag(), "Replace a new key that is still pending.", default=False),
)
SET_BIMI = Fields(
    Field("enabled", Flag(), "Publish a logo; at first true.", default=True),
    Field("selector", TEXT, "One DNS label; at first `default`.", default="default"),
    Field(
        "logo_url",
        Text(longest=2_048, format="uri"),
        "An https address that ends in `.svg`; needed while it is enabled.",
        example="https://example.com/brand/logo.svg",
        clearable=True,
    ),
    Field(
        "vmc_url",
        Text(longest=2_048, format="uri"),
        "An https address of a mark certificate in PEM; null is none.",
        clearable=True,
    ),
)
DOMAIN_EXISTS = Document(
    "query Domain($id: ID!) { organization { domain(ref: {id: $id}) { uuid } } }"
)


def _ref(call: Call) -> dict[str, str]:
    text = call.path["id"]
    return {"id": text} if UUID_PATTERN.fullmatch(text) else {"name": text}


def _verification(data: Any, call: Call) -> dict[str, Any]:
    payload = data["verifyDomain"]
    domain = payload["domain"]
    return {**_VERDICT.write(domain), **_CHECK.write(payload), **_DATES.write(domain)}


SORTS = {
    "domain": "NAME",
    "-domain": "NAME_DESCENDING",
    "-created_at": "CREATED_AT",
    "created_at": "CREATED_AT_ASCENDING",
}
ROUTES = (
    CompatRoute(
        method="POST",
        path="/api/v1/domains",
        source=SOURCE,
        summary="Create a domain with DKIM key generation",
        permission=Permission.WRITE_DOMAINS,
        body=CREATE,
        is_idempotent=True,
        document=Document(
            "mutation CreateDomain($input: CreateDomainInput!) "
            f"{{ createDomain(input: $input) {{ domain {DOMAIN.selection()} }} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: DOMAIN.write(data["createDomain"]["domain"]),
        shape=DOMAIN,
        status=201,
        refusals=(
            ErrorCode.DOMAIN_EXISTS,
            ErrorCode.DOMAIN_CLAIMED,
            ErrorCode.FEATURE_NOT_IN_PLAN,
        ),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/domains",
        source=SOURCE,
        summary="List all domains",
        permission=Permission.READ_DOMAINS,
        query=list_params(
            Param("status", choice(*STATUSES), "Only those with this status."),
            Param("q", TEXT, "Part of the name.", ours="search"),
            sorts=SORTS,
            usual="domain",
        ),
        document=list_document(
            "domains",
            SUMMARY,
            declared="$filter: DomainFilter, $order: DomainOrder!",
            passed="filter: $filter, orderBy: $order",
        ),
        variables=lambda call: list_variables(call, usual="NAME"),
        answer=page_answer(SUMMARY),
        shape=SUMMARY,
        is_list=True,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/domains/{id}",
        source=SOURCE,
        summary="Get domain details",
        permission=Permission.READ_DOMAINS,
        ids={"id": IdForm.UUID_OR_DOMAIN},
        document=Document(
            "query Domain($ref: DomainRef!) "
            f"{{ organization {{ domain(ref: $ref) {DOMAIN.selection()} }} }}"
        ),
        variables=lambda call: {"ref": _ref(call)},
        answer=lambda data, call: DOMAIN.write(data["organization"]["domain"]),
        shape=DOMAIN,
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/domains/{id}/verify",
        source=SOURCE,
        summary="Verify a domain's DNS configuration",
        permission=Permission.WRITE_DOMAINS,
        ids={"id": IdForm.UUID},
        target=DOMAIN_EXISTS,
        body=VERIFY,
        body_is_optional=True,
        document=Document(
            "mutation Verify($input: VerifyDomainInput!) { verifyDomain(input: $input) { "
            f"domain {{ {_VERDICT.fields_selection} {_DATES.fields_selection} }} "
            f"{_CHECK.fields_selection} }} }}"
        ),
        variables=lambda call: {"input": {"domain": {"id": call.path["id"]}, **call.body}},
        answer=_verification,
        shape=VERIFICATION,
        refusals=(ErrorCode.DOMAIN_CLAIMED, ErrorCode.DNS_UNAVAILABLE),
        differences=(
            "Of the 6 checks a minute of each domain only `Retry-After` tells; `X-RateLimit-*` are "
            "those of the credential.",
        ),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/domains/{id}/rotate-dkim",
        source=SOURCE,
        summary="Rotate DKIM keys",
        permission=Permission.WRITE_DOMAINS,
        ids={"id": IdForm.UUID},
        target=DOMAIN_EXISTS,
        body=ROTATE,
        body_is_optional=True,
        document=Document(
            "mutation Rotate($input: RotateDomainDkimInput!) "
            f"{{ rotateDomainDkim(input: $input) {{ domain {DOMAIN.selection()} }} }}"
        ),
        variables=lambda call: {"input": {"domain": {"id": call.path["id"]}, **call.body}},
        answer=lambda data, call: DOMAIN.write(data["rotateDomainDkim"]["domain"]),
        shape=DOMAIN,
        refusals=(ErrorCode.ROTATION_IN_PROGRESS, ErrorCode.SELECTOR_IN_USE),
    ),
    CompatRoute(
        method="PUT",
        path="/api/v1/domains/{id}/bimi",
        source=SOURCE,
        summary="Update BIMI configuration",
        permission=Permission.WRITE_DOMAINS,
        ids={"id": IdForm.UUID},
        target=DOMAIN_EXISTS,
        body=SET_BIMI,
        document=Document(
            "mutation SetBimi($input: UpdateDomainBimiInput!) "
            f"{{ updateDomainBimi(input: $input) {{ domain {BIMI_UPDATE.selection()} }} }}"
        ),
        variables=lambda call: {"input": {"domain": {"id": call.path["id"]}, **call.body}},
        answer=lambda data, call: BIMI_UPDATE.write(data["updateDomainBimi"]["domain"]),
        shape=BIMI_UPDATE,
    ),
    CompatRoute(
        method="DELETE",
        path="/api/v1/domains/{id}",
        source=SOURCE,
        summary="Delete a domain",
        permission=Permission.DELETE_DOMAINS,
        ids={"id": IdForm.UUID},
        query=Params(
            Param("force", Flag(), "Cancel open messages from it.", default=False),
        ),
        document=Document(
            "mutation DeleteDomain($input: DeleteDomainInput!) "
            f"{{ deleteDomain(input: $input) {DELETED.selection()} }}"
        ),
        variables=lambda call: {"input": {"domain": {"id": call.path["id"]}, **call.query}},
        answer=lambda data, call: DELETED.write(data["deleteDomain"]),
        shape=DELETED,
        refusals=(ErrorCode.DOMAIN_IN_USE,),
    ),
)
