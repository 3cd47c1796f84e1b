"""Blocklists: which addresses of ours are on one, and what they say of any other."""

from ipaddress import ip_address
from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import SHOWN_ONCE, Action, Call, Done, Page, shown


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    page = found["blocklistListings"]["pageInfo"]
    after = page["endCursor"] if page["hasNextPage"] else None
    return {
        "listings": found["blocklistListings"]["nodes"],
        "asked": [each for each in found["blocklists"] if each["enabled"]],
        "others": [each for each in found["blocklists"] if not each["enabled"]],
        "names": {each["zone"]: each["name"] for each in found["blocklists"]},
        "here_again": call.link("/security/blocklists", after=call.query.get("after", "")),
        "more": call.link("/security/blocklists", after=after) if after else None,
        "is_first": not call.query.get("after"),
        "can_check": call.may("security:scan"),
        "can_change": call.may("security:write"),
        "sees_vmtas": call.may("vmtas:read"),
        "values": {"subject": call.form.get("subject", ""), "anew": call.form.get("anew", "")},
    }


BLOCKLISTS = Page(
    path="/o/{org:str}/security/blocklists",
    title=N_("Blocklists"),
    template="security/blocklists.html",
    document=shown(
        """
        query Blocklists($after: String) { ...Shell organization {
          blocklistListings(first: 25, after: $after) {
            nodes { uuid vmtaUuid ipAddress zone severity codes reason delistUrl since seenAt }
            pageInfo { hasNextPage endCursor }
          }
          blocklists { zone name operator kinds severity terms note site enabled healthy problem
            testedAt lastSuccessAt }
        } }
        """
    ),
    variables=lambda call: {"after": call.query.get("after") or None},
    view=_view,
)
PAGES = (BLOCKLISTS,)


def _subject(call: Call) -> dict[str, Any]:
    """Return what to look up: an address if it is one, or else a domain."""
    subject = call.form.get("subject", "").strip()
    try:
        ip_address(subject)
    except ValueError:
        return {"domain": subject}
    return {"ip": subject}


ACTIONS = (
    Action(
        path="/o/{org:str}/security/blocklists/check",
        page=BLOCKLISTS,
        document=Document(
            """
            mutation CheckBlocklists($input: CheckBlocklistsInput!) {
              checked: checkBlocklists(input: $input) {
                subject listed listedCount checkedCount errorCount checkedAt
                results { zone name status codes meaning reason severity delistUrl cached
                  durationMs }
              }
            }
            """
        ),
        variables=lambda call: {
            "input": {**_subject(call), "useCache": call.form.get("anew") != "yes"}
        },
        names={"ip": "subject", "domain": "subject"},
        then=lambda data, call: SHOWN_ONCE,
        form="check",
    ),
    Action(
        path="/o/{org:str}/security/blocklists/forget",
        page=BLOCKLISTS,
        document=Document(
            "mutation ForgetAnswers($input: ClearBlocklistCacheInput!) "
            "{ clearBlocklistCache(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {}},
        then=lambda data, call: Done(call.link("/security/blocklists", done="answers-forgotten")),
        form="forget",
    ),
)
