"""From a question to passages, by the real model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from commission_mcp.documents.model import Chunk, Facts, Place
from commission_mcp.search.corpus import Corpus, Listed, build_corpus, restore_corpus, text_to_embed
from commission_mcp.search.embedding import Embedder
from commission_mcp.search.filters import Filters
from commission_mcp.search.lexicon import Lexicon, Term
from commission_mcp.search.ranking import Hit, rank

NO_WORDS = Lexicon([])

OWN = {
    "policy.pdf": [
        "Commission is paid on the last working day of the month that follows the sale.",
        "A commission that was paid on a refunded sale is recovered from the next statement.",
    ],
    "q4-bonuses.pdf": [
        "Whoever reaches 105 % of quota in the fourth quarter receives 2,500 USD.",
        "Managers approve the list before it is paid.",
    ],
    "q3-rates.pdf": ["North: 7.5 % up to 100,000 USD, 10 % above.", "South: 5 % up to 100,000 USD, 7 % above."],
}
SHARED = {"handbook.md": ["Employees may take thirty days of holiday.", "The office closes at six."]}


def listed(name: str, texts: Sequence[str], *, tags: tuple[str, ...] = ()) -> Listed:
    title = name.rsplit(".", 1)[0].replace("-", " ")
    chunks = [Chunk(n, text, 0, len(text), Place(page=n + 1), title) for n, text in enumerate(texts)]
    media_type = "application/pdf" if name.endswith("pdf") else "text/markdown"
    return Listed(name, media_type, Facts(title, tags=tags), chunks)


def corpus(shelf: dict[str, list[str]], embedder: Embedder | None, **tags: tuple[str, ...]) -> Corpus:
    documents = [listed(name, texts, tags=tags.get(name.split(".")[0], ())) for name, texts in shelf.items()]
    if embedder is None:
        return build_corpus(documents)
    vectors = embedder.embed(
        [text_to_embed(chunk, document.facts) for document in documents for chunk in document.chunks]
    )
    return build_corpus(documents, vectors, embedder.identity)


@pytest.fixture(scope="module")
def corpora(embedder: Embedder) -> list[Corpus]:
    return [corpus(OWN, embedder, policy=("legal", "2025")), corpus(SHARED, embedder)]


def names(hits: Sequence[Hit], corpora: Sequence[Corpus]) -> list[tuple[str, int]]:
    return [
        (corpora[hit.place.corpus].documents[hit.place.document].name, hit.place.chunk.place.page or 0) for hit in hits
    ]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When do I get my money?", ("policy.pdf", 1)),  # no word in common
        ("Are returns clawed back?", ("policy.pdf", 2)),
        ("What does 105 % of quota earn in Q4?", ("q4-bonuses.pdf", 1)),
        ("7.5%", ("q3-rates.pdf", 1)),
        ("What is the rate in the South?", ("q3-rates.pdf", 2)),
        ("How much vacation is there?", ("handbook.md", 1)),
    ],
)
def test_the_passage_with_the_answer_is_first(
    question: str, answer: tuple[str, int], corpora: list[Corpus], embedder: Embedder
) -> None:
    assert names(rank(question, corpora, embedder, NO_WORDS, limit=3), corpora)[0] == answer


def test_the_document_that_a_question_names_comes_first(corpora: list[Corpus], embedder: Embedder) -> None:
    hits = rank("Find information about Q4 performance bonuses", corpora, embedder, NO_WORDS, limit=2)

    assert [name for name, _ in names(hits, corpora)] == ["q4-bonuses.pdf"] * 2


def test_without_a_model_words_alone_find(corpora: list[Corpus]) -> None:
    hits = rank("recovered commission", corpora, None, NO_WORDS, limit=5)

    assert names(hits, corpora)[0] == ("policy.pdf", 2)
    assert [hit.why.cosine for hit in hits] == [None] * len(hits)
    assert rank("vacation", corpora, None, NO_WORDS, limit=5) == []


def test_a_corpus_without_vectors_is_searched_beside_one_with_them(embedder: Embedder) -> None:
    """The shared documents were indexed before the model came."""
    mixed = [corpus(OWN, embedder), corpus(SHARED, None)]

    assert names(rank("holiday of employees", mixed, embedder, NO_WORDS, limit=1), mixed) == [("handbook.md", 1)]
    assert names(rank("When do I get my money?", mixed, embedder, NO_WORDS, limit=1), mixed) == [("policy.pdf", 1)]


def test_vectors_of_another_model_are_not_compared(embedder: Embedder) -> None:
    other = replace(corpus(OWN, embedder), model="another model")
    hits = rank("recovered commission", [other], embedder, NO_WORDS, limit=5)

    assert [hit.why.cosine for hit in hits] == [None] * len(hits)
    assert names(hits, [other])[0] == ("policy.pdf", 2)


@pytest.mark.parametrize(
    ("filters", "documents"),
    [
        (Filters(documents=("policy.pdf",)), {"policy.pdf"}),
        (Filters(documents=("Q?-*",)), {"q3-rates.pdf", "q4-bonuses.pdf"}),
        (Filters(file_types=("md",)), {"handbook.md"}),
        (Filters(file_types=(".PDF",), documents=("*s.pdf",)), {"q3-rates.pdf", "q4-bonuses.pdf"}),
        (Filters(file_types=("text/markdown",)), {"handbook.md"}),
        (Filters(tags=("Legal",)), {"policy.pdf"}),
        (Filters(tags=("legal", "2024")), set[str]()),
        (Filters(documents=("nowhere.pdf",)), set[str]()),
    ],
)
def test_filters_let_only_their_documents_through(
    filters: Filters, documents: set[str], corpora: list[Corpus], embedder: Embedder
) -> None:
    hits = rank("commission holiday rate bonus", corpora, embedder, NO_WORDS, limit=20, filters=filters)

    assert {name for name, _ in names(hits, corpora)} == documents


def test_the_lexicon_leads_to_what_documents_say(corpora: list[Corpus]) -> None:
    lexicon = Lexicon([Term(("clawback",), ("recovered from the next statement",))])

    assert rank("clawback", corpora, None, NO_WORDS, limit=1) == []
    assert names(rank("clawback", corpora, None, lexicon, limit=1), corpora) == [("policy.pdf", 2)]


def test_the_same_said_twice_is_one_hit_that_names_both(embedder: Embedder) -> None:
    text = "Commission is paid monthly. The rate is 7 % for all territories, without exception."
    shelf = {"a.pdf": [text], "b.pdf": [text.replace("  ", " ").upper()], "c.pdf": [text.replace("7 %", "5 %")]}
    made = [corpus(shelf, embedder)]
    hits = rank("commission rate", made, embedder, NO_WORDS, limit=5)

    assert len(hits) == 2
    alike = next(hit for hit in hits if hit.alike)
    assert {alike.place.document, *(place.document for place in alike.alike)} == {0, 1}


def test_another_rate_is_another_statement(embedder: Embedder) -> None:
    """The old and the new rate sheet differ in one figure: both are shown."""
    shelf = {"2024.pdf": ["The rate is 7 % for all."], "2025.pdf": ["The rate is 5 % for all."]}
    made = [corpus(shelf, embedder)]

    assert len(rank("the rate for all", made, embedder, NO_WORDS, limit=5)) == 2


def test_a_hit_says_what_speaks_for_it(corpora: list[Corpus], embedder: Embedder) -> None:
    hit = rank("recovered commission in policy", corpora, embedder, NO_WORDS, limit=1)[0]

    assert hit.why.words[0] == "recov"
    assert set(hit.why.words) == {"recov", "commiss", "polici"}
    assert hit.why.cosine is not None
    assert hit.why.cosine > 0
    assert hit.why.routing > 0


def test_hits_come_best_first_and_at_most_as_many_as_asked_for(corpora: list[Corpus], embedder: Embedder) -> None:
    hits = rank("commission", corpora, embedder, NO_WORDS, limit=4)

    assert len(hits) == 4
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert rank("commission", [], embedder, NO_WORDS, limit=4) == []
    assert rank("", corpora, embedder, NO_WORDS, limit=4) is not None
    assert rank("commission", [build_corpus([])], embedder, NO_WORDS, limit=4) == []


def test_a_restored_corpus_ranks_the_same(corpora: list[Corpus], embedder: Embedder) -> None:
    again = [restore_corpus(made.documents, made.files(), made.model) for made in corpora]
    question = "When is commission paid?"

    assert rank(question, again, embedder, NO_WORDS, limit=5) == rank(question, corpora, embedder, NO_WORDS, limit=5)


def test_files_of_other_documents_are_refused(corpora: list[Corpus]) -> None:
    own, shared = corpora
    with pytest.raises(ValueError, match="other documents"):
        restore_corpus(own.documents, shared.files(), own.model)
    with pytest.raises(ValueError, match="missing"):
        restore_corpus(own.documents, {}, own.model)
    with pytest.raises(ValueError, match="one vector"):
        build_corpus(own.documents, np.zeros((1, 384), np.float32))


@pytest.mark.parametrize(
    ("place", "header", "embedded"),
    [
        (Place(page=1), "Annual plan | ABC Industries | 2025 2024 | plan", "Annual plan\ntext"),
        (
            Place(page=1, section=("Rates", "North")),
            "Annual plan | ABC Industries | 2025 | plan | Rates > North",
            "Annual plan | Rates > North\ntext",
        ),
        (
            Place(sheet="Q3", section=("Rates",)),
            "rates | 2025 | Q3 | Rates",
            "rates | Q3 | Rates\ntext",
        ),
        (Place(section=("Rates",)), "Rates", "Rates\ntext"),
        (Place(section=("Liquidity",)), "BESTBUY 2023 10K | BEST BUY CO., INC. | 2023 | Liquidity", "Liquidity\ntext"),
        (Place(page=1), "Form 10-K - 02/07/2019 - Best Buy", "text"),
        (Place(), "", "text"),
    ],
)
def test_a_passage_is_embedded_with_its_title_and_its_section(place: Place, header: str, embedded: str) -> None:
    """Not with what every passage of its document would share."""
    facts = Facts(header.split(" | ", maxsplit=1)[0], organisations=("BEST BUY CO., INC.",))

    assert text_to_embed(Chunk(0, "text", 0, 4, place, header), facts) == embedded


def test_a_named_document_is_not_crowded_out() -> None:
    """Five hundred passages of others say the same better; the company that was named is found all the same."""
    shelf = {f"c{number}_2022.pdf": ["Gross profit rose. Gross margin rose."] for number in range(500)}
    shelf |= {"ZEBRA_2022.pdf": ["Margins: see the following table of our net sales and cost of sales."]}
    made = [corpus(shelf, None)]
    found = rank("What is the gross margin of Zebra?", made, None, NO_WORDS, limit=1)

    assert names(found, made) == [("ZEBRA_2022.pdf", 1)]


def test_a_column_s_name_counts_once_however_many_rows_carry_it() -> None:
    rows = "\n".join(f"Payee: Number {number} | Accelerator: none" for number in range(12))
    shelf = {"payees.csv": [rows], "plan.md": ["The accelerator begins above quota. An accelerator is paid yearly."]}
    searched = [corpus(shelf, None)]

    assert names(rank("accelerator", searched, None, NO_WORDS, limit=2), searched) == [
        ("plan.md", 1),
        ("payees.csv", 1),
    ]


@pytest.mark.parametrize("other", ["Q3", "Q4 2025", "SKU-8848"])
def test_another_quarter_or_product_is_another_statement(other: str) -> None:
    text = "Whoever reaches the quota of the period with this product gets the bonus of the territory, paid in {}."
    shelf = {"a.md": [text.format("Q4 SKU-8847")], "b.md": [text.format(other)], "c.md": [text.format("q4 sku-8847")]}
    searched = [corpus(shelf, None)]
    hits = rank("quota bonus", searched, None, NO_WORDS, limit=5)

    assert sorted(len(hit.alike) for hit in hits) == [0, 1]
