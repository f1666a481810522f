from __future__ import annotations

import pytest

from commission_mcp.documents.model import Facts
from commission_mcp.search.lexicon import Lexicon
from commission_mcp.search.question import understand
from commission_mcp.search.routing import Router, affinities, label_of

SHELF = {
    "3M_2018_10K.pdf": Facts("3M 2018 10K", "report", years=(2018,)),
    "3M_2022_10K.pdf": Facts("3M 2022 10K", "report", years=(2022, 2021)),
    "3M_2022Q2_10Q.pdf": Facts("3M 2022Q2 10Q", "report", years=(2022,)),
    "BESTBUY_2022_10K.pdf": Facts("BESTBUY 2022 10K", "report", years=(2022,)),
    "JOHNSON_JOHNSON_2022_10K.pdf": Facts("Annual report", "report", years=(2022,)),
    "JPMORGAN_2022_10K.pdf": Facts("JPMORGAN 2022 10K", "report", years=(2022,)),
    "awk20.pdf": Facts("Annual report", "report", organisations=("American Water Works Company, Inc.",), years=(2020,)),
    "q4-bonuses.pdf": Facts("Q4 performance bonuses", "policy"),
    "q3-rates.pdf": Facts("Q3 commission rates", "rates"),
    "guidelines.docx": Facts("Guidelines", "guidelines"),
}


def routed(question: str, shelf: dict[str, Facts] | None = None) -> dict[str, float]:
    shelf = shelf or SHELF
    router = Router([label_of(name, facts) for name, facts in shelf.items()])
    found = affinities(understand(question, Lexicon([])), [router])[0]
    return {name: float(value) for name, value in zip(shelf, found, strict=True)}


def best(question: str) -> str:
    found = routed(question)
    highest = max(found.values())
    assert [value for value in found.values() if value == highest] == [highest], found
    return max(found, key=lambda name: found[name])


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("What is 3M's FY2018 capex?", "3M_2018_10K.pdf"),
        ("What is the FY2022 capex of 3M?", "3M_2022_10K.pdf"),
        ("How did 3M's sales grow in Q2 of FY2022?", "3M_2022Q2_10Q.pdf"),
        ("What did Best Buy acquire?", "BESTBUY_2022_10K.pdf"),
        ("What did Johnson & Johnson acquire?", "JOHNSON_JOHNSON_2022_10K.pdf"),
        ("What did JnJ acquire?", "JOHNSON_JOHNSON_2022_10K.pdf"),
        ("What is JPM's net interest income?", "JPMORGAN_2022_10K.pdf"),
        ("What dividends does American Water Works pay?", "awk20.pdf"),
        ("Find information about Q4 performance bonuses", "q4-bonuses.pdf"),
        ("Which rates apply in the third quarter?", "q3-rates.pdf"),
        ("What do the guidelines say on refunds?", "guidelines.docx"),
    ],
)
def test_a_question_leads_to_its_document(question: str, document: str) -> None:
    assert best(question) == document


def test_a_question_that_names_nothing_leads_nowhere() -> None:
    assert set(routed("How are refunds treated?").values()) == {0.0}


def test_what_every_document_is_known_by_leads_nowhere() -> None:
    """A client whose documents are all its own is not told apart by its name."""
    shelf = {f"{name}.pdf": Facts(name, organisations=("ABC Industries",)) for name in ("rates", "policy")}

    assert set(routed("What does ABC Industries pay?", shelf).values()) == {0.0}


def test_collections_are_routed_as_one() -> None:
    """The shelf in two parts gives what it gives as one."""
    labels = [label_of(name, facts) for name, facts in SHELF.items()]
    question = understand("What is 3M's FY2018 capex?", Lexicon([]))
    apart = affinities(question, [Router(labels[:2]), Router(labels[2:])])

    assert [float(v) for part in apart for v in part] == list(routed("What is 3M's FY2018 capex?").values())
