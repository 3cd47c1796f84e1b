"""Filling messages from templates before they are accepted."""

from collections.abc import Sequence
from dataclasses import replace

from ...core import clock
from ...core.actor import Actor
from ...core.errors import Detail, DetailCode, InvalidInput, OperationError
from ...mail.renderers import RENDERERS
from ...mail.templating import Unrenderable
from ...templates.errors import SourceInvalid
from ...templates.queries import Filling, filling_for
from ...templates.rules import check_values
from ..rules import CheckedMessage, NewMessage, TemplateUse, check_message

Filled = NewMessage | OperationError


async def fill_each(actor: Actor, new: Sequence[NewMessage]) -> list[Filled]:
    """Return the messages with what their templates say, or why one cannot be filled.

    A subject or sender that a message has itself stays. Each template is read once.
    """
    found: dict[tuple[str, str | None], Filling | OperationError] = {}
    filled: list[Filled] = []
    for message in new:
        use = message.template
        if use is None:
            filled.append(message)
            continue
        key = (use.template, use.locale)
        if key not in found:
            found[key] = await _filling(actor, use)
        filling = found[key]
        filled.append(
            filling
            if isinstance(filling, OperationError)
            else await _fill(actor, message, use=use, filling=filling)
        )
    return filled


def check_filled(new: NewMessage) -> CheckedMessage:
    """Return a message that was filled, parsed and checked.

    Raises:
        InvalidInput: every field that breaks a rule, by name.
    """
    message = check_message(new, now=clock.now())
    return message if new.template is None else replace(message, template=new.template.template)


async def read_filled(actor: Actor, new: NewMessage) -> CheckedMessage:
    """Return a message filled, parsed and checked.

    Raises:
        InvalidInput: its template cannot fill it, or every field that breaks a rule.
    """
    [filled] = await fill_each(actor, [new])
    if isinstance(filled, OperationError):
        raise filled
    return check_filled(filled)


async def _filling(actor: Actor, use: TemplateUse) -> Filling | OperationError:
    try:
        return await filling_for(
            actor, template=use.template, locale=use.locale, field="template.template"
        )
    except InvalidInput as error:
        return error


async def _fill(actor: Actor, message: NewMessage, *, use: TemplateUse, filling: Filling) -> Filled:
    if message.html or message.text:
        field = "html" if message.html else "text"
        return InvalidInput.of(
            field, DetailCode.MUTUALLY_EXCLUSIVE, "A template fills html and text; write neither."
        )
    try:
        values = check_values(use.variables, "template.variables")
    except InvalidInput as error:
        return error
    if lacking := filling.missing(values):
        return InvalidInput.all(
            [missing_variable(f"template.variables.{name}") for name in lacking]
        )
    [rendered] = await RENDERERS.render(
        filling.layers, [filling.values(values)], owner=actor.organization_id
    )
    if isinstance(rendered, Unrenderable):
        return SourceInvalid(f"template.{rendered.part.value}", rendered.reason)
    return replace(
        message,
        sender=message.sender or filling.sender or "",
        subject=message.subject or rendered.subject,
        html=rendered.html,
        text=rendered.text,
        template=replace(use, template=filling.slug),
    )


def missing_variable(field: str) -> Detail:
    """Return what is wrong where a template needs a value that is not there."""
    return Detail(field, DetailCode.REQUIRED, "The template needs it.")
