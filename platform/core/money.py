"""Money: whole minor units beside their currency, never a float."""

import re
from dataclasses import dataclass
from typing import Self

CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
"""A currency code. Source: ISO 4217."""

WITHOUT_MINOR_UNITS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF"}
    | {"XOF", "XPF"}
)
WITH_THREE_DIGITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units (cents, where there are any) of one currency."""

    amount: int
    currency: str

    def __add__(self, other: Self) -> "Money":
        self._check(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Self) -> "Money":
        self._check(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, times: int) -> "Money":
        return Money(self.amount * times, self.currency)

    def _check(self, other: Self) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added up")

    def __str__(self) -> str:
        """Return the amount as people write it: `USD 49.00`, `JPY 4,900`."""
        digits = minor_digits(self.currency)
        sign = "-" if self.amount < 0 else ""
        whole, rest = divmod(abs(self.amount), 10**digits)
        fraction = f".{rest:0{digits}d}" if digits else ""
        return f"{sign}{self.currency} {whole:,}{fraction}"


def minor_digits(currency: str) -> int:
    """Return how many decimal digits a currency's minor unit is: 2 for nearly every one.

    Source: ISO 4217, table A.1.
    """
    if currency in WITHOUT_MINOR_UNITS:
        return 0
    return 3 if currency in WITH_THREE_DIGITS else 2
