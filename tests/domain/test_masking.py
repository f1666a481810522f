from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commission_mcp.domain.masking import COVER, Personal, findings, mask

PERSONAL = [
    (Personal.EMAIL, "grace.holloway@abc-industries.example"), (Personal.EMAIL, "o'neil+spiff@mail.co.uk"),
    (Personal.PHONE, "+1 415 555 0132"), (Personal.PHONE, "(415) 555-0132"), (Personal.PHONE, "415-555-0132"),
    (Personal.PHONE, "+49 30 901820"), (Personal.PHONE, "+81-3-3210-7000"), (Personal.PHONE, "020 7946 0018"),
    (Personal.PHONE, "03-3210-7000"), (Personal.PHONE, "0151 23456789"), (Personal.PHONE, "+44 (20) 7946 0018"),
    (Personal.IBAN, "DE89 3704 0044 0532 0130 00"), (Personal.IBAN, "GB29NWBK60161331926819"),
    (Personal.IBAN, "FR14 2004 1010 0505 0001 3M02 606"), (Personal.IBAN, "NO9386011117947"),
    (Personal.CARD, "4111 1111 1111 1111"), (Personal.CARD, "5500000000000004"), (Personal.CARD, "3782 822463 10005"),
    (Personal.NATIONAL_ID, "123-45-6789"), (Personal.NATIONAL_ID, "AB 12 34 56 C"),
    (Personal.NATIONAL_ID, "RSSMRA85T10A562S"),
    (Personal.NATIONAL_ID, "12345678Z"), (Personal.NATIONAL_ID, "X1234567L"),
    (Personal.NATIONAL_ID, "2 55 08 14 168 025 38"), (Personal.NATIONAL_ID, "811228-9874"),
    (Personal.PHONE, "0044 20 7946 0958"), (Personal.EMAIL, "jörg@bücher.example"),
]  # fmt: skip # short samples, some to a line

NEAR_MISSES = [
    "paid 1,234,567.89 USD", "a quota of 250000", "from 100,000 to 250,000", "$4,287.50", "1.234.567,89 EUR",
    "2026-07-01", "07/01/2026", "01.07.2026", "2024-2025", "2019 - 2024", "plan-123", "plan-growth-2026",
    "INV-2024-001", "SKU-8847", "0.075", "7.5 %", "page 12 of 345", "12:30:45", "10.20.30.40", "v1.2.3",
    "5/7/10", "123456789", "100-00-0000", "000-12-3456", "4111 1111 1111 1112", "DE89 3704 0044 0532 0130 01",
    "XX89 3704 0044 0532 0130 00", "12345678A", "TXN-98765-2024", "2024-12-5678",
    "9700dc99-6685-40b4-9a3a-5e406dcb37f3", "0000 0000 0000 0000", "1 234 567 890 123", "2018 2017 2016 2015",
    "32,765 31,657 30,109", "user at example dot com", "@territory north", "Q3/2025", "(1,577) (1,373)",
    "AB123456", "rule 12.3.4.5", "abc-il-0042", "01-02-03", "2025-07-01 - 2025-09-30", "00 00 43",
    "3.1415926535", "North 1", "811228-9875", "INV-123-45-6789", "2025-10-11 12:13:14",
    "100-200-3000", "123 45 6789", "1,234 567 8901",
]  # fmt: skip # short samples, some to a line


@pytest.mark.parametrize(("kind", "text"), PERSONAL)
@pytest.mark.parametrize("frame", ["{}", "Ask {} about it.", "({})", "Contact:\t{}\n", "a {}, b", "{} USD"])
def test_personal_data_is_covered_whole(kind: Personal, text: str, frame: str) -> None:
    whole = frame.format(text)

    assert kind in {finding.kind for finding in findings(whole)}
    assert mask(whole) == frame.format("".join(COVER if char.isalnum() else char for char in text))


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_amounts_dates_and_ids_stay(text: str) -> None:
    assert mask(f"It says {text} here; {text}.") == f"It says {text} here; {text}."


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Tel.: 555 01 32 44", "555 01 32 44"),
        ("電話: 3210-7000", "3210-7000"),
        ("SSN 123 45 6789", "123 45 6789"),
        ("マイナンバー 1234 5678 9018", "1234 5678 9018"),
        ("Steuer-ID: 86 095 742 719", "86 095 742 719"),
        ("SSN 123456789", "123456789"),
        ("Tax ID: 12 345 678 901", "12 345 678 901"),
        ("Passport no. C01X00T47", "C01X00T47"),
    ],
)
def test_numbers_that_only_their_label_tells_are_covered(text: str, number: str) -> None:
    assert mask(text) == text.replace(number, "".join(COVER if char.isalnum() else char for char in number))


@given(
    st.text() | st.lists(st.sampled_from([text for _, text in PERSONAL] + NEAR_MISSES + [" ", "\n", "-"])).map("".join)
)
def test_the_length_stays_and_only_letters_and_digits_change(text: str) -> None:
    covered = mask(text)

    assert len(covered) == len(text)
    assert all(
        after in {before, COVER} and (after == before or before.isalnum())
        for before, after in zip(text, covered, strict=True)
    )


@given(st.text(max_size=300))
def test_a_masked_text_holds_nothing_more_to_mask(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 20_000 + "@",
        "1 " * 20_000,
        "+1" * 10_000,
        "a.b@" * 8_000,
        "0 11 " * 8_000,
        "DE12 " * 8_000,
        "tel: 1" + " " * 20_000,
        "x@" + "a-" * 10_000,
        "(" * 20_000,
        "1-" * 20_000,
        "A" * 20_000,
    ],
)
def test_no_text_makes_masking_slow(text: str) -> None:
    """Patterns that go back and forth would not end on such texts."""
    assert len(mask(text)) == len(text)
