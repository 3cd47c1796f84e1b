"""What a page is, `Page`; what a form does, `Action`; one request for either, `Call`."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from ..core.actor import Actor, Permission
from ..core.errors import ErrorCode
from ..graphql.errors import Refusal
from ..graphql.execute import Document

SHELL = """
fragment Shell on Query {
  viewer {
    platformAdmin
    user { name email timezone }
    preferences { theme shortcuts language }
    visit { reason expiresAt organization { slug name } }
    memberships { organizationId slug name role }
  }
  shell: organization { capturesMail }
}
"""
"""What every page of somebody who is signed in shows around its own."""


def shown(text: str) -> Document:
    """Return the document of a page: its query, with what is around it."""
    return Document(text + SHELL)


LARGEST_FORM = 2**20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form."""

    filename: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    path: Mapping[str, str] = field(default_factory=dict)
    """The values in the path, by name."""
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Every value of each field of the form, for those that have several."""
    files: Mapping[str, Upload] = field(default_factory=dict)
    actor: Actor | None = None
    ticket: str = ""
    """What the browser kept while it was at a provider of identities."""

    @property
    def slug(self) -> str:
        """The organization in the path."""
        return self.path["org"]

    def may(self, permission: str) -> bool:
        """Say whether who asks holds a permission, for what is only shown to who does."""
        return self.actor is not None and Permission(permission) in self.actor.permissions

    def link(self, path: str = "", **query: str) -> str:
        """Return an address within the organization."""
        return self.at(f"/o/{self.slug}{path}", **query)

    @staticmethod
    def at(path: str, **query: str) -> str:
        """Return an address, with what is asked there."""
        asked = {name: value for name, value in query.items() if value}
        return path + (f"?{urlencode(asked)}" if asked else "")


@dataclass(frozen=True, slots=True)
class Done:
    """What follows an action that was carried out."""

    to: str
    """The address that is shown next; empty shows the page itself, with what was done."""
    session: tuple[str, int] | None = None
    """A token to keep from now on, and for how many seconds."""
    signs_out: bool = False
    ticket: str = ""
    """For the browser to keep for some minutes, until it is back from where it is sent."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """More variables for the page itself, where it is shown next."""


SHOWN_ONCE = Done("")
"""What was done is shown this once, so there is no address to go on to."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a form was refused: a sentence, and one for each field that is at fault."""

    code: ErrorCode
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, refusal: Refusal, names: Mapping[str, str]) -> "Trouble":
        """Return a refusal of the schema in terms of the form's fields.

        A field within lists is named without its places, `texts[].html`, and what the form calls
        it may take them, `html-{}`; any other is named by its first part.
        """
        fields = {}
        for detail in refusal.details:
            whole = _PLACE.sub("[]", detail.field)
            first = detail.field.partition("[")[0].partition(".")[0]
            name = names.get(whole) or names.get(first, first)
            fields[name.format(*_PLACE.findall(detail.field))] = detail.message
        return cls(refusal.code, refusal.message, fields)


_PLACE = re.compile(r"\[(\d+)\]")


Variables = Callable[[Call], dict[str, Any]]
View = Callable[[Any, Call], dict[str, Any]]


def _nothing(call: Call) -> dict[str, Any]:
    return {}


def _as_it_is(data: Any, call: Call) -> dict[str, Any]:
    return dict(data or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One address that is shown: what it asks, and the template that shows it.

    Its template's block `content` is the page without what is around it. A block whose name is
    the target of an htmx request is what that request gets.
    """

    path: str
    title: str
    template: str
    document: Document | None = None
    variables: Variables = _nothing
    view: View = _as_it_is
    """Makes the template's variables out of the document's data."""
    is_public: bool = False
    """Nobody needs to be signed in."""
    policy: str | None = None
    """What a browser may do with it, where that is something else than with every page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One form: a mutation, and where it leads. Refused, its page is shown again with why."""

    path: str
    document: Document
    variables: Variables
    page: Page
    then: Callable[[Any, Call], Done]
    names: Mapping[str, str] = field(default_factory=dict)
    """The form's name of each field of the input, where it has another one."""
    form: str = ""
    """Names the form among those of its page."""
    again: Callable[[Trouble, Call], dict[str, Any]] | None = None
    """More variables for the page that is shown again."""
    is_public: bool = False
    largest: int = LARGEST_FORM
    """Bytes of the form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """An address that runs a mutation though it is only opened.

    Somebody passes through it on the way to another site, or back from there, and it does what
    their ticket is good for; or the mutation changes nothing. Refused, its page is shown with why.
    """

    path: str
    document: Document
    variables: Variables
    page: Page
    then: Callable[[Any, Call], Done]
    is_public: bool = False
