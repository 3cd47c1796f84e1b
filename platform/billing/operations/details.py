"""Whom invoices are made out to."""

import json
import re
import unicodedata
from dataclasses import dataclass, fields

from ...accounts.rules import checked_email
from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import transaction
from ...core.errors import Detail, DetailCode, InvalidInput
from ..settling import lock_account
from ..tables import BillingAccount

_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
LENGTHS = {"legal_name": 200, "tax_id": 40, "postal_code": 20}
USUAL_LENGTH = 100
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction of what is around them, the rest of the invoice too. Source: UAX 9."""


@dataclass(frozen=True, slots=True)
class BillingDetails:
    """Name and address on invoices; None is left out there."""

    legal_name: str | None = None
    billing_email: str | None = None
    tax_id: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None
    """Two letters. Source: ISO 3166-1."""


ADDRESS = ("line1", "line2", "city", "region", "postal_code", "country")


async def update_details(actor: Actor, details: BillingDetails) -> None:
    """Say whom later invoices are made out to; those that are there stay as they are.

    Raises:
        InvalidInput: names every field that breaks a rule.
    """
    actor.require(Permission.WRITE_BILLING)
    checked = _checked(details)
    async with transaction() as tx:
        account = await lock_account(tx, actor.organization_id)
        account.legal_name, account.tax_id = checked["legal_name"], checked["tax_id"]
        account.billing_email = checked["billing_email"]
        account.address = json.dumps({name: checked[name] for name in ADDRESS})
        account.updated_at = clock.now()
        columns = BillingAccount
        await account.save(
            [
                columns.legal_name,
                columns.tax_id,
                columns.billing_email,
                columns.address,
                columns.updated_at,
            ]
        )
        await audit.record(
            tx,
            actor,
            action="billing.details_updated",
            target_type="organization",
            target_id=actor.organization_id,
            changes=checked,
        )


def _checked(details: BillingDetails) -> dict[str, str | None]:
    wrong: list[Detail] = []
    found: dict[str, str | None] = {}
    for name in (each.name for each in fields(BillingDetails)):
        text = unicodedata.normalize("NFC", (getattr(details, name) or "").strip())
        found[name] = text or None
        longest = LENGTHS.get(name, USUAL_LENGTH)
        if len(text) > longest and name != "billing_email":
            wrong.append(_wrong(name, DetailCode.TOO_LONG, f"At most {longest} characters."))
        elif any(
            character in TURNING or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
            for character in text
        ):
            wrong.append(_wrong(name, DetailCode.INVALID_FORMAT, "No control characters."))
    country = found["country"]
    if country is not None and not _COUNTRY.fullmatch(country):
        wrong.append(_wrong("country", DetailCode.INVALID_FORMAT, "Two letters, such as GB."))
    if wrong:
        raise InvalidInput.all(wrong)
    if found["billing_email"] is not None:
        found["billing_email"] = checked_email(found["billing_email"], field="billingEmail")
    return found


def _wrong(name: str, code: DetailCode, message: str) -> Detail:
    head, *rest = name.split("_")
    return Detail(head + "".join(word.capitalize() for word in rest), code, message)
