"""PostageApp's methods that the account's key may call: its projects."""

from collections.abc import Mapping
from typing import Any

from ...core.actor import Permission
from ...core.errors import ErrorCode
from ...graphql.execute import Document
from ..route import Call, CompatRoute, KeyReach, Refused
from . import shapes
from .calling import envelope_of, method
from .decoding import PostageAppError, call_error, uid_text
from .shapes import Answered

KEY_SCOPES = ["messages:*", "analytics:read", "templates:read", "users:read"]
"""What the key of a new project may do, as far as the account's key may."""
NO_PROJECT = "The project was not found."


def flag(call: Call, name: str) -> bool | None:
    """Return an argument that is a truth value, as programs write one."""
    value = envelope_of(call).argument(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word not in _FLAGS:
        raise call_error(f"The argument '{name}' is not a boolean.")
    return _FLAGS[word]


_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def text(call: Call, name: str) -> str | None:
    """Return an argument that is a text; an empty one is none."""
    value = envelope_of(call).argument(name)
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise call_error(f"The argument '{name}' is not a string.")
    return value


def number(call: Call) -> int | None:
    """Return the id that is asked for; one that cannot be is that of nothing."""
    value = envelope_of(call).argument("id")
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise call_error("The argument 'id' is not a number.")
    return value if 0 <= value < 2**63 else 0


def uid(call: Call) -> str | None:
    """Return the uid of what it is about: that of the arguments before the envelope's."""
    return envelope_of(call).looked_up


def needed(name: str, value: Any) -> Any:
    """Return *value*.

    Raises:
        PostageAppError: there is none.
    """
    if value is None:
        raise PostageAppError("precondition_failed", f"The argument '{name}' is required.")
    return value


def _settings(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {
        "groupName": text(call, "group"),
        "trackOpens": flag(call, "open_tracking"),
        "trackClicks": flag(call, "click_tracking"),
    }
    if (unsubscribe := flag(call, "unsubscribe_header")) is not None:
        found["stream"] = "MARKETING" if unsubscribe else "TRANSACTIONAL"
    return {name: value for name, value in found.items() if value is not None}


def _created(call: Call) -> dict[str, Any]:
    name, own = text(call, "label"), uid(call)
    given = {"uid": needed("uid", own), "name": needed("label", name), **_settings(call)}
    off = {"trackOpens": False, "trackClicks": False}
    key = {"name": f"PostageApp {name}"[:100], "scopes": KEY_SCOPES, "format": "POSTAGEAPP"}
    return {"input": {**off, **given, "apiKey": key}}


def reference(call: Call, kind: str) -> dict[str, Any]:
    """Return what names a thing: its id, or else its uid.

    Raises:
        PostageAppError: there is neither.
    """
    if (found := number(call)) is not None:
        return {"number": found}
    return {"uid": needed(f"id of the {kind}", uid(call))}


def _updated(call: Call) -> dict[str, Any]:
    found = {"project": reference(call, "project"), "name": text(call, "label"), **_settings(call)}
    # Beside an id the uid is a new one.
    if number(call) is not None:
        found["uid"] = uid_text(envelope_of(call).arguments.get("uid"))
    return {"input": {name: value for name, value in found.items() if value is not None}}


def _answered(data: Any, call: Call) -> Answered:
    payload = next(iter(data.values()))
    found = shapes.project(payload["project"], payload.get("key"))
    return Answered({"project": found}, _uid_of(call, found))


def _uid_of(call: Call, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the uid to echo: as it was sent, or else that of what it is about."""
    envelope = envelope_of(call)
    sent = envelope.arguments.get("uid", envelope.uid)
    return {"uid": found["uid"] if sent is None else sent}


def _listed(data: Any, call: Call) -> Answered:
    rows = data["organization"]["projectsInUse"]
    return Answered({"projects": [shapes.project(row) for row in rows]})


def _not_found(refused: Refused, call: Call) -> Refused:
    if refused.code is not ErrorCode.NOT_FOUND:
        return refused
    return PostageAppError("not_found", NO_PROJECT)


def of_account(name: str, summary: str, **values: Any) -> CompatRoute:
    """Return the route of a method for the account's key."""
    usual = {"reach": KeyReach.ORGANIZATION, "permission": Permission.WRITE_PROJECTS}
    return method(name, summary, **{**usual, "refused": _not_found, **values})


ROUTES = (
    of_account(
        "create_project",
        "Make a project",
        document=Document(
            "mutation PostageAppCreateProject($input: CreateProjectInput!) "
            f"{{ createProject(input: $input) {{ key project {{ {shapes.PROJECT} }} }} }}"
        ),
        variables=_created,
        answer=_answered,
    ),
    of_account(
        "update_project",
        "Change a project",
        document=Document(
            "mutation PostageAppUpdateProject($input: UpdateProjectInput!) "
            f"{{ updateProject(input: $input) {{ project {{ {shapes.PROJECT} }} }} }}"
        ),
        variables=_updated,
        answer=_answered,
    ),
    of_account(
        "delete_project",
        "Delete a project",
        document=Document(
            "mutation PostageAppDeleteProject($input: ArchiveProjectInput!) "
            f"{{ archiveProject(input: $input) {{ project {{ {shapes.PROJECT} }} }} }}"
        ),
        variables=lambda call: {"input": {"project": reference(call, "project")}},
        answer=_answered,
    ),
    of_account(
        "list_projects",
        "The projects",
        permission=Permission.READ_PROJECTS,
        document=Document(
            "query PostageAppProjects { organization "
            f"{{ projectsInUse {{ {shapes.PROJECT} }} }} }}"
        ),
        variables=lambda call: {},
        answer=_listed,
    ),
)
