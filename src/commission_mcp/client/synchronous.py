"""`CommissionClient`: the same client for ordinary programs, notebooks and scripts."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from commission_mcp.client.asynchronous import AsyncCommissionClient, Progress
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
from commission_mcp.client.settings import ClientSettings, Token

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from anyio.from_thread import BlockingPortal

T = TypeVar("T")
_PAGE_ROWS = 10_000
_PAGE_CHARS = 1_000_000
_CLOSE_WAIT_S = 15.0


class CommissionClient:
    """Asks a commission-mcp server.

    It connects at the first call and disconnects by `close`, at the end of a `with` block, or when the program ends.
    The server is, in this order: what the arguments name, what the user's `client.toml` names, what the environment
    names (`COMMISSION_MCP_URL`, `COMMISSION_MCP_COMMAND`), or one on this machine's own data. Threads may share it.

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
        self._client = AsyncCommissionClient(
            url,
            token=token,
            command=command,
            server=server,
            client_id=client_id,
            timeout_s=timeout_s,
            retries=retries,
            config_file=config_file,
            environment=environment,
        )
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._finalizer: weakref.finalize[..., CommissionClient] | None = None

    @property
    def settings(self) -> ClientSettings:
        """What the client works with."""
        return self._client.settings

    def __enter__(self) -> Self:
        """Connect."""
        self._portal()
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self.close()

    def close(self) -> None:
        """Disconnect. A later call connects again."""
        with self._lock:
            finalizer, self._finalizer, self._running = self._finalizer, None, None
        if finalizer is not None:
            finalizer()

    # --- the tools ---

    def execute_tool(
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
        return self._run(lambda: self._client.execute_tool(name, arguments, on_progress=on_progress))

    def query(
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
        return self._run(lambda: self._client.query(sql, params, max_rows=max_rows, max_chars=max_chars, cursor=cursor))

    def pages(self, sql: str, params: Sequence[object] | None = None, *, page_rows: int = _PAGE_ROWS) -> Iterator[Rows]:
        """All rows of a SELECT, page by page.

        Raises:
            RefusedError: with `E_CURSOR_STALE` when the data changed between two pages.
        """
        page = self.query(sql, params, max_rows=page_rows)
        yield page
        while page.next_cursor is not None:
            page = self.query(sql, params, max_rows=page_rows, cursor=page.next_cursor)
            yield page

    def fetch_all(self, sql: str, params: Sequence[object] | None = None, *, rows_max: int = 1_000_000) -> Rows:
        """All rows of a SELECT, from one state of the data: when it changes meanwhile, reading begins anew.

        Raises:
            ValueError: there are more than `rows_max` rows.
            RefusedError: with `E_CURSOR_STALE` when the data keeps changing.
        """
        return self._run(lambda: self._client.fetch_all(sql, params, rows_max=rows_max))

    def schema(self, table: str | None = None, search: str | None = None) -> Schema:
        """What can be asked about.

        Args:
            table: A view, for its columns, key, masks and examples.
            search: Words to look for in names and meanings.
        """
        return self._run(lambda: self._client.schema(table, search))

    def calculate_commission(
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
        return self._run(
            lambda: self._client.calculate_commission(
                plan, sales, period=period, payee=payee, context=context, max_items=max_items
            )
        )

    def chat_history(
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
        return self._run(
            lambda: self._client.chat_history(
                action,
                session_id=session_id,
                role=role,
                content=content,
                sources=sources,
                context=context,
                cursor=cursor,
                limit=limit,
                ttl_s=ttl_s,
            )
        )

    def cache_clear(self, scope: Literal["session", "client", "global"], *, session_id: str | None = None) -> int:
        """Forget cached answers, or one conversation; the keys that are gone.

        Args:
            scope: session (one conversation of yours, for good), client, or global (for the role admin).
            session_id: The conversation, for the scope session.
        """
        return self._run(lambda: self._client.cache_clear(scope, session_id=session_id))

    def health(self) -> Health:
        """Which parts of the server work, and what to do about those that do not."""
        return self._run(self._client.health)

    def plan_wizard(
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
        return self._run(
            lambda: self._client.plan_wizard(
                action,
                draft_id=draft_id,
                phase=phase,
                fields=fields,
                plan_id=plan_id,
                template=template,
                copy_of=copy_of,
                revision=revision,
            )
        )

    def decide_plan(
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
        return self._run(
            lambda: self._client.decide_plan(
                plan_id, version=version, decision=decision, sha256=sha256, step=step, comment=comment
            )
        )

    def run_commissions(
        self, period: str, *, adjust: bool = False, max_items: int = 10_000, on_progress: Progress | None = None
    ) -> CommissionRun:
        """Calculate what a period pays over all plans in force, and store it; waits until the run has ended.

        Args:
            period: Such as 2026-07 or 2026-Q3.
            adjust: Of a paid period: post the difference to what was posted.
            max_items: Entries of each list at most.
            on_progress: Is told how far it is.
        """
        return self._run(
            lambda: self._client.run_commissions(period, adjust=adjust, max_items=max_items, on_progress=on_progress)
        )

    def payouts(
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
        return self._run(
            lambda: self._client.payouts(
                period,
                action,
                run_id=run_id,
                payees=payees,
                paid_on=paid_on,
                reference=reference,
                comment=comment,
                max_items=max_items,
            )
        )

    def rag_search(
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
        return self._run(
            lambda: self._client.rag_search(query, limit=limit, documents=documents, file_types=file_types, tags=tags)
        )

    def read_document(
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
        return self._run(
            lambda: self._client.read_document(
                document, pages=pages, section=section, max_chars=max_chars, cursor=cursor
            )
        )

    def index_documents(
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
        return self._run(
            lambda: self._client.index_documents(
                action, name=name, content=content, wait_s=wait_s, offset=offset, on_progress=on_progress
            )
        )

    def audit_log(
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
        return self._run(
            lambda: self._client.audit_log(
                since=since, until=until, subject=subject, object=object, outcome=outcome, limit=limit, cursor=cursor
            )
        )

    def client_overview(self, period: str | None = None) -> Overview:
        """The client at a glance: plans, documents, context, and a period's figures.

        Args:
            period: Such as 2026-07; without it the last one that was run.
        """
        return self._run(lambda: self._client.client_overview(period))

    def compare_plans(
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
        return self._run(
            lambda: self._client.compare_plans(
                plan, other, change=change, sales=sales, period=period, context=context, max_items=max_items
            )
        )

    def explain_payout(self, period: str, payee: str | None = None, *, max_items: int = 10_000) -> Explanation:
        """Why a payee is paid what for a period: from each sale to the amount, and what changed.

        Args:
            period: Such as 2026-07.
            payee: The payee; without it yourself.
            max_items: Entries of each list at most.
        """
        return self._run(lambda: self._client.explain_payout(period, payee, max_items=max_items))

    # --- resources and prompts ---

    def documents(self) -> tuple[Document, ...]:
        """The documents that can be read."""
        return self._run(self._client.documents)

    def read(self, uri: str) -> str:
        """The text of a resource, such as `schema://tables/sales`.

        Raises:
            NotFoundError: there is no such resource.
        """
        return self._run(lambda: self._client.read(uri))

    def prompt(self, name: str, **arguments: object) -> tuple[PromptMessage, ...]:
        """The messages of a prompt.

        Raises:
            NotFoundError: there is no such prompt.
        """
        return self._run(lambda: self._client.prompt(name, **arguments))

    # --- calling ---

    def _run(self, call: Callable[[], Awaitable[T]]) -> T:
        future: Future[T] = self._portal().start_task_soon(call)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # interrupted from the keyboard: the server stops working on it too
            raise

    def _portal(self) -> BlockingPortal:
        with self._lock:
            if self._running is None:
                running = _Running(self._client)
                self._finalizer = weakref.finalize(self, running.stop)
                self._running = running
            return self._running.portal


class _Running:
    """An asynchronous client in a thread of its own, which does not keep the program from ending."""

    def __init__(self, client: AsyncCommissionClient) -> None:
        started: Future[BlockingPortal] = Future()
        self._thread = threading.Thread(target=_serve, args=(started,), name="commission-mcp client", daemon=True)
        self._thread.start()
        self.portal = started.result()
        self._connected: AbstractContextManager[AsyncCommissionClient] = self.portal.wrap_async_context_manager(client)
        try:
            self._connected.__enter__()
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        """Disconnect and end the thread."""
        try:
            with suppress(RuntimeError):  # its loop has ended
                self._connected.__exit__(None, None, None)
        finally:
            self._end()

    def _end(self) -> None:
        with suppress(RuntimeError):
            self.portal.start_task_soon(self.portal.stop)
        self._thread.join(_CLOSE_WAIT_S)


def _serve(started: Future[BlockingPortal]) -> None:
    import anyio
    from anyio.from_thread import BlockingPortal

    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    anyio.run(serve)
