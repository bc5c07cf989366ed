"""Excel's number formats."""

from __future__ import annotations

import pytest

from ingest.parsers.numbers import shown, shown_text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (1234.5, "General", "1234.5"),
        (0.1 + 0.2, "General", "0.3"),
        (25.0, "General", "25"),
        (1234.5, "#,##0.00", "1,234.50"),
        (1234567.0, "#,##0", "1,234,567"),
        (0.0, "#,##0", "0"),
        (0.256, "0%", "26%"),
        (0.256, "0.00%", "25.60%"),
        (7.0, "000", "007"),
        (2.5, "0.0##", "2.5"),
        (-1234.0, "#,##0;(#,##0)", "(1,234)"),
        (-5.0, "0.0", "-5.0"),
        (0.0, '0;-0;"none"', "none"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (1234.5, "[$€-407] #,##0.00", "€ 1,234.50"),
        (1234.5, '#,##0.00\\ "kg"', "1,234.50 kg"),
        (1234.5, '_-* #,##0.00 [$€-1]_-;-* #,##0.00 [$€-1]_-;_-* "-"?? [$€-1]_-', "1,234.50 €"),
        (5_300_000.0, '0.0,,"M"', "5.3M"),
        (12345.0, "0.00E+00", "1.23E+04"),
        (1.5, "# ?/?", "1.5"),
        (5.0, ";;;", ""),
        (150.0, '[>100]"high";"low"', "high"),
        (45474.0, "yyyy-mm-dd", "2024-07-01"),
        (45474.0, "d mmmm yyyy", "1 July 2024"),
        (45474.0, "dddd, mmm d", "Monday, Jul 1"),
        (45474.75, "m/d/yy h:mm", "7/1/24 18:00"),
        (0.75, "h:mm AM/PM", "6:00 PM"),
        (1.5, "[h]:mm", "36:00"),
        (0.000138888, "mm:ss.0", "00:12.0"),
        (59.0, "yyyy-mm-dd", "1900-02-28"),
        (61.0, "yyyy-mm-dd", "1900-03-01"),
        (-1.0, "yyyy-mm-dd", "-1"),
        (1e300, "0.00", "1" + "0" * 300),
        (1.5, "0." + "0" * 30, "1.5" + "0" * 29),
        (1e15, "0." + "0" * 14, "1" + "0" * 15 + "." + "0" * 14),
    ],
)
def test_numbers_as_they_are_shown(value: float, code: str, text: str) -> None:
    assert shown(value, code) == text


def test_the_other_calendar() -> None:
    assert shown(0.0, "yyyy-mm-dd", since_1904=True) == "1904-01-01"
    assert shown(2_957_003.0, "yyyy-mm-dd", since_1904=True) == "9999-12-31"
    assert shown(2_957_004.0, "yyyy-mm-dd", since_1904=True) == "2957004"


def test_words_may_have_a_format_too() -> None:
    assert shown_text("north", "General") == "north"
    assert shown_text("north", '"Region: "@') == "Region: north"
    assert shown_text("north", "0;-0;0;") == ""
