"""`AsyncCommissionClient`: the tools, documents and prompts of a server, for asynchronous programs."""

from __future__ import annotations

import os
import random
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, TypeVar

from commission_mcp.client import failures, values
from commission_mcp.client.failures import CommissionError, NotFoundError, RefusedError, ServerError, UnavailableError
from commission_mcp.client.results import (
    Answer,
    Calculation,
    ChatHistory,
    CommissionRun,
    Comparison,
    Decision,
    Document,
    DocumentIndex,
    DocumentText,
    Explanation,
    Health,
    Overview,
    Payments,
    PlanDraft,
    PromptMessage,
    Schema,
    SearchResult,
)
from commission_mcp.client.rows import Rows
from commission_mcp.client.settings import Token, find_settings
from commission_mcp.errors import PROBLEMS_META

if TYPE_CHECKING:
    import anyio.abc
    from mcp.client import Client
    from mcp.types import CallToolResult, ListResourcesResult

    from commission_mcp.client.connection import Connection

T = TypeVar("T")
Progress: TypeAlias = Callable[[float, float | None, str | None], object]
"""Is told how far a long call is: what is done, of how much (if known), and a word about it."""

READS = frozenset(
    {
        "audit_log",
        "calculate_commission",
        "client_overview",
        "compare_plans",
        "explain_payout",
        "health",
        "query",
        "rag_search",
        "read_document",
        "schema",
    }
)
"""Tools that change nothing: what may be sent again when an answer was lost."""
_READING_ACTIONS = frozenset({("chat_history", "read"), ("chat_history", "sessions")})

_PAGE_ROWS = 10_000
_PAGE_CHARS = 1_000_000
_PAUSE_S, _PAUSE_S_MAX = 0.2, 10.0
_DOCUMENT_SCHEME = "document://"


class AsyncCommissionClient:
    """Asks a commission-mcp server.

    Use it in `async with`. The server is, in this order: what the arguments name, what the user's `client.toml` names,
    what the environment names (`COMMISSION_MCP_URL`, `COMMISSION_MCP_COMMAND`), or one on this machine's own data.

    Args:
        url: The server's address, such as `https://host/mcp`.
        token: The bearer token for it, or a function that gives one for each request.
        command: A program that serves over stdio, with its arguments.
        server: An MCP server object in this process.
        client_id: The client (tenant) to ask about, where the server does not know it by the token.
        timeout_s: Seconds without an answer or progress after which a call is given up; 60 by default.
        retries: How often a read is tried again when the server cannot be reached; 2 by default.
        config_file: The file to read instead of the user's `client.toml`.
        environment: What to read instead of the environment of the process.

    Raises:
        SettingsError: something cannot be used.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: Token | None = None,
        command: str | Sequence[str] | None = None,
        server: object = None,
        client_id: str | None = None,
        timeout_s: float | None = None,
        retries: int | None = None,
        config_file: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        given = {
            "url": url,
            "token": token,
            "command": command,
            "server": server,
            "client_id": client_id,
            "timeout_s": timeout_s,
            "retries": retries,
        }
        self.settings = find_settings(given, config_file, environment)
        self._environment = dict(os.environ if environment is None else environment)  # noqa: TID251 - for a server that is started
        self._stack: AsyncExitStack | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._connection: Connection | None = None
        self._connecting: anyio.Lock | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            CommissionError: the server cannot be reached, or refuses.
        """
        import anyio

        self._connecting = anyio.Lock()
        failure: CommissionError | None = None
        async with AsyncExitStack() as stack:
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(self._leave)
            try:
                await self._again(self._connected, retried=True)
            except CommissionError as error:
                failure = error  # raised outside of the task group, which would wrap it
            else:
                self._stack = stack.pop_all()
        if failure is not None:
            raise failure
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        stack, self._stack = self._stack, None
        if stack is not None:
            await stack.aclose()
        self._tasks = None

    # --- the tools ---

    async def execute_tool(
        self, name: str, arguments: Mapping[str, object] | None = None, *, on_progress: Progress | None = None
    ) -> Answer:
        """Call any tool by its name.

        Args:
            name: The tool.
            arguments: Its arguments; Decimals, dates and the like are sent as text.
            on_progress: Is told how far a long call is.

        Raises:
            RefusedError: the server says what is wrong and what to do instead.
            CommissionError: it failed otherwise.
        """
        sent = {key: values.wire(value) for key, value in (arguments or {}).items()}
        if isinstance(sent.get("params"), list) and arguments is not None:
            sent["params"] = values.parameters(arguments["params"])  # pyright: ignore[reportArgumentType] - a sequence, as its wire form is a list
        retried = name in READS or (name, sent.get("action", "read")) in _READING_ACTIONS

        async def call(client: Client, heard: Callable[..., Awaitable[None]]) -> CallToolResult:
            async def moved(progress: float, total: float | None, message: str | None) -> None:
                await heard()
                if on_progress is not None:
                    on_progress(progress, total, message)

            return await client.call_tool(name, sent, progress_callback=moved)

        async def attempt() -> Answer:
            return _answer(name, await (await self._connected()).send(call))

        return await self._again(attempt, retried=retried)

    async def query(
        self,
        sql: str,
        params: Sequence[object] | None = None,
        *,
        max_rows: int = _PAGE_ROWS,
        max_chars: int = _PAGE_CHARS,
        cursor: str | None = None,
    ) -> Rows:
        """Read with one SELECT.

        Args:
            sql: The statement, with $1, $2 (or %s) for values.
            params: The values: numbers, text, Decimals, dates, lists and so on.
            max_rows: Rows at most, up to 10,000; `truncated` says whether there are more.
            max_chars: Characters of rows at most, up to 1,000,000.
            cursor: `next_cursor` of the page before; `pages` and `fetch_all` do that for you.
        """
        arguments: dict[str, object] = {"sql": sql, "params": list(params or []), "max_rows": max_rows}
        arguments |= {"max_chars": max_chars} | ({"cursor": cursor} if cursor else {})
        return Rows.of(await self.execute_tool("query", arguments))

    async def pages(
        self, sql: str, params: Sequence[object] | None = None, *, page_rows: int = _PAGE_ROWS
    ) -> AsyncIterator[Rows]:
        """All rows of a SELECT, page by page.

        Raises:
            RefusedError: with `E_CURSOR_STALE` when the data changed between two pages.
        """
        page = await self.query(sql, params, max_rows=page_rows)
        yield page
        while page.next_cursor is not None:
            page = await self.query(sql, params, max_rows=page_rows, cursor=page.next_cursor)
            yield page

    async def fetch_all(self, sql: str, params: Sequence[object] | None = None, *, rows_max: int = 1_000_000) -> Rows:
        """All rows of a SELECT, from one state of the data: when it changes meanwhile, reading begins anew.

        Raises:
            ValueError: there are more than `rows_max` rows.
            RefusedError: with `E_CURSOR_STALE` when the data keeps changing.
        """
        for attempt in range(self.settings.retries + 1):
            try:
                return await self._fetch_all(sql, params, rows_max)
            except RefusedError as refused:
                if "E_CURSOR_STALE" not in refused.codes or attempt == self.settings.retries:
                    raise
        raise AssertionError("unreachable")

    async def schema(self, table: str | None = None, search: str | None = None) -> Schema:
        """What can be asked about.

        Args:
            table: A view, for its columns, key, masks and examples.
            search: Words to look for in names and meanings.
        """
        return Schema.of(await self.execute_tool("schema", _given(table=table, search=search)))

    async def calculate_commission(
        self,
        plan: Mapping[str, object],
        sales: Iterable[Mapping[str, object]] | None = None,
        *,
        period: str | None = None,
        payee: str | None = None,
        context: Mapping[str, object] | None = None,
        max_items: int = 10_000,
    ) -> Calculation:
        """Calculate what a plan pays for sales; nothing is stored. Numbers are exact as Decimal or text.

        Args:
            plan: The plan, in the form of docs/plans.md, or `{"plan_id": ..., "version": ...}` of a stored one.
            sales: The sales; or give `period`.
            period: The client's stored sales of this period.
            payee: Show this payee only.
            context: Quota, draw balance and what else bears on the result.
            max_items: Entries of each list at most.
        """
        listed = None if sales is None else list(sales)
        optional = _given(sales=listed, period=period, payee=payee, context=context)
        arguments = {"plan": plan, "max_items": max_items, **optional}
        return Calculation.of(await self.execute_tool("calculate_commission", arguments))

    async def chat_history(
        self,
        action: Literal["append", "read", "sessions", "clear"] = "read",
        *,
        session_id: str | None = None,
        role: str | None = None,
        content: str | None = None,
        sources: Sequence[str] | None = None,
        context: Mapping[str, object] | None = None,
        cursor: str | None = None,
        limit: int = 20,
        ttl_s: int | None = None,
    ) -> ChatHistory:
        """Keep a conversation and find it again.

        Args:
            action: What to do.
            session_id: The conversation; reading without one opens the latest.
            role: Who said it: user, assistant, system or tool.
            content: What was said.
            sources: Documents that it rests on.
            context: A JSON object to keep with it.
            cursor: `next_cursor` of the answer before.
            limit: Messages or conversations at most.
            ttl_s: Seconds that the conversation outlives its last message.
        """
        optional = _given(
            session_id=session_id,
            role=role,
            content=content,
            sources=sources,
            context=context,
            cursor=cursor,
            ttl_s=ttl_s,
        )
        return ChatHistory.of(await self.execute_tool("chat_history", {"action": action, "limit": limit, **optional}))

    async def cache_clear(self, scope: Literal["session", "client", "global"], *, session_id: str | None = None) -> int:
        """Forget cached answers, or one conversation; the keys that are gone.

        Args:
            scope: session (one conversation of yours, for good), client, or global (for the role admin).
            session_id: The conversation, for the scope session.
        """
        cleared = await self.execute_tool("cache_clear", {"scope": scope, **_given(session_id=session_id)})
        return int(cleared["keys_removed"])

    async def health(self) -> Health:
        """Which parts of the server work, and what to do about those that do not."""
        return Health.of(await self.execute_tool("health"))

    async def plan_wizard(
        self,
        action: Literal["start", "set", "back", "review", "submit", "resume", "drafts", "cancel"] | None = None,
        *,
        draft_id: str | None = None,
        phase: int | None = None,
        fields: Mapping[str, object] | None = None,
        plan_id: str | None = None,
        template: str | None = None,
        copy_of: str | None = None,
        revision: str | None = None,
    ) -> PlanDraft:
        """Create or change a plan: start, set fields phase by phase, review, submit. `next` is the next call.

        Args:
            action: What to do; without it fields are set.
            draft_id: The draft; without it one is started.
            phase: The phase of the fields, 1 to 3.
            fields: The fields; None as a value takes one back.
            plan_id: For a new version of this plan.
            template: A template of the client's to fill in from.
            copy_of: For a new plan with the rules of this one.
            revision: For submitting: what the review said.
        """
        arguments = _given(
            action=action,
            draft_id=draft_id,
            phase=phase,
            fields=fields,
            plan_id=plan_id,
            template=template,
            copy_of=copy_of,
            revision=revision,
        )
        return PlanDraft.of(await self.execute_tool("plan_wizard", arguments))

    async def decide_plan(
        self,
        plan_id: str | None = None,
        *,
        version: int | None = None,
        decision: Literal["approve", "reject"] | None = None,
        sha256: str | None = None,
        step: str | None = None,
        comment: str | None = None,
    ) -> Decision:
        """Approve or reject a submitted plan version, or see what waits for a decision.

        Args:
            plan_id: The plan; without it, what waits.
            version: Its version; without it the one that waits.
            decision: What was decided; without it, how the version stands.
            sha256: The hash of the version that was looked at.
            step: The approval step; without it the caller's own.
            comment: Why; a rejection needs one.
        """
        arguments = _given(
            plan_id=plan_id, version=version, decision=decision, sha256=sha256, step=step, comment=comment
        )
        return Decision.of(await self.execute_tool("decide_plan", arguments))

    async def run_commissions(
        self, period: str, *, adjust: bool = False, max_items: int = 10_000, on_progress: Progress | None = None
    ) -> CommissionRun:
        """Calculate what a period pays over all plans in force, and store it; waits until the run has ended.

        Args:
            period: Such as 2026-07 or 2026-Q3.
            adjust: Of a paid period: post the difference to what was posted.
            max_items: Entries of each list at most.
            on_progress: Is told how far it is.
        """
        arguments = {"period": period, "adjust": adjust, "max_items": max_items}
        while True:
            run = CommissionRun.of(await self.execute_tool("run_commissions", arguments, on_progress=on_progress))
            if run.outcome != "running":
                return run

    async def payouts(
        self,
        period: str,
        action: Literal["show", "approve", "hold", "release", "pay"] = "show",
        *,
        run_id: str | None = None,
        payees: Sequence[str] | None = None,
        paid_on: date | str | None = None,
        reference: str | None = None,
        comment: str | None = None,
        max_items: int = 10_000,
    ) -> Payments:
        """See how the payouts of a period stand, or note what was decided on them; role finance.

        Args:
            period: Such as 2026-07 or 2026-Q3.
            action: What was decided.
            run_id: The run that was looked at; every action but `show` needs it.
            payees: Only theirs.
            paid_on: `pay`: the day.
            reference: `pay`: of the payment.
            comment: Why; `hold` needs one.
            max_items: Payouts to return at most.
        """
        optional = _given(
            run_id=run_id,
            payees=None if payees is None else list(payees),
            paid_on=paid_on.isoformat() if isinstance(paid_on, date) else paid_on,
            reference=reference,
            comment=comment,
        )
        arguments = {"period": period, "action": action, "max_items": max_items, **optional}
        return Payments.of(await self.execute_tool("run_commissions", arguments))

    async def rag_search(
        self,
        query: str,
        *,
        limit: int = 5,
        documents: Sequence[str] | None = None,
        file_types: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> SearchResult:
        """Find passages in documents that answer a question.

        Args:
            query: The question, in its own words.
            limit: Passages at most, up to 20.
            documents: Only these: names, sources, patterns such as `rates/*`.
            file_types: Only these, such as pdf.
            tags: Only documents with all of these tags.
        """
        optional = _given(documents=documents, file_types=file_types, tags=tags)
        return SearchResult.of(await self.execute_tool("rag_search", {"query": query, "limit": limit, **optional}))

    async def read_document(
        self,
        document: str,
        *,
        pages: str | None = None,
        section: str | None = None,
        max_chars: int = 200_000,
        cursor: str | None = None,
    ) -> DocumentText:
        """The text of a document, or of some of its pages or a section.

        Args:
            document: A `uri` or source of `rag_search`, or a file's name.
            pages: Such as 3 or 2-5.
            section: A heading, or a sheet of a workbook.
            max_chars: Characters at most.
            cursor: `next_cursor` of the answer before.
        """
        optional = _given(pages=pages, section=section, cursor=cursor)
        arguments = {"document": document, "max_chars": max_chars, **optional}
        return DocumentText.of(await self.execute_tool("read_document", arguments))

    async def index_documents(
        self,
        action: Literal["status", "failures", "start", "add", "remove"] = "status",
        *,
        name: str | None = None,
        content: bytes | None = None,
        wait_s: int = 10,
        offset: int = 0,
        on_progress: Progress | None = None,
    ) -> DocumentIndex:
        """Keep the documents that are searched: list, index, add or remove them.

        Args:
            action: What to do.
            name: The file's path, such as `rates/emea.xlsx`, for add and remove.
            content: The file, for add.
            wait_s: Seconds to wait for an indexing to end, up to 20.
            offset: Rows to skip.
            on_progress: Is told how far it is.
        """
        encoded = None if content is None else b64encode(content).decode()
        optional = _given(name=name, content_base64=encoded)
        arguments = {"action": action, "wait_s": wait_s, "offset": offset, **optional}
        return DocumentIndex.of(await self.execute_tool("index_documents", arguments, on_progress=on_progress))

    async def audit_log(
        self,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        subject: str | None = None,
        object: str | None = None,  # noqa: A002 - the trail's own word
        outcome: str | None = None,
        limit: int = 500,
        cursor: str | None = None,
    ) -> Rows:
        """Who called what, when, and how it ended, the newest first; for auditors.

        Args:
            since: From this time on.
            until: Before this time.
            subject: Of this user.
            object: A tool, prompt or URI.
            outcome: ok, refused, cancelled, crash, or a code.
            limit: Entries at most, up to 500.
            cursor: `next_cursor` of the answer before.
        """
        optional = _given(
            since=since, until=until, subject=subject, object=object, outcome=outcome, limit=limit, cursor=cursor
        )
        return Rows.of(await self.execute_tool("audit_log", optional))

    async def client_overview(self, period: str | None = None) -> Overview:
        """The client at a glance: plans, documents, context, and a period's figures.

        Args:
            period: Such as 2026-07; without it the last one that was run.
        """
        return Overview.of(await self.execute_tool("client_overview", _given(period=period)))

    async def compare_plans(
        self,
        plan: Mapping[str, object],
        other: Mapping[str, object] | None = None,
        *,
        change: str | None = None,
        sales: Iterable[Mapping[str, object]] | None = None,
        period: str | None = None,
        context: Mapping[str, object] | None = None,
        max_items: int = 10_000,
    ) -> Comparison:
        """What two plans pay over the same sales; nothing is stored.

        Args:
            plan: The plan, or `{"plan_id": ..., "version": ...}` of a stored one.
            other: What it is compared with; or give `change`.
            change: Such as "+10%" or "+1pt" on all rates.
            sales: The sales; or give `period`.
            period: The stored sales of this period.
            context: With sales: quota, draw balance and the like.
            max_items: Payees at most.
        """
        listed = None if sales is None else list(sales)
        optional = _given(other=other, change=change, sales=listed, period=period, context=context)
        arguments = {"plan": plan, "max_items": max_items, **optional}
        return Comparison.of(await self.execute_tool("compare_plans", arguments))

    async def explain_payout(self, period: str, payee: str | None = None, *, max_items: int = 10_000) -> Explanation:
        """Why a payee is paid what for a period: from each sale to the amount, and what changed.

        Args:
            period: Such as 2026-07.
            payee: The payee; without it yourself.
            max_items: Entries of each list at most.
        """
        arguments = {"period": period, "max_items": max_items, **_given(payee=payee)}
        return Explanation.of(await self.execute_tool("explain_payout", arguments))

    # --- resources and prompts ---

    async def documents(self) -> tuple[Document, ...]:
        """The documents that can be read."""
        found: list[Document] = []
        cursor: str | None = None
        while True:
            listed = await self._read(partial(_list_resources, cursor))
            found += [
                Document(str(resource.uri), resource.name, resource.title, resource.mime_type)
                for resource in listed.resources
                if str(resource.uri).startswith(_DOCUMENT_SCHEME)
            ]
            cursor = listed.next_cursor
            if cursor is None:
                return tuple(found)

    async def read(self, uri: str) -> str:
        """The text of a resource, such as `schema://tables/sales`.

        Raises:
            NotFoundError: there is no such resource.
        """
        read = await self._read(lambda client, _: client.read_resource(uri, cache_mode="bypass"))
        return "\n".join(str(getattr(content, "text", "")) for content in read.contents)

    async def prompt(self, name: str, **arguments: object) -> tuple[PromptMessage, ...]:
        """The messages of a prompt.

        Raises:
            NotFoundError: there is no such prompt.
        """
        texts = {key: str(values.wire(value)) for key, value in arguments.items() if value is not None}
        try:
            got = await self._read(lambda client, _: client.get_prompt(name, texts))
        except ServerError:
            # The protocol library answers for an unknown prompt as for any other fault.
            listed = await self._read(lambda client, _: client.list_prompts(cache_mode="bypass"))
            known = [prompt.name for prompt in listed.prompts]
            if name in known:
                raise
            raise NotFoundError(f"there is no prompt {name!r}; the prompts are: {', '.join(known)}") from None
        return tuple(PromptMessage(message.role, str(getattr(message.content, "text", ""))) for message in got.messages)

    # --- calling ---

    async def _fetch_all(self, sql: str, params: Sequence[object] | None, rows_max: int) -> Rows:
        pages: list[Rows] = []
        count = 0
        async for page in self.pages(sql, params):
            pages.append(page)
            count += len(page)
            if count > rows_max:
                raise ValueError(f"there are more than {rows_max:,} rows; aggregate in SQL, or go through `pages`")
        return Rows.joined(pages)

    async def _read(self, call: Callable[[Client, Callable[..., Awaitable[None]]], Awaitable[T]]) -> T:
        async def attempt() -> T:
            return await (await self._connected()).send(call)

        return await self._again(attempt, retried=True)

    async def _again(self, attempt: Callable[[], Awaitable[T]], *, retried: bool) -> T:
        """Make an attempt; where it may be repeated, do so while the server is unavailable."""
        import anyio

        pause_s = _PAUSE_S
        for _ in range(self.settings.retries if retried else 0):
            try:
                return await attempt()
            except UnavailableError as error:
                wait_s = error.retry_after_s or pause_s * random.uniform(0.5, 1.5)  # noqa: S311 - spreads callers
                await anyio.sleep(min(wait_s, _PAUSE_S_MAX))
                pause_s *= 2
        return await attempt()

    async def _connected(self) -> Connection:
        """The connection, made anew if it was lost."""
        if self._tasks is None or self._connecting is None:
            raise CommissionError("the client is not connected; use it in `async with`")
        async with self._connecting:
            if self._connection is None or not self._connection.is_open:
                from commission_mcp.client.connection import Connection

                self._leave()
                connection = Connection(self.settings, self._environment)
                failure: CommissionError | None = await self._tasks.start(connection.hold)
                if failure is not None:
                    raise failure
                self._connection = connection
            return self._connection

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.leave()
            self._connection = None


async def _list_resources(cursor: str | None, client: Client, _: object) -> ListResourcesResult:
    return await client.list_resources(cursor=cursor, cache_mode="bypass")


def _given(**arguments: object) -> dict[str, object]:
    return {name: value for name, value in arguments.items() if value is not None}


def _answer(name: str, result: CallToolResult) -> Answer:
    """What a tool answered; a refusal becomes an error."""
    text = "\n".join(str(getattr(content, "text", "")) for content in result.content)
    if not result.is_error:
        return Answer(result.structured_content or {}, text)
    problems = failures.problems_of((result.meta or {}).get(PROBLEMS_META))
    if problems:
        raise failures.refusal(problems, text)
    raise failures.ServerError(text or f"{name} failed")
