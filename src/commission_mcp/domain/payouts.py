"""From what the rules earn to what is paid: total limits, overrides, clawbacks, adjustments, salary, draw.

Order: rules -> overrides -> total floor and cap -> SPIFFs and bonuses -> clawbacks and adjustments -> draw -> salary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from commission_mcp.domain.claims import Claim, Report, period_text
from commission_mcp.domain.draws import draw_period
from commission_mcp.domain.earnings import limit_amount
from commission_mcp.domain.entries import Setting
from commission_mcp.domain.explanation import number
from commission_mcp.domain.ledger import active_share
from commission_mcp.domain.money import HUNDRED, ONE, ZERO, minor_unit, round_money
from commission_mcp.domain.outcome import Kind, Line, Statement, Step
from commission_mcp.domain.periods import Period
from commission_mcp.domain.plan import Override, OverrideOf, Plan
from commission_mcp.domain.rules import Limit
from commission_mcp.domain.sales import Adjustment, Clawback, Situation
from commission_mcp.errors import Code

_AFTER = 2  # the stage of what comes after commissions and bonuses


class Payouts:
    """Adds what belongs to a payee's period as a whole."""

    def __init__(self, plan: Plan, situation: Situation, periods: Sequence[Period], report: Report) -> None:
        self._plan = plan
        self._situation = situation
        self._periods = periods
        self._report = report
        self._unit = minor_unit(plan.currency)
        self._managers = situation.managers
        self._counted: dict[tuple[int, str], int] = {}

    def settle(
        self, lines: Sequence[Line], credited: Sequence[Claim], earlier: Sequence[Line] = ()
    ) -> tuple[list[Line], list[Statement]]:
        """All lines and the statements of every payee and period.

        Args:
            lines: What the rules earned in the periods that are paid.
            credited: Every credited sale and refund, for overrides on revenue.
            earlier: What they earned in periods before, for what is still held back of it.
        """
        by_period: dict[Period, list[Line]] = {period: [] for period in self._periods}
        credited_in: dict[Period, list[Claim]] = {}
        for claim in credited:
            credited_in.setdefault(claim.period, []).append(claim)
        for line in lines:
            by_period[line.period].append(line)
        payees = self._payees(lines, credited)
        balances = {payee: self._situation.draw_balances.of(payee, None) or ZERO for payee in payees}
        carried = dict.fromkeys(payees, ZERO)
        held = dict.fromkeys(payees, ZERO)
        for line in earlier:
            held[line.payee] = held.get(line.payee, ZERO) + _held(line)
        settled: list[Line] = []
        statements: list[Statement] = []
        for period, earned in by_period.items():
            by_payee: dict[str, list[Line]] = {}
            for line in earned + self._overrides(period, earned, credited_in.get(period, [])):
                by_payee.setdefault(line.payee, []).append(line)
            for payee in payees:
                own = self._payee_lines(period, payee, by_payee.get(payee, []))
                held[payee] += sum((_held(line) for line in own), ZERO)
                statement, extra = self._statement(period, payee, own, balances[payee], carried[payee])
                statement = replace(statement, held=held[payee]) if held[payee] else statement
                balances[payee], carried[payee] = statement.draw_balance, statement.carried
                if own or extra:
                    settled += own + extra
                    statements.append(statement)
        return settled, statements

    def _payees(self, lines: Iterable[Line], credited: Iterable[Claim]) -> list[str]:
        situation = self._situation
        named = {line.payee for line in lines} | {claim.payee for claim in credited}
        named |= {override.manager for override in self._plan.overrides if override.level is None}
        named |= {manager for payee in named for manager in chain_above(payee, situation.managers)}
        named |= situation.assigned
        named |= {posted.payee or situation.payee for posted in (*situation.clawbacks, *situation.adjustments)}
        if situation.only_payee is not None:
            named.add(situation.only_payee)
        return sorted(named or {situation.payee})

    def _payee_lines(self, period: Period, payee: str, lines: list[Line]) -> list[Line]:
        """A payee's lines before draw and salary."""
        commissions = [line for line in lines if line.stage == 0]
        bonuses = [line for line in lines if line.stage > 0]
        limits = self._total_limits(period, payee, sum((line.amount for line in commissions), ZERO))
        return commissions + limits + bonuses + self._posted(period, payee)

    def _total_limits(self, period: Period, payee: str, total: Decimal) -> list[Line]:
        limits = ((self._plan.total_floor, Kind.FLOOR, max), (self._plan.total_cap, Kind.CAP, min))
        lines: list[Line] = []
        for limit, kind, choose in limits:
            at = None if limit is None else self._limit(limit, payee, period)
            change = ZERO if at is None else choose(total, at) - total
            if change:
                lines.append(Line(payee, period, kind, change, change, f"total {kind}"))
                self._say(payee, period, f"total {kind} {number(total)} -> {number(total + change)}")
                total += change
        return lines

    def _limit(self, limit: Limit, payee: str, period: Period) -> Decimal | None:
        target = self._situation.targets.of(payee, period)
        if limit.of_target and target is None:
            self._report.problem(
                Code.NO_TARGET,
                f"The total limit is a percentage of the target incentive, and {payee!r} has none.",
                "State it in `context.target_incentive`; the limit was not applied.",
                "context.target_incentive",
            )
            return None
        return round_money(limit_amount(limit, Setting(target=target)), self._unit)

    def _overrides(self, period: Period, lines: Sequence[Line], credited: Sequence[Claim]) -> list[Line]:
        found: list[Line] = []
        earners = {line.payee for line in lines} | {claim.payee for claim in credited}
        for index, override in enumerate(self._plan.overrides):
            # An override of overrides is one of those before it.
            known = [*found] if override.of is OverrideOf.OVERRIDE else lines
            people = {line.payee for line in found} if override.of is OverrideOf.OVERRIDE else earners
            found += [
                self._override(period, (index, own), known, credited) for own in self._each_manager(override, people)
            ]
        return found

    def _each_manager(self, override: Override, earners: Iterable[str]) -> list[Override]:
        """The override of one manager, or of everybody who is so many levels above those who earn."""
        if override.level is None:
            return [override]
        below: dict[str, list[str]] = {}
        for payee in sorted(earners):
            above = chain_above(payee, self._managers)
            named = not override.payees or payee in override.payees
            if named and len(above) >= override.level:
                below.setdefault(above[override.level - 1], []).append(payee)
        return [replace(override, manager=manager, payees=tuple(team)) for manager, team in sorted(below.items())]

    def _override(
        self, period: Period, stated: tuple[int, Override], lines: Sequence[Line], credited: Sequence[Claim]
    ) -> Line:
        index, override = stated
        if override.of is OverrideOf.REVENUE:
            base = self._team_revenue(override, credited)
        elif override.of is OverrideOf.OVERRIDE:
            base = sum((line.amount for line in lines if _reports_to(line.payee, override)), ZERO)
        else:
            base = self._team_commission(index, override, lines)
        exact = base * override.percentage / HUNDRED
        amount = round_money(exact if override.cap is None else min(exact, override.cap), self._unit)
        rate = f"{number(override.percentage)} %"
        self._say(
            override.manager,
            period,
            f"{override.name}: {number(base)} of {override.of} x {rate} = {number(exact)}, paid {number(amount)}",
        )
        return Line(override.manager, period, Kind.OVERRIDE, amount, exact, override.name, base=base, rates=rate)

    def _team_revenue(self, override: Override, credited: Sequence[Claim]) -> Decimal:
        total = ZERO
        for claim in credited:
            if _reports_to(claim.payee, override):
                value = claim.sale.base(override.base)
                if isinstance(value, Code):
                    self._report.problem(
                        value,
                        f"{override.name!r} needs the {str(override.base).lower()} of sale {claim.sale.sale_id!r}.",
                        "Give the figure; the sale does not count until then.",
                        f"sales[{claim.sale.position}]",
                    )
                else:
                    total += value * claim.share
        return total

    def _team_commission(self, index: int, override: Override, lines: Sequence[Line]) -> Decimal:
        """The rounded commissions of the reports, the first ones only where so agreed."""
        total = ZERO
        for line in sorted(lines, key=lambda line: (line.payee, line.sale_id or "")):
            if line.stage == 0 and line.kind is not Kind.OVERRIDE and _reports_to(line.payee, override):
                counted = self._counted.get((index, line.payee), override.already_counted)
                if override.first is None or counted < override.first:
                    total += line.amount
                if line.kind is Kind.SALE and line.amount > ZERO:
                    self._counted[index, line.payee] = counted + 1
        return total

    def _posted(self, period: Period, payee: str) -> list[Line]:
        """Clawbacks and adjustments of a period."""
        clawbacks = [found for found in self._situation.clawbacks if self._is_posted(found, period, payee)]
        lines = [self._clawback(period, payee, clawback) for clawback in clawbacks]
        for adjustment in self._situation.adjustments:
            if self._is_posted(adjustment, period, payee):
                amount = round_money(adjustment.amount, self._unit)
                lines.append(
                    Line(payee, period, Kind.ADJUSTMENT, amount, adjustment.amount, adjustment.reason, stage=_AFTER)
                )
        return lines

    def _is_posted(self, posted: Clawback | Adjustment, period: Period, payee: str) -> bool:
        mine = (posted.payee or self._situation.payee) == payee
        return mine and (period == self._periods[-1] if posted.day is None else posted.day in period)

    def _clawback(self, period: Period, payee: str, clawback: Clawback) -> Line:
        """What is taken back: a percentage, the schedule's percentage, or the part of the term that was not served."""
        if clawback.term is not None:
            left = max(ZERO, clawback.term - (clawback.elapsed or ZERO))
            exact = clawback.earned * left / clawback.term
            why = f"{number(left)} of {number(clawback.term)} not served"
        else:
            schedule, elapsed = self._plan.clawback_schedule, clawback.elapsed
            scheduled = schedule.value(elapsed) if schedule is not None and elapsed is not None else HUNDRED
            points = scheduled if clawback.percentage is None else clawback.percentage
            exact = clawback.earned * points / HUNDRED
            why = f"{number(points)} %"
        self._say(payee, period, f"{clawback.reason}: {why} of {number(clawback.earned)} = {number(exact)} taken back")
        return Line(
            payee,
            period,
            Kind.CLAWBACK,
            round_money(-exact, self._unit),
            -exact,
            clawback.reason,
            base=clawback.earned,
            rates=why,
            stage=_AFTER,
        )

    def _statement(
        self, period: Period, payee: str, lines: Sequence[Line], balance: Decimal, carried: Decimal
    ) -> tuple[Statement, list[Line]]:
        earned = sum((line.amount for line in lines), ZERO)
        extra, balance = self._draw(period, payee, earned, balance)
        extra += self._salary(period, payee)
        total = earned + sum((line.amount for line in extra), ZERO)
        payable = max(ZERO, total + carried)
        left = min(ZERO, total + carried)
        return Statement(payee, period, earned, total, balance, payable, left), extra

    def _draw(self, period: Period, payee: str, earned: Decimal, balance: Decimal) -> tuple[list[Line], Decimal]:
        draw = self._plan.draw
        if draw is None:
            return [], balance
        result = draw_period(replace(draw, amount=round_money(draw.amount, self._unit)), earned, balance, self._unit)
        amounts = ((Kind.DRAW, result.advance), (Kind.RECOVERY, -result.recovery))
        lines = [
            Line(payee, period, kind, amount, amount, str(kind), stage=_AFTER) for kind, amount in amounts if amount
        ]
        self._say(
            payee,
            period,
            f"draw {number(draw.amount)}, earned {number(earned)}, owed {number(balance)}: advance"
            f" {number(result.advance)}, recovered {number(result.recovery)}, owed now {number(result.balance)}",
        )
        return lines, result.balance

    def _salary(self, period: Period, payee: str) -> list[Line]:
        if self._plan.base_salary is None:
            return []
        share = active_share(self._plan, self._situation, period, payee)
        exact = self._plan.base_salary * share
        prorated = "" if share == ONE else f" x {number(share)} of the period"
        self._say(payee, period, f"base salary {number(self._plan.base_salary)}{prorated}")
        amount = round_money(exact, self._unit)
        return [Line(payee, period, Kind.BASE_SALARY, amount, exact, "base salary", stage=_AFTER)]

    def _say(self, payee: str, period: Period, text: str) -> None:
        where = ", ".join(part for part in (payee, period_text(period)) if part)
        self._report.steps.append(Step(payee, period, f"{where}: {text}"))


def chain_above(payee: str, managers: Mapping[str, str]) -> list[str]:
    """The managers above a payee, the nearest first; a circle ends where it would begin again."""
    above: list[str] = []
    manager = managers.get(payee)
    while manager is not None and manager != payee and manager not in above:
        above.append(manager)
        manager = managers.get(manager)
    return above


def _held(line: Line) -> Decimal:
    """By how much a line changes what is held back."""
    return -line.amount if line.kind in {Kind.HELD, Kind.RELEASED} else ZERO


def _reports_to(payee: str, override: Override) -> bool:
    return payee in override.payees if override.payees else payee != override.manager
