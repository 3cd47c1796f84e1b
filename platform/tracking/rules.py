"""Which mail is tracked."""

from collections.abc import Iterable, Sequence
from enum import IntFlag

from ..accounts.rules import TrackingSwitches

NOTHING = TrackingSwitches()


class Tracks(IntFlag):
    """What is tracked of one delivery."""

    NOTHING = 0
    OPENS = 1
    CLICKS = 2
    TEXT_LINKS = 4


def decide(switches: Sequence[TrackingSwitches]) -> Tracks:
    """Return what is tracked; *switches* are of the places that may decide, most specific first.

    Of each kind the first that decides counts; where nobody does, it is not tracked.
    """
    found = Tracks.NOTHING
    if _first(each.opens for each in switches):
        found |= Tracks.OPENS
    if _first(each.clicks for each in switches):
        found |= Tracks.CLICKS
        if _first(each.text_links for each in switches):
            found |= Tracks.TEXT_LINKS
    return found


def domain_switches(*, opens: bool, clicks: bool) -> TrackingSwitches:
    """Return what a sending domain decides: it can only ask for tracking, never forbid it."""
    return TrackingSwitches(opens or None, clicks or None)


def _first(decisions: Iterable[bool | None]) -> bool:
    return next((each for each in decisions if each is not None), False)
