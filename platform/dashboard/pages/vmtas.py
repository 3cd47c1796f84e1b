"""vMTAs: the identities that mail leaves from, and how far their warm-up is."""

from typing import Any

from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown
from ..picture import climb

STATES = ("ACTIVE", "PAUSED", "BLOCKED")
VERDICTS = (N_("good"), N_("watch"), N_("bad"))
"""What is said of a warm-up's days, as the schema has it."""
SCHEDULES = {
    "STANDARD": N_("30 days, from 100 messages a day"),
    "EXTENDED": N_("More slowly, for careful receivers"),
    "HOURLY": N_("Spread over the hours of each day"),
}
CHART_DAYS = 45
"""Days of a warm-up that are drawn; the plans end before."""
ROW = (
    "uuid name shared ipAddress hostname pool weight status description "
    "pause { reason source at until } "
    "warmup { enabled } warmupProgress { status day dailyLimit sentToday remainingToday "
    "progressPercent } dns { ptr forwardConfirmed ehloMatchesPtr dnsblListed checkedAt } "
    "stats { queueDepth sentToday delivered24h bounceRate24h }"
)


def _ref(call: Call) -> dict[str, Any]:
    return {"id": call.path["vmta"]}


def _filter(call: Call) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if search := call.query.get("search", "").strip():
        asked["search"] = search
    if (status := call.query.get("status", "")) in STATES:
        asked["status"] = status
    return asked


def _list_view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["vmtas"]
    asked = {name: call.query.get(name, "") for name in ("search", "status")}
    after = found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None
    return {
        "vmtas": found["nodes"],
        "search": asked,
        "is_filtered": bool(_filter(call)),
        "vmta_states": STATES,
        "schedules": SCHEDULES,
        "here_again": call.link("/vmtas", **asked, after=call.query.get("after", "")),
        "more": call.link("/vmtas", **asked, after=after) if after else None,
        "can_make": call.may("vmtas:write"),
        "values": {n: call.form.get(n, "") for n in ("name", "ip", "hostname", "pool")},
    }


LIST = Page(
    path="/o/{org:str}/vmtas",
    title="vMTAs",
    template="vmtas/index.html",
    document=shown(
        "query Vmtas($filter: VmtaFilter, $after: String) { ...Shell organization { "
        f"vmtas(filter: $filter, first: 50, after: $after) {{ nodes {{ {ROW} }} "
        "pageInfo { hasNextPage endCursor } } } }"
    ),
    variables=lambda call: {"filter": _filter(call), "after": call.query.get("after") or None},
    view=_list_view,
)


def _vmta_view(data: Any, call: Call) -> dict[str, Any]:
    vmta = data["organization"]["vmta"]
    progress = vmta["warmupProgress"]
    own = not vmta["shared"]
    return {
        "title": vmta["name"],
        "vmta": vmta,
        "progress": progress,
        "finding": _finding(progress),
        "days": _days(progress),
        "chart": climb(_days(progress)),
        "schedules": SCHEDULES,
        "can_control": own and call.may("vmtas:control"),
        "can_change": own and call.may("vmtas:write"),
    }


def _finding(progress: dict[str, Any]) -> str:
    """Return how the warm-up stands, as the sentence above its chart."""
    status, limit = progress["status"], progress["dailyLimit"]
    if status == "DISABLED":
        return _("It is not warmed up: it may send as much as its limits allow.")
    if status == "COMPLETED":
        return _("Its warm-up is over.")
    if status == "SCHEDULED":
        return _("Its warm-up begins on %(date)s.", date=progress["startDate"])
    sent = f"{progress['sentToday']:,}"
    if limit is not None:
        most = f"{limit:,}"
        sent = _("%(sent)s of %(limit)s", sent=sent, limit=most)
    stands = _("Day %(day)s of its warm-up: %(sent)s sent today.", day=progress["day"], sent=sent)
    why = {"HELD": _("The last day is repeated."), "PAUSED": _("It is paused.")}.get(status, "")
    return f"{stands} {why}".rstrip()


def _days(progress: dict[str, Any]) -> list[tuple[int, int | None, int | None]]:
    """Return for each day of the plan its limit and what was sent; None is neither."""
    sent = {each["day"]: each["sent"] for each in progress["history"]}
    if progress["day"]:
        sent[progress["day"]] = progress["sentToday"]
    limits: dict[int, int] = {}
    for stage in progress["plan"]:
        last = stage["toDay"] or stage["fromDay"]
        if stage["dailyLimit"] is not None:
            for day in range(stage["fromDay"], min(last, CHART_DAYS) + 1):
                limits[day] = stage["dailyLimit"]
    end = min(max([*limits, *sent], default=0), CHART_DAYS)
    return [(day, limits.get(day), sent.get(day)) for day in range(1, end + 1)]


VMTA = Page(
    path="/o/{org:str}/vmtas/{vmta:str}",
    title="vMTA",
    template="vmtas/vmta.html",
    document=shown(
        f"""
        query Vmta($ref: VmtaRef!) {{
          ...Shell
          organization {{ vmta(ref: $ref) {{
            {ROW}
            tls allowedDomains maxConnections createdAt updatedAt
            limits {{ maxConnections maxMessagesPerConnection maxMessagesPerHour
              maxMessagesPerDay }}
            ispLimits {{ isp domain maxConnections maxMessagesPerConnection maxMessagesPerHour }}
            warmup {{ schedule targetDailyVolume startDate }}
            warmupProgress {{ schedule startDate stage stages hourlyLimit targetDailyVolume
              expectedCompletionAt overflow {{ reroutedToday waiting }}
              health {{ delivered24h hardBounceRate blockRate deferralRate complaintRate verdict }}
              plan {{ fromDay toDay dailyLimit }}
              history {{ endedOn day dailyLimit sent action }} }}
          }} }}
        }}
        """
    ),
    variables=lambda call: {"ref": _ref(call)},
    view=_vmta_view,
)
PAGES = (LIST, VMTA)


def _back(note: str) -> Any:
    return lambda data, call: Done(call.link(f"/vmtas/{call.path['vmta']}", done=note))


def _new(call: Call) -> dict[str, Any]:
    asked = call.form.get("schedule", "")
    return {
        "input": {
            "name": call.form.get("name", "").strip(),
            "ipAddress": call.form.get("ip", "").strip(),
            "hostname": call.form.get("hostname", "").strip(),
            "pool": call.form.get("pool", "").strip() or None,
            "warmup": {"enabled": True, "schedule": asked} if asked in SCHEDULES else None,
        }
    }


def _plan(call: Call) -> dict[str, Any]:
    asked = call.form.get("schedule", "")
    plan: dict[str, Any] = {"enabled": asked in SCHEDULES}
    if asked in SCHEDULES:
        plan |= {"schedule": asked, "restart": call.form.get("restart") == "yes"}
        volume = call.form.get("volume", "").strip()
        if volume:
            # What is no number is refused by the schema, in its words.
            plan["targetDailyVolume"] = int(volume) if volume.isascii() and volume.isdigit() else -1
    return {"input": {"vmta": _ref(call), "warmup": plan}}


def _one(verb: str, note: str) -> Action:
    type_ = f"{verb.capitalize()}VmtaInput"
    return Action(
        path="/o/{org:str}/vmtas/{vmta:str}/" + verb,
        page=VMTA,
        document=Document(
            f"mutation {verb.capitalize()}Vmta($input: {type_}!) {{ {verb}Vmta(input: $input) "
            "{ __typename } }"
        ),
        variables=lambda call: {
            "input": {"vmta": _ref(call)}
            | ({"reason": call.form.get("reason") or None} if verb == "pause" else {})
        },
        then=_back(note),
        form=verb,
    )


ACTIONS = (
    Action(
        path="/o/{org:str}/vmtas",
        page=LIST,
        document=Document(
            "mutation AddVmta($input: CreateVmtaInput!) "
            "{ createVmta(input: $input) { vmta { uuid } } }"
        ),
        variables=_new,
        names={"ipAddress": "ip"},
        then=lambda data, call: Done(
            call.link(f"/vmtas/{data['createVmta']['vmta']['uuid']}", done="vmta-added")
        ),
        form="add",
    ),
    _one("pause", "vmta-paused"),
    _one("resume", "vmta-resumed"),
    _one("check", "vmta-checked"),
    Action(
        path="/o/{org:str}/vmtas/{vmta:str}/warmup",
        page=VMTA,
        document=Document(
            "mutation PlanWarmup($input: UpdateVmtaInput!) "
            "{ updateVmta(input: $input) { __typename } }"
        ),
        variables=_plan,
        names={"warmup": "volume"},
        then=_back("saved"),
        form="warmup",
    ),
    Action(
        path="/o/{org:str}/vmtas/{vmta:str}/delete",
        page=VMTA,
        document=Document(
            "mutation DeleteVmta($input: DeleteVmtaInput!) "
            "{ deleteVmta(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {"vmta": _ref(call), "reassignTo": call.form.get("to", "").strip() or None}
        },
        names={"reassignTo": "to"},
        then=lambda data, call: Done(call.link("/vmtas", done="vmta-deleted")),
        form="delete",
    ),
)
