"""Words of analytics, as the schema tells them."""

from ..analytics.rules import Dimension, Health, Metric
from ..analytics.trends import Assessment, Direction
from ..analytics.windows import Interval
from ..mail.outcome import BounceType
from .enums import describe_enum

METRICS = {
    "ACCEPTED": "Recipients that were accepted, suppressed ones included.",
    "SENT": "Recipients with at least one attempt.",
    "DELIVERED": "Recipients whose server took the message, less those it sent back later.",
    "DEFERRED": "Recipients that failed for the moment at least once.",
    "BOUNCED": "Recipients that failed for good, expired ones included.",
    "HARD_BOUNCED": "Of those that bounced: the address is wrong.",
    "SOFT_BOUNCED": "Of those that bounced: trouble of the moment that lasted too long.",
    "BLOCKED": "Of those that bounced: the sender or the content was refused.",
    "EXPIRED": "Recipients whose time was used up by failures.",
    "SUPPRESSED": "Recipients that get no mail from this organization.",
    "CANCELLED": "Recipients that were cancelled.",
    "COMPLAINED": "Recipients that complained, at the time they did.",
    "UNSUBSCRIBED": "Recipients that unsubscribed.",
    "OPENS": "Opens, each one, at the time it happened.",
    "UNIQUE_OPENS": "Recipients that opened.",
    "CLICKS": "Clicks, each one, at the time it happened.",
    "UNIQUE_CLICKS": "Recipients that clicked.",
    "DELIVERY_RATE": "Delivered of delivered and bounced, in per cent.",
    "BOUNCE_RATE": "Bounced of delivered and bounced, in per cent.",
    "COMPLAINT_RATE": "Complained of delivered, in per cent.",
    "OPEN_RATE": "Unique opens of delivered, in per cent.",
    "CLICK_RATE": "Unique clicks of delivered, in per cent.",
    "CLICK_TO_OPEN_RATE": "Unique clicks of unique opens, in per cent.",
    "DEFERRAL_RATE": "Deferred of sent, in per cent.",
}
describe_enum(
    Metric, "What is told of mail: counts of recipients, and rates.", METRICS, name="MailMetric"
)
describe_enum(
    Dimension,
    "What mail is told apart by.",
    {
        "DOMAIN": "Sending domain.",
        "RECIPIENT_DOMAIN": "Domain of the recipient.",
        "ISP": "Who runs the mailbox.",
        "VMTA": "Name of the vMTA of its first attempt; before that it has none.",
        "POOL": "Name of the pool that it was given to.",
        "TAG": "Tag; mail with several counts for each.",
        "BATCH_ID": "Batch of the customer's.",
        "STREAM": "Transactional or marketing.",
        "API_KEY": "UUID of the API key that sent it.",
        "BOUNCE_CLASS": "Why it failed; only failures are told.",
        "TEMPLATE": "Template that it was made of.",
    },
    name="MailDimension",
)
describe_enum(
    Interval,
    "How long a bucket is; days, weeks and months are those of the time zone.",
    {
        "MINUTE": "A minute; of at most 6 hours.",
        "HOUR": "An hour; of at most 31 days.",
        "DAY": "A day.",
        "WEEK": "From Monday.",
        "MONTH": "A calendar month.",
    },
    name="AnalyticsInterval",
)
describe_enum(
    BounceType,
    "What a failure says.",
    {
        "HARD": "Of the recipient, for good.",
        "SOFT": "Of the moment.",
        "BLOCK": "Of the sender or the content.",
    },
)
describe_enum(
    Health,
    "Whether a provider takes the mail.",
    {
        "GOOD": "It does.",
        "WARNING": "Less than 97 % is delivered, or more than 15 % deferred, or more than 0.1 % "
        "complained of.",
        "CRITICAL": "Less than 90 % is delivered, or more than 40 % deferred, or more than 0.3 % "
        "complained of.",
    },
    name="ProviderHealth",
)
describe_enum(
    Direction,
    "Where a mean went since the range before.",
    {"UP": "Up.", "DOWN": "Down.", "FLAT": "By less than 1 %."},
    name="TrendDirection",
)
describe_enum(
    Assessment,
    "Whether that is good.",
    {
        "IMPROVING": "It gets better.",
        "WORSENING": "It gets worse.",
        "STABLE": "It stays as it is.",
        "INSUFFICIENT_DATA": "There are fewer than 3 points.",
    },
    name="TrendAssessment",
)
