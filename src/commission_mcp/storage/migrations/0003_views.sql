-- What readers see: plain views, owned by the owner of the tables, whose rows the policies on the tables choose. No view has
-- a clock, an enum or a row rule of its own, and each has client_id first. Dates of validity are inclusive here.

CREATE VIEW commission.clients AS
SELECT c.client_id, c.name, p.region, p.tier, c.base_currency AS currency, p.commission_model, p.compliance_level,
       c.time_zone, c.fiscal_year_start_month, c.active, c.created_at
FROM cm.client c LEFT JOIN cm.client_profile p USING (client_id);
COMMENT ON VIEW commission.clients IS 'The client itself and its profile: one row. Key: client_id.';
COMMENT ON COLUMN commission.clients.name IS 'The client''s name.';
COMMENT ON COLUMN commission.clients.region IS 'Sales region, such as North America or EMEA.';
COMMENT ON COLUMN commission.clients.tier IS 'Service tier: standard, premium or enterprise.';
COMMENT ON COLUMN commission.clients.currency IS 'Base currency, ISO 4217.';
COMMENT ON COLUMN commission.clients.commission_model IS 'Usual plan category: flat, slab or tiered.';
COMMENT ON COLUMN commission.clients.compliance_level IS 'Decides which approval steps a plan needs.';
COMMENT ON COLUMN commission.clients.time_zone IS 'Time zone that decides on which date a sale falls.';
COMMENT ON COLUMN commission.clients.fiscal_year_start_month IS 'First month of the fiscal year, 1 to 12.';
COMMENT ON COLUMN commission.clients.active IS 'False when the client is disabled.';
COMMENT ON COLUMN commission.clients.created_at IS 'When the client was added.';

CREATE VIEW commission.users AS
SELECT client_id, user_id, roles, active FROM cm.app_user;
COMMENT ON VIEW commission.users IS 'People who may work with this client''s data, and their roles. Key: user_id.';
COMMENT ON COLUMN commission.users.user_id IS 'Key of the user.';
COMMENT ON COLUMN commission.users.roles IS 'Roles: payee, analyst, manager, plan_author, approver, finance, compliance, auditor, admin.';
COMMENT ON COLUMN commission.users.active IS 'False when the user may no longer act.';

CREATE VIEW commission.payees AS
SELECT client_id, payee_id, user_id, name,
       CASE WHEN (SELECT cm_priv.sees('payees.email')) THEN email WHEN email IS NOT NULL THEN '***' END AS email,
       team, job_role, currency, hired_on, left_on,
       CASE WHEN (SELECT cm_priv.sees('payees.bank_account')) THEN bank_account WHEN bank_account IS NOT NULL THEN '***' END
         AS bank_account,
       CASE WHEN (SELECT cm_priv.sees('payees.salary')) THEN salary END AS salary,
       CASE WHEN (SELECT cm_priv.sees('payees.tax_id')) THEN tax_id WHEN tax_id IS NOT NULL THEN '***' END AS tax_id
FROM cm.payee;
COMMENT ON VIEW commission.payees IS 'People who are paid commissions. Sensitive columns are masked by role, in comparisons and sorting too. Key: payee_id.';
COMMENT ON COLUMN commission.payees.payee_id IS 'Key of the payee.';
COMMENT ON COLUMN commission.payees.user_id IS 'The user who is this payee, if any: users.user_id.';
COMMENT ON COLUMN commission.payees.name IS 'Its name.';
COMMENT ON COLUMN commission.payees.email IS 'E-mail address; masked for readers without the right to it.';
COMMENT ON COLUMN commission.payees.team IS 'Sales team.';
COMMENT ON COLUMN commission.payees.job_role IS 'Job role, such as Account Executive.';
COMMENT ON COLUMN commission.payees.currency IS 'Currency in which the payee is paid, ISO 4217.';
COMMENT ON COLUMN commission.payees.hired_on IS 'First day of employment.';
COMMENT ON COLUMN commission.payees.left_on IS 'Last day of employment, null while employed.';
COMMENT ON COLUMN commission.payees.bank_account IS 'Bank account; masked for readers without the right to it.';
COMMENT ON COLUMN commission.payees.salary IS 'Yearly base salary in the payee''s currency; null where masked for readers without the right to it.';
COMMENT ON COLUMN commission.payees.tax_id IS 'Tax number; masked for readers without the right to it.';

CREATE VIEW commission.reporting_lines AS
SELECT client_id, payee_id, manager_id, lower(valid) AS valid_from, CASE WHEN upper_inf(valid) THEN NULL ELSE upper(valid) - 1 END AS valid_to
FROM cm.reports_to;
COMMENT ON VIEW commission.reporting_lines IS 'Who reports to whom, and when; one manager at a time. Key: payee_id, valid_from.';
COMMENT ON COLUMN commission.reporting_lines.payee_id IS 'The payee who reports: payees.payee_id.';
COMMENT ON COLUMN commission.reporting_lines.manager_id IS 'The manager: payees.payee_id.';
COMMENT ON COLUMN commission.reporting_lines.valid_from IS 'First day, null when unbounded.';
COMMENT ON COLUMN commission.reporting_lines.valid_to IS 'Last day, null when open.';

CREATE VIEW commission.territories AS
SELECT client_id, territory_id, parent_id, name FROM cm.territory;
COMMENT ON VIEW commission.territories IS 'Sales territories, as a tree. Key: territory_id.';
COMMENT ON COLUMN commission.territories.territory_id IS 'Key of the territory.';
COMMENT ON COLUMN commission.territories.parent_id IS 'The territory above: territories.territory_id.';
COMMENT ON COLUMN commission.territories.name IS 'Name, such as North.';

CREATE VIEW commission.products AS
SELECT client_id, product_id, parent_id, name, commissionable FROM cm.product;
COMMENT ON VIEW commission.products IS 'Products and product groups, as a tree. Key: product_id.';
COMMENT ON COLUMN commission.products.product_id IS 'Key of the product.';
COMMENT ON COLUMN commission.products.parent_id IS 'The product group above: products.product_id.';
COMMENT ON COLUMN commission.products.name IS 'Name, such as Product A.';
COMMENT ON COLUMN commission.products.commissionable IS 'False when sales of it pay no commission.';

CREATE VIEW commission.uoms AS
SELECT client_id, uom, name FROM cm.uom;
COMMENT ON VIEW commission.uoms IS 'Units of measure. Key: uom.';
COMMENT ON COLUMN commission.uoms.uom IS 'Code of the unit.';
COMMENT ON COLUMN commission.uoms.name IS 'Name, such as Each.';

CREATE VIEW commission.currencies AS
SELECT (SELECT cm_priv.client()) AS client_id, code, name, minor_units FROM cm.currency;
COMMENT ON VIEW commission.currencies IS 'Currencies and their smallest units. Key: code.';
COMMENT ON COLUMN commission.currencies.code IS 'ISO 4217 code.';
COMMENT ON COLUMN commission.currencies.name IS 'Its name.';
COMMENT ON COLUMN commission.currencies.minor_units IS 'Decimal places of the smallest unit: JPY 0, USD 2, KWD 3.';

CREATE VIEW commission.exchange_rates AS
SELECT client_id, from_currency, to_currency, lower(span) AS valid_from, CASE WHEN upper_inf(span) THEN NULL ELSE upper(span) - 1 END AS valid_to, rate FROM cm.fx_rate;
COMMENT ON VIEW commission.exchange_rates IS 'Exchange rates by date. Key: from_currency, to_currency, valid_from.';
COMMENT ON COLUMN commission.exchange_rates.from_currency IS 'Currency converted from.';
COMMENT ON COLUMN commission.exchange_rates.to_currency IS 'Currency converted to.';
COMMENT ON COLUMN commission.exchange_rates.valid_from IS 'First day of the rate.';
COMMENT ON COLUMN commission.exchange_rates.valid_to IS 'Last day of the rate, null when open.';
COMMENT ON COLUMN commission.exchange_rates.rate IS 'Units of to_currency for one unit of from_currency.';

CREATE VIEW commission.periods AS
SELECT client_id, period_id, kind, lower(span) AS starts_on, upper(span) - 1 AS ends_on, status FROM cm.period;
COMMENT ON VIEW commission.periods IS 'Calendar of periods and how far each one is. Key: period_id.';
COMMENT ON COLUMN commission.periods.period_id IS 'Key of the period, such as 2026-07.';
COMMENT ON COLUMN commission.periods.kind IS 'month, quarter, half, year or pay_cycle.';
COMMENT ON COLUMN commission.periods.starts_on IS 'First day.';
COMMENT ON COLUMN commission.periods.ends_on IS 'Last day.';
COMMENT ON COLUMN commission.periods.status IS 'open, calculated, approved, paid or closed.';

CREATE VIEW commission.quotas AS
SELECT client_id, payee_id, measure, lower(span) AS starts_on, upper(span) - 1 AS ends_on, amount, currency FROM cm.quota;
COMMENT ON VIEW commission.quotas IS 'Quotas of payees. Key: payee_id, measure, starts_on.';
COMMENT ON COLUMN commission.quotas.payee_id IS 'The payee: payees.payee_id.';
COMMENT ON COLUMN commission.quotas.measure IS 'What is counted, such as Gross Revenue or Units.';
COMMENT ON COLUMN commission.quotas.starts_on IS 'First day the quota covers.';
COMMENT ON COLUMN commission.quotas.ends_on IS 'Last day the quota covers.';
COMMENT ON COLUMN commission.quotas.amount IS 'The quota, in units of the measure.';
COMMENT ON COLUMN commission.quotas.currency IS 'Currency of a money quota, null otherwise.';

CREATE VIEW commission.commission_plans AS
SELECT p.client_id, p.plan_id, p.plan_name, v.version, v.status, v.status = 'active' AS is_active, v.description,
       lower(v.valid) AS valid_from, CASE WHEN upper_inf(v.valid) THEN NULL ELSE upper(v.valid) - 1 END AS valid_to, v.assignee_type, v.object_type,
       v.calculation_schedule, v.payment_schedule, v.currency, v.created_by, v.created_at
FROM cm.plan p
JOIN (
  SELECT DISTINCT ON (client_id, plan_id) *
  FROM cm.plan_version
  WHERE status <> 'withdrawn'
  ORDER BY client_id, plan_id, version DESC
) v USING (client_id, plan_id)
WHERE NOT p.withdrawn;
COMMENT ON VIEW commission.commission_plans IS 'One row a plan: its newest version that is not withdrawn. Key: plan_id.';
COMMENT ON COLUMN commission.commission_plans.plan_id IS 'Key of the plan.';
COMMENT ON COLUMN commission.commission_plans.plan_name IS 'Name, unique among the plans in use.';
COMMENT ON COLUMN commission.commission_plans.version IS 'Number of the version shown.';
COMMENT ON COLUMN commission.commission_plans.status IS 'draft, submitted, approved, active or superseded.';
COMMENT ON COLUMN commission.commission_plans.is_active IS 'True when the status is active.';
COMMENT ON COLUMN commission.commission_plans.description IS 'What the plan is for.';
COMMENT ON COLUMN commission.commission_plans.valid_from IS 'First day of validity.';
COMMENT ON COLUMN commission.commission_plans.valid_to IS 'Last day of validity, null when open.';
COMMENT ON COLUMN commission.commission_plans.assignee_type IS 'What the plan is assigned by: Payee, Role, Territory, Product or Team.';
COMMENT ON COLUMN commission.commission_plans.object_type IS 'Which documents count: Invoices, Contracts or Sales Orders.';
COMMENT ON COLUMN commission.commission_plans.calculation_schedule IS 'How often commissions are calculated.';
COMMENT ON COLUMN commission.commission_plans.payment_schedule IS 'How often commissions are paid.';
COMMENT ON COLUMN commission.commission_plans.currency IS 'Currency of the plan, ISO 4217.';
COMMENT ON COLUMN commission.commission_plans.created_by IS 'Author: users.user_id.';
COMMENT ON COLUMN commission.commission_plans.created_at IS 'When the version was written.';

CREATE VIEW commission.plan_versions AS
SELECT p.client_id, p.plan_id, p.plan_name, v.version, v.status, v.description, lower(v.valid) AS valid_from,
       CASE WHEN upper_inf(v.valid) THEN NULL ELSE upper(v.valid) - 1 END AS valid_to, v.assignee_type, v.object_type, v.calculation_schedule,
       v.payment_schedule, v.currency, v.definition, encode(v.definition_sha256, 'hex') AS definition_sha256, v.created_by,
       v.created_at
FROM cm.plan p JOIN cm.plan_version v USING (client_id, plan_id);
COMMENT ON VIEW commission.plan_versions IS 'Every version of every plan; a version beyond draft never changes but for its status. Key: plan_id, version.';
COMMENT ON COLUMN commission.plan_versions.plan_id IS 'Key of the plan.';
COMMENT ON COLUMN commission.plan_versions.plan_name IS 'Its name.';
COMMENT ON COLUMN commission.plan_versions.version IS 'Number of the version, from 1.';
COMMENT ON COLUMN commission.plan_versions.status IS 'draft, submitted, approved, active, superseded or withdrawn.';
COMMENT ON COLUMN commission.plan_versions.description IS 'What the plan is for.';
COMMENT ON COLUMN commission.plan_versions.valid_from IS 'First day of validity.';
COMMENT ON COLUMN commission.plan_versions.valid_to IS 'Last day of validity, null when open.';
COMMENT ON COLUMN commission.plan_versions.assignee_type IS 'What the plan is assigned by.';
COMMENT ON COLUMN commission.plan_versions.object_type IS 'Which documents count.';
COMMENT ON COLUMN commission.plan_versions.calculation_schedule IS 'How often commissions are calculated.';
COMMENT ON COLUMN commission.plan_versions.payment_schedule IS 'How often commissions are paid.';
COMMENT ON COLUMN commission.plan_versions.currency IS 'Currency of the plan, ISO 4217.';
COMMENT ON COLUMN commission.plan_versions.definition IS 'The whole plan as canonical JSON.';
COMMENT ON COLUMN commission.plan_versions.definition_sha256 IS 'Hash of the definition; approvals bind to it.';
COMMENT ON COLUMN commission.plan_versions.created_by IS 'Author: users.user_id.';
COMMENT ON COLUMN commission.plan_versions.created_at IS 'When the version was written.';

CREATE VIEW commission.plan_rules AS
SELECT client_id, plan_id, version, rule_no, plan_type, category_type, range_type, value_type, fixed_basis, base_value,
       accumulation, boundary, cap, floor, threshold, draw, draw_recoverable, premium_threshold, multiplier
FROM cm.plan_rule;
COMMENT ON VIEW commission.plan_rules IS 'Rules of plan versions: how a base turns into commission. Key: plan_id, version, rule_no.';
COMMENT ON COLUMN commission.plan_rules.plan_id IS 'The plan: commission_plans.plan_id.';
COMMENT ON COLUMN commission.plan_rules.version IS 'The version of the plan.';
COMMENT ON COLUMN commission.plan_rules.rule_no IS 'Number of the rule in the plan, from 1.';
COMMENT ON COLUMN commission.plan_rules.plan_type IS 'Target: Revenue, Margin, Units or Bookings Target, or Bonus.';
COMMENT ON COLUMN commission.plan_rules.category_type IS 'Flat; Slab: the band''s rate on everything; Tiered: each band''s rate on the part inside it.';
COMMENT ON COLUMN commission.plan_rules.range_type IS 'What bands are measured in: Amount, Quantity or Percentage of Quota; null for Flat.';
COMMENT ON COLUMN commission.plan_rules.value_type IS 'Percentage (in points, 5 is 5 %) or Fixed Amount.';
COMMENT ON COLUMN commission.plan_rules.fixed_basis IS 'For Fixed Amount: per_transaction, per_unit or per_period.';
COMMENT ON COLUMN commission.plan_rules.base_value IS 'What is paid on: Gross Revenue, Net Revenue, Margin, Bookings, Cash Collected or Units.';
COMMENT ON COLUMN commission.plan_rules.accumulation IS 'What is summed before bands apply: transaction, calculation_period, quarter, year or plan.';
COMMENT ON COLUMN commission.plan_rules.boundary IS 'To which band an amount exactly on a cut belongs: upper_inclusive to the lower one.';
COMMENT ON COLUMN commission.plan_rules.cap IS 'Most that the rule pays in a period.';
COMMENT ON COLUMN commission.plan_rules.floor IS 'Least that the rule pays in a period.';
COMMENT ON COLUMN commission.plan_rules.threshold IS 'Base below which the rule pays nothing.';
COMMENT ON COLUMN commission.plan_rules.draw IS 'Guaranteed payment of a period.';
COMMENT ON COLUMN commission.plan_rules.draw_recoverable IS 'Whether a draw is taken back from later earnings.';
COMMENT ON COLUMN commission.plan_rules.premium_threshold IS 'Base above which the multiplier applies.';
COMMENT ON COLUMN commission.plan_rules.multiplier IS 'Factor on commission above the premium threshold.';

CREATE VIEW commission.plan_tiers AS
SELECT client_id, plan_id, version, rule_no,
       (row_number() OVER (PARTITION BY client_id, plan_id, version, rule_no ORDER BY band))::int AS tier_no,
       lower(band) AS from_value, upper(band) AS to_value, commission
FROM cm.tier;
COMMENT ON VIEW commission.plan_tiers IS 'Bands of rules and the commission in each. Key: plan_id, version, rule_no, tier_no.';
COMMENT ON COLUMN commission.plan_tiers.plan_id IS 'The plan: commission_plans.plan_id.';
COMMENT ON COLUMN commission.plan_tiers.version IS 'The version of the plan.';
COMMENT ON COLUMN commission.plan_tiers.rule_no IS 'The rule: plan_rules.rule_no.';
COMMENT ON COLUMN commission.plan_tiers.tier_no IS 'Number of the band in the rule, from 1.';
COMMENT ON COLUMN commission.plan_tiers.from_value IS 'Lower cut of the band.';
COMMENT ON COLUMN commission.plan_tiers.to_value IS 'Upper cut of the band, null for the last.';
COMMENT ON COLUMN commission.plan_tiers.commission IS 'Percentage in points, or an amount in the plan''s currency, as plan_rules.value_type says.';

CREATE VIEW commission.plan_assignments AS
SELECT client_id, assignment_id, plan_id, version, payee_id, territory_id, product_id, team, job_role, customer, plant,
       customer_group, override_key, priority, lower(valid) AS valid_from, CASE WHEN upper_inf(valid) THEN NULL ELSE upper(valid) - 1 END AS valid_to
FROM cm.assignment;
COMMENT ON VIEW commission.plan_assignments IS 'To whom and what a plan version applies. Key: assignment_id.';
COMMENT ON COLUMN commission.plan_assignments.assignment_id IS 'Key of the assignment.';
COMMENT ON COLUMN commission.plan_assignments.plan_id IS 'The plan: commission_plans.plan_id.';
COMMENT ON COLUMN commission.plan_assignments.version IS 'The version of the plan.';
COMMENT ON COLUMN commission.plan_assignments.payee_id IS 'Only this payee: payees.payee_id; null for any.';
COMMENT ON COLUMN commission.plan_assignments.territory_id IS 'Only this territory: territories.territory_id; null for any.';
COMMENT ON COLUMN commission.plan_assignments.product_id IS 'Only this product: products.product_id; null for any.';
COMMENT ON COLUMN commission.plan_assignments.team IS 'Only this team; null for any.';
COMMENT ON COLUMN commission.plan_assignments.job_role IS 'Only this job role; null for any.';
COMMENT ON COLUMN commission.plan_assignments.customer IS 'Only this customer; null for any.';
COMMENT ON COLUMN commission.plan_assignments.plant IS 'Only this plant; null for any.';
COMMENT ON COLUMN commission.plan_assignments.customer_group IS 'Only this customer group; null for any.';
COMMENT ON COLUMN commission.plan_assignments.override_key IS 'The client''s own key: override_keys.override_key.';
COMMENT ON COLUMN commission.plan_assignments.priority IS 'A lower number wins where several assignments match.';
COMMENT ON COLUMN commission.plan_assignments.valid_from IS 'First day.';
COMMENT ON COLUMN commission.plan_assignments.valid_to IS 'Last day, null when open.';

CREATE VIEW commission.plan_templates AS
SELECT client_id, template, description, definition FROM cm.plan_template;
COMMENT ON VIEW commission.plan_templates IS 'Templates that new plans may start from. Key: template.';
COMMENT ON COLUMN commission.plan_templates.template IS 'Name of the template.';
COMMENT ON COLUMN commission.plan_templates.description IS 'What it is for.';
COMMENT ON COLUMN commission.plan_templates.definition IS 'Fields it fills in, as JSON.';

CREATE VIEW commission.override_keys AS
SELECT client_id, override_key, priority, multiplier FROM cm.override_key;
COMMENT ON VIEW commission.override_keys IS 'The client''s own keys for priorities and multipliers. Key: override_key.';
COMMENT ON COLUMN commission.override_keys.override_key IS 'The key, such as priority_1.';
COMMENT ON COLUMN commission.override_keys.priority IS 'Priority it stands for; a lower number wins.';
COMMENT ON COLUMN commission.override_keys.multiplier IS 'Factor on commission.';

CREATE VIEW commission.approval_policies AS
SELECT client_id, step, requirement, automatic_below, deciding_role FROM cm.approval_policy;
COMMENT ON VIEW commission.approval_policies IS 'Which approvals a plan needs and who decides. Key: step.';
COMMENT ON COLUMN commission.approval_policies.step IS 'manager_approval, finance_review, compliance_check or payee_acknowledgement.';
COMMENT ON COLUMN commission.approval_policies.requirement IS 'required, automatic_below or not_required.';
COMMENT ON COLUMN commission.approval_policies.automatic_below IS 'Amount below which the step is decided automatically.';
COMMENT ON COLUMN commission.approval_policies.deciding_role IS 'Role that decides.';

CREATE VIEW commission.sales AS
SELECT client_id, sale_id, source_system, source_key, object_type, sold_on, territory_id, product_id, customer, quantity, uom,
       gross, net, cost, currency, reverses_sale_id
FROM cm.sale;
COMMENT ON VIEW commission.sales IS 'Sales: one row a document line. A refund is a row of its own with negative amounts. Key: sale_id.';
COMMENT ON COLUMN commission.sales.sale_id IS 'Key of the sale.';
COMMENT ON COLUMN commission.sales.source_system IS 'System that the sale came from.';
COMMENT ON COLUMN commission.sales.source_key IS 'Key in that system; one sale is imported once.';
COMMENT ON COLUMN commission.sales.object_type IS 'Invoices, Contracts or Sales Orders.';
COMMENT ON COLUMN commission.sales.sold_on IS 'Date of the sale in the client''s time zone.';
COMMENT ON COLUMN commission.sales.territory_id IS 'The territory: territories.territory_id.';
COMMENT ON COLUMN commission.sales.product_id IS 'The product: products.product_id.';
COMMENT ON COLUMN commission.sales.customer IS 'Customer.';
COMMENT ON COLUMN commission.sales.quantity IS 'Quantity, in the unit of measure.';
COMMENT ON COLUMN commission.sales.uom IS 'Unit of measure: uoms.uom.';
COMMENT ON COLUMN commission.sales.gross IS 'Gross amount in the sale''s currency.';
COMMENT ON COLUMN commission.sales.net IS 'Net amount in the sale''s currency.';
COMMENT ON COLUMN commission.sales.cost IS 'Cost in the sale''s currency, null when unknown; margin is net - cost.';
COMMENT ON COLUMN commission.sales.currency IS 'Currency of the amounts, ISO 4217.';
COMMENT ON COLUMN commission.sales.reverses_sale_id IS 'For a refund, the sale it reverses: sales.sale_id.';

CREATE VIEW commission.credits AS
SELECT client_id, sale_id, payee_id, credit_role, share FROM cm.credit;
COMMENT ON VIEW commission.credits IS 'Who is credited with a sale; direct and split shares of a sale sum to 1. Key: sale_id, payee_id, credit_role.';
COMMENT ON COLUMN commission.credits.sale_id IS 'The sale: sales.sale_id.';
COMMENT ON COLUMN commission.credits.payee_id IS 'The payee: payees.payee_id.';
COMMENT ON COLUMN commission.credits.credit_role IS 'direct, split, overlay or override.';
COMMENT ON COLUMN commission.credits.share IS 'Share of the sale, above 0 up to 1.';

CREATE VIEW commission.calculation_runs AS
SELECT client_id, run_id, period_id, kind, complete, supersedes, engine_version, encode(inputs_sha256, 'hex') AS inputs_sha256,
       started_by, started_at
FROM cm.calc_run;
COMMENT ON VIEW commission.calculation_runs IS 'Runs of the calculation; results are never edited, a later run supersedes. Key: run_id.';
COMMENT ON COLUMN commission.calculation_runs.run_id IS 'Key of the run.';
COMMENT ON COLUMN commission.calculation_runs.period_id IS 'The period: periods.period_id.';
COMMENT ON COLUMN commission.calculation_runs.kind IS 'official or prior_period_adjustment.';
COMMENT ON COLUMN commission.calculation_runs.complete IS 'False when something could not be calculated.';
COMMENT ON COLUMN commission.calculation_runs.supersedes IS 'The run that this one replaces.';
COMMENT ON COLUMN commission.calculation_runs.engine_version IS 'Version of the engine.';
COMMENT ON COLUMN commission.calculation_runs.inputs_sha256 IS 'Hash of everything the run was computed from.';
COMMENT ON COLUMN commission.calculation_runs.started_by IS 'Who started it: users.user_id.';
COMMENT ON COLUMN commission.calculation_runs.started_at IS 'When.';

CREATE VIEW commission.commission_results AS
SELECT client_id, run_id, line_no, payee_id, plan_id, version, rule_no, sale_id, lower(tier_band) AS band_from,
       upper(tier_band) AS band_to, base, commission_rate, amount_exact, amount, currency, kind, explanation
FROM cm.result_line;
COMMENT ON VIEW commission.commission_results IS 'Lines of results: what a payee earned, from which sale, under which rule and band. Key: run_id, line_no.';
COMMENT ON COLUMN commission.commission_results.run_id IS 'The run: calculation_runs.run_id.';
COMMENT ON COLUMN commission.commission_results.line_no IS 'Number of the line in the run.';
COMMENT ON COLUMN commission.commission_results.payee_id IS 'The payee: payees.payee_id.';
COMMENT ON COLUMN commission.commission_results.plan_id IS 'The plan: commission_plans.plan_id.';
COMMENT ON COLUMN commission.commission_results.version IS 'The version of the plan.';
COMMENT ON COLUMN commission.commission_results.rule_no IS 'The rule: plan_rules.rule_no.';
COMMENT ON COLUMN commission.commission_results.sale_id IS 'The sale: sales.sale_id; null for lines of the whole period.';
COMMENT ON COLUMN commission.commission_results.band_from IS 'Lower cut of the band.';
COMMENT ON COLUMN commission.commission_results.band_to IS 'Upper cut of the band, null for the last.';
COMMENT ON COLUMN commission.commission_results.base IS 'Amount or quantity that was paid on.';
COMMENT ON COLUMN commission.commission_results.commission_rate IS 'Percentage in points, or the fixed amount.';
COMMENT ON COLUMN commission.commission_results.amount_exact IS 'Amount before rounding.';
COMMENT ON COLUMN commission.commission_results.amount IS 'Amount as paid; the lines of a payee sum to the payout.';
COMMENT ON COLUMN commission.commission_results.currency IS 'Currency, ISO 4217.';
COMMENT ON COLUMN commission.commission_results.kind IS 'commission, bonus, override, cap, floor, draw_advance, draw_recovery, clawback, adjustment or rounding.';
COMMENT ON COLUMN commission.commission_results.explanation IS 'The arithmetic in words and numbers, as JSON.';

CREATE VIEW commission.payouts AS
SELECT client_id, payout_id, payee_id, period_id, run_id, amount, carried_balance, currency, status FROM cm.payout;
COMMENT ON VIEW commission.payouts IS 'What is paid to a payee for a period. Key: payout_id.';
COMMENT ON COLUMN commission.payouts.payout_id IS 'Key of the payout.';
COMMENT ON COLUMN commission.payouts.payee_id IS 'The payee: payees.payee_id.';
COMMENT ON COLUMN commission.payouts.period_id IS 'The period: periods.period_id.';
COMMENT ON COLUMN commission.payouts.run_id IS 'The run: calculation_runs.run_id.';
COMMENT ON COLUMN commission.payouts.amount IS 'Amount to pay, never negative.';
COMMENT ON COLUMN commission.payouts.carried_balance IS 'Negative rest that is carried into the next period.';
COMMENT ON COLUMN commission.payouts.currency IS 'Currency, ISO 4217.';
COMMENT ON COLUMN commission.payouts.status IS 'draft, approved, held, paid or void.';

CREATE VIEW commission.approvals AS
SELECT client_id, approval_id, subject_kind, subject_ref, encode(subject_sha256, 'hex') AS subject_sha256, step, requested_by,
       decided_by, decision, decided_at, comment
FROM cm.approval;
COMMENT ON VIEW commission.approvals IS 'Decisions on plans and payouts, asked for and made. Key: approval_id.';
COMMENT ON COLUMN commission.approvals.approval_id IS 'Key of the approval.';
COMMENT ON COLUMN commission.approvals.subject_kind IS 'plan_version, payout or adjustment.';
COMMENT ON COLUMN commission.approvals.subject_ref IS 'What is decided on, such as plan-123/1.';
COMMENT ON COLUMN commission.approvals.subject_sha256 IS 'Hash of exactly what is decided on.';
COMMENT ON COLUMN commission.approvals.step IS 'manager_approval, finance_review, compliance_check or payee_acknowledgement.';
COMMENT ON COLUMN commission.approvals.requested_by IS 'Who asked: users.user_id.';
COMMENT ON COLUMN commission.approvals.decided_by IS 'Who decided: users.user_id, never who asked.';
COMMENT ON COLUMN commission.approvals.decision IS 'pending, approved, rejected or automatic.';
COMMENT ON COLUMN commission.approvals.decided_at IS 'When it was decided.';
COMMENT ON COLUMN commission.approvals.comment IS 'What the decider said.';

CREATE VIEW commission.disputes AS
SELECT client_id, dispute_id, payee_id, run_id, line_no, reason, state, opened_at FROM cm.dispute;
COMMENT ON VIEW commission.disputes IS 'Objections of payees to result lines. Key: dispute_id.';
COMMENT ON COLUMN commission.disputes.dispute_id IS 'Key of the dispute.';
COMMENT ON COLUMN commission.disputes.payee_id IS 'The payee: payees.payee_id.';
COMMENT ON COLUMN commission.disputes.run_id IS 'The run: calculation_runs.run_id.';
COMMENT ON COLUMN commission.disputes.line_no IS 'The line: commission_results.line_no.';
COMMENT ON COLUMN commission.disputes.reason IS 'What the payee objects to.';
COMMENT ON COLUMN commission.disputes.state IS 'open, accepted, rejected or withdrawn.';
COMMENT ON COLUMN commission.disputes.opened_at IS 'When.';

CREATE VIEW commission.data_versions AS
SELECT client_id, relation, version, changed_at FROM cm.data_version;
COMMENT ON VIEW commission.data_versions IS 'When each kind of data last changed. Key: relation.';
COMMENT ON COLUMN commission.data_versions.relation IS 'Kind of data.';
COMMENT ON COLUMN commission.data_versions.version IS 'Counts the changes.';
COMMENT ON COLUMN commission.data_versions.changed_at IS 'When it last changed.';

DO $$
DECLARE
  v record;
BEGIN
  FOR v IN SELECT c.oid::regclass AS view FROM pg_class c WHERE c.relnamespace = 'commission'::regnamespace LOOP
    EXECUTE format('COMMENT ON COLUMN %s.client_id IS %L', v.view, 'The client; always your own.');
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA commission TO cm_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA commission TO cm_reader;
