-- Cash collected for sales, importable reporting lines, the days on which versions of plans count, one delivery at a time.

ALTER TABLE cm.sale ADD COLUMN collected numeric CHECK (scale(collected) <= 6 AND abs(collected) < 1e14);
-- A sale is a fact. What was collected for it may become known later, once.
CREATE FUNCTION cm.keep_sale() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.collected IS NOT NULL AND NEW.collected IS DISTINCT FROM OLD.collected THEN
    RAISE EXCEPTION 'what was collected for sale % is known and stays', OLD.sale_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION cm.keep_sale() FROM PUBLIC;
CREATE TRIGGER collected_once BEFORE UPDATE ON cm.sale FOR EACH ROW EXECUTE FUNCTION cm.keep_sale();

CREATE OR REPLACE VIEW commission.sales AS
SELECT client_id, sale_id, source_system, source_key, object_type, sold_on, territory_id, product_id, customer, quantity, uom,
       gross, net, cost, currency, reverses_sale_id, collected
FROM cm.sale;
COMMENT ON COLUMN commission.sales.collected IS 'Cash collected for it in the sale''s currency, null when unknown, which is not 0.';

-- A reporting line has the key of the system that it comes from; without one, the payee and the first day.
ALTER TABLE cm.reports_to ADD COLUMN source_key text CHECK (source_key <> '');
RESET ROLE;
UPDATE cm.reports_to SET source_key = payee_id || '@' || coalesce(to_char(lower(valid), 'YYYY-MM-DD'), '');
SET LOCAL ROLE cm_owner;
ALTER TABLE cm.reports_to
  ADD CONSTRAINT reports_to_source_key UNIQUE (client_id, source_key),
  DROP CONSTRAINT reports_to_client_id_payee_id_valid_excl,
  -- A file ends one line and begins another: what counts is how the lines stand when all of it is written.
  ADD CONSTRAINT one_manager_at_a_time EXCLUDE USING gist (client_id WITH =, payee_id WITH =, valid WITH &&)
    DEFERRABLE INITIALLY IMMEDIATE;

CREATE OR REPLACE VIEW commission.attainment AS
SELECT q.client_id, q.payee_id, q.measure, lower(q.span) AS starts_on, upper(q.span) - 1 AS ends_on, q.amount AS quota,
       q.currency, a.achieved, round(100 * a.achieved / q.amount, 2) AS attainment_percent
FROM cm.quota q
CROSS JOIN LATERAL (
  SELECT CASE WHEN lower(q.measure) IN ('gross revenue', 'net revenue', 'margin', 'units', 'cash collected', 'bookings')
    THEN coalesce(sum(c.share *
    CASE lower(q.measure)
      WHEN 'units' THEN s.quantity
      WHEN 'gross revenue' THEN s.gross * x.rate
      WHEN 'net revenue' THEN s.net * x.rate
      WHEN 'cash collected' THEN s.collected * x.rate
      WHEN 'bookings' THEN CASE WHEN s.object_type <> 'Invoices' THEN s.gross * x.rate END
      ELSE (s.net - s.cost) * x.rate
    END), 0) END AS achieved
  FROM cm.credit c
  JOIN cm.sale s ON s.client_id = c.client_id AND s.sale_id = c.sale_id
  LEFT JOIN cm.fx_rate f ON f.client_id = s.client_id AND f.from_currency = s.currency AND f.to_currency = q.currency
    AND f.span @> s.sold_on
  CROSS JOIN LATERAL (SELECT CASE WHEN q.currency IS NULL OR s.currency = q.currency THEN 1 ELSE f.rate END AS rate) x
  WHERE c.client_id = q.client_id AND c.payee_id = q.payee_id AND s.sold_on >= lower(q.span) AND s.sold_on < upper(q.span)
) a;
COMMENT ON COLUMN commission.attainment.achieved IS 'What is credited in these days; null for a measure that sales do not have. Sales without an exchange rate, a cost or the cash collected do not count.';

-- As in domain/validity.py: of versions that begin on one day the newest, and on each day the newest of those.
CREATE VIEW commission.plan_validity AS
WITH counting AS (
  SELECT DISTINCT ON (v.client_id, v.plan_id, lower(v.valid)) v.client_id, v.plan_id, v.version, v.valid
  FROM cm.plan_version v WHERE v.status IN ('active', 'superseded')
  ORDER BY v.client_id, v.plan_id, lower(v.valid), v.version DESC
)
SELECT v.client_id, v.plan_id, v.version, lower(d.days) AS valid_from,
       CASE WHEN upper_inf(d.days) THEN NULL ELSE upper(d.days) - 1 END AS valid_to
FROM counting v JOIN cm.plan p USING (client_id, plan_id)
CROSS JOIN LATERAL unnest(datemultirange(v.valid) - coalesce((
  SELECT range_agg(n.valid) FROM counting n
  WHERE n.client_id = v.client_id AND n.plan_id = v.plan_id AND n.version > v.version), '{}')) AS d(days)
WHERE NOT p.withdrawn;
COMMENT ON VIEW commission.plan_validity IS 'The days on which each version of a plan counts for sales; a version that is interrupted has several rows. Key: plan_id, valid_from.';
COMMENT ON COLUMN commission.plan_validity.client_id IS 'The client; always your own.';
COMMENT ON COLUMN commission.plan_validity.plan_id IS 'The plan: commission_plans.plan_id.';
COMMENT ON COLUMN commission.plan_validity.version IS 'The version: plan_versions.version.';
COMMENT ON COLUMN commission.plan_validity.valid_from IS 'First day.';
COMMENT ON COLUMN commission.plan_validity.valid_to IS 'Last day, null when open.';
GRANT SELECT ON commission.plan_validity TO cm_reader;

-- A receiver gets the messages of a client one after the other, whoever delivers them.
ALTER TABLE cm.outbox ADD COLUMN leased_until timestamptz;
