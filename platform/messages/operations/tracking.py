"""What decides about tracking the messages of one transaction."""

from collections.abc import Sequence

from ...accounts.rules import TrackingSwitches
from ...accounts.work import SendingAccount
from ...core.actor import ProjectId
from ...domains.work import SendingDomain
from ...tracking.rules import domain_switches
from ...tracking.work.choices import Chooser, choices_of
from ..rules import CheckedMessage
from .draft import Draft


def switches_of(
    message: CheckedMessage,
    account: SendingAccount,
    project_id: ProjectId,
    domain: SendingDomain | None,
) -> tuple[TrackingSwitches, ...]:
    """Return what decides about tracking a message, the most specific first."""
    asked = TrackingSwitches(message.track_opens, message.track_clicks, message.track_text_links)
    found = [asked, account.project_tracking.get(project_id, TrackingSwitches())]
    if domain is not None:
        found.append(domain_switches(opens=domain.track_opens, clicks=domain.track_clicks))
    return (*found, account.tracking)


async def read_choices(drafts: Sequence[Draft]) -> None:
    """Note what was decided about tracking single recipients; one look-up for all messages."""
    asked = {
        (index, recipient.mailbox.key): Chooser(
            draft.owner.organization_id, draft.owner.project_id, recipient.mailbox.key
        )
        for index, draft in enumerate(drafts)
        for recipient in draft.checked.recipients
    }
    found = await choices_of(asked.values())
    for (index, key), chooser in asked.items():
        if chooser in found:
            drafts[index].choices[key] = found[chooser]
