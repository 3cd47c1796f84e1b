"""Security: what rules have stopped and why, which rules there are, and how every part is."""

from collections.abc import Mapping
from typing import Any

from ...core.languages import gettext, ngettext
from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown

SCOPES = {
    "DOMAIN": N_("Domains"),
    "VMTA": N_("vMTAs"),
    "QUEUE": N_("Queues"),
    "PROJECT": N_("Projects"),
    "API_KEY": N_("API keys"),
    "SOURCE_IP": N_("Networks"),
}
ACTIONS_TAKEN = {
    "BLOCK_SENDING": N_("The domain sends nothing"),
    "PAUSE_VMTA": N_("The vMTA is paused"),
    "HOLD_QUEUE": N_("The queue is held"),
    "HOLD_PROJECT": N_("The project’s mail is accepted and waits"),
    "DISABLE_API_KEY": N_("The API key is switched off"),
    "BLOCK_IP": N_("Nobody signs in from there"),
    "ALERT_ONLY": N_("Nothing is stopped; it is told"),
}
RATES = {
    "HARD_BOUNCE_RATE": N_("of what ended bounced hard"),
    "COMPLAINT_RATE": N_("of what was delivered was complained about"),
    "BLOCK_RATE": N_("of the attempts were blocked by receivers"),
    "DEFERRAL_RATE": N_("of the attempts were refused for now"),
    "MAIL_AUTH_FAILURE_RATE": N_("of the attempts failed authentication"),
}
"""What rules measure in percent."""
GRACES = {
    "3600": N_("an hour"),
    "14400": N_("four hours"),
    "86400": N_("a day"),
    "0": N_("no time"),
}
"""How long a rule leaves alone what was released, in seconds."""


def _breached_from(metric: str, threshold: float) -> str:
    """Return the threshold of a rule, and what it is a number of."""
    number = f"{threshold:g}"
    if metric in RATES:
        return f"{number} % {gettext(RATES[metric])}"
    return f"{number} {_counted(metric, threshold)}"


def _counted(metric: str, n: float) -> str:
    match metric:
        case "SEVERE_LISTINGS":
            return ngettext(
                "time its address is on a list by which many receivers refuse",
                "times its address is on a list by which many receivers refuse",
                n,
            )
        case "VOLUME_RATIO":
            return ngettext("time the mail of a usual hour", "times the mail of a usual hour", n)
        case "FAILED_SIGN_INS":
            return ngettext("wrong password, code or key", "wrong passwords, codes and keys", n)
        case "INFECTED_MESSAGES":
            return ngettext("message with a virus", "messages with a virus", n)
        case "SPAMTRAP_HITS":
            return ngettext("bounce that names a spam trap", "bounces that name a spam trap", n)
        case "SMTP_ABUSE":
            return ngettext("command that was refused", "commands that were refused", n)
        case "FORGED_SENDERS":
            return ngettext("message from a domain of others", "messages from domains of others", n)
    return metric


def _scope(call: Call) -> str:
    asked = call.query.get("scope", "")
    return asked if asked in SCOPES else ""


def _blocks_view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    page = found["autoBlocks"]["pageInfo"]
    after = page["endCursor"] if page["hasNextPage"] else None
    scope = _scope(call)
    return {
        "blocks": found["autoBlocks"]["nodes"],
        "rules": {rule["key"]: rule["name"] for rule in found["autoBlockRules"]},
        "reputation": found["reputation"],
        "scopes": SCOPES,
        "actions_taken": ACTIONS_TAKEN,
        "graces": GRACES,
        "scope": scope,
        "link_of": lambda block: _link(block, call),
        "here_again": call.link("/security", scope=scope, after=call.query.get("after", "")),
        "more": call.link("/security", scope=scope, after=after) if after else None,
        "can_change": call.may("security:write"),
        "refused": call.path.get("block", ""),
        "values": {"note": call.form.get("note", ""), "grace": call.form.get("grace", "")},
    }


def _link(block: Mapping[str, Any], call: Call) -> str | None:
    """Return where what is stopped is shown; None: nowhere, or not to who asks."""
    places = {
        "DOMAIN": ("domains:read", f"/domains/{block['targetName']}"),
        "VMTA": ("vmtas:read", f"/vmtas/{block['targetId']}"),
        "QUEUE": ("queues:read", "/queues"),
        "API_KEY": ("api_keys:read", "/keys"),
    }
    needs, path = places.get(block["scope"], ("", ""))
    return call.link(path) if path and call.may(needs) else None


BLOCKS = Page(
    path="/o/{org:str}/security",
    title=N_("Security"),
    template="security/index.html",
    document=shown(
        """
        query Security($filter: AutoBlockFilter, $after: String) { ...Shell organization {
          reputation { score delivered hardBounced blocked complained policy }
          autoBlockRules { key name }
          autoBlocks(filter: $filter, first: 25, after: $after) {
            nodes { uuid ruleKey scope targetId targetName action status metricValue threshold
              sampleSize reason evidence triggeredAt expiresAt }
            pageInfo { hasNextPage endCursor }
          }
        } }
        """
    ),
    variables=lambda call: {
        "filter": {"scope": _scope(call)} if _scope(call) else None,
        "after": call.query.get("after") or None,
    },
    view=_blocks_view,
)
STATUS = Page(
    path="/o/{org:str}/security/status",
    title=N_("How security is"),
    template="security/status.html",
    document=shown(
        """
        query SecurityStatus { ...Shell organization { securityStatus {
          overall greylistingEnabled greylistingPending blocklists failingBlocklists
          blocklistsHealthy listedAddresses lastSweepAt autoBlockEnabled rulesEnabled rulesTotal
          activeBlocks certificateExpiresAt minimumTlsVersion updatedAt
          spamScanner { enabled healthy engine version problem }
          virusScanner { enabled healthy engine version signaturesUpdatedAt problem }
        } } }
        """
    ),
    view=lambda data, call: {"status": data["organization"]["securityStatus"]},
)
RULES = Page(
    path="/o/{org:str}/security/rules",
    title=N_("Rules"),
    template="security/rules.html",
    document=shown(
        "query SecurityRules { ...Shell organization { autoBlockRules { key name metric threshold "
        "windowSeconds minimumVolume scope action durationSeconds enabled dryRun locked "
        "triggered30d lastTriggeredAt } reputation { policy } } }"
    ),
    view=lambda data, call: {
        "rules": data["organization"]["autoBlockRules"],
        "policy": data["organization"]["reputation"]["policy"],
        "scopes": SCOPES,
        "breached_from": _breached_from,
        "actions_taken": ACTIONS_TAKEN,
        "can_change": call.may("security:write"),
    },
)
PAGES = (BLOCKS, STATUS, RULES)


def _resolve(call: Call) -> dict[str, Any]:
    grace = call.form.get("grace", "")
    return {
        "input": {
            "blockId": call.path["block"],
            "note": call.form.get("note", "").strip() or None,
            "graceSeconds": int(grace) if grace in GRACES else 3600,
        }
    }


def _switch(call: Call) -> dict[str, Any]:
    asked: dict[str, Any] = {"rule": call.path["rule"]}
    for field, name in (("enabled", "enabled"), ("dry", "dryRun")):
        if call.form.get(field) in ("yes", "no"):
            asked[name] = call.form[field] == "yes"
    return {"input": asked}


ACTIONS = (
    Action(
        path="/o/{org:str}/security/blocks/{block:str}/resolve",
        page=BLOCKS,
        document=Document(
            "mutation ResolveBlock($input: ResolveAutoBlockInput!) "
            "{ resolveAutoBlock(input: $input) { __typename } }"
        ),
        variables=_resolve,
        then=lambda data, call: Done(call.link("/security", done="block-resolved")),
        form="resolve",
    ),
    Action(
        path="/o/{org:str}/security/rules/{rule:str}",
        page=RULES,
        document=Document(
            "mutation SwitchRule($input: SwitchAutoBlockRuleInput!) "
            "{ switchAutoBlockRule(input: $input) { __typename } }"
        ),
        variables=_switch,
        then=lambda data, call: Done(call.link("/security/rules", done="rule-switched")),
        form="switch",
    ),
)
