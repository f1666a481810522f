"""Which version of a plan counts on which days, at the borders and against a day-by-day reading of the rule."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commission_mcp.domain.validity import Stretch, days_in_force, ended_by, gaps


def day(month: int, number: int = 1) -> date:
    return date(2026, month, number)


def stretch(version: int, start: date, end: date | None) -> Stretch:
    return Stretch(start, end, version)


YEAR = stretch(1, day(1), day(12, 31))
OPEN = stretch(1, day(1), None)


@pytest.mark.parametrize(
    ("new", "older", "counting", "missing"),
    [
        pytest.param(
            stretch(2, day(7), day(9, 30)),
            OPEN,
            [stretch(1, day(1), day(6, 30)), stretch(2, day(7), day(9, 30)), stretch(1, day(10), None)],
            [],
            id="an interruption ends and the older counts again",
        ),
        pytest.param(
            stretch(2, day(7), day(12, 30)),
            YEAR,
            [stretch(1, day(1), day(6, 30)), stretch(2, day(7), day(12, 30)), stretch(1, day(12, 31), day(12, 31))],
            [],
            id="the older counts again for its last day",
        ),
        pytest.param(
            stretch(2, day(7), day(12, 31)),
            YEAR,
            [stretch(1, day(1), day(6, 30)), stretch(2, day(7), day(12, 31))],
            [],
            id="one that lasts as long ends the older",
        ),
        pytest.param(
            stretch(2, day(1), day(6, 30)),
            OPEN,
            [stretch(2, day(1), day(6, 30))],
            [],
            id="one from the same day replaces it and ends the plan early",
        ),
        pytest.param(
            stretch(2, day(1, 2), day(6, 30)),
            OPEN,
            [stretch(1, day(1), day(1)), stretch(2, day(1, 2), day(6, 30)), stretch(1, day(7), None)],
            [],
            id="one from the day after interrupts it",
        ),
        pytest.param(
            stretch(2, date(2025, 7, 1), day(1)),
            YEAR,
            [stretch(2, date(2025, 7, 1), day(1)), stretch(1, day(1, 2), day(12, 31))],
            [],
            id="one from before takes its first day",
        ),
        pytest.param(
            stretch(2, date(2025, 1, 1), None),
            YEAR,
            [stretch(2, date(2025, 1, 1), None)],
            [],
            id="one around it leaves nothing",
        ),
        pytest.param(
            stretch(2, date(2027, 2, 1), None),
            YEAR,
            [YEAR, stretch(2, date(2027, 2, 1), None)],
            [(date(2027, 1, 1), date(2027, 1, 31))],
            id="a gap between two",
        ),
        pytest.param(
            stretch(2, date(2027, 1, 1), None),
            YEAR,
            [YEAR, stretch(2, date(2027, 1, 1), None)],
            [],
            id="one that follows at once",
        ),
    ],
)
def test_the_borders(new: Stretch, older: Stretch, counting: list[Stretch], missing: list[tuple[date, date]]) -> None:
    found = days_in_force([*ended_by(new, [older]), new])

    assert found == counting
    assert gaps(found) == missing


def test_a_campaign_that_is_cut_short_gives_its_days_back() -> None:
    campaign = stretch(2, day(7), day(9, 30))
    shorter = stretch(3, day(7), day(8, 31))

    assert days_in_force([OPEN, campaign, shorter]) == [
        stretch(1, day(1), day(6, 30)),
        stretch(3, day(7), day(8, 31)),
        stretch(1, day(9), None),
    ]


def test_a_plan_whose_later_version_is_ended_early_stays_ended() -> None:
    second = stretch(2, day(7), None)
    first = ended_by(second, [OPEN])
    third = stretch(3, day(7), day(10, 31))
    stored = [*ended_by(third, [*first, second]), third]

    assert days_in_force(stored) == [stretch(1, day(1), day(6, 30)), stretch(3, day(7), day(10, 31))]


ORIGIN = date(2026, 1, 1)
VERSIONS = st.lists(
    st.tuples(st.integers(0, 12), st.none() | st.integers(0, 8)).map(
        lambda drawn: (
            ORIGIN + timedelta(days=drawn[0]),
            None if drawn[1] is None else ORIGIN + timedelta(days=drawn[0] + drawn[1]),
        )
    ),
    max_size=6,
).map(lambda spans: [Stretch(start, end, number) for number, (start, end) in enumerate(spans, start=1)])


@given(VERSIONS)
def test_on_each_day_the_newest_version_counts_that_was_not_replaced(versions: list[Stretch]) -> None:
    found = days_in_force(versions)

    for offset in range(-1, 30):
        today = ORIGIN + timedelta(days=offset)
        replaced = {a.version for a in versions for b in versions if b.version > a.version and b.start == a.start}
        rule = max((one.version for one in versions if one.covers(today) and one.version not in replaced), default=None)
        assert [one.version for one in found if one.covers(today)] == ([] if rule is None else [rule])


@given(VERSIONS)
def test_stretches_do_not_overlap_and_touch_only_where_the_version_changes(versions: list[Stretch]) -> None:
    found = days_in_force(versions)

    for before, after in pairwise(found):
        assert before.last < after.start
        assert before.version != after.version or before.last + timedelta(days=1) < after.start
