"""PostMTA's auto-blocks: rules, what they stop, resolving it; and how protection is as a whole."""

from collections.abc import Mapping
from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, NUMBER, TIME, UUID, Leaf, Out, Shape, word
from ...fields import TEXT, Field, Fields, Flag, Integer, Text, choice
from ...parameters import Param, Params
from ...route import Call, CompatRoute, IdForm
from ..lists import envelope, list_document, list_params, list_variables, page_answer
from ..shapes import SOURCE

SCOPES = ("domain", "vmta", "queue", "project", "api_key", "source_ip")
ACTIONS = (
    "block_sending",
    "pause_vmta",
    "hold_queue",
    "hold_project",
    "disable_api_key",
    "block_ip",
    "alert_only",
)
STATUSES = ("active", "dry_run", "resolved", "expired")
METRICS = (
    "hard_bounce_rate",
    "complaint_rate",
    "block_rate",
    "severe_listings",
    "deferral_rate",
    "volume_ratio",
    "failed_sign_ins",
    "infected_messages",
    "mail_auth_failure_rate",
    "spamtrap_hits",
    "smtp_abuse",
    "forged_senders",
)
RULE_KEY = Leaf({"type": "string", "examples": ["high_bounce_rate"]})


def _text(example: str) -> Leaf:
    return Leaf({"type": "string", "examples": [example]})


RULE = Shape(
    "AutoBlockRule",
    Out("id", UUID, of="uuid"),
    Out("key", RULE_KEY),
    Out("name", _text("High bounce rate")),
    Out("metric", word(*METRICS)),
    Out("operator", word("gte"), from_whole=lambda rule: "gte"),
    Out("threshold", NUMBER),
    Out("window_seconds", INTEGER),
    Out("minimum_volume", INTEGER),
    Out("scope", word(*SCOPES)),
    Out("action", word(*ACTIONS)),
    Out("duration_seconds", INTEGER, maybe=True),
    Out("enabled", FLAG),
    Out("triggered_30d", INTEGER, of="triggered30d"),
    Out("last_triggered_at", TIME, maybe=True),
    Out("updated_at", TIME, maybe=True, about="Null: the organization has not switched it."),
)
RULE_REF = Shape(
    "AutoBlockRuleRef", Out("id", UUID, of="ruleUuid"), Out("key", RULE_KEY, of="ruleKey")
)
TARGET = Shape(
    "AutoBlockTarget",
    Out("id", _text("0197a000-0000-7000-8000-000000000501"), of="targetId"),
    Out("name", _text("example.com"), of="targetName"),
)
_HEAD = (
    Out("id", UUID, of="uuid"),
    Out("rule", RULE_REF, from_whole=RULE_REF.write),
    Out("scope", word(*SCOPES)),
    Out("target", TARGET, from_whole=TARGET.write),
    Out("action", word(*ACTIONS)),
    Out("status", word(*STATUSES)),
    Out("metric_value", NUMBER),
    Out("threshold", NUMBER),
    Out("sample_size", INTEGER),
    Out("reason", _text("Hard bounce rate 8.2 % over 1 hour (threshold 5 %).")),
)
_TIMES = (
    Out("triggered_at", TIME),
    Out("expires_at", TIME, maybe=True),
    Out("resolved_at", TIME, maybe=True),
    Out("resolved_by", UUID, maybe=True),
)
_WHOM = "ruleUuid ruleKey targetId targetName"
BLOCK = Shape("AutoBlock", *_HEAD, *_TIMES, extra=_WHOM)
RESOLVED = Shape(
    "ResolvedAutoBlock",
    *_HEAD,
    Out("note", _text("List cleaned"), maybe=True),
    *_TIMES,
    Out("grace_until", TIME, maybe=True),
    extra=_WHOM,
)
TOGGLE = Fields(
    Field("rule_id", TEXT, "Id or key.", required=True, example="high_bounce_rate"),
    Field("enabled", Flag(), "Left out, the opposite of now."),
)
RESOLVE = Fields(
    Field("note", Text(longest=500), "What was done about it.", example="List cleaned"),
    Field(
        "grace_seconds",
        Integer(0, 86_400),
        "How long its rule leaves the target alone.",
        default=3600,
    ),
)


def _rules(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["autoBlockRules"]
    return envelope([RULE.write(rule) for rule in found], call)


def _part(name: str, *fields: tuple[str, str, Leaf]) -> Shape:
    """Return a part of the status whose fields lie side by side in ours."""
    return Shape(name, *(Out(theirs, type, of=ours, maybe=True) for theirs, ours, type in fields))


GREYLISTING = _part(
    "GreylistingStatus",
    ("enabled", "greylistingEnabled", FLAG),
    ("pending", "greylistingPending", INTEGER),
)
DNSBL = _part(
    "DnsblStatus",
    ("healthy", "blocklistsHealthy", FLAG),
    ("blocklists", "blocklists", INTEGER),
    ("cached_results", "cachedResults", INTEGER),
    ("listed_ips", "listedAddresses", INTEGER),
    ("last_sweep_at", "lastSweepAt", TIME),
)
AUTO_BLOCK = _part(
    "AutoBlockStatus",
    ("enabled", "autoBlockEnabled", FLAG),
    ("rules_enabled", "rulesEnabled", INTEGER),
    ("rules_total", "rulesTotal", INTEGER),
    ("active_blocks", "activeBlocks", INTEGER),
)
TLS = _part(
    "TlsStatus",
    ("certificate_expires_at", "certificateExpiresAt", TIME),
    ("minimum_version", "minimumTlsVersion", _text("1.2")),
)
SPAM_SCANNER = Shape(
    "SpamScannerStatus",
    Out("enabled", FLAG),
    Out("healthy", FLAG),
    Out("engine", _text("rspamd")),
    Out("version", _text("3.9"), maybe=True),
)
AV_SCANNER = Shape(
    "AvScannerStatus",
    Out("enabled", FLAG),
    Out("healthy", FLAG),
    Out("engine"),
    Out("signatures_updated_at", TIME, maybe=True),
)


def _greylisting(status: Mapping[str, Any]) -> dict[str, Any]:
    found = GREYLISTING.write(status)
    # That it was counted is that it works: both are one look at the database.
    return {"enabled": found["enabled"], "healthy": True, "pending": found["pending"]}


def _dnsbl(status: Mapping[str, Any]) -> dict[str, Any]:
    return {"enabled": status["blocklists"] > 0, **DNSBL.write(status)}


def _with(shape: Shape, **more: Leaf) -> Leaf:
    """Return the schema of a part with further fields."""
    definition = shape.definition()
    properties = {name: leaf.schema() for name, leaf in more.items()} | definition["properties"]
    return Leaf({"type": "object", "properties": properties, "required": list(properties)})


SECURITY_STATUS = Shape(
    "SecurityStatus",
    Out("overall", word("ok", "attention", "degraded")),
    Out(
        "greylisting",
        _with(GREYLISTING, enabled=FLAG, healthy=FLAG),
        from_whole=_greylisting,
    ),
    Out("dnsbl", _with(DNSBL, enabled=FLAG), from_whole=_dnsbl),
    Out("spam_scanner", SPAM_SCANNER),
    Out("av_scanner", AV_SCANNER, of="virusScanner"),
    Out("auto_block", AUTO_BLOCK, from_whole=AUTO_BLOCK.write),
    Out("tls", TLS, from_whole=TLS.write),
    Out("updated_at", TIME),
    extra=" ".join(shape.fields_selection for shape in (GREYLISTING, DNSBL, AUTO_BLOCK, TLS)),
)
STATUS = CompatRoute(
    method="GET",
    path="/api/v1/security/status",
    source=SOURCE,
    summary="Security system status overview",
    permission=Permission.READ_SECURITY,
    document=Document(
        "query SecurityStatus { organization "
        f"{{ securityStatus {SECURITY_STATUS.selection()} }} }}"
    ),
    variables=lambda call: {},
    answer=lambda data, call: SECURITY_STATUS.write(data["organization"]["securityStatus"]),
    shape=SECURITY_STATUS,
)

ROUTES = (
    CompatRoute(
        method="GET",
        path="/api/v1/security/auto-block/rules",
        source=SOURCE,
        summary="List auto-block rules",
        permission=Permission.READ_SECURITY,
        query=Params(
            Param("enabled", Flag(), "Only those that are on, or only the others."),
            Param("scope", choice(*SCOPES), "Only those about this."),
        ),
        document=Document(
            "query AutoBlockRules($enabled: Boolean, $scope: AutoBlockScope) { organization "
            f"{{ autoBlockRules(enabled: $enabled, scope: $scope) {RULE.selection()} }} }}"
        ),
        variables=lambda call: {
            "enabled": call.query.get("enabled"),
            "scope": call.query.get("scope"),
        },
        answer=_rules,
        shape=RULE,
        is_list=True,
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/security/auto-block/toggle",
        source=SOURCE,
        summary="Toggle an auto-block rule",
        permission=Permission.WRITE_SECURITY,
        body=TOGGLE,
        document=Document(
            "mutation SwitchAutoBlockRule($input: SwitchAutoBlockRuleInput!) "
            f"{{ switchAutoBlockRule(input: $input) {{ rule {RULE.selection()} }} }}"
        ),
        variables=lambda call: {
            "input": {
                ("rule" if name == "ruleId" else name): value for name, value in call.body.items()
            }
        },
        answer=lambda data, call: RULE.write(data["switchAutoBlockRule"]["rule"]),
        shape=RULE,
        refusals=(ErrorCode.RULE_LOCKED,),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/security/auto-block/active",
        source=SOURCE,
        summary="Get active blocks",
        permission=Permission.READ_SECURITY,
        query=list_params(
            Param("rule", TEXT, "Key of their rule."),
            Param("scope", choice(*SCOPES), "What they are about."),
            Param("target_id", TEXT, "What they stop.", ours="target"),
            sorts={"-triggered_at": True},
            usual="-triggered_at",
        ),
        document=list_document(
            "autoBlocks", BLOCK, declared="$filter: AutoBlockFilter", passed="filter: $filter"
        ),
        variables=lambda call: {
            name: value
            for name, value in list_variables(call, usual=True).items()
            if name != "order"
        },
        answer=page_answer(BLOCK),
        shape=BLOCK,
        is_list=True,
        differences=("What a dry run would stop is shown with the status `dry_run`.",),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/security/auto-block/{id}/resolve",
        source=SOURCE,
        summary="Resolve an auto-block",
        permission=Permission.WRITE_SECURITY,
        ids={"id": IdForm.UUID},
        body=RESOLVE,
        body_is_optional=True,
        document=Document(
            "mutation ResolveAutoBlock($input: ResolveAutoBlockInput!) "
            f"{{ resolveAutoBlock(input: $input) {{ block {RESOLVED.selection()} }} }}"
        ),
        variables=lambda call: {"input": {"blockId": call.path["id"], **call.body}},
        answer=lambda data, call: RESOLVED.write(data["resolveAutoBlock"]["block"]),
        shape=RESOLVED,
        refusals=(ErrorCode.NOT_FOUND,),
    ),
)
