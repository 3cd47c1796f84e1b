"""Packages: the catalogue of credits for sale, which the platform's administrator keeps."""

import re
from dataclasses import dataclass

from ..audit import operations as audit
from ..core import clock
from ..core.actor import Actor, require_platform_admin
from ..core.database import fetch, transaction
from ..core.errors import Detail, DetailCode, InvalidInput
from ..core.ids import new_id
from .rules import MOST_GRANTED, CreditType
from .tables import CreditPackage

_CODE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)
_CURRENCY = re.compile("[A-Z]{3}", re.ASCII)
LONGEST_NAME = 100
LONGEST_VALIDITY_DAYS = 3650
MOST_MINOR_UNITS = 10**12


@dataclass(frozen=True, slots=True)
class NewPackage:
    """A package as it is asked for."""

    code: str
    name: str
    type: CreditType
    quantity: int
    """Whole credits."""
    price_amount: int
    """In minor units of the currency."""
    price_currency: str
    validity_days: int | None = None
    """None: the credits do not end."""
    available: bool = True


async def set_package(actor: Actor, asked: NewPackage) -> CreditPackage:
    """Put a package into the catalogue, or change the one of that code.

    What was sold before keeps its credits and their end. One that is not available is still
    listed, and cannot be bought.

    Raises:
        NotPermitted: the actor does not look after the platform.
        InvalidInput: names every field that breaks a rule.
    """
    require_platform_admin(actor)
    _check(asked)
    now = clock.now()
    async with transaction() as tx:
        rows = await fetch(
            "INSERT INTO credit_packages (id, code, name, type, quantity, price_amount, "
            "price_currency, validity_days, available, created_at, updated_at) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) "
            "ON CONFLICT (code) DO UPDATE SET name = excluded.name, type = excluded.type, "
            "quantity = excluded.quantity, price_amount = excluded.price_amount, "
            "price_currency = excluded.price_currency, validity_days = excluded.validity_days, "
            "available = excluded.available, updated_at = excluded.updated_at RETURNING *",
            new_id(),
            asked.code,
            asked.name.strip(),
            asked.type.value,
            asked.quantity,
            asked.price_amount,
            asked.price_currency,
            asked.validity_days,
            asked.available,
            now,
            now,
        )
        package = CreditPackage(_exists_in_db=True, **rows[0])
        await audit.record(
            tx,
            actor,
            action="credits.package_set",
            target_type="credit_package",
            target_id=package.id,
            changes={
                "code": asked.code,
                "quantity": asked.quantity,
                "price": f"{asked.price_amount} {asked.price_currency}",
                "available": asked.available,
            },
        )
    return package


def _check(asked: NewPackage) -> None:
    faults = []
    if not _CODE.fullmatch(asked.code):
        message = "A code is 1 to 64 characters of a-z, 0-9 and hyphens."
        faults.append(Detail("code", DetailCode.INVALID_FORMAT, message))
    name = asked.name.strip()
    if not name or not name.isprintable():
        faults.append(Detail("name", DetailCode.INVALID_FORMAT, "Write a name on one line."))
    elif len(name) > LONGEST_NAME:
        message = f"A name has at most {LONGEST_NAME} characters."
        faults.append(Detail("name", DetailCode.TOO_LONG, message))
    bounds = (
        ("quantity", asked.quantity, 1, MOST_GRANTED),
        ("priceAmount", asked.price_amount, 0, MOST_MINOR_UNITS),
        ("validityDays", asked.validity_days, 1, LONGEST_VALIDITY_DAYS),
    )
    for field, value, least, most in bounds:
        if value is not None and value < least:
            faults.append(Detail(field, DetailCode.TOO_SMALL, f"It is at least {least}."))
        elif value is not None and value > most:
            faults.append(Detail(field, DetailCode.TOO_LARGE, f"It is at most {most}."))
    if not _CURRENCY.fullmatch(asked.price_currency):
        message = "Write the three capitals of ISO 4217, such as USD."
        faults.append(Detail("priceCurrency", DetailCode.INVALID_FORMAT, message))
    if faults:
        raise InvalidInput.all(faults)


async def find_package(code: str) -> CreditPackage | None:
    """Return the package that can be bought under *code* now, or None."""
    return (
        await CreditPackage.objects()
        .where(CreditPackage.code == code)
        .where(CreditPackage.available.eq(True))
        .first()
    )
