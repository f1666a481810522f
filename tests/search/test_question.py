from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commission_mcp.search.lexicon import Lexicon, Term, built_in
from commission_mcp.search.question import LENGTH_MAX, understand, without_remarks

PLAIN = Lexicon([])


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("What was the payout in March? Answer in USD millions.", "What was the payout in March?"),
        ("What is the quota (in USD thousands) of the North?", "What is the quota of the North?"),
        ("What is the rate? Round your answer to two decimal places.", "What is the rate?"),
        (
            "What is the margin? If margin is not a useful metric here, then state that and explain why.",
            "What is the margin?",
        ),
        ("Assume that you are a sales analyst. Which rate applies to the South?", "Which rate applies to the South?"),
        (
            "Answer the question by primarily using information that is shown in the rate sheet: which tier is top?",
            "rate sheet: which tier is top?",
        ),
    ],
)
def test_how_to_answer_is_not_searched_for(asked: str, left: str) -> None:
    assert without_remarks(asked) == left


@pytest.mark.parametrize(
    "asked",
    [
        "What does the plan say about rounding to two decimals of commission?",
        "How is a response to a dispute given?",
        "Does the plan answer who approves refunds?",
        "If quota is not reached, what is paid?",
        "Which deals above 2 million need approval?",
        "Answer in one word.",
    ],
)
def test_what_is_asked_stays_even_when_it_sounds_like_a_remark(asked: str) -> None:
    asked_words = set(understand(asked, PLAIN).terms)

    assert asked_words
    assert asked_words & {"round", "disput", "refund", "quota", "million", "deal", "word"}


@pytest.mark.parametrize(
    ("asked", "years", "quarters", "fiscal"),
    [
        ("capex of FY2018", (2018,), (), True),
        ("capex of FY18 and FY'19", (2018, 2019), (), True),
        ("fiscal year 2020 against fiscal 2019", (2020, 2019), (), True),
        ("Q4 2025 bonuses", (2025,), (4,), False),
        ("FY2023Q1 guidance", (2023,), (1,), False),
        ("the second quarter of 2024", (2024,), (2,), False),
        ("2023Q3 and 3Q", (2023,), (3,), False),
        ("paid 2000 dollars per unit", (2000,), (), False),
        ("a sale of $2,018.50 or 1,999", (), (), False),
        ("FY69", (2069,), (), True),
        ("FY70", (1970,), (), True),
        ("quotas", (), (), False),
    ],
)
def test_years_and_quarters_are_read(
    asked: str, years: tuple[int, ...], quarters: tuple[int, ...], *, fiscal: bool
) -> None:
    question = understand(asked, PLAIN)

    assert (question.years, question.quarters, question.fiscal) == (years, quarters, fiscal)


def test_names_are_found_written_in_one_or_several_words() -> None:
    names = understand("What did Best Buy's peers pay Johnson & Johnson?", PLAIN).names

    assert {"bestbuy", "johnsonandjohnson", "johnsonjohnson", "peers"} <= names


def test_the_lexicon_adds_what_documents_say() -> None:
    lexicon = Lexicon([Term(("capex", "capital expenditure"), ("purchases of property, plant and equipment",))])
    question = understand("How high was capex in 2018?", lexicon)

    assert question.terms["capex"] == 1
    assert 0 < question.terms["properti"] < 1
    assert 0 < question.terms["expenditur"] < 1
    assert "purchases of property, plant and equipment" in question.implied
    assert "capex" in question.text


def test_a_question_without_known_words_implies_nothing() -> None:
    assert understand("zebra crossing", built_in()).implied == ""


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("What is my OTE?", "earn"),
        ("Is there a clawback?", "chargeback"),
        ("How big is the SPIFF?", "contest"),
        ("capex", "equip"),
        ("What is the quick ratio?", "inventori"),
        ("Q4 performance bonuses", "fourth"),
    ],
)
def test_the_built_in_lexicon_knows_the_field(asked: str, found: str) -> None:
    assert 0 < understand(asked, built_in()).terms[found] < 1


def test_a_question_is_read_up_to_its_limit() -> None:
    question = understand("rate " * LENGTH_MAX + "zebra", PLAIN)

    assert "zebra" not in question.terms


@pytest.mark.parametrize(
    "piece",
    [
        "in ",
        "in  ",
        " ",
        "if not ",
        "round ",
        "data really ",
        "lyly",
        "1,",
        "FY",
        "Q",
        "answer in ",
        "\t\n",
        "metric not if. ",
    ],
)
def test_no_question_takes_long(piece: str) -> None:
    """Repetitions that would keep a careless pattern busy for hours."""
    assert understand(piece * (LENGTH_MAX // len(piece) - 1) + "x", built_in()).text


@given(st.text(max_size=400))
def test_any_text_can_be_asked(text: str) -> None:
    question = understand(text, built_in())

    assert all(weight > 0 for weight in question.terms.values())
