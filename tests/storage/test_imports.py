from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, LiteralString, Protocol

import psycopg
import pytest

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage import Address, operations
from commission_mcp.storage.imports import Imported, Kind, import_rows
from commission_mcp.storage.imports.staging import Progress

pytestmark = pytest.mark.anyio

CLIENT = "client-a"


class Desk:
    """Imports files for one client, in a transaction that is taken back."""

    def __init__(self, connection: psycopg.AsyncConnection, folder: Path) -> None:
        self.connection = connection
        self.folder = folder

    async def imports(
        self, kind: Kind, text: str, *, source_system: str = "import", progress: Progress | None = None
    ) -> Imported:
        """Import a text."""
        path = self.folder / "rows.csv"
        path.write_text(text, encoding="utf-8")
        return await import_rows(self.connection, CLIENT, kind, path, source_system=source_system, progress=progress)

    async def refuses(self, kind: Kind, text: str) -> tuple[Problem, ...]:
        """Import a text that is refused; answers why."""
        with pytest.raises(Refused) as caught:
            await self.imports(kind, text)
        return caught.value.problems

    async def rows(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """Ask the database."""
        return await (await self.connection.execute(query)).fetchall()


class Installed(Protocol):
    """What the suite's fixtures hand over; only the address is used here."""

    address: Address


@pytest.fixture
async def desk(installation: Installed, tmp_path: Path) -> AsyncIterator[Desk]:
    async with operations(installation.address) as connection, connection.transaction(force_rollback=True):
        yield Desk(connection, tmp_path)


def places(problems: tuple[Problem, ...]) -> list[tuple[Code, str]]:
    return [(problem.code, problem.path) for problem in problems]


SALE = "source_key,sold_on,gross,territory,product,payee,credits,reverses,quantity\n"


async def test_sales_are_imported_with_names_defaults_credits_and_reversals(desk: Desk) -> None:
    done = await desk.imports(
        Kind.SALES,
        SALE
        + "r1,2026-01-05,-100.50,north,pa,client-a-p1,,k2,\n"
        + "k2,2026-01-02,100.50,North of client-a,Product A of client-a,client-a-p1,,,\n"
        + "k3,2026-01-03,40,,,,client-a-p1:0.6;client-a-p2:0.4,,7\n",
    )

    assert done == Imported(Kind.SALES, rows_read=3, inserted=3, updated=0, unchanged=0)
    assert await desk.rows(
        "SELECT sale_id, reverses_sale_id, territory_id, product_id, quantity::text, gross::text, net::text, currency "
        "FROM cm.sale WHERE client_id = 'client-a' AND source_system = 'import' ORDER BY source_key"
    ) == [
        ("import:k2", None, "north", "pa", "1", "100.50", "100.50", "USD"),
        ("import:k3", None, None, None, "7", "40", "40", "USD"),
        ("import:r1", "import:k2", "north", "pa", "-1", "-100.50", "-100.50", "USD"),
    ]
    assert await desk.rows(
        "SELECT payee_id, credit_role, share::text FROM cm.credit WHERE client_id = 'client-a' "
        "AND sale_id = 'import:k3' ORDER BY 1"
    ) == [("client-a-p1", "split", "0.6"), ("client-a-p2", "split", "0.4")]


async def test_importing_the_same_file_again_changes_nothing(desk: Desk) -> None:
    text = SALE + "k1,2026-01-02,100.50,north,pa,client-a-p1,,,\nk2,2026-01-02,5,,,,client-a-p1:0.5;client-a-p2:0.5,,\n"
    versions = "SELECT relation, version FROM cm.data_version WHERE client_id = 'client-a' ORDER BY 1"
    await desk.imports(Kind.SALES, text)
    before = await desk.rows(versions)

    again = await desk.imports(Kind.SALES, text.replace("100.50", "100.5"))

    assert again == Imported(Kind.SALES, rows_read=2, inserted=0, updated=0, unchanged=2)
    assert await desk.rows(versions) == before


async def test_a_sale_that_is_there_may_not_change(desk: Desk) -> None:
    text = SALE + "k1,2026-01-02,100,north,pa,client-a-p1,,,\n"
    await desk.imports(Kind.SALES, text)

    problems = await desk.refuses(Kind.SALES, text.replace("100", "120").replace("p1", "p2"))

    assert places(problems) == [(Code.IMPORT_CONFLICT, "line 2, column source_key")]
    assert "gross, net, credits" in problems[0].message


async def test_a_refund_may_name_a_sale_of_an_earlier_import(desk: Desk) -> None:
    await desk.imports(Kind.SALES, SALE + "k1,2026-01-02,100,,,,,,\n", source_system="crm")
    await desk.imports(Kind.SALES, SALE + "k9,2026-02-02,-100,,,,,k1,\n", source_system="crm")

    assert await desk.rows("SELECT reverses_sale_id FROM cm.sale WHERE sale_id = 'crm:k9'") == [("crm:k1",)]


async def test_every_wrong_cell_is_named_at_once_and_nothing_is_written(desk: Desk) -> None:
    problems = await desk.refuses(
        Kind.SALES,
        SALE
        + "k1,2026-01-02,100,north,pa,client-a-p1,,,\n"
        + ",02/01/2026,1e5,nort,pa,client-a-p1,,,\n"
        + "k3,2026-01-02,-10,north,pz,nobody,,nothing,\n"
        + "k4,2026-01-02,10,,,client-a-p1,client-a-p1:1,k1,\n",
    )

    assert places(problems) == [
        (Code.IMPORT_VALUE, "line 3, column source_key"),
        (Code.IMPORT_VALUE, "line 3, column sold_on"),
        (Code.IMPORT_VALUE, "line 3, column gross"),
        (Code.IMPORT_REFERENCE, "line 3, column territory"),
        (Code.IMPORT_REFERENCE, "line 4, column product"),
        (Code.IMPORT_REFERENCE, "line 4, column payee"),
        (Code.IMPORT_REFERENCE, "line 4, column reverses"),
        (Code.IMPORT_VALUE, "line 5, column credits"),
        (Code.IMPORT_VALUE, "line 5, column gross"),
    ]
    assert "Did you mean north" in problems[3].fix
    assert await desk.rows("SELECT count(*) FROM cm.sale WHERE source_system = 'import'") == [(0,)]


async def test_names_of_another_client_are_unknown_and_never_suggested(desk: Desk) -> None:
    problems = await desk.refuses(Kind.SALES, SALE + "k1,2026-01-02,1,North of client-b,,client-b-p1,,,\n")

    assert [problem.code for problem in problems] == [Code.IMPORT_REFERENCE] * 2
    assert all("client-b" not in problem.fix for problem in problems)


async def test_a_thousand_problems_are_listed_and_all_are_counted(desk: Desk) -> None:
    problems = await desk.refuses(Kind.SALES, SALE + "".join(f"k{i},2026-01-02,x,zz,,,,,\n" for i in range(1200)))

    assert len(problems) == 1001
    assert problems[-1].message.startswith("2400 problems")


async def test_one_key_with_different_rows_is_a_conflict_and_the_same_row_twice_is_one(desk: Desk) -> None:
    line = "k1,2026-01-02,100.0,north,pa,client-a-p1,,,\n"

    problems = await desk.refuses(Kind.SALES, SALE + line + "k2,2026-01-02,1,,,,,,\n" + line.replace("100", "101"))
    done = await desk.imports(Kind.SALES, SALE + line + line.replace("100.0", "100"))

    assert places(problems) == [(Code.IMPORT_CONFLICT, "line 4, column source_key")]
    assert "line 2 and line 4" in problems[0].message
    assert (done.rows_read, done.inserted) == (2, 1)


async def test_a_sale_id_belongs_to_one_sale(desk: Desk) -> None:
    header = "source_key,sale_id,sold_on,gross\n"

    problems = await desk.refuses(
        Kind.SALES, header + "a,client-a-s1,2026-01-01,1\nb,same,2026-01-01,1\nc,same,2026-01-01,1\n"
    )

    assert places(problems) == [(Code.IMPORT_CONFLICT, f"line {line}, column sale_id") for line in (2, 3, 4)]


async def test_an_unknown_currency_is_refused(desk: Desk) -> None:
    problems = await desk.refuses(Kind.SALES, "source_key,sold_on,gross,currency\na,2026-01-01,1,usd\n")

    assert problems[0].code is Code.IMPORT_REFERENCE
    assert "USD" in problems[0].fix


async def test_masters_are_added_updated_and_left_alone(desk: Desk) -> None:
    header = "payee_id,name,hired_on,team\n"
    first = await desk.imports(Kind.PAYEES, header + "n1,Ada,2020-01-01,North\nn2,Bob,2020-01-01,\n")
    second = await desk.imports(Kind.PAYEES, header + "n1,Ada L,2020-01-01,\nn2,Bob,2020-01-01,\nn3,C,2020-01-01,\n")

    assert (first.inserted, first.updated, first.unchanged) == (2, 0, 0)
    assert (second.inserted, second.updated, second.unchanged) == (1, 1, 1)


async def test_a_column_that_a_file_lacks_stays_as_it_is(desk: Desk) -> None:
    await desk.imports(Kind.PAYEES, "payee_id,name,hired_on,team,salary\nn1,Ada,2020-01-01,North,50000\n")
    await desk.imports(Kind.PAYEES, "payee_id,name,hired_on,team\nn1,Ada,2020-01-01,\n")

    assert await desk.rows("SELECT team, salary::text, currency FROM cm.payee WHERE payee_id = 'n1'") == [
        (None, "50000", "USD")
    ]


async def test_a_payee_cannot_leave_before_the_first_day(desk: Desk) -> None:
    problems = await desk.refuses(Kind.PAYEES, "payee_id,name,hired_on,left_on\nn1,Ada,2020-01-02,2020-01-01\n")

    assert places(problems) == [(Code.IMPORT_VALUE, "line 2, column left_on")]


async def test_a_parent_may_stand_further_down_and_be_named_by_its_name(desk: Desk) -> None:
    text = "territory_id,name,parent\nt1,Texas,Southwest\nt2,Southwest,\n"

    done = await desk.imports(Kind.TERRITORIES, text)
    again = await desk.imports(Kind.TERRITORIES, text)

    assert done.inserted == again.unchanged == 2
    assert await desk.rows("SELECT parent_id FROM cm.territory WHERE territory_id = 't1'") == [("t2",)]


async def test_a_tree_has_no_circle_and_a_name_belongs_to_one(desk: Desk) -> None:
    circle = await desk.refuses(Kind.PRODUCTS, "product_id,name,parent\nx,X,y\ny,Y,z\nz,Z,x\n")
    taken = await desk.refuses(Kind.PRODUCTS, "product_id,name\nx,X\ny,X\nz,Product A of client-a\n")

    assert places(circle) == [(Code.IMPORT_CONFLICT, f"line {line}, column parent") for line in (2, 3, 4)]
    assert places(taken) == [(Code.IMPORT_CONFLICT, f"line {line}, column name") for line in (2, 3, 4)]


async def test_products_take_flags_and_units_their_names(desk: Desk) -> None:
    await desk.imports(Kind.PRODUCTS, "product_id,name,commissionable\nx,X,no\ny,Y,\n")
    done = await desk.imports(Kind.UOMS, "uom,name\nEA,Each one\nBX,Box\n")

    assert (done.inserted, done.updated) == (1, 1)
    assert await desk.rows(
        "SELECT product_id, commissionable FROM cm.product WHERE product_id IN ('x', 'y') ORDER BY 1"
    ) == [("x", False), ("y", True)]


QUOTA = "source_key,payee,measure,starts_on,ends_on,amount,currency\n"


async def test_quotas_cover_days_inclusively_and_do_not_overlap(desk: Desk) -> None:
    text = QUOTA + "q1,client-a-p1,Units,2026-01-01,2026-03-31,100,\nq2,client-a-p1,Units,2026-04-01,2026-06-30,90,\n"
    done = await desk.imports(Kind.QUOTAS, text)
    again = await desk.imports(Kind.QUOTAS, text.replace(",90,", ",95,"))
    problems = await desk.refuses(Kind.QUOTAS, QUOTA + "q3,client-a-p1,Units,2026-03-31,2026-03-31,100,\n")

    assert (done.inserted, again.updated, again.unchanged) == (2, 1, 1)
    assert places(problems) == [(Code.IMPORT_CONFLICT, "line 2, column starts_on")]
    assert await desk.rows("SELECT span::text, amount::text FROM cm.quota WHERE source_key = 'q2'") == [
        ("[2026-04-01,2026-07-01)", "95")
    ]


async def test_what_was_collected_for_a_sale_may_follow_once(desk: Desk) -> None:
    header = "source_key,sold_on,gross,collected\n"
    await desk.imports(Kind.SALES, header + "c1,2026-01-02,100,\nc2,2026-01-02,50,0\n")
    followed = await desk.imports(Kind.SALES, header + "c1,2026-01-02,100,60.5\nc2,2026-01-02,50,0\n")
    older = await desk.imports(Kind.SALES, header + "c1,2026-01-02,100,\n")
    changed = await desk.refuses(Kind.SALES, header + "c1,2026-01-02,100,61\nc2,2026-01-02,50,1\n")

    assert (followed.updated, followed.unchanged, older.unchanged) == (1, 1, 1)
    assert places(changed) == [
        (Code.IMPORT_CONFLICT, "line 2, column source_key"),
        (Code.IMPORT_CONFLICT, "line 3, column source_key"),
    ]
    assert await desk.rows(
        "SELECT source_key, collected::text FROM cm.sale WHERE client_id = 'client-a' AND source_key ~ '^c' ORDER BY 1"
    ) == [("c1", "60.5"), ("c2", "0")]


LINE = "payee,manager,valid_from,valid_to\n"
P1, P2, P3 = "client-a-p1", "client-a-p2", "client-a-p3"


async def test_a_reporting_line_ends_and_another_begins_in_one_file(desk: Desk) -> None:
    await desk.rows("DELETE FROM cm.reports_to WHERE client_id = 'client-a' RETURNING 1")
    first = await desk.imports(Kind.REPORTING_LINES, LINE + f"{P1},{P2},2026-01-01,\n")
    again = await desk.imports(Kind.REPORTING_LINES, LINE + f"{P1},{P2},2026-01-01,\n")
    moved = await desk.imports(
        Kind.REPORTING_LINES, LINE + f"{P1},{P3},2026-07-01,\n{P1},{P2},2026-01-01,2026-06-30\n{P2},{P3},2026-01-01,\n"
    )

    assert (first.inserted, again.unchanged, moved.inserted, moved.updated) == (1, 1, 2, 1)
    assert await desk.rows(
        "SELECT payee_id, manager_id, valid::text, source_key FROM cm.reports_to WHERE client_id = 'client-a'"
        " ORDER BY 1, 3"
    ) == [
        (P1, P2, "[2026-01-01,2026-07-01)", f"{P1}@2026-01-01"),
        (P1, P3, "[2026-07-01,)", f"{P1}@2026-07-01"),
        (P2, P3, "[2026-01-01,)", f"{P2}@2026-01-01"),
    ]


async def test_nobody_has_two_managers_or_is_above_himself_on_any_day(desk: Desk) -> None:
    await desk.rows("DELETE FROM cm.reports_to WHERE client_id = 'client-a' RETURNING 1")
    await desk.imports(Kind.REPORTING_LINES, LINE + f"{P1},{P2},2026-01-01,2026-06-30\n")
    itself = await desk.refuses(Kind.REPORTING_LINES, LINE + f"{P1},{P1},2027-01-01,\n")
    two = await desk.refuses(Kind.REPORTING_LINES, LINE + f"{P1},{P3},2026-06-30,\n")
    circle = await desk.refuses(
        Kind.REPORTING_LINES, LINE + f"{P2},{P3},2026-01-01,\n{P3},{P1},2026-06-30,2026-12-31\n"
    )
    backwards = await desk.refuses(Kind.REPORTING_LINES, LINE + f"{P2},{P3},2026-02-01,2026-01-01\n")
    unknown = await desk.refuses(Kind.REPORTING_LINES, LINE + f"{P2},nobody,2026-02-01,\n")
    later = await desk.imports(Kind.REPORTING_LINES, LINE + f"{P2},{P3},2026-01-01,\n{P3},{P1},2026-07-01,\n")

    assert places(itself) == [(Code.IMPORT_VALUE, "line 2, column manager")]
    assert places(two) == [(Code.IMPORT_CONFLICT, "line 2, column valid_from")]
    assert places(circle) == [
        (Code.IMPORT_CONFLICT, "line 2, column manager"),
        (Code.IMPORT_CONFLICT, "line 3, column manager"),
    ]
    assert "2026-06-30" in circle[0].message
    assert places(backwards) == [(Code.IMPORT_VALUE, "line 2, column valid_to")]
    assert places(unknown) == [(Code.IMPORT_REFERENCE, "line 2, column manager")]
    assert later.inserted == 2  # from the day on which the first line has ended there is no circle


async def test_names_that_are_exchanged_in_one_file_are_refused_with_a_way_out(desk: Desk) -> None:
    header = "territory_id,name\n"
    await desk.imports(Kind.TERRITORIES, header + "t1,One\nt2,Two\n")

    problems = await desk.refuses(Kind.TERRITORIES, header + "t1,Two\nt2,One\n")

    assert problems[0].code is Code.IMPORT_CONFLICT


async def test_an_unknown_client_or_a_wrong_source_system_is_refused(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("uom,name\na,A\n", encoding="utf-8")

    with pytest.raises(Refused) as unknown:
        await import_rows(desk.connection, "nobody", Kind.UOMS, path)
    with pytest.raises(Refused) as wrong:
        await desk.imports(Kind.UOMS, "uom,name\na,A\n", source_system="a:b")

    assert unknown.value.problems[0].code is Code.CLIENT_UNKNOWN
    assert wrong.value.problems[0].code is Code.ARGUMENT


async def test_twenty_thousand_sales_are_imported_with_progress(desk: Desk) -> None:
    told: list[tuple[int, int | None]] = []

    def progress(rows: int, total: int | None) -> None:
        told.append((rows, total))

    lines = (f"b{i},2026-01-02,{i}.25,north,pa,client-a-p{1 + i % 6},,,\n" for i in range(20_000))

    done = await desk.imports(Kind.SALES, SALE + "".join(lines), progress=progress)

    assert done.inserted == 20_000
    assert told[0] == (5000, None)
    assert told[-1] == (20_000, 20_000)
    assert await desk.rows(
        "SELECT count(*), sum(gross)::text FROM cm.sale WHERE client_id = 'client-a' AND source_system = 'import'"
    ) == [(20_000, "199995000.00")]
