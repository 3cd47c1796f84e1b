"""Taking a whole installation of Postal's over: what is set up first, then suppressions."""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import TypeVar

from ..audit.operations import record_for_platform
from ..core import clock
from ..core.database import transaction
from ..mail.address import InvalidAddress, Mailbox, parse_mailbox
from ..suppressions.rules import SuppressionReason
from ..suppressions.work import NewSuppression, add
from ..webhooks.errors import AnotherPostalKey
from ..webhooks.postal_keys import adopt_postal_key
from .dumps import Row
from .postal import Source, read_postal
from .postal_organizations import Taking
from .postal_rows import PostalSuppression, UnreadableRow, read_suppression
from .postal_servers import Place
from .report import Kind, Outcome, Report
from .rules import Choices
from .taken import Taken

PLATFORM = "postal"
AT_ONCE = 1_000
"""Suppressions that one transaction takes."""
REASONS = {
    "too many hard fails": SuppressionReason.HARD_BOUNCE,
    "too many soft fails": SuppressionReason.SOFT_BOUNCE_COOLING,
}
"""Of Postal's; anything else was written by hand."""

Item = TypeVar("Item")


class _Undone(Exception):
    """A trial has come to its end."""


async def take_over_postal(source: Source, choices: Choices, *, is_trial: bool) -> Report:
    """Take over what *source* has and what was not taken over before; say what became of it.

    Each organization is one transaction, and so are some hundreds of suppressions: an import
    that is cut short is gone on with by running it again. A trial is the same in one
    transaction that is rolled back; of suppressions it only reads and counts.

    Raises:
        UnreadableSource: the source is none, or cannot be read to its end.
    """
    report = Report(is_trial)
    postal = read_postal(source, report)
    taking = Taking(postal, choices, Taken(PLATFORM), report)
    if is_trial:
        try:
            async with transaction() as tx:
                for organization in postal.organizations:
                    await taking.organization(tx, organization)
                raise _Undone
        except _Undone:
            pass
    else:
        for organization in postal.organizations:
            async with transaction() as tx:
                await taking.organization(tx, organization)
    await _take_suppressions(source, taking)
    return report


async def take_over_signing_key(
    pem: bytes, *, replace: bool, is_trial: bool, report: Report
) -> None:
    """Have calls in Postal's format signed with the key that receivers know."""
    try:
        async with transaction() as tx:
            is_new = await adopt_postal_key(tx, pem, replace=replace)
            if is_new:
                await record_for_platform(
                    tx,
                    organization_id=None,
                    action="postal_signing_key.adopted",
                    target_type="postal_signing_key",
                    target_id=PLATFORM,
                )
            if is_trial:
                raise _Undone
    except _Undone:
        pass
    except AnotherPostalKey:
        note = (
            "receivers may know the key that signs now; --replace-signing-key puts Postal's in "
            "its place"
        )
        report.add(Kind.SIGNING_KEY, "of webhooks", Outcome.REFUSED, note)
        return
    outcome = Outcome.TAKEN if is_new else Outcome.PRESENT
    report.add(Kind.SIGNING_KEY, "of webhooks", outcome)


async def _take_suppressions(source: Source, taking: Taking) -> None:
    for server_id, rows in groupby(source.suppressions(), key=lambda found: found[0]):
        place = taking.places.get(server_id)
        lines = (row for _, row in rows)
        if place is None:
            taking.report.count(
                Kind.SUPPRESSION,
                Outcome.LEFT,
                sum(1 for _ in lines),
                of=f"server {server_id}",
                note="the server is not taken over",
            )
            continue
        done, ended = await taking.taken.position(_list_id(place)), 0
        for batch in _batches(lines, AT_ONCE):
            ended += await _take_batch(taking, place, batch, done=done)
        taking.report.count(
            Kind.SUPPRESSION, Outcome.LEFT, ended, of=place.server_name, note="they have ended"
        )


async def _take_batch(taking: Taking, place: Place, batch: Sequence[Row], *, done: int) -> int:
    """Take over what is new of some rows, and return how many have ended."""
    report, last, ended = taking.report, done, 0
    new: list[NewSuppression] = []
    for row in batch:
        try:
            found = read_suppression(row)
        except UnreadableRow as error:
            name = f"{row.get('id') or '?'} of {place.server_name}"
            report.add(Kind.SUPPRESSION, name, Outcome.REFUSED, str(error))
            continue
        last = max(last, found.id)
        if found.id <= done:
            report.count(Kind.SUPPRESSION, Outcome.PRESENT, 1)
        elif found.keep_until is not None and found.keep_until <= clock.now():
            ended += 1
        elif (mailbox := _address(found)) is None:
            name = f"{found.address[:80] or found.id} of {place.server_name}"
            report.add(Kind.SUPPRESSION, name, Outcome.REFUSED, "it is no email address")
        else:
            new.append(_suppression(found, mailbox, place))
    if last > done and not report.is_trial:
        async with transaction() as tx:
            added = await add(tx, new)
            list_id = _list_id(place)
            await taking.taken.move(tx, list_id, local_id=place.project_id, position=last)
            if added:
                await record_for_platform(
                    tx,
                    organization_id=place.organization_id,
                    action="suppressions.adopted",
                    target_type="project",
                    target_id=place.project_id,
                    changes={"added": added},
                )
    report.count(Kind.SUPPRESSION, Outcome.TAKEN, len(new))
    return ended


def _address(found: PostalSuppression) -> Mailbox | None:
    if found.type != "recipient":
        return None
    try:
        return parse_mailbox(found.address.strip())
    except InvalidAddress:
        return None


def _suppression(found: PostalSuppression, mailbox: Mailbox, place: Place) -> NewSuppression:
    return NewSuppression(
        organization_id=place.organization_id,
        project_id=place.project_id,
        address=mailbox.address,
        reason=REASONS.get(found.reason, SuppressionReason.MANUAL),
        description=f"Postal: {found.reason}" if found.reason else "Postal",
        expires_at=found.keep_until,
    )


def _list_id(place: Place) -> str:
    return f"suppressions:{place.server_uuid}"


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while batch := list(islice(items, size)):
        yield batch
