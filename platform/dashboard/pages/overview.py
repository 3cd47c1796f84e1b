"""Is mail flowing? The first page of an organization, with what is left to set up."""

from typing import Any

from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ..page import Call, Page, shown

DOCUMENT = shown(
    """
    query Overview($messages: Boolean!, $domains: Boolean!, $queues: Boolean!, $credits: Boolean!,
                   $keys: Boolean!) {
      ...Shell
      organization {
        name
        status
        domains(first: 5) @include(if: $domains) { nodes { name status canSend } }
        apiKeys(first: 1) @include(if: $keys) { nodes { name } }
        messages(first: 8) @include(if: $messages) {
          nodes { uuid subject to status mode createdAt recipientCount }
        }
        delivered: messages(first: 1, filter: { statuses: [DELIVERED], mode: LIVE })
          @include(if: $messages) { nodes { uuid } }
        problems: messages(first: 5, filter: { statuses: [BOUNCED, DEFERRED, EXPIRED, PARTIAL] })
          @include(if: $messages) { nodes { uuid subject to status mode createdAt recipientCount } }
        queueOverview @include(if: $queues) {
          queueDepth ready deferred inFlight scheduled held oldestMessageAt deliveryRate bounceRate
          topDestinations { domain depth }
        }
        credits @include(if: $credits) {
          balance(type: "email") { balance unlimited usedThisPeriod }
        }
      }
    }
    """
)


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    domains = (found.get("domains") or {"nodes": []})["nodes"]
    verified = [domain for domain in domains if domain["canSend"]]
    delivered = bool((found.get("delivered") or {"nodes": []})["nodes"])
    keys = bool((found.get("apiKeys") or {"nodes": []})["nodes"])
    all_steps = [
        ("domains:write", _("Add the domain you send from"), call.link("/domains"), bool(domains)),
        (
            "domains:write",
            _("Publish its DNS records, and let us check them"),
            call.link(f"/domains/{domains[0]['name']}") if domains else call.link("/domains"),
            bool(verified),
        ),
        (
            "messages:send",
            _("Send yourself a test message"),
            call.link("/messages/new"),
            delivered,
        ),
        ("api_keys:write", _("Make an API key for your program"), call.link("/keys"), keys),
    ]
    steps = [(word, to, done) for needs, word, to, done in all_steps if call.may(needs)]
    return {
        "organization": found,
        "steps": steps,
        "is_set_up": all(done for _, _, done in steps),
        "queues": found.get("queueOverview"),
        "credits": (found.get("credits") or {}).get("balance"),
        "messages": (found.get("messages") or {"nodes": []})["nodes"],
        "problems": (found.get("problems") or {"nodes": []})["nodes"],
        "health": _health(found.get("queueOverview"), delivered=delivered),
    }


def _health(queues: dict[str, Any] | None, *, delivered: bool) -> tuple[str, str]:
    """Return the state of the mail in a tone and a sentence."""
    if queues is None:
        return "idle", _("Your role does not see the queues.")
    if queues["held"]:
        return "warn", _("Some queues are held: mail in them waits until they are released.")
    if queues["bounceRate"] is not None and queues["bounceRate"] > 5:
        return "bad", _("More than one in twenty messages bounces. Look at the problems below.")
    if queues["deferred"]:
        return "warn", _("Mail is flowing, and some of it was refused for now and is tried again.")
    if queues["queueDepth"]:
        return "good", _("Mail is flowing.")
    if delivered:
        return "good", _("Everything that was sent has been dealt with.")
    return "idle", _("Nothing has been delivered yet.")


OVERVIEW = Page(
    path="/o/{org:str}",
    title=N_("Overview"),
    template="overview/index.html",
    document=DOCUMENT,
    variables=lambda call: {
        "messages": call.may("messages:read"),
        "domains": call.may("domains:read"),
        "queues": call.may("queues:read"),
        "credits": call.may("credits:read"),
        "keys": call.may("api_keys:read"),
    },
    view=_view,
)
PAGES = (OVERVIEW,)
