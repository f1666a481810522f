from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commission_mcp.documents.masking import MASK, mask

PERSONAL = [
    "ann.o'hara+x@mail.example.co.uk",
    "jörg@bücher.example",
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "4111 1111 1111 1111",
    "5500-0000-0000-0004",
    "378282246310005",
    "123-45-6789",
    "QQ123456C".replace("QQ", "AB"),
    "RSSMRA85T10A562S",
    "12345678Z",
    "811228-9874",
    "2 55 08 14 168 025 38",
    "+49 30 901820-0",
    "+1 (212) 555-0100",
    "0044 20 7946 0958",
    "(212) 555-0100",
    "212-555-0100",
]

READABLE = [
    "2025-01-01",
    "01.02.2025",
    "1,234,567.89",
    "100 000 000",
    "1 000 000 000 000",
    "$4,111,111,111,111,111",
    "4111 1111 1111 1112",
    "5 % up to 100,000, 7.5 % above",
    "PLAN-2025-0001",
    "DE89 3704 0044 0532 0130 01",
    "INV-123-45-6789",
    "FY2024/2025",
    "192.168.100.100",
    "12:30-14:00",
    "3.14159265358979",
    "Q4 2025",
    "@channel",
    "12345678A",
    "Rates 2024-2025: 100-200-3000",
    "2025-10-11 12:13:14",
]


@pytest.mark.parametrize("value", PERSONAL)
@pytest.mark.parametrize("around", ["{}", "Write {} now.", "({})", "a: {}; b", "\n{}\n", "| {} |", "<{}>", "{},"])
def test_personal_data_is_masked_in_place(value: str, around: str) -> None:
    assert mask(around.format(value)) == around.format(MASK * len(value))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Tel.: 030 901820", "030 901820"),
        ("Phone 5550100 ext", "5550100"),
        ("Tax ID: 12 345 678 901", "12 345 678 901"),
        ("SSN 123456789", "123456789"),
        ("Passport no. C01X00T47", "C01X00T47"),
    ],
)
def test_a_number_that_is_named_is_masked_in_any_form(text: str, hidden: str) -> None:
    assert mask(text) == text.replace(hidden, MASK * len(hidden))


@pytest.mark.parametrize("text", READABLE)
def test_amounts_dates_and_ids_of_things_stay_readable(text: str) -> None:
    assert mask(text) == text
    assert mask(f"The value {text} counts.") == f"The value {text} counts."


@given(st.text(st.sampled_from("0123456789 -.+@()aBé\n:/DE"), max_size=200))
def test_a_mask_has_the_length_of_what_it_hides_and_masking_twice_changes_nothing_in_length(text: str) -> None:
    masked = mask(text)

    assert len(masked) == len(text)
    assert all(new in (old, MASK) for old, new in zip(text, masked, strict=True))


@pytest.mark.parametrize("unit", ["a", "1", "1 ", "a.", "+1", "A1", "12-", "@a", "tel ", "1-2@", "DE89 "])
def test_long_runs_take_linear_time(unit: str) -> None:
    """Two hundred thousand characters of anything are done before the suite's patience ends."""
    text = unit * (200_000 // len(unit))

    assert len(mask(text)) == len(text)
