"""The tools through the client, over each kind of connection."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp.server import MCPServer

from commission_mcp.client import (
    AsyncCommissionClient,
    AuthError,
    CommissionClient,
    NotFoundError,
    RefusedError,
)
from commission_mcp.client.asynchronous import READS
from commission_mcp.server import build_server
from commission_mcp.tools import TOOLS

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from client.conftest import OpenClient, ServeHttp
    from conftest import Installation

pytestmark = pytest.mark.anyio

WAYS = ["stdio", "http", "process"]
SEED = {"sql": "SELECT * FROM commission_plans WHERE client_id = %s AND status = 'active'", "params": ["client-a"]}
PLAN = {
    "currency": "USD",
    "calculation_schedule": "Monthly",
    "rules": [
        {
            "category_type": "Flat",
            "value_type": "Percentage",
            "base_value": "Gross Revenue",
            "commission": Decimal("7.25"),
        }
    ],
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_older_dashboards_call_works_as_written(open_client: OpenClient, way: str) -> None:
    async with open_client(way) as client:
        answer = await client.execute_tool("query", SEED)

    assert answer["row_count"] == 1
    assert "Plan of client-a" in answer.text


@pytest.mark.parametrize("way", WAYS)
async def test_all_rows_come_page_by_page(open_client: OpenClient, way: str) -> None:
    async with open_client(way) as client:
        pages = [page async for page in client.pages("SELECT sale_id FROM sales ORDER BY sale_id", page_rows=150)]
        whole = await client.fetch_all("SELECT sale_id FROM sales ORDER BY sale_id")

    assert [len(page) for page in pages] == [150, 150, 100]
    assert [row for page in pages for row in page] == list(whole)
    assert not whole.truncated


async def test_an_answer_larger_than_a_megabyte_arrives_over_http(open_client: OpenClient) -> None:
    sql = "SELECT repeat('x', 1000) AS x, i FROM generate_series(1, 900) i"
    async with open_client("http") as client:
        assert len(await client.query(sql)) == 900


async def test_more_rows_than_wanted_are_refused(open_client: OpenClient) -> None:
    async with open_client("process") as client:
        with pytest.raises(ValueError, match="more than 100 rows"):
            await client.fetch_all("SELECT sale_id FROM sales ORDER BY sale_id", rows_max=100)


async def test_a_refusal_carries_its_problems(open_client: OpenClient) -> None:
    async with open_client("stdio") as client:
        with pytest.raises(RefusedError) as refused:
            await client.query("SELECT nam FROM payees")

    problem = refused.value.problems[0]
    assert (problem.code, problem.position) == ("E_SQL_COLUMN", 7)
    assert "`name`" in problem.fix


@pytest.mark.parametrize("way", WAYS)
async def test_what_does_not_exist_is_not_found(open_client: OpenClient, way: str) -> None:
    async with open_client(way) as client:
        with pytest.raises(NotFoundError, match="E_TOOL_UNKNOWN"):
            await client.execute_tool("querry")
        with pytest.raises(NotFoundError):
            await client.read("session://none")


async def test_a_resource_and_a_prompt_that_another_server_does_not_have_are_not_found(serve_http: ServeHttp) -> None:
    app = MCPServer(name="other").streamable_http_app(stateless_http=True)
    async with serve_http(app) as url, AsyncCommissionClient(url, environment={}) as client:
        with pytest.raises(NotFoundError):
            await client.read("nowhere://at-all")
        with pytest.raises(NotFoundError):
            await client.prompt("no_such_prompt")


async def test_a_role_that_lacks_is_an_error_of_authority(postgres_18: Installation) -> None:
    server = build_server(postgres_18.settings("client-a", roles="payee"))
    async with AsyncCommissionClient(server=server, environment={}) as client:
        with pytest.raises(AuthError) as refused:
            await client.query("SELECT 1")

    assert refused.value.codes == {"E_ROLE_REQUIRED"}


@pytest.mark.parametrize("way", WAYS)
async def test_schema_calculation_and_history_are_typed(open_client: OpenClient, way: str) -> None:
    async with open_client(way) as client:
        views = (await client.schema("payouts")).views
        sales = [{"amount": Decimal("1000.10"), "date": "2026-07-03", "payee": "p1"}]
        paid = await client.calculate_commission(PLAN, sales)
        session = (await client.chat_history("append", role="user", content='{"a": 1}', sources=["a.pdf"])).session_id
        read = await client.chat_history(session_id=session)
        listed = await client.chat_history("sessions")
        await client.chat_history("clear", session_id=session)

    assert views[0].columns[0].name == "client_id"
    assert (paid.total, paid.currency) == (Decimal("72.51"), "USD")
    assert paid.lines.column("amount") == [Decimal("72.51")]
    assert paid.statements.column("payable") == [Decimal("72.51")]
    assert [(message.role, message.content, message.sources) for message in read.messages] == [
        ("user", '{"a": 1}', ("a.pdf",))
    ]
    assert session in {each.session_id for each in listed.sessions}


async def test_a_plan_is_drafted_step_by_step(postgres_18: Installation) -> None:
    server = build_server(postgres_18.settings("client-a", roles="plan_author,approver"))
    async with AsyncCommissionClient(server=server, environment={}) as client:
        draft = await client.plan_wizard(
            phase=1, fields={"plan_name": "Drafted by a script", "valid_from": date(2027, 1, 1)}
        )
        listed = await client.plan_wizard("drafts")
        waiting = await client.decide_plan()
        await client.plan_wizard("cancel", draft_id=draft.draft_id)

    assert draft.plan_phase == 1
    assert draft.missing
    assert draft.next.tool == "plan_wizard"
    assert draft.draft_id in {each["draft_id"] for each in listed.drafts}
    assert "Drafted by a script" not in {each["plan_name"] for each in waiting.waiting}


async def test_health_and_clearing_are_typed(open_client: OpenClient) -> None:
    async with open_client("process") as client:
        health = await client.health()
        await client.query("SELECT 1")
        removed = await client.cache_clear("client")

    assert (health.status, health.degraded) == ("healthy", ())
    assert "postgresql" in health.versions
    assert removed >= 1


@pytest.mark.parametrize("way", WAYS)
async def test_resources_are_read_as_text(open_client: OpenClient, way: str) -> None:
    async with open_client(way) as client:
        assert "sold_on" in await client.read("schema://tables/sales")
        assert isinstance(await client.documents(), tuple)


async def test_calls_of_several_tasks_share_a_connection(open_client: OpenClient) -> None:
    answers: list[object] = []
    async with open_client("stdio") as client, anyio.create_task_group() as tasks:

        async def ask(number: int) -> None:
            answers.append((await client.query("SELECT $1::int", [number])).scalar())

        for number in range(10):
            tasks.start_soon(ask, number)

    assert sorted(answers, key=str) == list(range(10))


async def test_a_failure_in_the_block_arrives_as_it_is(open_client: OpenClient) -> None:
    with pytest.raises(KeyError):
        async with open_client("process"):
            raise KeyError


@pytest.mark.parametrize(("status", "kind"), [(401, AuthError), (403, AuthError)])
async def test_a_server_that_wants_another_token_is_an_error_of_authority(
    serve_http: ServeHttp, guard: Callable[[ASGIApp, int], ASGIApp], status: int, kind: type[Exception]
) -> None:
    async def unreachable(*_: object) -> None:
        raise AssertionError

    async with serve_http(guard(unreachable, status)) as url:
        with pytest.raises(kind) as refused:
            async with AsyncCommissionClient(url, token=lambda: "a-wrong-one", environment={}):
                pass
    assert "a-wrong-one" not in str(refused.value)


async def test_a_url_with_nothing_behind_it_is_not_found(serve_http: ServeHttp, postgres_18: Installation) -> None:
    app = build_server(postgres_18.settings("client-a")).streamable_http_app(stateless_http=True)
    async with serve_http(app, path="/nothing") as url:
        with pytest.raises(NotFoundError):
            async with AsyncCommissionClient(url, environment={}):
                pass


def test_both_clients_offer_the_same() -> None:
    def offered(kind: type) -> dict[str, str]:
        names = [name for name in vars(kind) if not name.startswith("_")] + ["__init__"]
        return {
            name: str(inspect.signature(getattr(kind, name))).replace("AsyncIterator", "Iterator")
            for name in names
            if callable(getattr(kind, name))
        }

    def described(kind: type) -> dict[str, str | None]:
        return {name: getattr(kind, name).__doc__ for name in vars(kind) if not name.startswith("_")}

    asynchronous, synchronous = offered(AsyncCommissionClient), offered(CommissionClient)
    assert synchronous.pop("close")
    assert asynchronous == synchronous
    docs = described(CommissionClient)
    assert {name: text for name, text in described(AsyncCommissionClient).items() if docs[name] != text} == {}


def test_what_is_sent_again_are_the_tools_that_only_read() -> None:
    reading = {tool.function.__name__ for tool in TOOLS if tool.annotations.read_only_hint}

    assert reading >= READS


def test_every_tool_has_a_method() -> None:
    assert [tool.function.__name__ for tool in TOOLS if not hasattr(CommissionClient, tool.function.__name__)] == []


def test_importing_the_client_loads_neither_the_protocol_nor_the_server() -> None:
    heavy = {"mcp", "pydantic", "anyio", "httpx2", "psycopg", "redis", "pglast", "pandas", "typer", "rich", "nanoarrow"}
    program = "import sys, commission_mcp.client; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()

    assert heavy & {name.split(".")[0] for name in loaded} == set()
    assert {name for name in loaded if name.startswith("commission_mcp.") and ".client" not in name} == {
        "commission_mcp.errors"
    }


async def test_documents_are_added_found_listed_and_read(postgres_18: Installation, tmp_path: Path) -> None:
    folders = {"documents_directory": tmp_path / "documents", "client_documents_directory": tmp_path / "own"}
    server = build_server(postgres_18.settings("client-a", roles="analyst,admin", **folders))
    text = b"# Accelerators\n\nAbove quota the rate for the EMEA region rises to nine percent."
    async with AsyncCommissionClient(server=server, environment={}) as client:
        added = await client.index_documents("add", name="rates/emea.md", content=text, wait_s=20)
        found = await client.rag_search("What is the rate above quota?")
        document = await client.read_document(found.passages[0].uri)
        listed = await client.documents()
        read = await client.read(listed[0].uri)

    assert "rates/emea.md" in added.message
    assert found.sources == ("client-a/rates/emea.md",)
    assert "nine percent" in document.text
    assert "nine percent" in read
    assert not document.truncated


async def test_the_trail_shows_what_was_called(postgres_18: Installation) -> None:
    server = build_server(postgres_18.settings("client-a", roles="analyst,auditor"))
    async with AsyncCommissionClient(server=server, environment={}) as client:
        await client.query("SELECT 1")
        trail = await client.audit_log(object="query", since=datetime(2020, 1, 1, tzinfo=UTC), limit=5)

    assert 0 < len(trail) <= 5
    assert "at" in trail.names
