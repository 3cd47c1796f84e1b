"""Erasing one person from everything an organization has."""

from functools import partial

from ...audit import operations as audit
from ...core.actor import Actor, Permission
from ...core.database import transaction
from ...core.errors import DetailCode, InvalidInput, NotPermitted
from ...mail.address import InvalidAddress, parse_mailbox
from ...suppressions import work as suppressions
from ...suppressions.rules import erased_key
from ...tracking.work.erasing import forget_recipient
from ..tables import Erasure
from ..work import ask_for_erasure


async def erase_recipient(actor: Actor, *, address: str, stops_mail: bool = True) -> Erasure:
    """Begin to erase all personal data of one address; a job does it, and the row says how far.

    From now on nothing more is recorded of what they do with mail they have, and with
    *stops_mail* nothing more is sent to them, by a keyed hash of the address. Asked for again,
    it is done again: mail may have come since.

    Raises:
        NotPermitted: the actor's key is bound to one project; a person is in all of them.
        InvalidInput: it is no address.
    """
    actor.require(Permission.WRITE_SECURITY)
    if actor.project_id is not None:
        raise NotPermitted("This API key is bound to one project, and a person is in all of them.")
    try:
        key = parse_mailbox(address).key
    except InvalidAddress:
        message = "Write one email address."
        raise InvalidInput.of("address", DetailCode.INVALID_EMAIL, message) from None
    row = Erasure(
        organization_id=actor.organization_id,
        address=key,
        key=erased_key(actor.organization_id, key),
        user_id=actor.user_id,
        api_key_id=actor.api_key_id,
        stops_mail=stops_mail,
    )
    async with transaction() as tx:
        await Erasure.insert(row)
        if stops_mail:
            await suppressions.stop_erased(tx, actor.organization_id, key)
        await forget_recipient(tx, actor.organization_id, key)
        await audit.record(
            tx,
            actor,
            action="recipient.erased",
            target_type="erasure",
            target_id=row.id,
            changes={"stops_mail": stops_mail},
        )
        tx.after_commit(partial(ask_for_erasure, row.id))
    return row
