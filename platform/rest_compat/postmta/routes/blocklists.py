"""PostMTA's blocklists: which there are, what they say, and forgetting it."""

from collections.abc import Mapping
from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, TIME, UUID, Leaf, Many, Out, Shape, word
from ...fields import TEXT as GIVEN_TEXT
from ...fields import Field, Fields, Flag, ListOf
from ...parameters import Param, Params
from ...route import Call, CompatRoute
from ..lists import envelope
from ..shapes import SOURCE

SEVERITY = word("high", "medium", "low")
STATUS = word("listed", "not_listed", "error", "timeout", "unsupported")


def _codes(found: Any) -> dict[str, str]:
    return {each["code"]: each["meaning"] for each in found}


def _lists_ipv6(blocklist: Mapping[str, Any]) -> bool:
    return "IPV6" in blocklist["kinds"]


def _needs_key(blocklist: Mapping[str, Any]) -> bool:
    return bool(blocklist["terms"] == "KEY")


BLOCKLIST = Shape(
    "Blocklist",
    Out("zone"),
    Out("name"),
    Out("enabled", FLAG),
    Out("severity", SEVERITY),
    Out("supports_ipv6", FLAG, from_whole=_lists_ipv6),
    Out("requires_key", FLAG, from_whole=_needs_key),
    Out(
        "codes",
        Leaf({"type": "object", "additionalProperties": {"type": "string"}}, _codes),
        of="codes { code meaning }",
    ),
    Out("healthy", FLAG, maybe=True, about="Null: it was not tested yet, or is not asked."),
    Out("last_success_at", TIME, maybe=True),
    extra="kinds terms",
)
RESULT = Shape(
    "BlocklistResult",
    Out("zone"),
    Out("name"),
    Out("status", STATUS),
    Out("codes", Many(Leaf({"type": "string", "examples": ["127.0.0.3"]}))),
    Out("meaning", Many(Leaf({"type": "string", "examples": ["CSS"]}))),
    Out("reason", maybe=True),
    Out("severity", SEVERITY),
    Out("delist_url"),
    Out("cached", FLAG),
    Out("duration_ms", INTEGER),
)
CHECKED = Shape(
    "BlocklistCheck",
    Out("ip", of="subject"),
    Out("listed", FLAG),
    Out("listed_count", INTEGER),
    Out("checked_count", INTEGER),
    Out("error_count", INTEGER),
    Out("vmta_id", UUID, of="vmtaUuid", maybe=True),
    Out("results", Many(RESULT)),
    Out("checked_at", TIME),
)
CLEARED = Shape(
    "ClearedBlocklistCache",
    Out("cleared", INTEGER),
    Out("ip", maybe=True),
    Out("zone", maybe=True),
    Out("cleared_at", TIME),
)
CHECK = Fields(
    Field(
        "ip",
        GIVEN_TEXT,
        "A public IPv4 or IPv6 address; `127.0.0.2` is on every list.",
        required=True,
        example="127.0.0.2",
    ),
    Field("blocklists", ListOf(GIVEN_TEXT, most=300), "Zones; left out, all that are enabled."),
    Field("use_cache", Flag(), "Whether an answer of the last hour will do.", default=True),
)
CLEAR = Fields(
    Field("ip", GIVEN_TEXT, "Only what is about this address."),
    Field("zone", GIVEN_TEXT, "Only what this list said."),
)


def _all(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["blocklists"]
    return envelope([BLOCKLIST.write(each) for each in found], call)


ROUTES = (
    CompatRoute(
        method="POST",
        path="/api/v1/security/dnsbl/check",
        source=SOURCE,
        summary="Check an IP against DNS blocklists",
        permission=Permission.SCAN,
        body=CHECK,
        document=Document(
            "mutation CheckBlocklists($input: CheckBlocklistsInput!) "
            f"{{ checkBlocklists(input: $input) {CHECKED.selection()} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: CHECKED.write(data["checkBlocklists"]),
        shape=CHECKED,
        refusals=(ErrorCode.DNS_UNAVAILABLE,),
        differences=(
            "A list that fails its daily test is not believed: its status is `error`.",
            "Answers are kept for each organization apart.",
        ),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/security/dnsbl/blocklists",
        source=SOURCE,
        summary="List DNS blocklists",
        permission=Permission.READ_SECURITY,
        query=Params(Param("enabled", Flag(), "Only those that are asked, or only the others.")),
        document=Document(
            "query Blocklists($enabled: Boolean) { organization "
            f"{{ blocklists(enabled: $enabled) {BLOCKLIST.selection()} }} }}"
        ),
        variables=lambda call: {"enabled": call.query.get("enabled")},
        answer=_all,
        shape=BLOCKLIST,
        is_list=True,
        differences=("Beside those that are enabled come all others that are known.",),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/security/dnsbl/clear-cache",
        source=SOURCE,
        summary="Clear the DNSBL cache",
        permission=Permission.WRITE_SECURITY,
        body=CLEAR,
        body_is_optional=True,
        document=Document(
            "mutation ClearBlocklistCache($input: ClearBlocklistCacheInput!) "
            f"{{ clearBlocklistCache(input: $input) {CLEARED.selection()} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: CLEARED.write(data["clearBlocklistCache"]),
        shape=CLEARED,
    ),
)
