"""Every page and every action, one file per subject."""

from collections.abc import Sequence

from ..page import Action, Page
from . import (
    account,
    analytics,
    audit,
    billing,
    domains,
    keys,
    members,
    messages,
    overview,
    queues,
    signing_in,
    suppressions,
    webhooks,
)

PAGES: Sequence[Page] = (
    *signing_in.PAGES,
    *account.PAGES,
    *overview.PAGES,
    *messages.PAGES,
    *domains.PAGES,
    *analytics.PAGES,
    *webhooks.PAGES,
    *suppressions.PAGES,
    *queues.PAGES,
    *keys.PAGES,
    *members.PAGES,
    *audit.PAGES,
    *billing.PAGES,
)
ACTIONS: Sequence[Action] = (
    *signing_in.ACTIONS,
    *account.ACTIONS,
    *messages.ACTIONS,
    *domains.ACTIONS,
    *webhooks.ACTIONS,
    *suppressions.ACTIONS,
    *queues.ACTIONS,
    *keys.ACTIONS,
    *members.ACTIONS,
    *billing.ACTIONS,
)
