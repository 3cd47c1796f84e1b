"""Every page and every action, one file per subject."""

from collections.abc import Sequence

from ..page import Action, Page
from . import account, domains, keys, messages, overview, signing_in

PAGES: Sequence[Page] = (
    *signing_in.PAGES,
    *account.PAGES,
    *overview.PAGES,
    *messages.PAGES,
    *domains.PAGES,
    *keys.PAGES,
)
ACTIONS: Sequence[Action] = (
    *signing_in.ACTIONS,
    *account.ACTIONS,
    *messages.ACTIONS,
    *domains.ACTIONS,
    *keys.ACTIONS,
)
