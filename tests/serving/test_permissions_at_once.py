"""What somebody may do is changed in the middle of their session: it counts from the next call on, caches or not."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from commission_mcp.domain.caller import MaskingClass, Role
from commission_mcp.storage import Client, LoginLimits, add_client, administration, operations, set_active
from commission_mcp.storage.masks import MaskRule, clear_mask_rule, set_mask_rule
from commission_mcp.storage.users import User, set_user

if TYPE_CHECKING:
    from mcp.client import Client as McpClient
    from mcp.types import CallToolResult

    from conftest import Connect, Installation
    from serving.conftest import HttpServer

pytestmark = pytest.mark.anyio

MAILS = ("query", {"sql": "SELECT email FROM payees ORDER BY payee_id"})
PAGED = {"sql": "SELECT email FROM payees ORDER BY payee_id", "max_rows": 1}


@dataclass(frozen=True)
class Session:
    """Two open sessions of grace, over HTTP and in memory, of a client of the test's own."""

    installation: Installation
    client_id: str
    clients: tuple[McpClient, ...]

    async def grant(self, *roles: Role, active: bool = True) -> None:
        """Set what grace may do, as the issuer of the tokens and the operator of stdio know her."""
        async with operations(self.installation.address) as connection:
            for issuer in ("commission-mcp", "local"):
                user = User(f"grace-{issuer}", issuer, "grace", frozenset(roles), active)
                await set_user(connection, self.client_id, user)

    async def activate(self, *, active: bool) -> None:
        """Enable or disable the client."""
        async with administration(self.installation.address) as connection:
            await set_active(connection, self.client_id, active=active)

    async def answers(self, name: str, arguments: dict[str, Any]) -> list[object]:
        """The rows that each session is answered, or the codes of its refusal."""
        return [_rows(await client.call_tool(name, arguments)) for client in self.clients]

    async def tools(self) -> list[bool]:
        """Whether `query` is listed, in each."""
        return ["query" in {tool.name for tool in (await client.list_tools()).tools} for client in self.clients]


def _rows(result: CallToolResult) -> object:
    problems: list[dict[str, Any]] = (result.meta or {}).get("commission-mcp/problems", [])
    content: dict[str, Any] = result.structured_content or {}
    return [problem["code"] for problem in problems] or content.get("rows", content)


@pytest.fixture
async def session(postgres_18: Installation, server: HttpServer, connect: Connect) -> AsyncGenerator[Session]:
    client_id = f"at-once-{uuid.uuid4().hex[:12]}"
    async with administration(postgres_18.address) as connection:
        await add_client(connection, Client(client_id, "At Once"), postgres_18.credentials, LoginLimits())
    async with operations(postgres_18.address) as connection:
        await connection.execute(
            "INSERT INTO cm.payee (client_id, payee_id, name, email, currency, hired_on) "
            "SELECT %s, 'p' || n, 'P', n || '@secret.example', 'USD', '2020-01-01' FROM generate_series(1, 3) n",
            [client_id],
        )
    roles = "analyst,finance,auditor"
    token = server.token(subject="grace", clients=[client_id], roles=(Role.ANALYST, Role.FINANCE, Role.AUDITOR))
    await Session(postgres_18, client_id, ()).grant(Role.ANALYST, Role.FINANCE, Role.AUDITOR)
    async with (
        server.connect(token) as over_http,
        connect(postgres_18, client_id, subject="grace", roles=roles) as in_memory,
    ):
        yield Session(postgres_18, client_id, (over_http, in_memory))


CLEAR = [[f"{number}@secret.example"] for number in (1, 2, 3)]
MASKED = [["***"]] * 3


@asynccontextmanager
async def warmed(session: Session, expected: object) -> AsyncGenerator[None]:
    """With the answer in the cache: it is asked twice before, and is the expected one."""
    for _ in range(2):
        assert await session.answers(*MAILS) == [expected] * 2
    yield


async def test_roles(session: Session) -> None:
    async with warmed(session, CLEAR):
        await session.grant(Role.ANALYST)
        masked = await session.answers(*MAILS)
        await session.grant(Role.AUDITOR)
        refused, listed = await session.answers(*MAILS), await session.tools()
        await session.grant(Role.ANALYST, Role.FINANCE)
        again, listed_again = await session.answers(*MAILS), await session.tools()

    assert masked == [MASKED, MASKED]
    assert (refused, listed) == ([["E_ROLE_REQUIRED"]] * 2, [False, False])
    assert (again, listed_again) == ([CLEAR, CLEAR], [True, True])


async def test_a_page_of_what_was_seen_before_is_not_gone_on_with(session: Session) -> None:
    cursors: list[str] = []
    for client in session.clients:
        content: dict[str, Any] = (await client.call_tool("query", PAGED)).structured_content or {}
        cursors.append(content["next_cursor"])
    await session.grant(Role.ANALYST)
    following = [
        _rows(await client.call_tool("query", {**PAGED, "cursor": cursor}))
        for client, cursor in zip(session.clients, cursors, strict=True)
    ]

    assert all(str(rows).startswith("['E_CURSOR") or rows == [["***"]] for rows in following), following


async def test_a_disabled_user(session: Session) -> None:
    async with warmed(session, CLEAR):
        await session.grant(Role.ANALYST, Role.FINANCE, active=False)
        refused, listed = await session.answers(*MAILS), await session.tools()
        await session.grant(Role.ANALYST, Role.FINANCE)

    assert (refused, listed) == ([["E_USER_UNKNOWN"]] * 2, [False, False])
    assert await session.answers(*MAILS) == [CLEAR, CLEAR]


async def test_a_disabled_client(session: Session) -> None:
    async with warmed(session, CLEAR):
        await session.activate(active=False)
        refused, listed = await session.answers(*MAILS), await session.tools()
        history = await session.answers("chat_history", {"action": "sessions"})
        await session.activate(active=True)

    assert (refused, listed) == ([["E_CLIENT_DISABLED"]] * 2, [False, False])
    assert history == [["E_CLIENT_DISABLED"]] * 2
    assert await session.answers(*MAILS) == [CLEAR, CLEAR]


async def test_mask_rules(session: Session) -> None:
    await session.grant(Role.ANALYST)
    hidden = MaskRule(session.client_id, "payees.email", MaskingClass.CLEAR, visible=False)
    shown = MaskRule(session.client_id, "payees.email", MaskingClass.MASKED, visible=True)
    async with warmed(session, MASKED), operations(session.installation.address) as connection:
        await set_mask_rule(connection, shown)
        of_analysts = await session.answers(*MAILS)
        await session.grant(Role.ANALYST, Role.FINANCE)
        of_finance = await session.answers(*MAILS)
        await set_mask_rule(connection, hidden)
        hidden_now = await session.answers(*MAILS)
        await clear_mask_rule(connection, session.client_id, "payees.email", MaskingClass.CLEAR)
        clear_again = await session.answers(*MAILS)
        await clear_mask_rule(connection, session.client_id, "payees.email", MaskingClass.MASKED)
        await session.grant(Role.ANALYST)
        masked_again = await session.answers(*MAILS)

    assert (of_analysts, of_finance, hidden_now) == ([CLEAR, CLEAR], [CLEAR, CLEAR], [MASKED, MASKED])
    assert (clear_again, masked_again) == ([CLEAR, CLEAR], [MASKED, MASKED])
