"""PostMTA's billing: the plan and its changes, checkout, invoices, usage."""

from collections.abc import Mapping
from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, TIME, UUID, Leaf, Many, Out, Shape, word
from ...fields import TEXT, Choice, Field, Fields, Integer, Text, Time, choice
from ...parameters import Param, Params
from ...route import Call, CompatRoute
from ...times import restyle_time
from ..lists import envelope, list_params, list_variables, page_answer
from ..shapes import SOURCE

STATUS = word("trialing", "active", "past_due", "suspended", "cancelled")
INVOICE_STATUSES = ("draft", "open", "paid", "void", "uncollectible")
CREDIT_TYPES = ("email", "spam_check", "av_scan", "inbound", "validation")
USUAL_PERIOD = "MONTH"

PLANS = ("trial", "starter", "professional", "enterprise", "self_hosted")
PLAN_NAME = Leaf({"type": "string", "enum": list(PLANS)})
PROVIDER = Leaf({"type": "string", "enum": ["stripe", "manual"]})
FEATURE = Leaf({"type": "string", "enum": ["api", "smtp", "webhooks", "analytics", "warmup"]})

MONEY = Shape("Money", Out("amount", INTEGER, about="Minor units."), Out("currency"))
LIMITS = Shape(
    "PlanLimits",
    Out("emails_per_month", INTEGER, maybe=True),
    Out("domains", INTEGER, maybe=True),
    Out("vmtas", INTEGER, maybe=True),
    Out("users", INTEGER, maybe=True),
    Out("requests_per_minute", INTEGER, maybe=True),
)
OFFER = Shape(
    "BillingPlan",
    Out("id", PLAN_NAME, of="slug"),
    Out("name"),
    Out("price", MONEY, maybe=True),
    Out("interval", word("month", "year")),
    Out("limits", LIMITS),
    Out("features", Many(FEATURE)),
)


def _slug(name: str) -> Any:
    """Return what writes the name of the plan in a field."""
    return lambda whole: whole[name]["slug"]


def _pending(whole: Mapping[str, Any]) -> dict[str, Any] | None:
    found = whole["pendingChange"]
    if found is None:
        return None
    return {
        "plan": found["plan"]["slug"],
        "effective_at": restyle_time(found["effectiveAt"]),
    }


_PENDING = Leaf(
    {
        "type": ["object", "null"],
        "description": "What the plan changes to when the period ends.",
        "required": ["plan", "effective_at"],
        "properties": {
            "plan": PLAN_NAME.schema(),
            "effective_at": {"type": "string", "format": "date-time"},
        },
    }
)
_PENDING_SELECTION = "pendingChange { plan { slug } effectiveAt }"
USAGE = Shape("PlanUsage", Out("emails", INTEGER), Out("domains", INTEGER), Out("vmtas", INTEGER))
SUBSCRIPTION = Shape(
    "PlanSubscription",
    Out("plan", OFFER),
    Out("status", STATUS),
    Out("provider", PROVIDER),
    Out("current_period_start", TIME, of="periodStart"),
    Out("current_period_end", TIME, of="periodEnd"),
    Out("trial_ends_at", TIME, maybe=True),
    Out("cancel_at_period_end", FLAG),
    Out("pending_change", _PENDING, from_whole=_pending),
    extra=_PENDING_SELECTION,
)
CURRENT_PLAN = Shape(
    "CurrentPlan", *SUBSCRIPTION.fields, Out("usage", USAGE), Out("available", Many(OFFER))
)
UPGRADED = Shape(
    "UpgradedPlan",
    Out("plan", PLAN_NAME, from_whole=_slug("plan")),
    Out("previous_plan", PLAN_NAME),
    Out("status", STATUS),
    Out("effective_at", TIME),
    Out("proration", MONEY, maybe=True),
    Out("invoice_id", UUID, of="invoiceUuid", maybe=True),
    Out("current_period_end", TIME, of="periodEnd"),
    extra="plan { slug }",
)
DOWNGRADED = Shape(
    "DowngradedPlan",
    Out("plan", PLAN_NAME, from_whole=_slug("plan")),
    Out("pending_change", _PENDING, from_whole=_pending),
    Out("status", STATUS),
    Out("current_period_end", TIME, of="periodEnd"),
    extra=f"plan {{ slug }} {_PENDING_SELECTION}",
)


def _items(whole: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = (("plan", "plan"), ("package_id", "packageId"), ("quantity", "quantity"))
    return [
        {theirs: item[ours] for theirs, ours in names if item[ours] is not None}
        for item in whole["items"]
    ]


_ITEMS = Leaf(
    {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "plan": PLAN_NAME.schema(),
                "package_id": {"type": "string"},
                "quantity": {"type": "integer"},
            },
        },
    }
)
CHECKOUT = Shape(
    "CheckoutSession",
    Out("id", UUID, of="uuid"),
    Out("type", word("plan", "credits", "payment_method")),
    Out("status", word("open", "completed", "expired")),
    Out("url"),
    Out("provider", PROVIDER),
    Out("amount", MONEY),
    Out("items", _ITEMS, from_whole=_items),
    Out("expires_at", TIME),
    Out("created_at", TIME),
    extra="items { plan packageId quantity }",
)
LINE = Shape("InvoiceLine", Out("description"), Out("quantity", INTEGER), Out("total", MONEY))
INVOICE = Shape(
    "Invoice",
    Out("id", UUID, of="uuid"),
    Out("number"),
    Out("status", word(*INVOICE_STATUSES)),
    Out("total", MONEY),
    Out("tax", MONEY),
    Out("amount_due", MONEY),
    Out("lines", Many(LINE)),
    Out("period_start", TIME, maybe=True),
    Out("period_end", TIME, maybe=True),
    Out("hosted_url"),
    Out("pdf_url"),
    Out("due_at", TIME),
    Out("paid_at", TIME, maybe=True),
    Out("created_at", TIME),
)


def _credits(whole: Mapping[str, Any]) -> dict[str, int]:
    used = {each["type"].lower(): int(each["used"]) for each in whole["credits"]}
    return {name: used.get(name, 0) for name in CREDIT_TYPES}


_CREDITS = Leaf(
    {
        "type": "object",
        "description": "Credits used, by type.",
        "additionalProperties": {"type": "integer"},
    }
)
PERIOD = Shape(
    "UsagePeriod",
    Out("period_start", TIME),
    Out("period_end", TIME),
    Out("closed", FLAG),
    Out("messages", INTEGER),
    Out("recipients", INTEGER),
    Out("delivered", INTEGER),
    Out("inbound", INTEGER),
    Out("bytes_sent", INTEGER),
    Out("api_requests", INTEGER),
    Out("webhook_deliveries", INTEGER),
    Out("credits", _CREDITS, from_whole=_credits),
    Out("included", INTEGER),
    Out("overage", INTEGER),
    Out("cost", MONEY),
    extra="credits { type used }",
)
ADDRESS = Shape(
    "BillingAddress",
    Out("line1", maybe=True),
    Out("line2", maybe=True),
    Out("city", maybe=True),
    Out("region", maybe=True),
    Out("postal_code", maybe=True),
    Out("country", maybe=True),
)
METHOD = Shape(
    "PaymentMethod",
    Out("type", Leaf({"type": "string", "examples": ["card"]})),
    Out("brand", maybe=True),
    Out("last4", maybe=True),
    Out("expires", maybe=True),
)
DETAILS = Shape(
    "BillingDetails",
    Out("legal_name", maybe=True),
    Out("billing_email", maybe=True),
    Out("address", ADDRESS),
    Out("tax_id", maybe=True),
    Out("currency"),
)
MONEY_STATE = Shape(
    "BillingState",
    Out("payment_method", METHOD, maybe=True),
    Out("account_balance", MONEY),
)
STANDING = Shape(
    "BillingStanding",
    Out("plan", PLAN_NAME, from_whole=_slug("plan")),
    Out("status", STATUS),
    Out("provider", PROVIDER),
    extra="plan { slug }",
)
_TRIAL = Shape("BillingTrial", Out("trial_ends_at", TIME, maybe=True))
OWNER = Shape("BillingOwner", Out("id", UUID, of="uuid"), Out("name"))
_SINCE = Shape("BillingSince", Out("created_at", TIME))
ORGANIZATION = Shape(
    "BillingOrganization",
    *OWNER.fields,
    *DETAILS.fields,
    *STANDING.fields,
    *MONEY_STATE.fields,
    *_TRIAL.fields,
    *_SINCE.fields,
)
INTERVAL = Field(
    "interval",
    choice("month", "year"),
    "How often it is paid, where it has such a price.",
    default="month",
)
UPGRADE = Fields(
    Field("plan", TEXT, "A plan above the present one.", required=True, example="professional"),
    INTERVAL,
)
DOWNGRADE = Fields(
    Field("plan", TEXT, "A plan below the present one.", required=True, example="starter"),
    Field("reason", Text(longest=500), "Why."),
)
BUY = Fields(
    Field(
        "type",
        choice("plan", "credits", "payment_method"),
        "What is bought.",
        required=True,
        example="credits",
    ),
    Field("plan", TEXT, "With `plan`: which one."),
    INTERVAL,
    Field("package_id", TEXT, "With `credits`: which package.", example="email-100k"),
    Field("quantity", Integer(1, 100), "With `credits`: how many.", default=1, example=1),
    Field("success_url", Text(format="uri"), "An https URL on the deployment's host."),
    Field("cancel_url", Text(format="uri"), "An https URL on the deployment's host."),
)
PLAN_CHANGES = (
    ErrorCode.BILLING_NOT_CONFIGURED,
    ErrorCode.PLAN_CHANGE_IN_PROGRESS,
    ErrorCode.PAYMENT_PROVIDER_ERROR,
)


def _current_plan(data: Any, call: Call) -> dict[str, Any]:
    billing = data["organization"]["billing"]
    return {
        **SUBSCRIPTION.write(billing["subscription"]),
        "usage": USAGE.write(billing["usage"]),
        "available": [OFFER.write(each) for each in billing.get("availablePlans", ())],
    }


def _rollup(data: Any, call: Call) -> dict[str, Any]:
    periods = data["organization"]["billing"]["usageRollup"]
    granularity = call.given.get("granularity", "month")
    found = envelope([PERIOD.write(each) for each in periods], call)
    return {"granularity": granularity, **found}


def _organization(data: Any, call: Call) -> dict[str, Any]:
    organization = data["organization"]
    billing = organization["billing"]
    return {
        **OWNER.write(organization),
        **DETAILS.write(billing["details"]),
        **STANDING.write(billing["subscription"]),
        **MONEY_STATE.write(billing["details"]),
        **_TRIAL.write(billing["subscription"]),
        **_SINCE.write(organization),
    }


def _invoices(data: Any, call: Call) -> dict[str, Any]:
    return page_answer(INVOICE)({"organization": data["organization"]["billing"]}, call)


ROUTES = (
    CompatRoute(
        method="GET",
        path="/api/v1/billing/plan",
        source=SOURCE,
        summary="Get current plan details",
        permission=Permission.READ_BILLING,
        query=Params(
            Param(
                "include",
                Choice({"available": True}),
                "`available` adds the plans that one can change to.",
                ours="available",
            )
        ),
        document=Document(
            "query BillingPlan($available: Boolean!) { organization { billing { "
            f"subscription {SUBSCRIPTION.selection()} usage {USAGE.selection()} "
            f"availablePlans @include(if: $available) {OFFER.selection()} }} }} }}"
        ),
        variables=lambda call: {"available": call.query.get("available", False)},
        answer=_current_plan,
        shape=CURRENT_PLAN,
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/billing/upgrade",
        source=SOURCE,
        summary="Upgrade the plan",
        permission=Permission.WRITE_BILLING,
        body=UPGRADE,
        is_idempotent=True,
        document=Document(
            "mutation Upgrade($input: UpgradePlanInput!) "
            f"{{ upgradePlan(input: $input) {UPGRADED.selection()} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: UPGRADED.write(data["upgradePlan"]),
        shape=UPGRADED,
        refusals=(
            ErrorCode.PAYMENT_METHOD_REQUIRED,
            ErrorCode.PAYMENT_FAILED,
            ErrorCode.NOT_AN_UPGRADE,
            ErrorCode.CONTACT_SALES,
            *PLAN_CHANGES,
        ),
        differences=(
            "The difference of the credits comes pro rata, like that of the price, of which at "
            "least 0.50 is charged.",
        ),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/billing/downgrade",
        source=SOURCE,
        summary="Downgrade the plan",
        permission=Permission.WRITE_BILLING,
        body=DOWNGRADE,
        is_idempotent=True,
        document=Document(
            "mutation Downgrade($input: DowngradePlanInput!) "
            f"{{ downgradePlan(input: $input) {DOWNGRADED.selection()} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: DOWNGRADED.write(data["downgradePlan"]),
        shape=DOWNGRADED,
        refusals=(ErrorCode.NOT_A_DOWNGRADE, ErrorCode.DOWNGRADE_BLOCKED, *PLAN_CHANGES),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/billing/checkout",
        source=SOURCE,
        summary="Create a checkout session",
        permission=Permission.WRITE_BILLING,
        body=BUY,
        is_idempotent=True,
        document=Document(
            "mutation Checkout($input: CreateCheckoutInput!) "
            f"{{ createCheckout(input: $input) {{ checkout {CHECKOUT.selection()} }} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: CHECKOUT.write(data["createCheckout"]["checkout"]),
        shape=CHECKOUT,
        status=201,
        refusals=(
            ErrorCode.BILLING_NOT_CONFIGURED,
            ErrorCode.ALREADY_SUBSCRIBED,
            ErrorCode.CONTACT_SALES,
            ErrorCode.PAYMENT_PROVIDER_ERROR,
        ),
        differences=(
            "Without a payment provider credits are sold by invoice: `url` is the invoice, which "
            "the deployment's administrator marks paid. Plans and payment methods are refused "
            "with `billing_not_configured`.",
        ),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/billing/invoices",
        source=SOURCE,
        summary="List invoices",
        permission=Permission.READ_BILLING,
        query=list_params(
            Param("status", choice(*INVOICE_STATUSES), "Only those with this status."),
            Param("created_after", Time(), "Made then or later."),
            Param("created_before", Time(), "Made before then."),
            sorts={"-created_at": "CREATED_AT"},
            usual="-created_at",
        ),
        document=Document(f"""
            query Invoices($first: Int, $after: String, $total: Boolean!, $filter: InvoiceFilter) {{
              organization {{ billing {{
                page: invoices(first: $first, after: $after, filter: $filter) {{
                  nodes {INVOICE.selection()}
                  pageInfo {{ hasNextPage endCursor }}
                  totalCount(exact: true) @include(if: $total)
                }}
              }} }}
            }}
        """),
        variables=lambda call: {
            name: value
            for name, value in list_variables(call, usual="CREATED_AT").items()
            if name != "order"
        },
        answer=_invoices,
        shape=INVOICE,
        is_list=True,
        differences=("Without a payment provider there are the invoices of sold credits.",),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/billing/usage-rollup",
        source=SOURCE,
        summary="Usage rollup by period",
        permission=Permission.READ_BILLING,
        query=Params(
            Param(
                "granularity",
                choice("day", "week", "month"),
                "How long a period is.",
                default="month",
                is_filter=False,
            ),
            Param("from", Time(), "A time in the oldest period.", ours="since"),
            Param("to", Time(), "After the newest period; now without it.", ours="until"),
        ),
        document=Document(
            "query Rollup($granularity: UsageGranularity!, $since: DateTime, $until: DateTime) "
            "{ organization { billing { usageRollup(granularity: $granularity, since: $since, "
            f"until: $until) {PERIOD.selection()} }} }} }}"
        ),
        variables=lambda call: {"granularity": USUAL_PERIOD, **call.query},
        answer=_rollup,
        shape=PERIOD,
        is_list=True,
        refusals=(ErrorCode.RANGE_TOO_LARGE,),
        differences=(
            "Mail and requests of the present hour are counted when it is over; requests are "
            "those with API keys.",
            "`inbound` is always 0.",
        ),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/billing/organization",
        source=SOURCE,
        summary="Get organization billing details",
        permission=Permission.READ_BILLING,
        document=Document(
            f"query BillingOrganization {{ organization {{ {OWNER.fields_selection} createdAt "
            f"billing {{ details {{ {DETAILS.fields_selection} {MONEY_STATE.fields_selection} }} "
            f"subscription {{ {STANDING.fields_selection} trialEndsAt }} }} }} }}"
        ),
        variables=lambda call: {},
        answer=_organization,
        shape=ORGANIZATION,
    ),
)
