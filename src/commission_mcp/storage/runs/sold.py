"""The credited sales of a span of days, as the calculation takes them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

from commission_mcp.domain.money import ONE, ZERO
from commission_mcp.domain.periods import Period
from commission_mcp.domain.sales import Credit, Sale
from commission_mcp.storage.writing import Writing

_BATCH_ROWS = 20_000
_QUANTITIES_MAX = 10_000

_SALES: LiteralString = """
SELECT s.sale_id, s.reverses_sale_id, s.sold_on, s.territory_id, s.product_id, s.customer, s.object_type, s.quantity,
  s.gross, s.net, s.cost, s.collected, s.currency, c.payees, c.shares
FROM cm.sale s
LEFT JOIN LATERAL (
  SELECT array_agg(c.payee_id ORDER BY c.payee_id, c.credit_role) AS payees,
         array_agg(c.share ORDER BY c.payee_id, c.credit_role) AS shares
  FROM cm.credit c
  WHERE c.client_id = s.client_id AND c.sale_id = s.sale_id
    AND (%(payees)s::text[] IS NULL OR c.payee_id = ANY (%(payees)s))
) c ON true
WHERE s.client_id = %(client)s AND s.sold_on BETWEEN %(first)s AND %(last)s
"""
_OWN: LiteralString = " AND c.payees IS NOT NULL"
_ORDER: LiteralString = " ORDER BY s.sold_on, s.sale_id"
# Refunds of sales, wherever their own date lies; the sale that they take back decides who is credited.
_REFUNDS: LiteralString = """
SELECT s.sale_id, s.reverses_sale_id, s.sold_on, s.territory_id, s.product_id, s.customer, s.object_type, s.quantity,
  s.gross, s.net, s.cost, s.collected, s.currency, NULL, NULL
FROM cm.sale s
WHERE s.client_id = %(client)s AND s.reverses_sale_id = ANY (%(sales)s) AND s.sold_on <= %(last)s
ORDER BY s.sold_on, s.sale_id
"""


@dataclass(slots=True)
class Sold:
    """Sales in the order of their dates, and a digest of all that was read.

    Attributes:
        sales: Every sale once; refunds name what they take back, and amounts are in the sale's own currency.
        currencies: The currency of each.
        products: The product of each, or None.
    """

    sales: list[Sale]
    currencies: list[str]
    products: list[str | None]
    digest: str


class SalesReader:
    """Reads sales through server-side cursors; equal labels and credits are kept once."""

    def __init__(self, writing: Writing, last: date) -> None:
        self._writing = writing
        self._last = last
        self._labels: dict[tuple[str | None, ...], Mapping[str, str]] = {}
        self._credits: dict[tuple[str, Decimal], Credit] = {}
        self._names: dict[str, str] = {}
        self._days: dict[date, date] = {}
        self._quantities: dict[Decimal, Decimal] = {}
        self._digest = hashlib.sha256()
        self._rows: dict[str, tuple[Sale, str, str | None]] = {}

    async def read(self, span: Period, payees: frozenset[str] | None) -> None:
        """Take up the sales of a span; with `payees` only theirs, and only their credits."""
        params = self._params(span, payees)
        statement = _SALES + (_OWN if payees is not None else "") + _ORDER
        async for rows in self._batches(statement, params):
            self._take(rows)

    async def read_refunds(self) -> None:
        """Take up the refunds of all that was read, as far as they are posted by now."""
        originals = [key for key, (sale, _, _) in self._rows.items() if sale.refund_of is None]
        for place in range(0, len(originals), _BATCH_ROWS):
            params = {**self._params(Period(self._last, self._last), None)}
            params["sales"] = originals[place : place + _BATCH_ROWS]
            async for rows in self._batches(_REFUNDS, params):
                self._take(rows)

    def done(self) -> Sold:
        """All that was read; a refund counts by itself where what it takes back is no sale that was read."""
        rows = sorted(self._rows.values(), key=lambda row: (row[0].date or date.min, row[0].sale_id))
        known = {key for key, (sale, _, _) in self._rows.items() if sale.refund_of is None}
        sales = [
            replace(sale, refund_of=None) if sale.refund_of is not None and sale.refund_of not in known else sale
            for sale, _, _ in rows
        ]
        return Sold(sales, [row[1] for row in rows], [row[2] for row in rows], self._digest.hexdigest())

    def _params(self, span: Period, payees: frozenset[str] | None) -> dict[str, Any]:
        return {
            "client": self._writing.client_id,
            "first": span.start,
            "last": min(span.end, self._last),
            "payees": None if payees is None else sorted(payees),
        }

    async def _batches(
        self, statement: LiteralString, params: Mapping[str, Any]
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        async with self._writing.connection.cursor(name="sold") as cursor:
            await cursor.execute(statement, params)
            while rows := await cursor.fetchmany(_BATCH_ROWS):
                self._digest.update(repr(rows).encode())
                yield rows

    def _take(self, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            if row[0] not in self._rows:
                self._rows[row[0]] = self._sale(row)

    def _sale(self, row: Sequence[Any]) -> tuple[Sale, str, str | None]:
        key, reverses, day, territory, product, customer, kind, quantity, gross, net, cost, collected = row[:12]
        currency, payees, shares = row[12:]
        # Equal values are kept once: of a million sales, half the memory are numbers and dates.
        day = self._days.setdefault(day, day)
        if len(self._quantities) < _QUANTITIES_MAX:
            quantity = self._quantities.setdefault(quantity, quantity)
        net = gross if net == gross else net
        booked = None if kind == "Invoices" else gross
        sale = Sale(
            key,
            day,
            None,
            gross,
            net,
            cost,
            None,
            booked,
            collected,
            quantity,
            None,
            ONE,
            self._labelled(territory, product, customer, kind),
            self._credited(payees, shares) if payees else (),
            reverses,
        )
        return sale, self._name(currency), None if product is None else self._name(product)

    def _labelled(self, *values: str | None) -> Mapping[str, str]:
        labels = self._labels.get(values)
        if labels is None:
            names = ("territory", "product", "customer", "object_type")
            labels = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            self._labels[values] = labels
        return labels

    def _credited(self, payees: Sequence[str], shares: Sequence[Decimal]) -> tuple[Credit, ...]:
        """Who is credited; several credits of a payee, such as a split and an override, are one."""
        if len(payees) == 1:
            return (self._credit(payees[0], shares[0]),)
        summed: dict[str, Decimal] = {}
        for payee, share in zip(payees, shares, strict=True):
            summed[payee] = summed.get(payee, ZERO) + share
        return tuple(self._credit(*pair) for pair in summed.items())

    def _credit(self, payee: str, share: Decimal) -> Credit:
        credit = self._credits.get((payee, share))
        return credit or self._credits.setdefault((payee, share), Credit(self._name(payee), share))

    def _name(self, text: str) -> str:
        return self._names.setdefault(text, text)


async def late_refunds(writing: Writing, period: Period, before: date) -> list[tuple[str, date]]:
    """Who is credited with sales from before a day that refunds of a period take back, and the dates of the sales."""
    rows = await writing.rows(
        "SELECT DISTINCT c.payee_id, o.sold_on FROM cm.sale r"
        " JOIN cm.sale o ON o.client_id = r.client_id AND o.sale_id = r.reverses_sale_id"
        " JOIN cm.credit c ON c.client_id = o.client_id AND c.sale_id = o.sale_id"
        " WHERE r.client_id = %s AND r.sold_on BETWEEN %s AND %s AND o.sold_on < %s ORDER BY 2, 1",
        [writing.client_id, period.start, period.end, before],
    )
    return [(str(payee), day) for payee, day in rows]
