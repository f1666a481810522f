"""Exchange rates of the demo: one a month, drifting a little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from commission_mcp.storage.demo.company import Company
from commission_mcp.storage.demo.months import SALES_FROM, SALES_TO, Month, months

_STEP = Decimal("0.0035")
_DRIFT = (0, 1, 2, 1, 3, 2, 0, -1, 1, -2, -1, 0)
_START = (("GBP", Decimal("1.1720")), ("CHF", Decimal("1.0455")))


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of a currency is worth in the base currency, for a month."""

    currency: str
    month: Month
    rate: Decimal


def rates(company: Company) -> Iterator[Rate]:
    """The rates of every currency that the company sells in beside its own."""
    used = set(company.currencies.values())
    for currency, start in _START:
        if currency in used:
            for place, month in enumerate(months(SALES_FROM, SALES_TO)):
                yield Rate(currency, month, start + _STEP * _DRIFT[place % len(_DRIFT)])


class Exchange:
    """Converts into the base currency at the rate of the day."""

    def __init__(self, company: Company) -> None:
        self._base = company.client.base_currency
        self._rates = {(rate.currency, rate.month): rate.rate for rate in rates(company)}

    def rate(self, sale_currency: str, month: Month) -> Decimal:
        """Units of the base currency for one unit of this one."""
        return Decimal(1) if sale_currency == self._base else self._rates[sale_currency, month]
