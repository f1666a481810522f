from __future__ import annotations

import pytest

from commission_mcp.documents.facts import facts_of
from commission_mcp.documents.facts.times import dates_in
from commission_mcp.documents.facts.words import language_of
from commission_mcp.documents.model import Block, BlockKind, Facts, Place


def facts(name: str, *lines: str, **properties: str) -> Facts:
    blocks = [Block(BlockKind.PARAGRAPH, line, Place()) for line in lines] or [Block(BlockKind.ROW, "1 | 2", Place())]
    return facts_of(name, properties, blocks)


def test_a_file_name_tells_company_year_and_kind() -> None:
    found = facts("3M_2018_10K.pdf", "Form for the year ended December 31, 2018", "3M Company and its subsidiaries.")

    assert (found.organisations, found.years[0], found.category) == (("3M Company", "3M"), 2018, "report")


def test_a_squeezed_file_name_is_the_company_of_the_text() -> None:
    found = facts("AMERICANWATERWORKS_2020_10K.pdf", "American Water Works Company, Inc. is a utility.")

    assert found.organisations == (
        "American Water Works Company, Inc.",
        "American Water Works",
        "AMERICANWATERWORKS",
        "AWW",
    )


def test_a_company_that_the_text_never_names_is_known_by_the_file_name() -> None:
    assert facts("ACMECORP_2023Q2_10Q.pdf", "Nothing else.").organisations == ("ACMECORP",)


@pytest.mark.parametrize("name", ["policy.pdf", "q3-rates.pdf", "Rates_2026.xlsx", "report_2024.pdf", "test_2024.pdf"])
def test_words_for_documents_are_no_companies(name: str) -> None:
    assert facts(name, "The rates.").organisations == ()


def test_the_charter_name_of_a_filing_is_the_company() -> None:
    assert facts("a.pdf", "LINDEN\n(Exact name of registrant as specified in its charter)").organisations == ("LINDEN",)


@pytest.mark.parametrize(
    ("name", "text", "years"),
    [
        ("FY2018 plan.pdf", "", (2018,)),
        ("AMCOR_2023Q2_10Q.pdf", "in 2021 and 2022, 2022", (2023, 2022, 2021)),
        ("plan-fy26.docx", "", (2026,)),
        ("a.txt", "For the fiscal year ended June 30, 2019, and 2015, 2015.", (2019, 2015)),
        ("a.txt", "Room 2018b, 2,018 units, $2018, 2018.50 and 1066", ()),
        ("Q3'25 rates.pdf", "", (2025,)),
    ],
)
def test_years_are_told_from_other_numbers(name: str, text: str, years: tuple[int, ...]) -> None:
    assert facts(name, text or "x").years == years


def test_dates_are_iso_and_those_with_two_meanings_are_left_out() -> None:
    text = "2026-07-01, July 4th, 2026, 5. August 2026, 01.09.2026, 12/31/2026, 03/04/2026, 2026年10月2日, 31.02.2026"

    assert dates_in(text) == ("2026-07-01", "2026-07-04", "2026-08-05", "2026-09-01", "2026-12-31", "2026-10-02")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The commission is paid at the end of the month in which it is due.", "en"),
        ("Die Provision wird am Ende des Monats gezahlt, in dem sie fällig ist und nicht früher.", "de"),
        ("La commission est versée à la fin du mois pour les ventes qui sont conclues.", "fr"),
        ("La comisión se paga al final del mes por las ventas que se cierran en el trimestre.", "es"),
        ("コミッションは月末に支払われます。", "ja"),
        ("佣金于月末支付给销售人员。", "zh"),
        ("Комиссия выплачивается в конце месяца.", "ru"),
        ("A-1 | 450", ""),
    ],
)
def test_the_language_is_told_by_little_words_or_script(text: str, language: str) -> None:
    assert language_of(text) == language


def test_currencies_are_counted() -> None:
    assert facts("a.txt", "€5, EUR 7 and $3; C$2; THE END OF ALL").currencies == ("EUR", "USD", "CAD")


@pytest.mark.parametrize(
    ("name", "text", "category"),
    [
        ("q3-rates.pdf", "", "rates"),
        ("policy.pdf", "", "policy"),
        ("guidelines.docx", "", "guidelines"),
        ("q4-bonuses.pdf", "", "bonus"),
        ("performance-metrics.xlsx", "", "performance"),
        ("ABC_2024_10K.pdf", "", "report"),
        ("scan1.png", "This agreement between the contract parties; the agreement ends.", "contract"),
        ("x.txt", "Hello.", "other"),
    ],
)
def test_the_category_is_told_by_name_and_opening(name: str, text: str, category: str) -> None:
    assert facts(name, text or "x").category == category


def test_plan_names_come_from_columns_and_sentences() -> None:
    blocks = [
        Block(BlockKind.ROW, "Plan: North America Core | Rate: 5%", Place()),
        Block(
            BlockKind.PARAGRAPH,
            "Under the H2 2026 Growth Accelerator the plan pays more; this Commission Plan ends.",
            Place(),
        ),
    ]

    assert facts_of("a.txt", {}, blocks).plan_names == ("North America Core", "H2 2026 Growth Accelerator")


@pytest.mark.parametrize(
    ("name", "lines", "properties", "title"),
    [
        ("a/plan_rules-2026.txt", ("- long text. " * 20,), {}, "plan rules 2026"),
        ("a.txt", ("Commission policy", "Text."), {}, "Commission policy"),
        ("a.txt", ("Text.",), {"title": "Plan rules"}, "Plan rules"),
        ("pay plan.docx", ("It pays.",), {"title": "Microsoft Word - Document1.docx"}, "pay plan"),
        ("ACME_2020_10K.pdf", ("UNITED STATES", "SECURITIES AND EXCHANGE COMMISSION"), {}, "ACME 2020 10K"),
    ],
)
def test_the_title_is_the_best_that_is_there(
    name: str, lines: tuple[str, ...], properties: dict[str, str], title: str
) -> None:
    assert facts(name, *lines, **properties).title == title


def test_tags_come_from_folder_keywords_and_facts() -> None:
    found = facts("emea/rates/q3-rates_2026.pdf", "x", keywords="Commission, Sales; 0001410636-21")

    assert found.tags == ("emea", "rates", "commission", "sales", "q3", "2026")
