from __future__ import annotations

import pytest

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import BlockKind, Document, Place
from commission_mcp.documents.parsing import parse

SENTENCE = "Die Prämie beträgt 5 % für „Grün“ – zahlbar am Monatsende."
JAPANESE = "氏名,年齢\n佐藤太郎,30\n営業のルールとコミッション"


def read(name: str, content: bytes) -> Document:
    return parse(name, content, ReadingLimits(), None)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SENTENCE, "utf-8"),
        (SENTENCE, "utf-8-sig"),
        (SENTENCE, "utf-16"),
        (SENTENCE, "utf-16-le"),
        (SENTENCE, "cp1252"),
        (SENTENCE, "utf-32"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        ("销售佣金规则：每月支付百分之五", "gb18030"),
        ("Комиссия выплачивается ежемесячно", "cp1251"),
        ("Łódź i Śląsk: stawka 7,5 %, prowizja wypłacana co miesiąc", "cp1250"),
        ("Provize se vyplácí měsíčně, šestého dne, nejpozději však po třiceti dnech", "cp1250"),
        ("Œuvre complète, cœur du métier: la commission est payée au début de l’année d’après", "cp1252"),
        ("Größe des Lagers: 400 m², Rauminhalt 1200 m³, Fuß", "cp1252"),
        ("It’s “quoted” – naïve café", "cp1252"),
        ("‘Don’t’ – she said", "cp1252"),
    ],
)
def test_the_encoding_is_told_from_the_bytes(text: str, encoding: str) -> None:
    assert read("a.txt", text.encode(encoding)).blocks[0].text == text


def test_another_encoding_than_unicode_is_noted() -> None:
    assert read("a.txt", SENTENCE.encode("cp1252")).notes == ("Read as cp1252.",)


def test_paragraphs_are_blocks() -> None:
    assert [block.text for block in read("a.txt", b"one\ntwo\n\n  three\n").blocks] == ["one\ntwo", "three"]


def test_form_feeds_are_pages() -> None:
    document = read("a.txt", b"one\ftwo")

    assert (document.pages, [block.place.page for block in document.blocks]) == (2, [1, 2])


def test_markdown_headings_make_the_section_path() -> None:
    document = read("a.md", b"# Rates\nintro\n## North\nfive\n# Rules #\nlast\n\nOld\n---\nend")

    assert [(block.kind, block.text, block.place.section) for block in document.blocks] == [
        (BlockKind.HEADING, "Rates", ("Rates",)),
        (BlockKind.PARAGRAPH, "intro", ("Rates",)),
        (BlockKind.HEADING, "North", ("Rates", "North")),
        (BlockKind.PARAGRAPH, "five", ("Rates", "North")),
        (BlockKind.HEADING, "Rules", ("Rules",)),
        (BlockKind.PARAGRAPH, "last", ("Rules",)),
        (BlockKind.HEADING, "Old", ("Rules", "Old")),
        (BlockKind.PARAGRAPH, "end", ("Rules", "Old")),
    ]


def test_rows_of_a_markdown_table_carry_their_columns() -> None:
    document = read("a.md", b"# Rates\n\n| Territory | Rate |\n|:--|--:|\n| North | 5 % |\n| South | 7 % |")

    assert [block.text for block in document.blocks[1:]] == [
        "Territory: North | Rate: 5 %",
        "Territory: South | Rate: 7 %",
    ]
    assert document.blocks[1].place == Place(section=("Rates",), rows=(2, 2))
