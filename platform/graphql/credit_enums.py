"""Words of credits, as the schema tells them."""

from ..credits.rules import (
    Account,
    AlertChannel,
    AlertState,
    AlertUnit,
    CreditType,
    Direction,
    EntrySource,
    LotSource,
)
from ..credits.usage import UsageGroup
from .enums import describe_enum

describe_enum(
    CreditType,
    "What a credit pays for.",
    {
        "EMAIL": "One recipient of a message.",
        "INBOUND": "One received message that is handed to a webhook.",
        "VALIDATION": "One validated address.",
        "SPAM_CHECK": "One message scored for spam.",
        "AV_SCAN": "One file scanned for viruses.",
    },
)
describe_enum(
    Account,
    "Where credits come from and go to in the ledger.",
    {
        "GRANTED": "What was given or sold.",
        "BALANCE": "What can be spent.",
        "USED": "What was spent.",
        "EXPIRED": "What came to its end unspent.",
    },
)
describe_enum(
    LotSource,
    "How credits came to be.",
    {
        "INCLUDED": "Part of the plan; spent first.",
        "PURCHASE": "Bought.",
        "ADJUSTMENT": "Given by the platform.",
    },
    name="CreditLotSource",
)
describe_enum(
    EntrySource,
    "What caused a line of the ledger.",
    {
        "SEND": "A message.",
        "BATCH": "A batch of messages.",
        "SMTP": "A message over SMTP.",
        "INBOUND": "A received message that was handed to a webhook.",
        "SCAN": "A scan.",
        "API": "Consumption asked for by the customer.",
        "GRANT": "Credits of the plan, or a gift.",
        "PURCHASE": "A purchase.",
        "REFUND": "Credits given back.",
        "EXPIRY": "Credits that came to their end.",
        "ADJUSTMENT": "A correction by the platform.",
    },
    name="CreditEntrySource",
)
describe_enum(
    Direction,
    "Which way a line of the ledger changes the balance.",
    {"DEBIT": "It takes credits.", "CREDIT": "It adds credits."},
    name="CreditDirection",
)
describe_enum(
    UsageGroup,
    "What usage is summed up by.",
    {"DAY": "Day in UTC.", "TYPE": "Type of credits.", "SOURCE": "What caused it."},
    name="CreditUsageGroup",
)
describe_enum(
    AlertUnit,
    "What the threshold of an alert counts.",
    {
        "ABSOLUTE": "Whole credits.",
        "PERCENT": "Percent of what there was to spend in this period: what the plan includes, "
        "and what was left of the rest when it began; where that is nothing, what came since.",
    },
    name="CreditAlertUnit",
)
describe_enum(
    AlertChannel,
    "How an alert is told.",
    {"EMAIL": "By mail.", "WEBHOOK": "By an event that webhooks deliver."},
    name="CreditAlertChannel",
)
describe_enum(
    AlertState,
    "Whether an alert has told.",
    {
        "ARMED": "It tells when the balance falls below the threshold.",
        "TRIGGERED": "It has told, and is armed again once the balance is back.",
    },
    name="CreditAlertState",
)
