"""Billing: what is left to send with, what it was used for, the plan, and invoices."""

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any

from ...core import clock
from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ...graphql.execute import Document
from .. import policy
from ..format import rounded
from ..page import SHOWN_ONCE, Action, Call, Page, shown
from ..picture import Series, bars

BURN_DAYS = 30
"""Days of use that are drawn, and that the balance is measured by."""


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    credits = found.get("credits") or {}
    entries = credits.get("entries") or {"nodes": [], "pageInfo": {"hasNextPage": False}}
    after = entries["pageInfo"].get("endCursor") if entries["pageInfo"]["hasNextPage"] else None
    return {
        "balances": credits.get("balances", []),
        "packages": credits.get("packages", []),
        "entries": entries["nodes"],
        "more": call.link("/billing", after=after) if after else None,
        "billing": found.get("billing"),
        "invoices": (found.get("billing") or {"invoices": {"nodes": []}})["invoices"]["nodes"],
        "burn": _burn(credits) if credits else None,
        "pay_at": lambda url: _pay_at(url, call),
        "can_buy": call.may("billing:write"),
    }


def _first_day() -> Any:
    return clock.now().astimezone(UTC).date() - timedelta(days=BURN_DAYS - 1)


def _burn(credits: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was used on each day, and how long what is left lasts; None of nothing used."""
    used = {each["key"]: int(each["debits"]) for each in credits["usage"]["nodes"]}
    if not any(used.values()):
        return None
    first = _first_day()
    days = [(first + timedelta(days=day)).isoformat() for day in range(BURN_DAYS)]
    counts = [used.get(day, 0) for day in days]
    # Somebody who began last week has not rested for the three before.
    began = next(place for place, count in enumerate(counts) if count)
    a_day = sum(counts) / (BURN_DAYS - began)
    balance = credits["email"]["balance"]
    return {
        "days": list(zip(days, counts, strict=True)),
        "chart": bars([Series(_("Used"), "delivered", counts)], days),
        "a_day": rounded(a_day),
        "lasts": None if balance is None else int(int(balance) / a_day),
    }


def _pay_at(url: str, call: Call) -> str:
    """Return where a purchase is paid: at the provider, or our invoice for an operator."""
    _, is_ours, invoice = url.partition("/billing/invoices/")
    return call.link(f"/billing/invoices/{invoice}") if is_ours else url


BILLING = Page(
    path="/o/{org:str}/billing",
    title=N_("Billing"),
    template="billing/index.html",
    document=shown(
        """
        query Billing(
          $credits: Boolean!, $billing: Boolean!, $after: String, $since: DateTime!
        ) {
          ...Shell
          organization {
            credits @include(if: $credits) {
              balances { type balance unlimited usedThisPeriod }
              email: balance(type: "email") { balance }
              usage(
                groupBy: DAY, first: 50
                filter: { type: EMAIL, direction: DEBIT, createdAfter: $since }
              ) { nodes { key debits } }
              packages { code name type quantity priceAmount priceCurrency validityDays available }
              entries(first: 25, after: $after) {
                nodes { uuid type amount balanceAfter source description direction createdAt }
                pageInfo { hasNextPage endCursor }
              }
            }
            billing @include(if: $billing) {
              plan { name price { amount currency } interval
                limits { emailsPerMonth domains vmtas users } }
              subscription { status dunningStage periodEnd cancelAtPeriodEnd provider
                pendingChange { plan { name } effectiveAt } }
              usage { emails domains vmtas users }
              invoices(first: 12) { nodes { uuid number status createdAt dueAt
                total { amount currency } amountDue { amount currency } } }
            }
          }
        }
        """
    ),
    variables=lambda call: {
        "credits": call.may("credits:read"),
        "billing": call.may("billing:read"),
        "after": call.query.get("after") or None,
        "since": f"{_first_day()}T00:00:00Z",
    },
    view=_view,
)

INVOICE = Page(
    path="/o/{org:str}/billing/invoices/{id:str}",
    title=N_("Invoice"),
    template="billing/invoice.html",
    document=Document(
        "query Invoice($id: ID!) { organization { billing { invoice(id: $id) { html } } } }"
    ),
    variables=lambda call: {"id": call.path["id"]},
    view=lambda data, call: {"html": data["organization"]["billing"]["invoice"]["html"]},
    policy=policy.INVOICE,
)
PAGES = (BILLING, INVOICE)

ACTIONS = (
    Action(
        path="/o/{org:str}/billing/buy",
        page=BILLING,
        document=Document(
            "mutation Buy($input: CreateCheckoutInput!) { bought: createCheckout(input: $input) "
            "{ checkout { url provider expiresAt amount { amount currency } } } }"
        ),
        variables=lambda call: {
            "input": {
                "type": "CREDITS",
                "packageId": call.form.get("package", ""),
                "quantity": 1,
                "idempotencyKey": call.form.get("once") or None,
            }
        },
        # A form may lead to no other site, so where it is paid is a link on the page.
        then=lambda data, call: SHOWN_ONCE,
        form="buy",
    ),
)
