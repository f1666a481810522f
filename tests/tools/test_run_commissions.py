"""A run stores what a period pays, once and for good."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from commission_mcp.domain import validity

if TYPE_CHECKING:
    from mcp.client import Client

    from conftest import Payroll

pytestmark = pytest.mark.anyio

SEED: dict[str, Any] = {
    "category_type": "Tiered",
    "range_type": "Amount",
    "value_type": "Percentage",
    "base_value": "Gross Revenue",
    "tiers": [
        {"from": 0, "to": 100000, "commission": 5},
        {"from": 100001, "to": 250000, "commission": 7},
        {"from": 250001, "to": None, "commission": 10},
    ],
}
FLAT: dict[str, Any] = {"category_type": "Flat", "commission": 10}


async def run(client: Client, period: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool("run_commissions", {"period": period, **arguments})
    return result.structured_content or {"problems": (result.meta or {})["commission-mcp/problems"]}


def paid(answer: dict[str, Any]) -> dict[str, str]:
    return {payout["payee"]: payout["amount"] for payout in answer["payouts"]}


def codes(answer: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in answer["problems"]]


async def test_a_run_stores_lines_that_sum_to_the_payouts(payroll: Payroll) -> None:
    await payroll.plan([SEED])
    await payroll.sell("s1", "2026-07-03", "180000")
    await payroll.sell("s2", "2026-07-05", "120000.00", "ann:0.5,bob:0.5")
    async with payroll.caller() as client:
        answer = await run(client, "2026-07")

    assert (answer["outcome"], answer["complete"], answer["lines"]) == ("calculated", True, 3)
    assert paid(answer) == {"ann": "14800.00", "bob": "3000.00"}
    stored = await payroll.execute(
        "SELECT payee_id, sum(amount)::text, count(*), min(rule_no) FROM cm.result_line WHERE client_id = '{client}'"
        " GROUP BY 1 ORDER BY 1"
    )
    assert stored == [("ann", "14800.00", 2, None), ("bob", "3000.00", 1, None)]
    periods = await payroll.execute("SELECT period_id, status FROM cm.period WHERE client_id = '{client}'")
    assert periods == [("2026-07", "calculated")]
    jobs = await payroll.execute("SELECT kind, state, progress FROM cm.job WHERE client_id = '{client}'")
    assert jobs == [("run", "done", 1)]


async def test_the_same_inputs_make_no_second_run_and_others_supersede(payroll: Payroll) -> None:
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-07-03", "1000")
    async with payroll.caller() as client:
        first = await run(client, "2026-07")
        again = await run(client, "2026-07")
        await payroll.sell("s2", "2026-07-04", "500")
        second = await run(client, "2026-07")

    assert (again["outcome"], again["run_id"]) == ("unchanged", first["run_id"])
    assert (second["outcome"], second["supersedes"], paid(second)) == ("calculated", first["run_id"], {"ann": "150.00"})
    payouts = await payroll.execute(
        "SELECT amount::text, status FROM cm.payout WHERE client_id = '{client}' ORDER BY 1"
    )
    assert payouts == [("100.00", "void"), ("150.00", "draft")]


async def test_a_refund_of_a_closed_period_posts_the_difference(payroll: Payroll) -> None:
    await payroll.plan([SEED])
    await payroll.sell("s1", "2026-01-10", "300000")
    async with payroll.caller() as client:
        january = await run(client, "2026-01")
        await payroll.execute("UPDATE cm.period SET status = 'paid' WHERE client_id = '{client}'")
        await payroll.sell("r1", "2026-03-02", "-80000", reverses_sale_id="s1", quantity="-1")
        march = await run(client, "2026-03")
        april = await run(client, "2026-04")

    assert paid(january) == {"ann": "20500.00"}
    assert march["payouts"] == [
        {"payee": "ann", "currency": "USD", "earned": "-7100.00", "before": "0", "amount": "0", "carried": "-7100.00"}
    ]
    assert [(p["before"], p["carried"]) for p in april["payouts"]] == [("-7100.00", "-7100.00")]


async def test_a_paid_period_is_not_overwritten_but_adjusted(payroll: Payroll) -> None:
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-01-10", "1000")
    async with payroll.caller() as client:
        first = await run(client, "2026-01")
        await payroll.execute("UPDATE cm.period SET status = 'paid' WHERE client_id = '{client}'")
        await payroll.sell("s2", "2026-01-11", "300", "bob")
        await payroll.sell("r1", "2026-01-20", "-400", reverses_sale_id="s1")
        refused = await run(client, "2026-01")
        adjusted = await run(client, "2026-01", adjust=True)
        again = await run(client, "2026-01", adjust=True)
        february = await run(client, "2026-02")

    assert codes(refused) == ["E_PERIOD_PAID"]
    assert adjusted["outcome"] == "adjusted"
    assert {delta["payee"]: delta["amount"] for delta in adjusted["deltas"]} == {"ann": "-40.00", "bob": "30.00"}
    assert (again["outcome"], again["run_id"]) == ("unchanged", adjusted["run_id"])
    assert [(p["payee"], p["carried"]) for p in february["payouts"]] == [("ann", "-40.00")]
    runs = await payroll.execute(
        "SELECT kind FROM cm.calc_run WHERE client_id = '{client}' AND run_id = %s", first["run_id"]
    )
    assert runs == [("official",)]


async def test_thirds_of_five_sum_to_five(payroll: Payroll) -> None:
    await payroll.plan([{"category_type": "Flat", "commission": 5}])
    await payroll.sell("s1", "2026-07-01", "100", "ann:0.333333333333,bob:0.333333333333,cat:0.333333333334")
    async with payroll.caller() as client:
        answer = await run(client, "2026-07")

    assert sorted(paid(answer).values()) == ["1.66", "1.67", "1.67"]


async def test_what_no_plan_pays_is_listed_with_the_reason(payroll: Payroll) -> None:
    await payroll.execute("INSERT INTO cm.territory VALUES ('{client}', 'n', NULL, 'N'), ('{client}', 's', NULL, 'S')")
    await payroll.execute("INSERT INTO cm.product VALUES ('{client}', 'free', NULL, 'Free', false)")
    await payroll.plan([FLAT], assignments=[{"territory": "n"}])
    await payroll.sell("s1", "2026-07-03", "1000", territory_id="n")
    await payroll.sell("s2", "2026-07-03", "700", territory_id="s")
    await payroll.sell("s3", "2026-07-03", "50", territory_id="n", product_id="free")
    await payroll.sell("s4", "2026-07-03", "20", payee="", territory_id="n")
    async with payroll.caller() as client:
        answer = await run(client, "2026-07")

    assert paid(answer) == {"ann": "100.00"}
    assert {miss["reason"]: (miss["credits"], miss["amount"]) for miss in answer["unmatched"]} == {
        "no assignment matches": (1, "700"),
        "the product pays no commission": (1, "50"),
        "nobody is credited": (1, "20"),
    }
    notes = await payroll.execute("SELECT sale_id FROM cm.run_note WHERE client_id = '{client}' AND kind = 'unmatched'")
    assert {row[0] for row in notes} == {"s2", "s3", "s4"}


async def test_the_more_particular_plan_pays_and_equal_claims_are_ambiguous(payroll: Payroll) -> None:
    await payroll.execute("INSERT INTO cm.territory VALUES ('{client}', 'n', NULL, 'N')")
    await payroll.execute("INSERT INTO cm.product VALUES ('{client}', 'a', NULL, 'A', true)")
    await payroll.plan([FLAT], assignments=[{"territory": "n"}])
    await payroll.plan([{**FLAT, "commission": 20}], "plan-2", assignments=[{"territory": "n", "product": "a"}])
    await payroll.sell("s1", "2026-07-03", "100", territory_id="n")
    await payroll.sell("s2", "2026-07-03", "100", territory_id="n", product_id="a")
    async with payroll.caller() as client:
        particular = await run(client, "2026-07")
        await payroll.plan([FLAT], "plan-3", assignments=[{"territory": "n"}])
        ambiguous = await run(client, "2026-07")

    assert paid(particular) == {"ann": "30.00"}
    assert paid(ambiguous) == {"ann": "20.00"}
    assert ("E_AMBIGUOUS" in codes(ambiguous), ambiguous["complete"]) == (True, False)


async def test_a_new_version_counts_from_its_first_day(payroll: Payroll) -> None:
    await payroll.plan([FLAT], status="superseded")
    await payroll.plan([{**FLAT, "commission": 20}], version=2, valid="[2026-07-16,2027-01-01)")
    await payroll.sell("s1", "2026-07-15", "100")
    await payroll.sell("s2", "2026-07-16", "100")
    async with payroll.caller() as client:
        answer = await run(client, "2026-07")

    assert paid(answer) == {"ann": "30.00"}


async def test_a_version_that_was_interrupted_counts_again_and_refunds_find_it(payroll: Payroll) -> None:
    await payroll.plan([FLAT], status="superseded")
    await payroll.plan([{**FLAT, "commission": 20}], version=2, valid="[2026-07-10,2026-07-21)")
    for number, day in enumerate(("09", "10", "20", "21"), start=1):
        await payroll.sell(f"s{number}", f"2026-07-{day}", "100")
    await payroll.sell("s5", "2026-03-02", "1000")
    async with payroll.caller() as client:
        march = await run(client, "2026-03")
        july = await run(client, "2026-07")
        await payroll.execute("UPDATE cm.period SET status = 'paid' WHERE client_id = '{client}'")
        await payroll.sell("r1", "2026-08-02", "-1000", reverses_sale_id="s5", quantity="-1")
        august = await run(client, "2026-08")

    assert (paid(march), paid(july)) == ({"ann": "100.00"}, {"ann": "60.00"})
    assert [payout["earned"] for payout in august["payouts"]] == ["-100.00"]
    assert await days_in_force(payroll) == [
        [1, "2026-01-01", "2026-07-09"],
        [2, "2026-07-10", "2026-07-20"],
        [1, "2026-07-21", "2026-12-31"],
    ]


async def days_in_force(payroll: Payroll) -> list[list[Any]]:
    sql = "SELECT version, valid_from, valid_to FROM plan_validity WHERE plan_id = 'plan-1' ORDER BY 2"
    async with payroll.caller(roles="analyst") as client:
        answer: dict[str, Any] = (await client.call_tool("query", {"sql": sql})).structured_content or {}
        return answer["rows"]


async def test_the_view_of_days_agrees_with_what_the_run_reads(payroll: Payroll) -> None:
    random = Random(20261123)  # noqa: S311 - drawn cases
    for version in range(1, 9):
        start = date(2026, 1, 1) + timedelta(days=random.randrange(0, 200, 10))
        end = start + timedelta(days=random.randrange(1, 120, 10))
        await payroll.plan([FLAT], version=version, status="superseded", valid=f"[{start},{end})")
    stored = await payroll.execute(
        "SELECT lower(valid), upper(valid) - 1, version FROM cm.plan_version WHERE client_id = '{client}'"
    )
    rule = [
        [found.version, found.start.isoformat(), None if found.end is None else found.end.isoformat()]
        for found in validity.days_in_force(validity.Stretch(*row) for row in stored)
    ]

    assert await days_in_force(payroll) == rule


async def test_a_missing_quota_makes_the_run_incomplete_and_a_missing_rate_is_never_1(payroll: Payroll) -> None:
    quota = {**SEED, "range_type": "Percentage of Quota", "tiers": [{"from": 0, "to": None, "commission": 5}]}
    await payroll.plan([quota])
    await payroll.sell("s1", "2026-07-15", "100")
    await payroll.sell("s2", "2026-07-15", "100", "bob")
    await payroll.sell("s3", "2026-07-15", "100", "bob", currency="EUR")
    await payroll.execute(
        "INSERT INTO cm.quota VALUES ('{client}', 'bob', 'Gross Revenue', '[2026-07-01,2026-08-01)', 100, 'USD', 'q1')"
    )
    async with payroll.caller() as client:
        answer = await run(client, "2026-07")

    assert answer["complete"] is False
    assert {"E_NO_QUOTA", "E_FX"} <= set(codes(answer))
    assert paid(answer) == {"bob": "5.00"}


async def test_the_rate_of_the_day_converts(payroll: Payroll) -> None:
    await payroll.plan([FLAT])
    await payroll.execute(
        "INSERT INTO cm.fx_rate VALUES ('{client}', 'EUR', 'USD', '[2026-07-01,2026-07-10)', 1.10),"
        " ('{client}', 'EUR', 'USD', '[2026-07-10,2026-08-01)', 1.25)"
    )
    await payroll.sell("s1", "2026-07-09", "100", currency="EUR")
    await payroll.sell("s2", "2026-07-10", "100", currency="EUR")
    async with payroll.caller() as client:
        assert paid(await run(client, "2026-07")) == {"ann": "23.50"}


async def test_each_base_is_paid_from_what_sales_state_and_a_missing_figure_is_never_0(payroll: Payroll) -> None:
    bases = {"Cash Collected": "ann", "Bookings": "bob", "Margin": "cat", "Units": "dan"}
    for base, payee in bases.items():
        fixed = {"value_type": "Fixed Amount", "fixed_basis": "per_unit"} if base == "Units" else {}
        rule = {**FLAT, "base_value": base, **fixed}
        await payroll.plan([rule], f"plan-{payee}", status="draft", assignments=[{"payee": payee}])
    await payroll.execute(
        "UPDATE cm.plan_version SET status = 'active', object_type = CASE plan_id WHEN 'plan-bob' THEN 'Contracts'"
        " ELSE 'Invoices' END WHERE client_id = '{client}'"
    )
    await payroll.execute(
        "UPDATE cm.plan_version SET object_type = 'Contracts' WHERE client_id = '{client}' AND plan_id = 'plan-bob'"
    )
    await payroll.sell("s1", "2026-07-01", "1000", "ann", collected="400")
    await payroll.sell("s2", "2026-07-01", "1000", "bob", object_type="Contracts")
    await payroll.sell("s3", "2026-07-01", "1000", "cat", cost="700")
    await payroll.sell("s4", "2026-07-01", "1000", "dan", quantity="3")
    async with payroll.caller() as client:
        whole = await run(client, "2026-07")
        await payroll.sell("s5", "2026-07-02", "1000", "ann")
        await payroll.sell("s6", "2026-07-02", "1000", "cat")
        lacking = await run(client, "2026-07")

    assert (whole["complete"], paid(whole)) == (True, {"ann": "40.00", "bob": "100.00", "cat": "30.00", "dan": "30.00"})
    assert (lacking["complete"], sorted(codes(lacking))) == (False, ["E_NO_BASE", "E_NO_COST"])


async def test_what_is_paid_quarterly_waits_and_is_then_paid(payroll: Payroll) -> None:
    await payroll.plan([FLAT], payment_schedule="Quarterly")
    for month in ("07", "08", "09"):
        await payroll.sell(f"s{month}", f"2026-{month}-05", "1000")
    async with payroll.caller() as client:
        july, august, september = [await run(client, f"2026-{month}") for month in ("07", "08", "09")]

    assert (paid(july), paid(august)) == ({}, {})
    assert july["not_yet_due"] == [
        {"reason": "paid quarterly, with 2026-Q3", "plan": "plan-1", "currency": "USD", "entries": 1, "amount": "100"}
    ]
    assert paid(september) == {"ann": "300.00"}


async def test_what_is_calculated_quarterly_waits_for_the_quarter(payroll: Payroll) -> None:
    await payroll.plan([FLAT], calculation_schedule="Quarterly", payment_schedule="Quarterly")
    await payroll.sell("s1", "2026-07-05", "1000")
    async with payroll.caller() as client:
        july = await run(client, "2026-07")
        await run(client, "2026-08")
        september = await run(client, "2026-09")

    assert july["not_yet_due"][0]["reason"] == "calculated quarterly, with 2026-Q3"
    assert (paid(july), paid(september)) == ({}, {"ann": "100.00"})


async def test_a_longer_window_pays_what_is_earned_to_date_less_what_was(payroll: Payroll) -> None:
    await payroll.plan([{**SEED, "accumulation": "quarter"}])
    for month, amount in (("01", "80000"), ("02", "80000"), ("03", "140000")):
        await payroll.sell(f"s{month}", f"2026-{month}-05", amount)
    async with payroll.caller() as client:
        answers = [paid(await run(client, f"2026-{month}")) for month in ("01", "02", "03")]

    assert answers == [{"ann": "4000.00"}, {"ann": "5200.00"}, {"ann": "11300.00"}]


async def test_a_draw_is_paid_and_recovered_over_runs(payroll: Payroll) -> None:
    await payroll.plan([FLAT], draw={"amount": 1500, "recoverable": True}, assignments=[{"payee": "ann"}])
    await payroll.sell("s1", "2026-07-05", "5000")
    await payroll.sell("s2", "2026-09-05", "30000")
    async with payroll.caller() as client:
        answers = [paid(await run(client, f"2026-{month}")) for month in ("07", "08", "09")]

    assert answers == [{"ann": "1500.00"}, {"ann": "1500.00"}, {"ann": "1500.00"}]


async def test_periods_on_the_same_days_are_not_both_run(payroll: Payroll) -> None:
    await payroll.plan([FLAT])
    await payroll.sell("s1", "2026-07-05", "5000")
    async with payroll.caller() as client:
        await run(client, "2026-07")
        assert codes(await run(client, "2026-Q3")) == ["E_PERIOD"]
        assert codes(await run(client, "sometime")) == ["E_NOT_FOUND"]


@pytest.mark.parametrize("role", ["payee", "analyst", "manager", "plan_author", "approver", "admin", "auditor"])
async def test_only_finance_runs(payroll: Payroll, role: str) -> None:
    async with payroll.caller(roles=role) as client:
        assert codes(await run(client, "2026-07")) == ["E_ROLE_REQUIRED"]


async def test_a_plan_that_pays_somebody_unknown_writes_nothing(payroll: Payroll) -> None:
    await payroll.plan([{**FLAT, "pool": [{"payee": "nobody", "weight": 1}]}])
    await payroll.sell("s1", "2026-07-05", "5000")
    async with payroll.caller() as client:
        assert codes(await run(client, "2026-07")) == ["E_UNKNOWN"]
    assert await payroll.execute("SELECT 1 FROM cm.calc_run WHERE client_id = '{client}'") == []


async def test_keys_of_any_characters_come_through(payroll: Payroll) -> None:
    key = 'a "quoted\\" {key}, NULL\n\t\u00e9\u6f22'
    await payroll.plan([{**FLAT, "name": 'the "best" \\ rule'}])
    await payroll.sell(key, "2026-07-05", "100")
    await payroll.sell("NULL", "2026-07-05", "10", payee="")
    async with payroll.caller() as client:
        await run(client, "2026-07")

    lines = await payroll.execute(
        "SELECT sale_id, explanation ->> 'rule' FROM cm.result_line WHERE client_id = '{client}'"
    )
    notes = await payroll.execute(
        "SELECT sale_id, payee_id FROM cm.run_note WHERE client_id = '{client}' AND kind = 'unmatched'"
    )
    assert lines == [(key, 'the "best" \\ rule')]
    assert notes == [("NULL", None)]


async def test_a_matrix_a_holdback_and_a_split_payout_are_run_and_released_later(payroll: Payroll) -> None:
    """The sale's margin chooses the column; what is held back until 60 days after comes with a later run."""
    rule = {
        "category_type": "Flat",
        "commission": [5, 10],
        "columns": {"measure": "gm", "from": [0, 20]},
        "holdback": {"percentage": 20, "until": {"days": 60}},
        "payout_split": [{"payee": "bob", "share": 25}],
    }
    await payroll.plan([rule], measures=[{"name": "gm", "range_type": "Margin Percent"}])
    await payroll.sell("s1", "2026-07-03", "1000", cost="800")
    async with payroll.caller() as client:
        july = await run(client, "2026-07")
        august = await run(client, "2026-08")
        september = await run(client, "2026-09")
        told = await client.call_tool("explain_payout", {"period": "2026-09", "payee": "ann"})

    assert (july["complete"], paid(july)) == (True, {"ann": "60.00", "bob": "20.00"})
    assert (paid(august), paid(september)) == ({}, {"ann": "15.00", "bob": "5.00"})
    assert "released of what was held back" in str(told.content)
    lines = await payroll.execute(
        "SELECT kind, amount::text FROM cm.result_line WHERE client_id = '{client}' AND payee_id = 'ann' ORDER BY 1, 2"
    )
    assert sum(float(amount) for _, amount in lines) == 75
    assert {kind for kind, _ in lines} == {"commission", "adjustment"}


async def test_what_an_earlier_version_holds_back_is_released_by_it(payroll: Payroll) -> None:
    """The version that has ended pays what it held, and its salary no more."""
    held = {**FLAT, "holdback": {"percentage": 20, "until": {"days": 60}}}
    await payroll.plan([held], valid="[2026-01-01,2026-08-01)", base_salary="100", status="superseded")
    await payroll.plan([FLAT], version=2, valid="[2026-08-01,2027-01-01)", base_salary="100")
    await payroll.sell("s1", "2026-07-03", "1000")
    await payroll.sell("s2", "2026-09-03", "500")
    async with payroll.caller() as client:
        july = await run(client, "2026-07")
        september = await run(client, "2026-09")

    assert (paid(july), paid(september)) == ({"ann": "180.00"}, {"ann": "170.00"})


async def test_a_late_refund_of_an_earlier_version_pays_its_salary_no_second_time(payroll: Payroll) -> None:
    await payroll.plan([FLAT], valid="[2026-01-01,2026-08-01)", base_salary="100", status="superseded")
    await payroll.plan([FLAT], version=2, valid="[2026-08-01,2027-01-01)", base_salary="100")
    await payroll.sell("s1", "2026-07-03", "1000")
    await payroll.sell("s2", "2026-08-03", "2000")
    await payroll.sell("r1", "2026-08-09", "-1000", payee="", reverses_sale_id="s1")
    async with payroll.caller() as client:
        await run(client, "2026-07")
        august = await run(client, "2026-08")

    assert paid(august) == {"ann": "200.00"}


async def test_overrides_go_up_the_managers_of_the_last_day(payroll: Payroll) -> None:
    overrides = [{"level": 1, "percentage": 2}, {"level": 2, "percentage": 1}]
    await payroll.plan([FLAT], overrides=overrides)
    await payroll.sell("s1", "2026-07-03", "1000")
    await payroll.sell("s2", "2026-07-04", "500", "bob")
    async with payroll.caller() as client:
        answer = await run(client, "2026-07")

    assert paid(answer) == {"ann": "100.00", "bob": "50.00", "cat": "30.00"}


async def test_a_measure_counts_sales_that_another_rule_or_nobody_pays(payroll: Payroll) -> None:
    gate = {"measure": "all", "at_least": 1500}
    await payroll.plan([{**FLAT, "gates": [gate], "scope": {"territory": "north"}}], measures=[{"name": "all"}])
    await payroll.execute(
        "INSERT INTO cm.territory (client_id, territory_id, name) VALUES ('{client}', 'north', 'North')"
    )
    await payroll.sell("s1", "2026-07-03", "1000", territory_id="north")
    await payroll.sell("s2", "2026-07-04", "500")
    async with payroll.caller() as client:
        answer = await run(client, "2026-07")

    assert paid(answer) == {"ann": "100.00"}


async def test_a_refund_inside_a_long_window_finds_the_version_that_paid(payroll: Payroll) -> None:
    """The window of the version in force reaches back to before it; the sale that is taken back is not its own."""
    await payroll.plan([FLAT], valid="[2026-01-01,2026-08-01)", status="superseded")
    await payroll.plan([{**FLAT, "accumulation": "year"}], version=2, valid="[2026-08-01,2027-01-01)")
    await payroll.sell("s1", "2026-07-03", "1000")
    await payroll.sell("s2", "2026-08-03", "2000")
    await payroll.sell("r1", "2026-08-09", "-1000", payee="", reverses_sale_id="s1")
    async with payroll.caller() as client:
        await run(client, "2026-07")
        august = await run(client, "2026-08")

    assert paid(august) == {"ann": "100.00"}
