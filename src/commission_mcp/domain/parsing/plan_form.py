"""A plan of the form: the wizard's three phases in one object."""

from __future__ import annotations

import re
from decimal import Decimal

from commission_mcp.domain.bands import Bands, Boundary
from commission_mcp.domain.money import ZERO, is_currency, minor_unit
from commission_mcp.domain.parsing.parts import (
    BASE_ALIASES,
    RANGE_ALIASES,
    read_draw,
    read_gates,
    read_limit,
    read_scope,
)
from commission_mcp.domain.parsing.reader import Collected, Reader
from commission_mcp.domain.parsing.rule_form import Surroundings, read_rule
from commission_mcp.domain.parsing.second_range import read_measures
from commission_mcp.domain.parsing.tiers import Notation, read_bands
from commission_mcp.domain.periods import Schedule, period_of
from commission_mcp.domain.plan import Assignment, Draw, Override, OverrideOf, Plan, Proration
from commission_mcp.domain.rules import (
    Accumulation,
    FixedBasis,
    Flat,
    RangeType,
    Rule,
    Scheme,
    Scope,
    Slab,
    ValueType,
)
from commission_mcp.domain.sales import Base
from commission_mcp.errors import Code, Problem, Refused

RULES_MAX = 20
DEFAULT_CURRENCY = "USD"
ASSIGNEES = ("Payee", "Role", "Territory", "Product", "Team")
_QUARTER_NAME = re.compile(r"\bQ([1-4])\b")
_PRIORITY = re.compile(r"priority_(\d{1,4})")
_LAST_PRIORITY = 10_000  # of an override key that names no number, such as `standard`


def parse_plan(form: object, currency: str | None = None) -> tuple[Plan, tuple[Problem, ...]]:
    """A plan from its JSON object, with the warnings.

    Args:
        form: The object, its numbers as integers or texts.
        currency: What its currency is when it names none.

    Raises:
        Refused: with every problem.
    """
    collected = Collected()
    plan = read_plan(Reader(form, "plan", collected), currency)
    if collected.problems or plan is None:
        raise Refused(*collected.problems)
    return plan, tuple(collected.warnings)


def read_plan(reader: Reader, fallback_currency: str | None) -> Plan | None:
    """The plan; problems are noted in the reader's collection."""
    reader.ignore("description", "assignee_name", "uom", "client_override", "client_id", "phase")
    _check_assignee(reader)
    currency = _read_currency(reader, fallback_currency)
    schedule, payment = _read_schedules(reader)
    rules, draws = _read_rules(reader, currency, schedule)
    spiffs = [_read_spiff(row, index) for index, row in enumerate(reader.many("spiffs"))]
    bonuses = [_read_bonus(row, index) for index, row in enumerate(reader.many("bonuses"))]
    plan = Plan(
        name=reader.text("plan_name") or "plan",
        currency=currency,
        rules=tuple(rule for rule in (*rules, *spiffs, *bonuses) if rule is not None),
        schedule=schedule,
        valid_from=reader.day("valid_from"),
        valid_to=reader.day("valid_to"),
        assignments=_read_assignments(reader),
        proration=reader.choice("proration", Proration) or Proration.NONE,
        total_floor=read_limit(reader, "total_floor"),
        total_cap=read_limit(reader, "total_cap"),
        overrides=tuple(override for row in reader.many("overrides") if (override := _read_override(row))),
        clawback_schedule=_read_clawbacks(reader),
        draw=next((draw for draw in draws if draw is not None), None),
        base_salary=reader.amount("base_salary"),
        payment_schedule=payment,
        object_type=_read_object_type(reader),
        measures=read_measures(reader),
    )
    _warn_approvals(reader)
    reader.finish()
    _check_dates(reader, plan)
    _check_something(reader, plan)
    return plan


def _check_assignee(reader: Reader) -> None:
    value = reader.text("assignee_type")
    if value is not None and value.lower() not in {name.lower() for name in ASSIGNEES}:
        reader.refuse(
            Code.UNKNOWN, "assignee_type", f"{value!r} is not known.", f"Allowed are: {', '.join(ASSIGNEES)}."
        )


def _read_object_type(reader: Reader) -> str | None:
    kinds = ("Invoices", "Contracts", "Sales Orders")
    value = reader.text("object_type")
    found = next((kind for kind in kinds if value is not None and value.lower() == kind.lower()), None)
    if value is not None and found is None:
        reader.refuse(Code.UNKNOWN, "object_type", f"{value!r} is not known.", f"Allowed are: {', '.join(kinds)}.")
    return found


def _read_currency(reader: Reader, fallback: str | None) -> str:
    inner = reader.one("client_specific_rules")
    profile = None
    if inner is not None:
        profile = inner.text("currency")
        inner.ignore("region", "compliance_level")
        inner.finish()
    stated = reader.text("currency")
    if stated is not None and profile is not None and stated != profile:
        reader.refuse(
            Code.CURRENCY, "currency", f"{stated!r} is not the plan's currency {profile!r}.", "State one currency."
        )
    currency = stated or profile or fallback or DEFAULT_CURRENCY
    if not is_currency(currency):
        where = "currency" if stated else "client_specific_rules.currency"
        reader.refuse(Code.CURRENCY, where, f"{currency[:20]!r} is no currency.", "Send an ISO 4217 code such as USD.")
        return DEFAULT_CURRENCY
    return currency


def _read_schedules(reader: Reader) -> tuple[Schedule, Schedule | None]:
    calculation = reader.choice("calculation_schedule", Schedule) or Schedule.MONTHLY
    payment = reader.choice("payment_schedule", Schedule)
    if payment is not None and not _nests(calculation, payment):
        reader.refuse(
            Code.SCHEDULE_MISMATCH,
            "payment_schedule",
            f"{payment} payments are no whole multiple of {calculation} calculations.",
            f"Pay {calculation} or less often, in whole calculation periods.",
        )
    return calculation, payment


def _nests(calculation: Schedule, payment: Schedule) -> bool:
    if payment is Schedule.PER_TRANSACTION:
        return False
    if calculation is payment or calculation in {Schedule.PER_TRANSACTION, Schedule.DAILY}:
        return True
    return bool(calculation.months and payment.months) and payment.months % calculation.months == 0


def _read_rules(reader: Reader, currency: str, schedule: Schedule) -> tuple[list[Rule | None], list[Draw | None]]:
    """The rules, and the draws that stand at the plan or in a rule; a plan without `rules` may itself be one."""
    accumulation = Accumulation.TRANSACTION if schedule is Schedule.PER_TRANSACTION else Accumulation.PERIOD
    rules: list[Rule | None] = []
    draws = [read_draw(reader)]
    taken: set[str] = set()
    if not reader.has("rules") and (reader.has("category_type") or reader.has("tiers")):
        return [read_rule(reader, Surroundings("rule 1", minor_unit(currency), accumulation))], draws
    for index, row in enumerate(reader.many("rules", RULES_MAX)):
        rule = read_rule(row, Surroundings(f"rule {index + 1}", minor_unit(currency), accumulation))
        draws.append(read_draw(row))
        row.finish()
        if rule is not None and rule.name in taken:
            row.refuse(Code.DUPLICATE, "name", f"Two rules are called {rule.name!r}.", "Give each its own name.")
        taken |= {rule.name} if rule is not None else set()
        rules.append(rule)
    if sum(draw is not None for draw in draws) > 1:
        reader.refuse(Code.DUPLICATE, "draw", "There are several draws.", "State one draw, at the plan.")
    return rules, draws


def _read_spiff(row: Reader, index: int) -> Rule | None:
    """A SPIFF: an extra for particular sales, beside the commission and after its limits."""
    name = row.text("name") or f"spiff {index + 1}"
    amount, points = row.amount("amount"), row.factor("percentage")
    basis = row.choice("fixed_basis", FixedBasis)
    inner = row.one("scope")
    scope = Scope() if inner is None else read_scope(inner)
    if inner is not None:
        inner.finish()
    rule = Rule(
        name,
        Flat(amount if points is None and amount is not None else points or ZERO),
        ValueType.PERCENTAGE if amount is None else ValueType.FIXED,
        (basis or FixedBasis.PER_UNIT) if amount is not None else None,
        row.choice("base_value", Base, BASE_ALIASES) or Base.GROSS,
        scope=scope,
        component=f"spiff: {name}",
        stage=1,
        valid_from=row.day("valid_from"),
        valid_to=row.day("valid_to"),
        gates=read_gates(row),
        cap=read_limit(row, "cap"),
    )
    row.finish()
    if (amount is None) == (points is None):
        row.missing("amount", "Give either `amount` (for each unit, or as `fixed_basis` says) or `percentage`.")
        return None
    return rule


def _read_bonus(row: Reader, index: int) -> Rule | None:
    """A bonus for the window, once `at_least` is reached; of several steps the highest reached one counts."""
    name = row.text("name") or f"bonus {index + 1}"
    of_target = row.has("percent_of_target") or any(step.has("percent_of_target") for step in row.many("steps"))
    scheme = _bonus_scheme(row, of_target=of_target)
    measure = row.choice("measure", RangeType, RANGE_ALIASES) or RangeType.AMOUNT
    base = row.choice("base_value", Base, BASE_ALIASES) or Base.GROSS
    inner = row.one("scope")
    scope = Scope() if inner is None else read_scope(inner)
    if inner is not None:
        inner.finish()
    accumulation = row.choice("accumulation", Accumulation) or Accumulation.PERIOD
    gates, component = read_gates(row), row.text("component") or f"bonus: {name}"
    days = row.day("valid_from"), row.day("valid_to")
    row.finish()
    if scheme is None:
        return None
    return Rule(
        name,
        scheme,
        ValueType.OF_TARGET if of_target else ValueType.FIXED,
        None if of_target else FixedBasis.PER_PERIOD,
        base,
        measure,
        base,
        accumulation,
        scope,
        component,
        stage=1,
        valid_from=days[0],
        valid_to=days[1],
        gates=gates,
    )


def _bonus_scheme(row: Reader, *, of_target: bool) -> Scheme | None:
    steps = [_bonus_step(step, of_target=of_target) for step in row.many("steps")]
    if not row.has("steps"):
        steps = [_bonus_step(row, of_target=of_target)]
    for step in row.many("steps"):
        _bonus_step(step, of_target=of_target)
        step.finish()
    known = sorted(step for step in steps if step is not None)
    if not known or len(known) < len(steps):
        return None
    floors, values = [at for at, _ in known], [value for _, value in known]
    if floors == [ZERO]:
        return Flat(values[0])
    if floors[0] > ZERO:
        floors, values = [ZERO, *floors], [ZERO, *values]
    if len(set(floors)) < len(floors):
        row.refuse(Code.DUPLICATE, "steps", "Two steps begin at the same place.", "Keep one of them.")
        return None
    return Slab(Bands(tuple(floors), tuple(values), Boundary.LOWER_INCLUSIVE))


def _bonus_step(row: Reader, *, of_target: bool) -> tuple[Decimal, Decimal] | None:
    at = row.amount("at_least")
    value = row.factor("percent_of_target") if of_target else row.amount("amount")
    row.ignore("amount")
    if value is None:
        if not row.has("percent_of_target" if of_target else "amount"):
            row.missing("amount", "Give the bonus as `amount`, or as `percent_of_target`.")
        return None
    return (ZERO if at is None else at), value


def _read_override(row: Reader) -> Override | None:
    manager, percentage, level = row.text("manager"), row.factor("percentage"), row.count("level")
    for name in ("manager", "percentage"):
        if not row.has(name) and not (name == "manager" and row.has("level")):
            row.missing(
                name,
                "Name the `manager` (or the `level`: 1 for everybody's own manager by `context.reports_to`, 2 for the"
                " manager's manager) and the `percentage` in points.",
            )
    if level is not None:
        row.forbid("manager", "`level` says whose manager is meant.")
        if level == 0:
            row.refuse(Code.NUMBER, "level", "The level is 0.", "Send 1 for the manager, 2 for the one above, ...")
    override = Override(
        manager or "",
        row.choice("of", OverrideOf) or OverrideOf.REVENUE,
        percentage or ZERO,
        tuple(row.texts("payees")),
        row.choice("base_value", Base, BASE_ALIASES) or Base.GROSS,
        row.count("first"),
        row.count("already_counted") or 0,
        row.amount("cap"),
        row.text("name") or "override",
        level,
    )
    row.finish()
    return None if (manager is None and not level) or percentage is None else override


def _read_clawbacks(reader: Reader) -> Bands | None:
    """`clawback_schedule`: [{from, to, percentage}] by how long the sale had lasted; above the last `to` nothing."""
    if not reader.has("clawback_schedule"):
        return None
    return read_bands(reader, "clawback_schedule", Notation(value_field="percentage", capped=True), None)


def _read_assignments(reader: Reader) -> tuple[Assignment, ...]:
    found: list[Assignment] = []
    for row in reader.many("assignments"):
        scope = read_scope(row)
        key = row.text("client_override")
        priority = row.priority("priority") if row.has("priority") else _priority_of(key)
        bands = read_bands(row, "tiers", Notation(), row.choice("boundary", Boundary)) if row.has("tiers") else None
        row.ignore("currency", "uom", "boundary")
        assignment = Assignment(scope, priority, bands, row.day("valid_from"), row.day("valid_to"), key)
        row.finish()
        if any(_conflict(assignment, other) for other in found):
            row.refuse(
                Code.ASSIGN_CONFLICT,
                "",
                "Another assignment has the same scope, the same priority and overlapping dates.",
                "Give one a narrower scope, other dates or another `priority`.",
            )
        found.append(assignment)
    return tuple(found)


def _priority_of(key: str | None) -> int:
    match = _PRIORITY.fullmatch(key or "")
    return int(match[1]) if match else (0 if key is None else _LAST_PRIORITY)


def _conflict(one: Assignment, other: Assignment) -> bool:
    if sorted(one.scope.wanted, key=str) != sorted(other.scope.wanted, key=str) or one.priority != other.priority:
        return False
    ends = ((one.valid_from, other.valid_to), (other.valid_from, one.valid_to))
    return all(low is None or high is None or low <= high for low, high in ends)


def _warn_approvals(reader: Reader) -> None:
    for step, value in reader.mapping("client_approvals").items():
        if value != "required":
            reader.warn(
                Code.APPROVAL_IGNORED,
                f"client_approvals.{step}"[:80],
                f"{str(value)[:40]!r} is not believed: an approval is decided by others, and pending until then.",
                'Ask for it with "required".',
            )


def _check_dates(reader: Reader, plan: Plan) -> None:
    if plan.valid_from is None:
        return
    if plan.valid_to is not None and plan.valid_from > plan.valid_to:
        reader.refuse(Code.DATE, "valid_to", "The plan ends before it begins.", "Let `valid_to` be the later day.")
        return
    first = period_of(plan.valid_from, plan.schedule)
    last = None if plan.valid_to is None else period_of(plan.valid_to, plan.schedule)
    partial = first.start != plan.valid_from or (last is not None and last.end != plan.valid_to)
    if partial and plan.proration is Proration.NONE:
        reader.warn(
            Code.PARTIAL_PERIOD,
            "valid_from",
            "The plan does not begin and end with a calculation period, and nothing is prorated.",
            'State `proration`: "actual" or "30" to prorate quotas and amounts per period, or "none".',
        )
    named = _QUARTER_NAME.search(plan.name)
    quarters = {(day.month - 1) // 3 + 1 for day in (plan.valid_from, plan.valid_to) if day is not None}
    if named and int(named[1]) not in quarters:
        reader.warn(
            Code.NAME_DATES,
            "plan_name",
            f"The name says Q{named[1]}, the dates are in Q{min(quarters)}.",
            "Correct the one that is wrong.",
        )


def _check_something(reader: Reader, plan: Plan) -> None:
    other = plan.overrides or plan.draw or plan.base_salary is not None or plan.clawback_schedule
    if not plan.rules and not other and not reader.collected.problems and not reader.has("rules"):
        reader.missing("rules", "Give at least one rule: {category_type, value_type, commission or tiers, ...}.")
