"""Make the demo documents in `data/`: the same bytes on every run with the same libraries.

    python scripts/make_demo_documents.py [FOLDER]

The documents belong to the three companies of `commission_mcp.storage.demo` and agree with its plans: rates, tiers,
territories, products and people. The companies do not exist.
"""

from __future__ import annotations

import io
import json
import random
import re
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import docx
import openpyxl
from docx.shared import Pt
from openpyxl.styles import Font, PatternFill
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Rows: TypeAlias = "list[tuple[object, ...]]"
MADE = datetime(2026, 1, 5, 9)  # noqa: DTZ001 - the libraries take local times
ZIP_MADE = (2026, 1, 5, 9, 0, 0)
STYLE = """
body { font-family: sans-serif; font-size: 10pt; }
h1 { font-size: 18pt; } h2 { font-size: 13pt; }
th { font-weight: bold; text-align: left; padding: 2pt 14pt 2pt 0; } td { padding: 2pt 14pt 2pt 0; }
"""


def main(folder: Path) -> None:
    """Write every document under a folder."""
    makers = {**SHARED, **ABC, **EMEA, **JP}
    for name, content in makers.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sys.stdout.write(f"{len(content):>8,}  {name}\n")


def pdf(title: str, author: str, body: str, keywords: str = "") -> bytes:
    """A PDF of HTML."""
    import pymupdf  # noqa: PLC0415 - slow to import

    library: Any = pymupdf
    target = io.BytesIO()
    story = library.Story(f"<h1>{title}</h1>{body}", user_css=STYLE)
    writer = library.DocumentWriter(target)
    page = library.paper_rect("letter")
    more = 1
    while more:
        device = writer.begin_page(page)
        more, _ = story.place(library.Rect(*page) + (60, 54, -60, -54))
        story.draw(device)
        writer.end_page()
    writer.close()
    file = library.open(stream=target.getvalue(), filetype="pdf")
    stamp = MADE.strftime("D:%Y%m%d%H%M%SZ")
    file.set_metadata({"title": title, "author": author, "keywords": keywords, "creationDate": stamp, "modDate": stamp})
    file.subset_fonts()
    return bytes(file.tobytes(garbage=4, deflate=True, no_new_id=True))


def table(*rows: tuple[str, ...]) -> str:
    """An HTML table, its first row the header."""
    head = "".join(f"<th>{cell}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><tr>{head}</tr>{body}</table>"


def word(title: str, author: str, *parts: str | Rows, header: str = "", comment: tuple[str, str] = ("", "")) -> bytes:
    """A Word document: ``# headings``, paragraphs, and tables whose first row is the header."""
    file = docx.Document()
    style: Any = file.styles["Normal"]
    style.font.size = Pt(10.5)
    properties = file.core_properties
    properties.title, properties.author, properties.created, properties.modified = title, author, MADE, MADE
    file.sections[0].header.paragraphs[0].text = header
    file.add_heading(title, 0)
    for part in parts:
        if isinstance(part, list):
            _add_table(file, part)
        elif part.startswith("# "):
            file.add_heading(part[2:], 1)
        else:
            paragraph = file.add_paragraph(part)
            if comment[0] and comment[0] in part:
                file.add_comment(paragraph.runs, comment[1], author="Finance").timestamp  # noqa: B018 - the date is set below
    target = io.BytesIO()
    file.save(target)
    return _repacked(target.getvalue())


def _add_table(file: Any, rows: Rows) -> None:  # noqa: ANN401 - python-docx's document
    made = file.add_table(rows=0, cols=len(rows[0]), style="Light Grid Accent 1")
    for row in rows:
        for cell, text in zip(made.add_row().cells, row, strict=True):
            cell.text = str(text)


def workbook(title: str, author: str, **sheets: tuple[str, Rows, dict[int, str]]) -> bytes:
    """A workbook: each sheet with a title, rows whose first is the header, and the number formats of its columns."""
    book = openpyxl.Workbook()
    book.properties.title, book.properties.creator = title, author
    book.properties.created = book.properties.modified = MADE
    book.remove(book.worksheets[0])
    for name, (heading, rows, formats) in sheets.items():
        sheet = book.create_sheet(name.replace("_", " "))
        sheet.append((heading,))
        sheet["A1"].font = Font(bold=True, size=14)
        sheet.append(())
        for row in rows:
            sheet.append(row)
        for number, cell in enumerate(sheet[3], start=1):
            cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="DDEBF7")
            for below in sheet.iter_rows(min_row=4, min_col=number, max_col=number):
                below[0].number_format = formats.get(number, "General")
            sheet.column_dimensions[cell.column_letter].width = 20
    target = io.BytesIO()
    book.save(target)
    return _repacked(target.getvalue())


def _repacked(package: bytes) -> bytes:
    """An Office file without the time at which it was made."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist()):
            part = old.read(name)
            if name == "docProps/core.xml" or name.endswith("comments.xml"):
                part = re.sub(
                    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?=Z|\+00:00|<|\")", MADE.isoformat().encode(), part
                )
            new.writestr(zipfile.ZipInfo(name, ZIP_MADE), part, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def scan(*lines: str, kind: str = "PNG", angle: float = 0.4, seed: int = 1) -> bytes:
    """A page of text as a scanner gives it: grey, a little askew, with specks."""
    page = Image.new("L", (1240, 200 + 62 * len(lines)), 250)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        size = 46 if number == 0 else 32
        draw.text((110, 90 + 62 * number), line, fill=25, font=ImageFont.load_default(size))
    chance = random.Random(seed)  # noqa: S311 - specks, the same on every run
    for _ in range(250):
        x, y = chance.randrange(page.width), chance.randrange(page.height)
        draw.point((x, y), fill=chance.randrange(120, 220))
    page = page.rotate(angle, resample=Image.Resampling.BICUBIC, fillcolor=250).filter(ImageFilter.GaussianBlur(0.6))
    target = io.BytesIO()
    if kind == "JPEG":
        page.save(target, kind, dpi=(150, 150), quality=80)
    elif kind == "TIFF":
        page.convert("1", dither=Image.Dither.NONE).save(target, kind, dpi=(150, 150), compression="group4")
    else:
        page.quantize(16).save(target, kind, dpi=(150, 150), optimize=True)
    return target.getvalue()


TIERS_CORE = ("up to $100,000", "5%"), ("above $100,000 up to $250,000", "7%"), ("above $250,000", "10%")

ABC: dict[str, bytes] = {}
ABC["client-specific/client-abc/policy.pdf"] = pdf(
    "Sales Commission Policy",
    "ABC Industries, Sales Operations",
    """
<p>ABC Industries. Effective January 1, 2025; reviewed January 5, 2026. Applies to all account executives and their
managers in the territories North and South.</p>
<h2>1. Purpose</h2>
<p>This policy says who earns commissions, on what, when they are paid, and when they are taken back. The rates
themselves stand in the plan documents; where a plan and this policy differ, the plan wins.</p>
<h2>2. Eligibility</h2>
<p>Account executives and team managers are eligible from their first day. Employees on notice earn on sales that were
booked before their last working day. Support Plan renewals count as sales of the person who closed them; Shipping is
not commissionable.</p>
<h2>3. Standard rates: North America Core</h2>
<p>The plan North America Core pays marginal rates on the gross revenue that a payee is credited with in a calendar
month. Each rate applies only to the part of the revenue within its tier.</p>
"""
    + table(("Gross revenue of the month", "Rate"), *TIERS_CORE)
    + """
<p>Example: gross revenue of $300,000 in a month earns $100,000 x 5% + $150,000 x 7% + $50,000 x 10% = $20,500.</p>
<h2>4. Credits</h2>
<p>A sale is credited in full to the account executive of its territory unless a split was agreed in writing before the
order. The credits of one sale never add up to more than 100%.</p>
<h2>5. Calculation and payment</h2>
<p>Commissions are calculated monthly and paid in US dollars. Statements are available in the dashboard before payment,
and every line can be traced to its sale, its credit, its rule and its tier.</p>
<h2>6. Refunds and clawback</h2>
<p>A refund reduces the revenue of the month in which it is booked. If a customer cancels within 90 days, the commission
that was paid for the sale is taken back from the next payments, never more than 50% of one payment.</p>
<h2>7. Disputes</h2>
<p>Questions about a statement are raised within 60 days of payment at commissions@abc-industries.example or by
telephone, (212) 555-0148. Finance answers within ten working days; the Chief Revenue Officer decides in the end.</p>
<h2>8. Approval of plans</h2>
<p>Plans are drafted by Sales Operations, reviewed by Finance and Compliance, and approved by somebody who did not draft
them. No plan changes the rates of sales that were booked before its approval.</p>
""",
    "commission, policy, clawback",
)
ABC["client-specific/client-abc/q3-rates.pdf"] = pdf(
    "Q3 Sales Incentives: Rates for July to September 2025",
    "ABC Industries, Sales Operations",
    """
<p>ABC Industries, plan plan-123. Valid from July 1, 2025 to September 30, 2025. The incentive rewards Product A in the
territory North and Product B in the territory South; all other sales stay under North America Core.</p>
<h2>Rates by tier</h2>
<p>Marginal rates on the gross revenue of a month with the named product in the named territory.</p>
"""
    + table(
        ("Gross revenue of the month", "Rate"),
        ("up to $20,000", "6%"),
        ("above $20,000 up to $60,000", "8%"),
        ("above $60,000", "12%"),
    )
    + """
<h2>Where it applies</h2>
"""
    + table(
        ("Territory", "Product", "Priority", "Order"),
        ("North", "Product A", "priority_1", "1"),
        ("South", "Product B", "standard", "100"),
    )
    + """
<p>Example: an account executive in the North sells Product A for $50,000 in August 2025. The incentive pays
$20,000 x 6% + $30,000 x 8% = $3,600.</p>
<p>States of the North: New York, Massachusetts, Illinois, Washington. States of the South: Texas, Florida, Georgia.</p>
""",
    "rates, Q3, incentives",
)
ABC["client-specific/client-abc/q4-bonuses.pdf"] = pdf(
    "Q4 2026 Performance Bonuses",
    "ABC Industries, Sales Operations",
    """
<p>ABC Industries. For the fourth quarter of 2026, October 1 to December 31, 2026. The bonus is paid on top of the
commissions of North America Core, in February 2027.</p>
<h2>Tiered bonus</h2>
<p>The Q4 performance bonus depends on the attainment of the quarterly quota. It is a tiered structure: the base bonus of
the role is multiplied by the performance multiplier of the tier that the attainment reaches.</p>
"""
    + table(
        ("Quota attainment", "Performance multiplier", "Account executive", "Team manager"),
        ("below 80%", "0.00", "$0", "$0"),
        ("80% to below 100%", "0.50", "$1,250", "$2,000"),
        ("100% to below 120%", "1.00", "$2,500", "$4,000"),
        ("120% to below 150%", "1.50", "$3,750", "$6,000"),
        ("150% and above", "2.00", "$5,000", "$8,000"),
    )
    + """
<h2>Conditions</h2>
<p>The base bonus is $2,500 for account executives and $4,000 for team managers. Attainment is measured on gross revenue
as in the workbook performance-metrics.xlsx. Sales of Shipping do not count. A payee who joined during the quarter
receives the bonus in proportion to the days employed.</p>
<h2>Accelerator for Product B</h2>
<p>Payees in the South whose revenue with Product B grows by more than 25% against the fourth quarter of 2025 receive an
additional $1,000, whatever their attainment.</p>
<h2>Approval</h2>
<p>Approved by Finance on September 18, 2026, and by the Chief Revenue Officer on September 22, 2026.</p>
""",
    "bonus, Q4, performance, multiplier",
)
ABC["client-specific/client-abc/guidelines.docx"] = word(
    "Commission Guidelines for Managers",
    "ABC Industries, Sales Operations",
    "How to explain statements, settle splits and handle exceptions at ABC Industries.",
    "# Teams and territories",
    [
        ("Team", "Manager", "Territory", "States"),
        ("North 1", "Grace Holloway", "North", "New York, Massachusetts"),
        ("North 2", "Marcus Bell", "North", "Illinois, Washington"),
        ("South 1", "Lorena Vasquez", "South", "Texas"),
        ("South 2", "Dwight Carver", "South", "Florida, Georgia"),
    ],
    "# Splitting a sale",
    "Agree on a split before the order is booked, in writing, with both payees. The usual splits are 50/50 for a sale that two "
    "account executives won together and 70/30 where one of them only introduced the customer.",
    "# Explaining a payout",
    "Begin with the revenue of the month, then walk through the tiers: 5% on the first $100,000, 7% on what is above that up to "
    "$250,000, 10% on the rest. Show a refund in the month in which it was booked.",
    "# Exceptions",
    "Exceptions to the policy need the approval of Finance before they are promised. Put the request into the dashboard with "
    "the sale, the amount and the reason; allow five working days.",
    "# Whom to ask",
    "Questions about plans: plans@abc-industries.example. Questions about payments: Priya Raman, (212) 555-0173.",
    header="ABC Industries - internal",
    comment=("70/30", "Confirmed by the Chief Revenue Officer on 2025-11-03."),
)
_TERRITORY_ROWS: Rows = [
    (territory, product, low, high, rate)
    for territory in ("North", "South")
    for product in ("Product A", "Product B", "Product C", "Support Plan")
    for low, high, rate in ((0, 100_000, 0.05), (100_000, 250_000, 0.07), (250_000, None, 0.10))
]
ABC["client-specific/client-abc/rates.xlsx"] = workbook(
    "Commission rates 2026", "ABC Industries, Sales Operations",
    Rates_2026=("North America Core: rates on the gross revenue of a month",
                [("Territory", "Product", "From", "To", "Rate"), *_TERRITORY_ROWS],
                {3: '"$"#,##0', 4: '"$"#,##0', 5: "0%"}),
    Products=("Products and list prices",
              [("Product", "Family", "List price", "Commissionable"), ("Product A", "Equipment", 1180, "yes"),
               ("Product B", "Equipment", 2450, "yes"), ("Product C", "Equipment", 145.5, "yes"),
               ("Support Plan", "Services", 890, "yes"), ("Shipping", "Services", 85, "no")], {3: '"$"#,##0.00'}),
    History=("Earlier rates of North America Core",
             [("Valid from", "Valid to", "From", "Rate"), *[(datetime(2024, 7, 1), datetime(2024, 12, 31), low, rate)  # noqa: DTZ001 - a spreadsheet's date has no zone
              for low, rate in ((0, 0.04), (100_000, 0.06), (250_000, 0.09))]],
             {1: "yyyy-mm-dd", 2: "yyyy-mm-dd", 3: '"$"#,##0', 4: "0%"}),
)  # fmt: skip # rows stand as the document shows them
ABC["client-specific/client-abc/performance-metrics.xlsx"] = workbook(
    "Performance metrics", "ABC Industries, Sales Operations",
    Q4_2026_targets=("Quarterly quotas for the Q4 2026 performance bonuses",
                     [("Team", "Manager", "Territory", "Quota per account executive", "Team quota", "Weight Product B"),
                      ("North 1", "Grace Holloway", "North", 240_000, 1_200_000, 0.20),
                      ("North 2", "Marcus Bell", "North", 225_000, 1_125_000, 0.20),
                      ("South 1", "Lorena Vasquez", "South", 210_000, 1_050_000, 0.35),
                      ("South 2", "Dwight Carver", "South", 200_000, 800_000, 0.35)],
                     {4: '"$"#,##0', 5: '"$"#,##0', 6: "0%"}),
    Measures=("How performance is measured",
              [("Measure", "Definition", "Counts for"),
               ("Quota attainment", "Credited gross revenue of the quarter divided by the quota", "Q4 bonus, multiplier"),
               ("Product B growth", "Gross revenue with Product B against the same quarter of the year before", "Q4 accelerator"),
               ("Win rate", "Orders divided by offers of the quarter", "information only")], {}),
    Q4_2025_results=("Attainment in the fourth quarter of 2025",
                     [("Team", "Attainment", "Multiplier"), ("North 1", 1.08, 1.0), ("North 2", 0.94, 0.5),
                      ("South 1", 1.22, 1.5), ("South 2", 0.79, 0.0)], {2: "0%", 3: "0.00"}),
)  # fmt: skip # rows stand as the document shows them
ABC["client-specific/client-abc/signed-amendment.png"] = scan(
    "AMENDMENT 2 TO THE COMMISSION AGREEMENT",
    "between ABC Industries and its account executives, territory South",
    "1. From July 1, 2026 the credit for a sale of Product B in Florida",
    "   is shared: 60% to the account executive, 40% to the specialist.",
    "2. The tiers of North America Core stay as they are: 5%, 7% and 10%.",
    "3. This amendment ends on December 31, 2026.",
    "Signed: Dwight Carver, manager of South 2     June 24, 2026",
)

EMEA = {
    "client-specific/client-emea/margin-partnership.docx": word(
        "Margin Partnership 2026",
        "Meridian Europe, Vertriebssteuerung",
        "Meridian Europe pays one rate on the whole margin of a month; the rate rises with the margin. Valid from 1 July 2025 "
        "to 31 December 2026 in the regions DACH, Nordics, and UK and Ireland.",
        "# Rates",
        [
            ("Margin of the month", "Rate on the whole margin"),
            ("up to EUR 15,000", "6%"),
            ("above EUR 15,000 up to EUR 40,000", "8%"),
            ("above EUR 40,000", "11%"),
        ],
        "# Currencies",
        "Sales in British pounds and Swiss francs are converted to euros at the rate of the month in which they were booked.",
        "# Sensor Kit Units",
        "The plan Sensor Kit Units pays EUR 2.00 for each Sensor Kit up to 100 in a month and EUR 2.25 for each above.",
        header="Meridian Europe - vertraulich",
    ),
    "client-specific/client-emea/provisionssaetze.csv": (
        "Region;Plan;Bemessung;von;bis;Satz\r\n"
        "DACH;Margin Partnership;Marge im Monat;0,00 €;15.000,00 €;6 %\r\n"
        "DACH;Margin Partnership;Marge im Monat;15.000,00 €;40.000,00 €;8 %\r\n"
        "DACH;Margin Partnership;Marge im Monat;40.000,00 €;;11 %\r\n"
        "DACH;Sensor Kit Units;Stück im Monat;0;100;2,00 € je Stück\r\n"
        "DACH;Sensor Kit Units;Stück im Monat;100;;2,25 € je Stück\r\n"
    ).encode("cp1252"),
    "client-specific/client-emea/reisekosten-und-provision.txt": (
        "Reisekosten und Provision\r\n\r\n"
        "Meridian Europe, Vertriebssteuerung, Stand 5. Januar 2026.\r\n\r\n"
        "Reisekosten mindern die Marge nicht. Rabatte über 15 % bedürfen der Zustimmung der Regionalleitung; ohne sie zählt "
        "die Marge nur zur Hälfte.\r\n\r\n"
        "Rückfragen: Annika Brandt, Telefon +49 30 901820, provision@meridian-europe.example\r\n"
    ).encode("cp1252"),
}

JP = {
    "client-specific/client-jp/commission-terms.txt": (
        "コミッション規程\n\n"
        "さくら商事（Sakura Trading）　2026年1月5日\n\n"
        "すべての販売について、純売上高の3％をコミッションとして支払います。計算は毎月行い、翌月の給与とともに日本円で支払います。\n\n"
        "返品があった場合は、返品を計上した月の売上高から差し引きます。\n"
    ).encode("cp932"),
    "client-specific/client-jp/plan-flat.json": json.dumps({
        "plan": "Flat 3 %", "plan_id": "jp-plan-flat", "company": "Sakura Trading", "currency": "JPY",
        "valid_from": "2024-07-01", "valid_to": "2026-12-31", "base": "Net Revenue", "rate_percent": "3",
        "territories": ["Kanto", "Kansai"],
        "products": [{"product": "Tea Service", "list_price": "48,000 JPY"}, {"product": "Lacquerware", "list_price": "126,500 JPY"}],
        "rounding": "to the whole yen, half up",
    }, indent=2, ensure_ascii=False).encode(),
    "client-specific/client-jp/notice.jpg": scan(
        "NOTICE OF COMMISSION RATE",
        "Sakura Trading, January 5, 2026",
        "The commission rate for 2026 remains 3 percent of net revenue",
        "for Tea Service and Lacquerware, in Kanto and in Kansai.",
        "Haruka Mori, manager Japan", kind="JPEG", angle=-0.3, seed=2,
    ),
}  # fmt: skip # rows stand as the document shows them

_CALENDAR = "Period,Closes,Statement,Payment\n" + "".join(
    f"{year}-{month:02},{next_year}-{next_month:02}-03,{next_year}-{next_month:02}-10,{next_year}-{next_month:02}-25\n"
    for year, month in ((2026, month) for month in range(1, 13))
    for next_year, next_month in ((year + month // 12, month % 12 + 1),)
)

SHARED = {
    "glossary.md": b"""# Glossary of sales commissions

Terms as they are used in plans, statements and reports.

## Terms

| Term | Meaning |
|---|---|
| Accelerator | A higher rate for sales beyond a threshold |
| Attainment | What was sold, as a share of the quota |
| Clawback | Taking back a commission after a refund or cancellation |
| Cap | The most that a plan pays in a period |
| Credit | The share of a sale that counts for a payee |
| Draw | An advance on commissions; recoverable if it is offset later |
| Marginal tiers | Each rate applies to the part of the sales within its tier |
| Payee | Who earns the commission |
| Quota | The sales that are expected in a period |
| Slab | One rate applies to all sales; it is that of the tier which they reach |
| SPIFF | A short-term bonus for certain products |
| Split | A sale that is credited to several payees |

## Marginal tiers and slabs

With marginal tiers nobody earns less by selling more. With slabs the step from one rate to the next applies to all
sales of the period, so that a little more revenue may change the payout by a lot.
""",
    "payment-calendar-2026.csv": _CALENDAR.encode(),
    "plan-approval.txt": b"""Approval of commission plans

A plan passes four steps: draft, submitted, approved, active. Who drafted a plan cannot approve it.

A submitted plan names its owner, its validity, its base, its rates and its assignments. The approver sees what it would
have paid on the sales of the last three months, and what the plan before it paid.

An approved plan becomes active on its first day. Approved versions are never changed; a correction is a new version.
""",
    "plan-templates.json": json.dumps(
        {
            "templates": [
                {"name": "Flat", "use": "one rate on all revenue", "rate_percent": "3"},
                {
                    "name": "Marginal tiers",
                    "use": "higher rates for the part above a threshold",
                    "tiers": "5 / 7 / 10 %",
                },
                {"name": "Slab on margin", "use": "one rate on the whole margin of the month", "tiers": "6 / 8 / 11 %"},
                {"name": "Per unit", "use": "an amount for each unit sold", "amount": "2.00 a unit"},
            ]
        },
        indent=2,
    ).encode(),
    "dispute-form.tiff": scan(
        "COMMISSION DISPUTE FORM",
        "Name of payee, period, and the line of the statement",
        "What was expected, and why; attach the order",
        "Send it within 60 days of payment",
        kind="TIFF",
        angle=0.2,
        seed=3,
    ),
}

if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "data")
