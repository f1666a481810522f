"""Sales: facts that are added once. What is imported already stays as it is; a correction is a reversal.

Only what was collected for a sale may come later, in a file that says it for the first time.
"""

from __future__ import annotations

from psycopg import sql

from commission_mcp.errors import Code
from commission_mcp.storage.imports.cells import shown
from commission_mcp.storage.imports.problems import LISTED_MAX, Finding, Findings
from commission_mcp.storage.imports.references import Scope, keys
from commission_mcp.storage.imports.spec import Refers
from commission_mcp.storage.imports.staging import STAGED, Connection

_SALES = sql.Identifier("pg_temp", "import_sale")

# The sales of the file as they will stand in the table: names resolved to keys, defaults filled in, one row a key.
_RESOLVE = sql.SQL("""
CREATE TEMPORARY TABLE import_sale AS
SELECT s.line, coalesce(s.sale_id, %(source_system)s || ':' || s.source_key) AS sale_id, s.source_key,
       coalesce(s.object_type, 'Invoices') AS object_type, reversed.key AS reverses_sale_id, s.sold_on,
       territory.key AS territory_id, product.key AS product_id, s.customer,
       coalesce(s.quantity, CASE WHEN s.gross < 0 THEN -1 ELSE 1 END) AS quantity, s.uom, s.gross,
       coalesce(s.net, s.gross) AS net, s.cost, s.collected, coalesce(s.currency, %(base_currency)s) AS currency,
       coalesce(s.credits, ARRAY[s.payee]) AS payees, coalesce(s.fractions, ARRAY[1::numeric]) AS fractions,
       s.sale_id IS NOT NULL AS sale_id_given
FROM (
  SELECT *, row_number() OVER (PARTITION BY source_key ORDER BY line) AS place FROM {staged} WHERE sound
) s
LEFT JOIN {territories} territory ON territory.name = s.territory
LEFT JOIN {products} product ON product.name = s.product
LEFT JOIN {reversed_sales} reversed ON reversed.name = s.reverses
WHERE s.place = 1
""")
_STORED = sql.SQL("""
CREATE TEMPORARY TABLE import_stored AS
SELECT f.line, f.source_key, array_remove(ARRAY[
  CASE WHEN f.sale_id_given AND f.sale_id <> d.sale_id THEN 'sale_id' END,
  CASE WHEN f.object_type <> d.object_type THEN 'object_type' END,
  CASE WHEN f.reverses_sale_id IS DISTINCT FROM d.reverses_sale_id THEN 'reverses' END,
  CASE WHEN f.sold_on <> d.sold_on THEN 'sold_on' END,
  CASE WHEN f.territory_id IS DISTINCT FROM d.territory_id THEN 'territory' END,
  CASE WHEN f.product_id IS DISTINCT FROM d.product_id THEN 'product' END,
  CASE WHEN f.customer IS DISTINCT FROM d.customer THEN 'customer' END,
  CASE WHEN f.quantity <> d.quantity THEN 'quantity' END,
  CASE WHEN f.uom IS DISTINCT FROM d.uom THEN 'uom' END,
  CASE WHEN f.gross <> d.gross THEN 'gross' END,
  CASE WHEN f.net <> d.net THEN 'net' END,
  CASE WHEN f.cost IS DISTINCT FROM d.cost THEN 'cost' END,
  CASE WHEN f.collected <> d.collected THEN 'collected' END,
  CASE WHEN f.currency <> d.currency THEN 'currency' END,
  CASE WHEN coalesce(written.credits, '{{}}') <> coalesce(stored.credits, '{{}}') THEN 'credits' END
], NULL) AS differing, f.collected IS NOT NULL AND d.collected IS NULL AS now_collected
FROM {sales} f
JOIN cm.sale d ON d.client_id = %(client)s AND d.source_system = %(source_system)s AND d.source_key = f.source_key
CROSS JOIN LATERAL (
  SELECT array_agg(c.payee_id || ':' || trim_scale(c.share) ORDER BY c.payee_id) AS credits
  FROM unnest(f.payees, f.fractions) c (payee_id, share) WHERE c.payee_id IS NOT NULL
) written
LEFT JOIN (
  SELECT c.sale_id, array_agg(c.payee_id || ':' || trim_scale(c.share) ORDER BY c.payee_id) AS credits
  FROM cm.credit c
  WHERE c.client_id = %(client)s AND c.credit_role IN ('direct', 'split')
  GROUP BY c.sale_id
) stored ON stored.sale_id = d.sale_id
""")
_CHANGED = sql.SQL("""
SELECT line, source_key, differing, count(*) OVER () FROM pg_temp.import_stored
WHERE cardinality(differing) > 0 ORDER BY line LIMIT {listed}
""")
# A key of a sale that another sale has already, in the table or further up in the file.
_SALE_ID_TAKEN = sql.SQL("""
SELECT f.line, f.sale_id, count(*) OVER ()
FROM {sales} f
LEFT JOIN cm.sale d ON d.client_id = %(client)s AND d.sale_id = f.sale_id
  AND (d.source_system, d.source_key) <> (%(source_system)s, f.source_key)
LEFT JOIN (SELECT o.sale_id FROM {sales} o GROUP BY o.sale_id HAVING count(*) > 1) doubled
  ON doubled.sale_id = f.sale_id
WHERE d.sale_id IS NOT NULL OR doubled.sale_id IS NOT NULL
ORDER BY f.line LIMIT {listed}
""")
_INSERT_SALES = sql.SQL("""
INSERT INTO cm.sale (client_id, sale_id, source_system, source_key, object_type, reverses_sale_id, sold_on,
                     territory_id, product_id, customer, quantity, uom, gross, net, cost, collected,
                     currency)
SELECT %(client)s, sale_id, %(source_system)s, source_key, object_type, reverses_sale_id, sold_on, territory_id,
       product_id, customer, quantity, uom, gross, net, cost, collected, currency
FROM {sales} ORDER BY line
""")
_INSERT_CREDITS = sql.SQL("""
INSERT INTO cm.credit (client_id, sale_id, payee_id, credit_role, share)
SELECT %(client)s, f.sale_id, c.payee_id, CASE WHEN cardinality(f.payees) = 1 THEN 'direct' ELSE 'split' END, c.share
FROM {sales} f CROSS JOIN LATERAL unnest(f.payees, f.fractions) c (payee_id, share)
WHERE c.payee_id IS NOT NULL
ORDER BY f.line
""")
_COLLECT = sql.SQL("""
UPDATE cm.sale d SET collected = f.collected
FROM {sales} f JOIN pg_temp.import_stored o ON o.source_key = f.source_key AND o.now_collected
WHERE d.client_id = %(client)s AND d.source_system = %(source_system)s AND d.source_key = f.source_key
""")
_FORGET_STORED = sql.SQL("DELETE FROM {sales} f USING pg_temp.import_stored d WHERE d.source_key = f.source_key")


async def check_sales(connection: Connection, scope: Scope, findings: Findings) -> None:
    """Find the sales that contradict what is imported already."""
    resolve = _RESOLVE.format(
        staged=STAGED,
        territories=keys(scope.kind, Refers.TERRITORY),
        products=keys(scope.kind, Refers.PRODUCT),
        reversed_sales=keys(scope.kind, Refers.SALE),
    )
    await connection.execute(resolve, scope.values)
    await connection.execute(sql.SQL("ANALYZE {}").format(_SALES))
    await connection.execute(_STORED.format(sales=_SALES), scope.values)
    await _find_changed(connection, findings)
    await _find_taken(connection, scope, findings)


async def merge_sales(connection: Connection, scope: Scope) -> tuple[int, int]:
    """Add the sales that are not there yet, with their credits, and what was collected for those that are.

    Answers how many are new, and of how many it is known now what was collected.
    """
    collected = await connection.execute(_COLLECT.format(sales=_SALES), scope.values)
    await connection.execute(_FORGET_STORED.format(sales=_SALES))
    inserted = await connection.execute(_INSERT_SALES.format(sales=_SALES), scope.values)
    await connection.execute(_INSERT_CREDITS.format(sales=_SALES), scope.values)
    return inserted.rowcount, collected.rowcount


async def _find_changed(connection: Connection, findings: Findings) -> None:
    """Find the sales that were imported before with other content."""
    found = await (await connection.execute(_CHANGED.format(listed=sql.Literal(LISTED_MAX)))).fetchall()
    page = [
        Finding(
            line,
            "source_key",
            Code.IMPORT_CONFLICT,
            f"Sale {shown(key)} was imported before, with different {', '.join(differing)}",
            "Import a reversal of it and the corrected sale under keys of their own; a sale is never edited",
        )
        for line, key, differing, _ in found
    ]
    findings.add_page(page, total=found[0][3] if found else 0)


async def _find_taken(connection: Connection, scope: Scope, findings: Findings) -> None:
    """Find the sales whose key belongs to another sale."""
    statement = _SALE_ID_TAKEN.format(sales=_SALES, listed=sql.Literal(LISTED_MAX))
    found = await (await connection.execute(statement, scope.values)).fetchall()
    page = [
        Finding(
            line, "sale_id", Code.IMPORT_CONFLICT, f"The key {shown(key)} is that of several sales", "Give each its own"
        )
        for line, key, _ in found
    ]
    findings.add_page(page, total=found[0][2] if found else 0)
