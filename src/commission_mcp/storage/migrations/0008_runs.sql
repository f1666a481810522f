-- What a run says beside its lines, lines that no rule of the table of rules has written, and what analysts read of it.

-- Draws, salaries, SPIFFs, bonuses and deltas belong to a plan and to none of its numbered rules.
ALTER TABLE cm.result_line ALTER COLUMN rule_no DROP NOT NULL;
ALTER TABLE cm.result_line DROP CONSTRAINT result_line_kind_check;
ALTER TABLE cm.result_line ADD CONSTRAINT result_line_kind_check CHECK (kind IN (
  'commission', 'bonus', 'override', 'cap', 'floor', 'draw_advance', 'draw_recovery', 'clawback', 'adjustment', 'rounding',
  'true_up', 'base_salary'));

CREATE TABLE cm.run_note (
  client_id text NOT NULL,
  run_id uuid NOT NULL,
  note_no int NOT NULL CHECK (note_no > 0),
  kind text NOT NULL CHECK (kind IN ('step', 'unmatched', 'not_due', 'problem')),
  payee_id text,
  plan_id text,
  version int,
  sale_id text,
  amount numeric,
  currency text REFERENCES cm.currency,
  message text NOT NULL,
  PRIMARY KEY (client_id, run_id, note_no),
  FOREIGN KEY (client_id, run_id) REFERENCES cm.calc_run,
  FOREIGN KEY (client_id, payee_id) REFERENCES cm.payee,
  FOREIGN KEY (client_id, plan_id, version) REFERENCES cm.plan_version,
  FOREIGN KEY (client_id, sale_id) REFERENCES cm.sale
);
CREATE INDEX run_note_by_payee ON cm.run_note (client_id, run_id, payee_id);
CREATE INDEX result_line_by_run_and_payee ON cm.result_line (client_id, run_id, payee_id);
CREATE INDEX calc_run_by_period ON cm.calc_run (client_id, period_id, started_at);
CREATE UNIQUE INDEX calc_run_superseded_once ON cm.calc_run (client_id, supersedes);
CREATE INDEX sale_by_reversed ON cm.sale (client_id, reverses_sale_id) WHERE reverses_sale_id IS NOT NULL;
RESET ROLE;
GRANT EXECUTE ON FUNCTION cm_priv.bump_version() TO cm_owner; -- whoever makes a trigger must be allowed to call it
SET LOCAL ROLE cm_owner;
CALL cm_priv.protect('cm.run_note');
REVOKE UPDATE, DELETE ON cm.run_note FROM cm_writer;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cm.run_note
  FOR EACH STATEMENT EXECUTE FUNCTION cm.refuse_change();

CREATE OR REPLACE VIEW commission.calculation_runs AS
SELECT r.client_id, r.run_id, r.period_id, r.kind, r.complete, r.supersedes, r.engine_version,
       encode(r.inputs_sha256, 'hex') AS inputs_sha256, r.started_by, r.started_at,
       NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id) AS is_current
FROM cm.calc_run r;
COMMENT ON COLUMN commission.calculation_runs.is_current IS 'False when a later run has taken its place.';
COMMENT ON COLUMN commission.commission_results.rule_no IS 'The rule: plan_rules.rule_no; null for what no numbered rule pays, such as draws, bonuses and deltas.';
COMMENT ON COLUMN commission.commission_results.kind IS 'commission, true_up, bonus, override, cap, floor, draw_advance, draw_recovery, base_salary, clawback, adjustment or rounding.';

CREATE VIEW commission.run_notes AS
SELECT client_id, run_id, note_no, kind, payee_id, plan_id, version, sale_id, amount, currency, message FROM cm.run_note;
COMMENT ON VIEW commission.run_notes IS 'What a run says beside its lines: arithmetic in steps, sales that paid nothing, what is not due yet, problems. Key: run_id, note_no.';
COMMENT ON COLUMN commission.run_notes.run_id IS 'The run: calculation_runs.run_id.';
COMMENT ON COLUMN commission.run_notes.note_no IS 'Number of the note in the run.';
COMMENT ON COLUMN commission.run_notes.kind IS 'step, unmatched, not_due or problem.';
COMMENT ON COLUMN commission.run_notes.payee_id IS 'The payee, if it is about one: payees.payee_id.';
COMMENT ON COLUMN commission.run_notes.plan_id IS 'The plan, if it is about one: commission_plans.plan_id.';
COMMENT ON COLUMN commission.run_notes.version IS 'The version of the plan.';
COMMENT ON COLUMN commission.run_notes.sale_id IS 'The sale, if it is about one: sales.sale_id.';
COMMENT ON COLUMN commission.run_notes.amount IS 'Amount of the unmatched sale, or earned and not due.';
COMMENT ON COLUMN commission.run_notes.currency IS 'Currency of the amount, ISO 4217.';
COMMENT ON COLUMN commission.run_notes.message IS 'The arithmetic, or the reason, in words.';

CREATE VIEW commission.attainment AS
SELECT q.client_id, q.payee_id, q.measure, lower(q.span) AS starts_on, upper(q.span) - 1 AS ends_on, q.amount AS quota,
       q.currency, a.achieved, round(100 * a.achieved / q.amount, 2) AS attainment_percent
FROM cm.quota q
CROSS JOIN LATERAL (
  SELECT CASE WHEN lower(q.measure) IN ('gross revenue', 'net revenue', 'margin', 'units') THEN coalesce(sum(c.share *
    CASE lower(q.measure)
      WHEN 'units' THEN s.quantity
      WHEN 'gross revenue' THEN s.gross * x.rate
      WHEN 'net revenue' THEN s.net * x.rate
      ELSE (s.net - s.cost) * x.rate
    END), 0) END AS achieved
  FROM cm.credit c
  JOIN cm.sale s ON s.client_id = c.client_id AND s.sale_id = c.sale_id
  LEFT JOIN cm.fx_rate f ON f.client_id = s.client_id AND f.from_currency = s.currency AND f.to_currency = q.currency
    AND f.span @> s.sold_on
  CROSS JOIN LATERAL (SELECT CASE WHEN q.currency IS NULL OR s.currency = q.currency THEN 1 ELSE f.rate END AS rate) x
  WHERE c.client_id = q.client_id AND c.payee_id = q.payee_id AND s.sold_on >= lower(q.span) AND s.sold_on < upper(q.span)
) a;
COMMENT ON VIEW commission.attainment IS 'How much of each quota is reached, by credited sales and refunds on their own dates. Key: payee_id, measure, starts_on.';
COMMENT ON COLUMN commission.attainment.payee_id IS 'The payee: payees.payee_id.';
COMMENT ON COLUMN commission.attainment.measure IS 'What is counted, such as Gross Revenue or Units.';
COMMENT ON COLUMN commission.attainment.starts_on IS 'First day the quota covers.';
COMMENT ON COLUMN commission.attainment.ends_on IS 'Last day the quota covers.';
COMMENT ON COLUMN commission.attainment.quota IS 'The quota, in units of the measure.';
COMMENT ON COLUMN commission.attainment.currency IS 'Currency of a money quota, null otherwise.';
COMMENT ON COLUMN commission.attainment.achieved IS 'What is credited in these days; null for a measure that sales do not have. Sales without an exchange rate or a cost do not count.';
COMMENT ON COLUMN commission.attainment.attainment_percent IS 'Achieved in percent of the quota.';

CREATE VIEW commission.payout_by_month AS
SELECT o.client_id, to_char(upper(p.span) - 1, 'YYYY-MM') AS month, o.payee_id, o.currency, sum(o.amount) AS amount,
       sum(o.carried_balance) AS carried_balance, count(*) AS payouts
FROM cm.payout o JOIN cm.period p USING (client_id, period_id)
WHERE o.status <> 'void'
GROUP BY o.client_id, 2, o.payee_id, o.currency;
COMMENT ON VIEW commission.payout_by_month IS 'Payouts of each payee by the month in which their period ends; void ones are left out. Key: month, payee_id, currency.';
COMMENT ON COLUMN commission.payout_by_month.month IS 'Month, such as 2026-07.';
COMMENT ON COLUMN commission.payout_by_month.payee_id IS 'The payee: payees.payee_id.';
COMMENT ON COLUMN commission.payout_by_month.currency IS 'Currency, ISO 4217.';
COMMENT ON COLUMN commission.payout_by_month.amount IS 'Amount to pay.';
COMMENT ON COLUMN commission.payout_by_month.carried_balance IS 'Negative rest that is carried on.';
COMMENT ON COLUMN commission.payout_by_month.payouts IS 'How many payouts there are.';

CREATE VIEW commission.plan_performance AS
SELECT l.client_id, l.plan_id, p.plan_name, l.version, r.period_id, l.currency, count(DISTINCT l.payee_id) AS payees,
       count(DISTINCT l.sale_id) AS sales, sum(l.amount) AS commission,
       sum(l.amount) FILTER (WHERE l.kind IN ('commission', 'true_up')) AS commission_on_sales
FROM cm.result_line l
JOIN cm.calc_run r USING (client_id, run_id)
JOIN cm.plan p USING (client_id, plan_id)
WHERE NOT EXISTS (SELECT FROM cm.calc_run s WHERE s.client_id = r.client_id AND s.supersedes = r.run_id)
GROUP BY l.client_id, l.plan_id, p.plan_name, l.version, r.period_id, l.currency;
COMMENT ON VIEW commission.plan_performance IS 'What each plan version cost in each period, by the runs that count. Key: plan_id, version, period_id, currency.';
COMMENT ON COLUMN commission.plan_performance.plan_id IS 'The plan: commission_plans.plan_id.';
COMMENT ON COLUMN commission.plan_performance.plan_name IS 'Its name.';
COMMENT ON COLUMN commission.plan_performance.version IS 'The version of the plan.';
COMMENT ON COLUMN commission.plan_performance.period_id IS 'The period: periods.period_id.';
COMMENT ON COLUMN commission.plan_performance.currency IS 'Currency, ISO 4217.';
COMMENT ON COLUMN commission.plan_performance.payees IS 'Payees with lines.';
COMMENT ON COLUMN commission.plan_performance.sales IS 'Sales with lines of their own.';
COMMENT ON COLUMN commission.plan_performance.commission IS 'Sum of all lines.';
COMMENT ON COLUMN commission.plan_performance.commission_on_sales IS 'Sum of the lines for sales and their true-ups, without bonuses, draws and adjustments.';

COMMENT ON COLUMN commission.run_notes.client_id IS 'The client; always your own.';
COMMENT ON COLUMN commission.attainment.client_id IS 'The client; always your own.';
COMMENT ON COLUMN commission.payout_by_month.client_id IS 'The client; always your own.';
COMMENT ON COLUMN commission.plan_performance.client_id IS 'The client; always your own.';

GRANT SELECT ON commission.calculation_runs, commission.run_notes, commission.attainment, commission.payout_by_month,
  commission.plan_performance TO cm_reader;
