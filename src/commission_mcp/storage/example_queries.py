"""Queries that work on the views as they are: shown with the schema, and each run by a test."""

from __future__ import annotations

from collections.abc import Mapping

OVERVIEW_EXAMPLES: tuple[str, ...] = (
    "SELECT plan_id, plan_name, status, valid_from, valid_to FROM commission_plans WHERE is_active ORDER BY plan_name",
    (
        "SELECT y.name, p.period_id, p.amount, p.currency FROM payouts p JOIN payees y USING (payee_id) "
        "ORDER BY p.period_id DESC, p.amount DESC LIMIT 20"
    ),
    (
        "SELECT date_trunc('month', sold_on)::date AS month, currency, sum(gross) AS gross, count(*) AS sales "
        "FROM sales GROUP BY 1, 2 ORDER BY 1, 2"
    ),
)

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "clients": ("SELECT name, region, currency, commission_model FROM clients",),
    "payees": ("SELECT payee_id, name, team, job_role FROM payees WHERE left_on IS NULL ORDER BY name",),
    "reporting_lines": (
        (
            "SELECT m.name AS manager, y.name AS payee FROM reporting_lines r JOIN payees y USING (payee_id) "
            "JOIN payees m ON m.payee_id = r.manager_id WHERE r.valid_to IS NULL ORDER BY 1, 2"
        ),
    ),
    "quotas": (
        "SELECT payee_id, measure, starts_on, ends_on, amount FROM quotas ORDER BY starts_on DESC, payee_id LIMIT 50",
    ),
    "commission_plans": ("SELECT * FROM commission_plans WHERE client_id = $1 AND status = 'active'",),
    "plan_tiers": (
        (
            "SELECT p.plan_name, t.rule_no, t.from_value, t.to_value, t.commission FROM plan_tiers t "
            "JOIN commission_plans p USING (plan_id, version) WHERE p.is_active "
            "ORDER BY p.plan_name, t.rule_no, t.tier_no"
        ),
    ),
    "sales": (
        (
            "SELECT t.name AS territory, sum(s.gross) AS gross FROM sales s JOIN territories t USING (territory_id) "
            "WHERE s.sold_on >= $1::date AND s.sold_on < $2::date GROUP BY t.name ORDER BY gross DESC"
        ),
        (
            "SELECT sale_id, reverses_sale_id, sold_on, gross FROM sales WHERE reverses_sale_id IS NOT NULL "
            "ORDER BY sold_on DESC LIMIT 20"
        ),
    ),
    "credits": (
        (
            "SELECT y.name, sum(s.gross * c.share) AS credited FROM credits c JOIN sales s USING (sale_id) "
            "JOIN payees y USING (payee_id) GROUP BY y.name ORDER BY credited DESC LIMIT 20"
        ),
    ),
    "commission_results": (
        (
            "SELECT payee_id, kind, band_from, band_to, base, commission_rate, amount FROM commission_results "
            "ORDER BY run_id, line_no LIMIT 50"
        ),
    ),
    "payouts": (
        (
            "SELECT period_id, currency, sum(amount) AS paid, count(*) AS payees FROM payouts "
            "WHERE status IN ('approved', 'paid') GROUP BY 1, 2 ORDER BY 1"
        ),
    ),
    "run_notes": (
        (
            "SELECT n.message, count(*), sum(n.amount) FROM run_notes n JOIN calculation_runs r USING (run_id) "
            "WHERE r.is_current AND n.kind = 'unmatched' GROUP BY 1"
        ),
    ),
    "attainment": (
        (
            "SELECT payee_id, starts_on, quota, achieved, attainment_percent FROM attainment "
            "WHERE starts_on < $2::date AND ends_on >= $1::date ORDER BY attainment_percent DESC"
        ),
    ),
    "payout_by_month": ("SELECT month, currency, sum(amount) FROM payout_by_month GROUP BY 1, 2 ORDER BY 1",),
    "plan_performance": (
        "SELECT plan_name, period_id, payees, commission, currency FROM plan_performance ORDER BY period_id, plan_name",
    ),
}
