"""Sending one message to many, each of whom gets it filled with values of their own.

It is rendered for the first recipient before it is accepted, which shows what is wrong with it;
for each of the others where it is sent, so that nobody waits for thousands of renderings.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ...accounts.queries import default_project_id
from ...core import clock
from ...core.actor import Actor, Mode, Permission
from ...core.errors import Detail, DetailCode, InvalidInput, OperationError
from ...delivery.contents import Personal
from ...domains import work as domains
from ...mail.address import InvalidAddress, Mailbox, parse_mailbox
from ...mail.renderers import RENDERERS
from ...mail.templating import Layer, Rendered, Syntax, Unrenderable
from ...templates.errors import SourceInvalid
from ...templates.queries import Filling, filling_for
from ...templates.rules import MAX_SOURCE_BYTES, check_values, kept_size
from ..errors import MessageUidTaken
from ..rules import (
    SURROGATE,
    CheckedMessage,
    Faults,
    NewAttachment,
    NewMessage,
    PersonalTexts,
    Recipient,
    Shown,
    Source,
    Stream,
    check_message,
)
from .accept import accept
from .send import LARGE_BYTES
from .submission import Receipt, Submission, only_receipt
from .uids import is_taken

MAX_PERSONAL = 10_000
MAX_UID_CHARACTERS = 255
MOST_FAULTS = 20
"""Recipients of whom it is told what is wrong."""
MANY = 50
"""From so many recipients on, cc and bcc among them, they are read in a thread.

As many plain addresses take 70 microseconds and going there 50; as many of the slow kind, with
names and domains in any script, 1.8 ms (CPython 3.11, one core of a shared machine).
"""
VISIBLE = 50
"""Recipients that all of them may see in To."""


class PersonalRecipient(Protocol):
    """Whom a message goes to, and what it says to them alone; there may be 10,000 of them."""

    @property
    def address(self) -> str: ...

    @property
    def variables(self) -> object: ...


@dataclass(frozen=True, slots=True)
class NewPersonalMessage:
    """A message as the customer hands it in; nothing is checked yet."""

    recipients: Sequence[PersonalRecipient]
    sender: str | None = None
    """None is the template's, or else an address of the oldest verified domain."""
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    is_apart: bool = True
    reply_to: Sequence[str] = ()
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    syntax: Syntax = Syntax.JINJA
    """Of subject, html and text."""
    headers: Sequence[tuple[str, str]] = ()
    attachments: Sequence[NewAttachment] = ()
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] | None = None
    stream: Stream | None = None
    """None is what the project says."""
    template: str | None = None
    locale: str | None = None
    variables: object = field(default_factory=dict)
    uid: str | None = None
    redirect_to: str | None = None
    """Who gets all of it instead."""
    is_sandbox: bool = False


async def send_personal_message(actor: Actor, new: NewPersonalMessage) -> Receipt:
    """Accept a message and return its receipt; of several with one uid the first is accepted.

    Of its recipients the receipt has the numbers alone: there may be 10,000.

    Costs one `email` credit for each recipient that gets mail.

    Raises:
        MessageUidTaken: the project has a message with the uid; told before anything else.
        InvalidInput: every field that breaks a rule, or nothing comes of the template.
        DomainNotVerified, DomainNotAllowed, InsufficientCredits: as for `send_message`.
    """
    actor.require(Permission.SEND_MESSAGES)
    project_id = actor.project_id or await default_project_id(actor.organization_id)
    if actor.project_id is None or new.is_sandbox:
        mode = Mode.SANDBOX if new.is_sandbox else actor.mode
        actor = replace(actor, project_id=project_id, mode=mode)
    if new.uid is not None:
        _check_uid(new.uid)
    try:
        message = await _read(actor, new)
    except OperationError:
        # That the uid is taken is told before all else. Of what is well-formed, accepting finds
        # it out, so that nobody has to look twice.
        if new.uid is not None and await is_taken(project_id, new.uid):
            raise MessageUidTaken(new.uid) from None
        raise
    submission = Submission(
        actor=actor,
        messages=[message],
        source=Source.API,
        batch_id=None,
        atomic=False,
        operation="sendPersonalMessage",
        key=None,
        fingerprint=b"",
        names_recipients=False,
    )
    return only_receipt(await accept(submission))


async def _read(actor: Actor, new: NewPersonalMessage) -> CheckedMessage:
    """Return *new* filled for its first recipient, parsed and checked."""
    # Reading all of it would keep the loop from everybody else's requests.
    people = await asyncio.to_thread(_read_all, new) if _is_large(new) else _read_all(new)
    filling = await _filling(actor, new)
    texts = _texts(new, people, filling)
    _check_missing(filling, people, texts)
    first = people.to[0] if people.to else people.others[0]
    rendered = await _render(actor, texts, texts.of.get(first.key, _NOTHING))
    sender = new.sender or (filling.sender if filling else None) or await _usual_sender(actor)
    message = _checked(new, sender, first, rendered)
    # Mail without a subject is mail.
    message.subject = rendered.subject or ""
    message.uid = new.uid
    message.takes_projects_stream = new.stream is None
    return _as_sent(message, people, texts, filling)


def _is_large(new: NewPersonalMessage) -> bool:
    if _count(new) >= MANY:
        return True
    # The size of the request says nothing: many recipients may name one variable of it.
    left = LARGE_BYTES
    try:
        for values in (new.variables, *(each.variables for each in new.recipients)):
            if values:
                left -= kept_size(values, "variables")
                if left < 0:
                    return True
    except InvalidInput:  # told where it is read, of all that is wrong
        return True
    return False


def _count(new: NewPersonalMessage) -> int:
    return len(new.recipients) + len(new.cc) + len(new.bcc)


def _check_uid(uid: str) -> None:
    if len(uid) > MAX_UID_CHARACTERS:
        raise InvalidInput.of("uid", DetailCode.TOO_LONG, "A uid has at most 255 characters.")
    if "\x00" in uid or SURROGATE.search(uid):
        message = "It holds a character that is none."
        raise InvalidInput.of("uid", DetailCode.INVALID_FORMAT, message)


_NOTHING = Personal()


@dataclass(slots=True)
class _Named(Recipient):
    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _People:
    """Who gets it, none of them twice."""

    to: Sequence[_Named]
    others: Sequence[_Named]
    redirect: Mailbox | None
    shared: Mapping[str, Any]

    @property
    def all(self) -> list[_Named]:
        return [*self.to, *self.others]


def _read_all(new: NewPersonalMessage) -> _People:
    faults = Faults()
    if _count(new) > MAX_PERSONAL:
        # Before any is parsed: a list of a million is refused by its length.
        message = "A message has at most 10,000 recipients."
        raise InvalidInput.of("recipients", DetailCode.TOO_MANY, message)
    seen: set[str] = set()
    to, others = [], []
    for nth, each in enumerate(new.recipients):
        values = _values(each.variables, "recipients[{}].variables", nth, faults)
        named = _named(each.address, "to", "recipients[{}].address", nth, values, seen, faults)
        if named is not None:
            to.append(named)
        if len(faults.details) >= MOST_FAULTS:
            break
    for kind, addresses in (("cc", new.cc), ("bcc", new.bcc)):
        for nth, address in enumerate(addresses):
            named = _named(address, kind, f"{kind}[{{}}]", nth, {}, seen, faults)
            if named is not None:
                others.append(named)
    if not new.recipients:
        faults.add("recipients", DetailCode.REQUIRED, "Name at least one recipient.")
    redirect = _mailbox(new.redirect_to, "redirectTo", 0, faults) if new.redirect_to else None
    shared = _values(new.variables, "variables", 0, faults)
    faults.raise_if_any()
    return _People(to, others, redirect, shared)


def _named(
    text: str,
    kind: str,
    at: str,
    nth: int,
    values: Mapping[str, Any],
    seen: set[str],
    faults: Faults,
) -> _Named | None:
    mailbox = _mailbox(text, at, nth, faults)
    if mailbox is None or (key := mailbox.key) in seen:
        return None
    seen.add(key)
    return _Named(kind, mailbox, key, values)


# Where something is wrong is worked out of *at* and *nth* once it is: of 10,000 recipients mostly
# nothing is.
def _mailbox(text: str, at: str, nth: int, faults: Faults) -> Mailbox | None:
    try:
        return parse_mailbox(text)
    except InvalidAddress as error:
        faults.add(at.format(nth), DetailCode.INVALID_EMAIL, f"'{text[:80]}': {error}")
        return None


def _values(given: object, at: str, nth: int, faults: Faults) -> Mapping[str, Any]:
    if given is None or given == {}:
        return {}
    try:
        return check_values(given, at)
    except InvalidInput as error:
        faults.details += [Detail(at.format(nth), d.code, d.message) for d in error.details]
        return {}


async def _filling(actor: Actor, new: NewPersonalMessage) -> Filling | None:
    if not new.template:
        return None
    return await filling_for(actor, template=new.template, locale=new.locale, field="template")


def _texts(new: NewPersonalMessage, people: _People, filling: Filling | None) -> PersonalTexts:
    for name, source in (("subject", new.subject), ("html", new.html), ("text", new.text)):
        if source and len(source) > MAX_SOURCE_BYTES and new.syntax is Syntax.JINJA:
            raise InvalidInput.of(name, DetailCode.TOO_LARGE, "A source has at most 512 KiB.")
    own = Layer(new.syntax, new.subject or None, new.html or None, new.text or None)
    has_own = own.subject or own.html or own.text
    layers = (*((own,) if has_own else ()), *(filling.layers if filling else ()))
    values = filling.values(people.shared) if filling else dict(people.shared)
    if people.redirect is not None:
        redirected = [_personal(named, stands=True) for named in people.all]
        return PersonalTexts(
            layers, values, {people.redirect.key: redirected[0]}, redirected, new.is_apart
        )
    of = {
        named.key: _personal(named)
        for named in people.all
        if named.values or named.mailbox.display_name
    }
    return PersonalTexts(layers, values, of, (), new.is_apart)


def _personal(named: _Named, *, stands: bool = False) -> Personal:
    return Personal(
        named.mailbox.display_name,
        # Nobody changes them: they are what was sent.
        named.values if isinstance(named.values, dict) else dict(named.values),
        named.mailbox.address if stands else None,
    )


def _check_missing(filling: Filling | None, people: _People, texts: PersonalTexts) -> None:
    # What everybody has is looked at once: there may be 10,000 of them, and 64 KiB of it.
    needed = set(filling.missing(people.shared)) if filling is not None else set()
    if filling is None or not needed:
        return
    found: list[Detail] = []
    for nth, named in enumerate(people.all):
        for name in filling.missing(named.values):
            if name not in needed:
                continue
            at = f"recipients[{nth}].variables.{name}"
            found.append(Detail(at, DetailCode.REQUIRED, "The template needs it."))
        if len(found) >= MOST_FAULTS:
            break
    if found:
        raise InvalidInput.all(found)


async def _render(actor: Actor, texts: PersonalTexts, own: Personal) -> Rendered:
    values = [{**texts.values, **own.values}]
    [rendered] = await RENDERERS.render(texts.layers, values, owner=actor.organization_id)
    if isinstance(rendered, Unrenderable):
        raise SourceInvalid(rendered.part.value, rendered.reason)
    return rendered


async def _usual_sender(actor: Actor) -> str:
    name = await domains.oldest_domain(actor.organization_id, allowed=actor.allowed_domains)
    if name is None:
        message = "Name a sender: no domain of the organization is verified."
        raise InvalidInput.of("from", DetailCode.REQUIRED, message)
    return f"mail@{name}"


def _checked(
    new: NewPersonalMessage, sender: str, first: _Named, rendered: Rendered
) -> CheckedMessage:
    """Return the message as its first recipient gets it."""
    message = NewMessage(
        sender=sender,
        to=[first.mailbox.address],
        reply_to=new.reply_to,
        subject=rendered.subject or "-",
        html=rendered.html,
        text=rendered.text,
        headers=new.headers,
        attachments=new.attachments,
        tags=new.tags,
        metadata=new.metadata,
        stream=new.stream or Stream.TRANSACTIONAL,
    )
    return check_message(message, now=clock.now())


def _as_sent(
    message: CheckedMessage, people: _People, texts: PersonalTexts, filling: Filling | None
) -> CheckedMessage:
    """Return the message, which nobody else has yet, as all its recipients get it."""
    recipients: tuple[Recipient, ...] = tuple(people.all)
    if people.redirect is not None:
        recipients = tuple(Recipient(named.kind, people.redirect) for named in recipients)
    message.recipients = recipients
    message.template = filling.slug if filling else None
    if texts.is_same_for(recipients):
        # It has been rendered; there is nothing to fill in for anybody later.
        return message
    is_apart = texts.is_apart or people.redirect is not None or len(recipients) > VISIBLE
    to = () if is_apart else tuple(named.mailbox for named in people.to)
    cc = tuple(named.mailbox for named in people.others if named.kind == "cc")
    message.shown = Shown(to=to, cc=cc, submitter=None, date=None)
    message.personal = replace(texts, is_apart=is_apart)
    return message
