"""One rule over time: windows, periods, true-ups and re-runs, and the one rounding for each payee, rule and period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from math import prod
from typing import TypeAlias

from commission_mcp.domain.claims import ALWAYS, Claim, Report, is_later, net_sale, period_text
from commission_mcp.domain.earnings import Earning, combine, evaluate, limited_by
from commission_mcp.domain.entries import (
    Entry,
    Setting,
    axis_base,
    bases_needed,
    figures,
    pays_once,
    uses_quota,
    uses_target,
)
from commission_mcp.domain.explanation import number, rates_of, rule_steps
from commission_mcp.domain.measures import Measures, measured_steps
from commission_mcp.domain.money import HUNDRED, ONE, ZERO, allocate, minor_unit, round_money
from commission_mcp.domain.outcome import Kind, Line, Part, Step
from commission_mcp.domain.parting import held_share, mean_share, payouts_of, release_periods
from commission_mcp.domain.periods import Period, months_around
from commission_mcp.domain.plan import Plan, Proration
from commission_mcp.domain.rules import (
    Accumulation,
    AppliesTo,
    CapPer,
    Curve,
    NegativeBase,
    ProRata,
    RangeType,
    Rule,
    Tiered,
)
from commission_mcp.domain.sales import Sale, Situation
from commission_mcp.errors import Code

_DAYS_30 = 30
_AFTER = 2  # the stage of what comes after commissions and bonuses

Key: TypeAlias = tuple[str, Period]  # payee and window


@dataclass(slots=True)
class _Cell:
    """A window of a payee, and what has been booked for it so far.

    Attributes:
        booked: All lines together, limits for each period among them.
        held: What of it is held back.
        shared: What of it went to others.
    """

    claims: list[Claim] = field(default_factory=list[Claim])
    paid: Decimal = ZERO
    entries: Decimal = ZERO
    once: Decimal = ZERO
    limited: Decimal = ZERO
    booked: Decimal = ZERO
    held: Decimal = ZERO
    shared: dict[str, Decimal] = field(default_factory=dict[str, Decimal])


@dataclass(frozen=True, slots=True)
class _State:
    """A cell as it is known in a period.

    Attributes:
        held: Which part of it is held back, 0 to 1.
        shares: Which part of it goes to whom else.
    """

    key: Key
    claims: Sequence[Claim]
    entries: Sequence[Entry]
    earning: Earning
    limited: Decimal
    setting: Setting
    held: Decimal = ZERO
    shares: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])

    @property
    def total(self) -> Decimal:
        """What the cell earns, exactly."""
        return self.earning.total + self.limited


class RuleLedger:
    """Books the claims of one rule, period after period."""

    def __init__(self, rule: Rule, plan: Plan, situation: Situation, report: Report, measures: Measures) -> None:
        self._rule = rule
        self._measures = measures
        self._parts = bool(rule.holdback or rule.payout_split)
        self._plan = plan
        self._situation = situation
        self._report = report
        self._unit = rule.rounding or minor_unit(plan.currency)
        self._needed = bases_needed(rule)
        self._cells: dict[Key, _Cell] = {}
        self._carried: dict[Key, Decimal] = {}
        self._first: dict[str, Period] = {}
        self._rates: dict[tuple[tuple[Decimal, Decimal], ...], str] = {}
        self._level = rule.range_type.level

    def lines(self, claims: Iterable[Claim]) -> list[Line]:
        """All lines of the rule; what an earlier period has paid is not paid again."""
        postings: dict[Period, set[Key]] = {}
        for claim in sorted(claims, key=_order):
            key = (claim.payee, self._window(claim))
            self._cells.setdefault(key, _Cell()).claims.append(claim)
            self._first[claim.payee] = min(key[1], self._first.get(claim.payee, key[1]))
            for period in (claim.period, *(posted for posted, _ in claim.refunds)):
                postings.setdefault(period, set()).add(key)
            self._parts = self._parts or bool(claim.sale.payouts)
        moving = self._moving()
        lines: list[Line] = []
        for period in sorted(postings.keys() | moving.keys()):
            posted = postings.get(period, set[Key]())
            follow = self._carried_into(posted, period) if self._carries else frozenset[Key]()
            follow |= moving.get(period, set[Key]()) - posted
            states = [self._state(key, period) for key in sorted(posted | follow)]
            known = [state for state in states if state is not None]
            lines += self._book(period, [state for state in known if state.key not in follow or self._moved(state)])
        return lines

    def _moving(self) -> dict[Period, set[Key]]:
        """The periods in which windows can change without a sale of theirs: a measure moves, or a part is released."""
        moving: dict[Period, set[Key]] = {}
        if not self._rule.measures and not self._rule.holdback:
            return moving
        for key, cell in self._cells.items():
            first = min(claim.period for claim in cell.claims)
            found = set(self._measures.periods(self._rule, *key))
            for claim in cell.claims:
                found |= release_periods(self._rule, claim, self._plan.schedule)
            for period in found:
                if period > first and not is_later(period, self._situation.period):
                    moving.setdefault(period, set()).add(key)
        return moving

    def _carried_into(self, keys: Iterable[Key], period: Period) -> frozenset[Key]:
        """The later windows that carry on what these leave: they are calculated again with them."""
        first: dict[str, Period] = {}
        for payee, window in keys:
            first[payee] = min(window, first.get(payee, window))
        return frozenset(
            (payee, window)
            for (payee, window), cell in self._cells.items()
            if payee in first and window > first[payee] and any(claim.period <= period for claim in cell.claims)
        )

    def _moved(self, state: _State) -> bool:
        """Whether a cell earns something else than what was booked for it."""
        cell = self._cells[state.key]
        return _sums(state) != (cell.entries, cell.once, cell.limited) or self._parts

    def idle(self, payee: str, period: Period) -> list[Line]:
        """The lines of a payee without a sale: a stated attainment or a guarantee can pay all the same."""
        state = self._state((payee, period), period)
        return [] if state is None or not state.total else self._book(period, [state])

    def _window(self, claim: Claim) -> Period:
        day, accumulation = claim.sale.date, self._rule.accumulation
        if accumulation is Accumulation.PLAN:
            return Period(self._plan.valid_from or date.min, self._plan.valid_to or date.max)
        months = {Accumulation.QUARTER: 3, Accumulation.YEAR: 12}.get(accumulation)
        return claim.period if day is None or months is None else months_around(day, months)

    def _state(self, key: Key, period: Period) -> _State | None:
        """A cell with what is known at the end of a period; None when a fact is missing."""
        cell = self._cells.setdefault(key, _Cell())
        setting = self._setting(key, period)
        claims = [claim for claim in cell.claims if claim.period <= period]
        entries = [self._entry(claim, period) for claim in claims]
        if setting is None or any(isinstance(entry, Code) for entry in entries):
            return None
        kept = [(claim, entry) for claim, entry in zip(claims, entries, strict=True) if isinstance(entry, Entry)]
        earning = self._earn(key, [entry for _, entry in kept], setting)
        limited = ZERO
        if not self._longer(key, period) and not earning.why_nothing:
            limited = limited_by(self._rule, CapPer.PERIOD, earning.total, setting)
        known = [claim for claim, _ in kept]
        state = _State(key, known, [entry for _, entry in kept], earning, limited, setting)
        return self._parted(state, period) if self._parts and known else state

    def _parted(self, state: _State, period: Period) -> _State:
        """A cell with the parts of it that are held back or go to others: means of those of its sales."""
        amounts = state.earning.amounts
        held = [held_share(self._rule, claim, period, self._plan.schedule) for claim in state.claims]
        shares = [{part.payee: part.share for part in payouts_of(self._rule, claim)} for claim in state.claims]
        others = sorted({payee for own in shares for payee in own})
        mean = {payee: mean_share(amounts, [own.get(payee, ZERO) for own in shares]) for payee in others}
        return replace(state, held=mean_share(amounts, held), shares=mean)

    def _entry(self, claim: Claim, period: Period) -> Entry | Code | None:
        """A claim with the refunds known by then; None when nothing of the sale is left."""
        sale = net_sale(claim.sale, [refund for posted, refund in claim.refunds if posted <= period])
        if sale is None:
            return None
        found = figures(sale, claim.share, self._needed)
        level = None if self._level is None else sale.level(self._level)
        column = self._column(sale)
        missing = next((figure for figure in (found, level, column) if isinstance(figure, Code)), None)
        if isinstance(found, Code) or isinstance(level, Code) or isinstance(column, Code):
            self._missing(missing or Code.NO_BASE, sale)
            return missing
        weight = -ONE if min(found.values(), default=ZERO) < ZERO or sale.value() < ZERO else ONE
        return Entry(sale, claim.payee, claim.share, found, claim.labels, level, weight, column)

    def _column(self, sale: Sale) -> int | Code:
        """The column of a matrix in which a sale lies, where each sale chooses by itself."""
        columns = self._rule.columns
        if columns is None or columns.level is None:
            return 0
        figure = sale.level(columns.level)
        return figure if isinstance(figure, Code) else columns.index(figure)

    def _missing(self, code: Code, sale: Sale) -> None:
        fact = {Code.NO_COST: "cost", Code.NO_QUANTITY: "quantity"}.get(code, str(self._rule.base).lower())
        self._report.problem(
            code,
            f"Sale {sale.sale_id!r} has no {fact}, which {self._rule.name!r} needs; what is missing is not 0.",
            f"Give its {fact}; nothing is paid by this rule for this payee and period until then.",
            f"sales[{sale.position}]",
        )

    def _earn(self, key: Key, entries: Sequence[Entry], setting: Setting) -> Earning:
        """What the entries earn: together, or each alone where every transaction is its own window."""
        payee, window = key
        alone = self._rule.accumulation is Accumulation.TRANSACTION and entries
        carried = self._carry_into(payee, window)
        earnings: list[Earning] = []
        rule = self._chosen(setting)
        for group in [[entry] for entry in entries] if alone else [entries]:
            earnings.append(evaluate(rule, group, replace(setting, carried=carried)))
            carried = self._carry(earnings[-1].base_total)
        self._carried[key] = carried
        return combine(earnings)

    def _chosen(self, setting: Setting) -> Rule:
        """The rule with the table of the column that a measure chooses, where it is a matrix of that kind."""
        columns = self._rule.columns
        if columns is None or columns.measure is None:
            return self._rule
        return replace(self._rule, scheme=columns.schemes[columns.index(setting.measures[columns.measure])])

    def _carry_into(self, payee: str, window: Period) -> Decimal:
        earlier = [known for known in self._carried if known[0] == payee and known[1] < window] if self._carries else []
        return self._carried[max(earlier)] if earlier else ZERO

    def _carry(self, base_total: Decimal) -> Decimal:
        return min(ZERO, base_total) if self._carries else ZERO

    @property
    def _carries(self) -> bool:
        return self._rule.negative_base is NegativeBase.CARRY

    def _setting(self, key: Key, period: Period) -> Setting | None:
        """The figures of a cell; None, with a problem noted, when the rule lacks one."""
        payee, window = key
        situation, rule = self._situation, self._rule
        asked = None if window == ALWAYS else window
        share = active_share(self._plan, situation, window, payee)
        quota = situation.quota(payee, asked, axis_base(rule, RangeType.QUOTA_PERCENT), rule.name)
        target = situation.targets.of(payee, asked, rule.name)
        attainment = None if _divides_by_quota(rule) else situation.attainments.of(payee, asked, rule.name)
        if uses_quota(rule) and attainment is None and (quota is None or quota * share <= ZERO):
            return self._lacks(Code.NO_QUOTA, payee, window, "quota")
        if uses_target(rule) and target is None:
            return self._lacks(Code.NO_TARGET, payee, window, "target incentive")
        measured = self._measures.of(rule, payee, window, period) if rule.measures else {}
        if measured is None:
            return None
        first = self._first.get(payee, window)
        before = situation.bases_before.of(payee, asked, rule.name) if window == first else None
        return Setting(
            None if quota is None else quota * share,
            None if target is None else target * share,
            before or ZERO,
            attainment,
            share,
            parents=situation.parents,
            measures=measured,
            modifier=prod((found.multiplier(measured[found.measure]) for found in rule.modifiers), start=ONE),
        )

    def _lacks(self, code: Code, payee: str, window: Period, fact: str) -> None:
        where = "" if window == ALWAYS else f" for {window.name}"
        self._report.problem(
            code,
            f"{self._rule.name!r} needs a {fact} above 0 for {payee!r}{where}; a missing one is never read as 0 %.",
            f"State it in `context.{'quota' if code is Code.NO_QUOTA else 'target_incentive'}`; until then this rule"
            " pays this payee nothing and the result is incomplete.",
            f"context.{'quota' if code is Code.NO_QUOTA else 'target_incentive'}",
        )

    def _longer(self, key: Key, period: Period) -> bool:
        """Whether a window that is not over yet is longer than the calculation period."""
        window = key[1]
        return (window.start < period.start or window.end > period.end) and not self._rerun(key, period)

    def _rerun(self, key: Key, period: Period) -> bool:
        """Whether a cell had ended before the period: it is calculated again for a refund."""
        return key[1].end < period.start

    def _book(self, period: Period, states: Sequence[_State]) -> list[Line]:
        rounded = self._rounded(states)
        return [line for state in states for line in self._book_cell(period, state, rounded[state.key])]

    def _rounded(self, states: Sequence[_State]) -> dict[Key, Decimal]:
        """Round each payee's total; those who only share the very same sales between them are rounded together.

        Thirds of 5.00 are 1.67 + 1.67 + 1.66, and never three times 1.67.
        """
        teams: dict[tuple[object, ...], list[_State]] = {}
        for state in states:
            teams.setdefault(_team(state), []).append(state)
        rounded: dict[Key, Decimal] = {}
        for team in teams.values():
            exact = [state.total for state in team]
            shared = len(team) > 1 and _is_split(team)
            payees = [state.key[0] for state in team]
            together = allocate(round_money(sum(exact, ZERO), self._unit), exact, payees, self._unit) if shared else []
            for index, state in enumerate(team):
                rounded[state.key] = together[index] if shared else round_money(state.total, self._unit)
        return rounded

    def _book_cell(self, period: Period, state: _State, rounded: Decimal) -> list[Line]:
        """The lines of one cell in one period; they sum to what is due now."""
        cell = self._cells[state.key]
        drafts = self._drafts(period, state, cell)
        amount = rounded - cell.paid
        shares = allocate(amount, [line.exact for line in drafts], _tie_keys(drafts), self._unit)
        lines = [_paid(line, share) for line, share in zip(drafts, shares, strict=True)]
        if not (cell.paid and _sums(state) == (cell.entries, cell.once, cell.limited)):
            self._explain(period, state, rounded, cell.paid)
        cell.paid = rounded
        cell.entries, cell.once, cell.limited = _sums(state)
        if self._longer(state.key, period):
            lines += self._period_limit(period, state, amount)
        if self._parts:
            cell.booked += sum((line.amount for line in lines), ZERO)
            told = any(line.sale_id is not None or line.amount or line.exact for line in lines)
            lines = (lines if told else []) + self._part_lines(period, state, cell)
        return self._members(lines) if self._rule.pool else lines

    def _part_lines(self, period: Period, state: _State, cell: _Cell) -> list[Line]:
        """What of a cell is held back or released in a period, and what of the rest goes to others."""
        payee, stage = state.key[0], _AFTER if self._rule.holdback else self._rule.stage
        held = round_money(cell.booked * state.held, self._unit)
        lines = [self._line(period, Kind.HELD if held > cell.held else Kind.RELEASED, cell.held - held, payee)]
        lines = [replace(line, amount=line.exact, stage=_AFTER) for line in lines if line.exact]
        if lines:
            self._say(
                period, state, f"{number(state.held * HUNDRED)} % of {number(cell.booked)} is held back: {number(held)}"
            )
        cell.held = held
        due = cell.booked - held
        others = sorted(state.shares.keys() | cell.shared.keys())
        exact = [due * state.shares.get(other, ZERO) for other in others]
        amounts = allocate(due, [*exact, due - sum(exact, ZERO)], [*others, payee], self._unit)
        for other, amount in zip(others, amounts, strict=False):
            change = amount - cell.shared.get(other, ZERO)
            if change:
                points = number(state.shares.get(other, ZERO) * HUNDRED)
                self._say(period, state, f"{points} % of {number(due)} goes to {other}: {number(amount)}")
                pair = ((payee, -change), (other, change))
                lines += [
                    replace(self._line(period, Kind.SPLIT, part, whom), amount=part, stage=stage) for whom, part in pair
                ]
            cell.shared[other] = amount
        return lines

    def _say(self, period: Period, state: _State, text: str) -> None:
        where = ", ".join(part for part in (state.key[0] or "pool", period_text(period), self._rule.name) if part)
        self._report.steps.append(Step(state.key[0], period, f"{where}: {text}"))

    def _drafts(self, period: Period, state: _State, cell: _Cell) -> list[Line]:
        """The lines of one cell, not yet rounded."""
        entries, once, limited = _sums(state)
        if self._rerun(state.key, period):
            change = entries + once + limited - cell.entries - cell.once - cell.limited
            line = self._line(period, Kind.RERUN, change, state.key[0])
            return [replace(line, rates=f"re-run of {period_text(state.key[1])}")]
        lines: list[Line] = []
        earlier = -cell.entries
        for index, claim in enumerate(state.claims):
            exact = state.earning.amounts[index]
            if claim.period == period and not pays_once(self._rule):
                parts = state.earning.parts[index]
                base = sum((part.base for part in parts), ZERO) if len(parts) != 1 else parts[0].base
                lines.append(self._sale_line(claim, exact, base if parts else None, parts))
            else:
                earlier += exact
        changes = ((Kind.PERIOD, once - cell.once), (Kind.TRUE_UP, earlier))
        limit = limited - cell.limited
        changes += ((Kind.FLOOR if limit > ZERO else Kind.CAP, limit),)
        lines += [self._line(period, kind, change, state.key[0]) for kind, change in changes if change]
        return lines or [self._line(period, Kind.PERIOD, ZERO, state.key[0])]

    def _sale_line(self, claim: Claim, exact: Decimal, base: Decimal | None, parts: tuple[Part, ...]) -> Line:
        key = tuple((part.rate, part.factor) for part in parts)
        rates = self._rates.get(key)
        if rates is None:
            rates = self._rates[key] = rates_of(self._rule, parts)
        return Line(
            claim.payee,
            claim.period,
            Kind.SALE,
            ZERO,
            exact,
            self._rule.name,
            claim.sale.sale_id,
            base,
            rates,
            self._rule.stage,
            claim.share,
            parts,
            self._rule,
        )

    def _period_limit(self, period: Period, state: _State, amount: Decimal) -> list[Line]:
        """Floor and cap for each period, where the window is longer; what they cut off is not caught up."""
        change = limited_by(self._rule, CapPer.PERIOD, amount, state.setting)
        if not change or state.earning.why_nothing:
            return []
        line = self._line(period, Kind.FLOOR if change > ZERO else Kind.CAP, change, state.key[0])
        return [replace(line, amount=round_money(change, self._unit))]

    def _line(self, period: Period, kind: Kind, exact: Decimal, payee: str) -> Line:
        return Line(payee, period, kind, ZERO, exact, self._rule.name, stage=self._rule.stage, by=self._rule)

    def _members(self, lines: Sequence[Line]) -> list[Line]:
        """A pool's lines, shared out among its members by weight."""
        pool = self._rule.pool
        total = sum((line.amount for line in lines), ZERO)
        weights = sum((member.weight for member in pool), ZERO)
        exact = [total * member.weight / weights for member in pool]
        shares = allocate(total, exact, [member.payee for member in pool], self._unit)
        return [
            replace(
                self._line(lines[0].period, Kind.POOL, exact[i], member.payee),
                amount=shares[i],
            )
            for i, member in enumerate(pool)
        ]

    def _explain(self, period: Period, state: _State, rounded: Decimal, paid: Decimal) -> None:
        currency, name = self._plan.currency, self._rule.name
        where = ", ".join(part for part in (state.key[0] or "pool", period_text(period), name) if part)
        steps = [f"{where}: {text}" for text in measured_steps(self._rule, state.setting.measures)]
        steps += rule_steps(self._rule, where, [state.earning], state.setting, currency)
        limits = state.earning.limited + state.limited
        if limits:
            steps.append(f"{where}: {'floor adds' if limits > ZERO else 'cap takes'} {number(abs(limits))}")
        steps.append(f"{where}: {number(state.total)} rounded to {number(rounded)} {currency}")
        if paid:
            why = f"re-run of {period_text(state.key[1])}" if self._rerun(state.key, period) else "earned to date"
            steps.append(f"{where}: {why} {number(rounded)} - {number(paid)} already earned = {number(rounded - paid)}")
        self._report.steps += [Step(state.key[0], period, step) for step in steps]


def active_share(plan: Plan, situation: Situation, window: Period, payee: str) -> Decimal:
    """The active part of a window, for amounts per period: as stated, or by the plan's proration; 0 to 1."""
    if situation.active_share is not None:
        return situation.active_share
    if plan.proration is Proration.NONE or window == ALWAYS:
        return ONE
    active_from, active_to = situation.activity.get(payee, (situation.active_from, situation.active_to))
    starts = [day for day in (plan.valid_from, active_from) if day is not None]
    ends = [day for day in (plan.valid_to, active_to) if day is not None]
    start, end = max(starts, default=None), min(ends, default=None)
    if plan.proration is Proration.ACTUAL:
        return window.active_share(start, end)
    months = max(1, round(window.days / Decimal(_DAYS_30)))
    return min(ONE, Decimal(window.overlap_days(start, end)) / (_DAYS_30 * months))


def _paid(line: Line, amount: Decimal) -> Line:
    return Line(
        line.payee,
        line.period,
        line.kind,
        amount,
        line.exact,
        line.rule,
        line.sale_id,
        line.base,
        line.rates,
        line.stage,
        line.share,
        line.parts,
        line.by,
    )


def _order(claim: Claim) -> tuple[date, str, str]:
    return (claim.sale.date or date.min, claim.sale.sale_id, claim.payee)


def _tie_keys(lines: Sequence[Line]) -> list[str]:
    return [line.sale_id or f"\uffff{line.kind}" for line in lines]


def _sums(state: _State) -> tuple[Decimal, Decimal, Decimal]:
    return sum(state.earning.amounts, ZERO), state.earning.once, state.earning.limited + state.limited


def _team(state: _State) -> tuple[object, ...]:
    """What those who share the very same sales have in common; somebody with a sale of his own is alone."""
    payee, window = state.key
    if not state.entries or any(entry.share >= ONE for entry in state.entries):
        return (window, payee)
    return (window, None, *(entry.sale.sale_id for entry in state.entries))


def _is_split(team: Sequence[_State]) -> bool:
    """Whether the credits are parts of the sales, not full credits beside each other."""
    shares: dict[str, Decimal] = {}
    for entry in (entry for state in team for entry in state.entries):
        shares[entry.sale.sale_id] = shares.get(entry.sale.sale_id, ZERO) + entry.share
    # Shares such as 1/3 are right to 200 digits; their sum may miss 1 in the last one.
    return all(round_money(share, Decimal("1e-20")) <= ONE for share in shares.values())


def _divides_by_quota(rule: Rule) -> bool:
    """Whether the rule needs the quota itself: a stated attainment does not tell where inside a sale a band ends."""
    scheme = rule.scheme
    parted = isinstance(scheme, Tiered | ProRata) or (isinstance(scheme, Curve) and scheme.marginal)
    accelerators = rule.accelerators
    accelerated = (
        accelerators is not None and not accelerators.before and accelerators.applies_to is not AppliesTo.WHOLE
    )
    return (parted and not pays_once(rule)) or accelerated
