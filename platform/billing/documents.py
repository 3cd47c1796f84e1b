"""Invoices as people read them: a page of HTML, and a PDF.

Both are made of the same facts by templates beside this. Whatever somebody calls their
organization is data to either template, never code or markup.
"""

import asyncio
import base64
import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from ..core.money import Money
from .tables import Invoice, InvoiceLine

TEMPLATES = Path(__file__).parent / "templates"
ADDRESS = ("line1", "line2", "postal_code", "city", "region", "country")


def as_html(row: Invoice, lines: Sequence[InvoiceLine]) -> str:
    """Return the invoice as a whole page, which needs nothing from elsewhere."""
    return _page().render(_facts(row, lines))


async def as_pdf(row: Invoice, lines: Sequence[InvoiceLine]) -> str:
    """Return the invoice as PDF in Base64; the same invoice always gives the same bytes."""
    data = json.dumps(_facts(row, lines))
    made = await asyncio.to_thread(_compile, data, row.created_at)
    return base64.b64encode(made).decode()


def _compile(data: str, at: datetime) -> bytes:
    # Seven megabytes that a process needs seldom.
    import typst

    made = typst.compile(
        TEMPLATES / "invoice.typ",
        root=TEMPLATES,
        font_paths=[],
        # Fonts of the machine would make the same invoice another file elsewhere.
        ignore_system_fonts=True,
        format="pdf",
        timestamp=at.replace(microsecond=0),
        sys_inputs={"invoice": data},
    )
    assert isinstance(made, bytes)
    return made


@lru_cache(maxsize=1)
def _page() -> Template:
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("invoice.html")


def _facts(row: Invoice, lines: Sequence[InvoiceLine]) -> dict[str, Any]:
    def written(amount: int) -> str:
        return str(Money(amount, row.currency))

    facts = [("Date", _day(row.created_at)), ("Due", _day(row.due_at))]
    if row.period_start is not None and row.period_end is not None:
        facts.append(("Period", f"{_day(row.period_start)} to {_day(row.period_end)}"))
    if row.paid_at is not None:
        facts.append(("Paid", _day(row.paid_at)))
    sums = [("Subtotal", row.subtotal), ("Tax", row.tax), ("Total", row.total)]
    paid_before = row.total - row.amount_due
    if row.paid_at is None and paid_before:
        sums.append(("From your balance", -paid_before))
    return {
        "number": row.number,
        "status": row.status.capitalize(),
        "seller": row.seller.splitlines(),
        "buyer": _buyer(json.loads(row.buyer)),
        "facts": [{"name": name, "value": value} for name, value in facts],
        "lines": [
            {
                "description": line.description,
                "quantity": f"{line.quantity:,}",
                "price": written(line.unit_amount),
                "total": written(line.total),
            }
            for line in lines
        ],
        "sums": [{"name": name, "value": written(amount), "strong": False} for name, amount in sums]
        + [{"name": "To be paid", "value": written(row.amount_due), "strong": True}],
    }


def _buyer(buyer: dict[str, Any]) -> list[str]:
    address = buyer.get("address") or {}
    found = [buyer["name"], *(address.get(name) for name in ADDRESS)]
    if buyer.get("tax_id"):
        found.append(f"Tax number {buyer['tax_id']}")
    return [str(line) for line in found if line]


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
