"""What the tools answer, as types. Amounts are Decimal; a list of like things is `Rows`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from commission_mcp.client.failures import Problem, problems_of
from commission_mcp.client.rows import Rows


class Answer(Mapping[str, Any]):
    """The answer of any tool: its fields as the server sent them, and the text that a model would read.

    Attributes:
        data: The fields.
        text: The text.
    """

    def __init__(self, data: Mapping[str, Any], text: str) -> None:
        self.data = data
        self.text = text

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """A field."""
        return self.data[name]

    def __iter__(self) -> Iterator[str]:
        """The names of the fields."""
        return iter(self.data)

    def __len__(self) -> int:
        """How many fields there are."""
        return len(self.data)

    def __repr__(self) -> str:
        """What it holds, in a line."""
        return f"<Answer: {', '.join(self.data)}>"


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """A column of a view, and what it means."""

    name: str
    type: str
    meaning: str
    references: str | None
    masked: bool


@dataclass(frozen=True, slots=True)
class View:
    """A view that `query` reads. `columns` and `examples` are there when one view was asked for."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[ViewColumn, ...]
    examples: tuple[str, ...]

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> View:
        """The view that a server sent."""
        columns = tuple(
            ViewColumn(each["name"], each["type"], each["meaning"], each.get("references"), bool(each.get("masked")))
            for each in sent["columns"]
        )
        return cls(sent["name"], sent["meaning"], tuple(sent["key"]), columns, tuple(sent["examples"]))


@dataclass(frozen=True, slots=True)
class Schema:
    """The views, and queries that work as they are."""

    views: tuple[View, ...]
    examples: tuple[str, ...]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Schema:
        """The answer of `schema`."""
        return cls(tuple(View.of(view) for view in answer["views"]), tuple(answer["examples"]))


_LINE = {
    "payee": "text",
    "period": "text",
    "kind": "text",
    "rule": "text",
    "sale_id": "text",
    "base": "numeric",
    "rates": "text",
    "amount": "numeric",
}
_STATEMENT = {
    "payee": "text",
    "period": "text",
    "earned": "numeric",
    "total": "numeric",
    "payable": "numeric",
    "carried": "numeric",
    "draw_balance": "numeric",
    "held": "numeric",
}
_UNMATCHED = {"sale_id": "text", "amount": "numeric", "payee": "text", "reason": "text"}


@dataclass(frozen=True, slots=True)
class Calculation:
    """What a plan pays.

    Attributes:
        total: The sum of all lines, in `currency`.
        currency: ISO 4217.
        complete: False when a problem kept something from being calculated.
        lines: What each rule pays for each sale.
        statements: What each payee gets in each period.
        unmatched: Sales that earned nothing, with the reason.
        steps: Each piece of arithmetic, in words.
        problems: What is wrong or remarkable.
        counts: How many there are of each list, shown or not.
        truncated: Whether a list is longer than what is here.
    """

    total: Decimal
    currency: str
    complete: bool
    lines: Rows
    statements: Rows
    unmatched: Rows
    steps: tuple[str, ...]
    problems: tuple[Problem, ...]
    counts: Mapping[str, int]
    truncated: bool

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Calculation:
        """The answer of `calculate_commission`."""
        return cls(
            total=Decimal(answer["total"]),
            currency=answer["currency"],
            complete=answer["complete"],
            lines=Rows.of_records(_LINE, answer["lines"]),
            statements=Rows.of_records(_STATEMENT, answer["statements"]),
            unmatched=Rows.of_records(_UNMATCHED, answer["unmatched"]),
            steps=tuple(answer["steps"]),
            problems=problems_of(answer["problems"]),
            counts=answer["counts"],
            truncated=answer["truncated"],
        )


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a conversation."""

    timestamp: datetime
    role: str
    content: str
    sources: tuple[str, ...]
    client_context: Any


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation; `ttl_remaining` is the seconds until it is forgotten."""

    session_id: str
    created_at: datetime
    updated_at: datetime
    total_messages: int
    ttl_remaining: int


@dataclass(frozen=True, slots=True)
class ChatHistory:
    """Messages in order of time, or conversations with the latest first; `next_cursor` leads to more."""

    session_id: str | None
    client_id: str
    messages: tuple[Message, ...]
    sessions: tuple[Session, ...]
    total_messages: int
    ttl_remaining: int | None
    created_at: datetime | None
    next_cursor: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ChatHistory:
        """The answer of `chat_history`."""
        messages = tuple(
            Message(_time(m["timestamp"]), m["role"], m["content"], tuple(m["sources"]), m["client_context"])
            for m in answer["messages"]
        )
        sessions = tuple(
            Session(
                s["session_id"], _time(s["created_at"]), _time(s["updated_at"]), s["total_messages"], s["ttl_remaining"]
            )
            for s in answer["sessions"]
        )
        created_at = answer["created_at"]
        return cls(
            session_id=answer["session_id"],
            client_id=answer["client_id"],
            messages=messages,
            sessions=sessions,
            total_messages=answer["total_messages"],
            ttl_remaining=answer["ttl_remaining"],
            created_at=None if created_at is None else _time(created_at),
            next_cursor=answer["next_cursor"],
        )


@dataclass(frozen=True, slots=True)
class NextCall:
    """What to do next: in words, and as a call."""

    say: str
    tool: str | None
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> NextCall:
        """The call that a server proposes."""
        return cls(sent.get("say", ""), sent.get("tool"), sent.get("arguments") or {})


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """Where a plan draft stands.

    Attributes:
        draft_id: The draft.
        plan_phase: 1 metadata, 2 business rules, 3 assignments and submission.
        step: What the call did.
        saved: The fields of each phase.
        missing: Fields to give, with their meaning and the allowed values.
        problems: What is wrong.
        warnings: How something was understood.
        defaults: What was filled in, and from where.
        preview: After a review: amounts, changes, overlaps, assignees, approvals.
        revision: After a review: what submitting needs.
        plan: After submitting: the version.
        drafts: For the action `drafts`: those that are not submitted.
        next: The next call.
    """

    draft_id: str | None
    plan_phase: int | None
    step: str
    saved: Mapping[str, Any]
    missing: tuple[Mapping[str, Any], ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    defaults: tuple[Mapping[str, Any], ...]
    preview: Mapping[str, Any] | None
    revision: str | None
    plan: Mapping[str, Any] | None
    drafts: tuple[Mapping[str, Any], ...]
    next: NextCall

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> PlanDraft:
        """The answer of `plan_wizard`."""
        return cls(
            draft_id=answer["draft_id"],
            plan_phase=answer["plan_phase"],
            step=answer["step"],
            saved=answer["saved"],
            missing=tuple(answer["missing"]),
            problems=problems_of(answer["problems"]),
            warnings=problems_of(answer["warnings"]),
            defaults=tuple(answer["defaults"]),
            preview=answer["preview"],
            revision=answer["revision"],
            plan=answer["plan"],
            drafts=tuple(answer["drafts"]),
            next=NextCall.of(answer["next"]),
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """How a plan version stands (`plan`), or which ones wait for a decision (`waiting`)."""

    plan: Mapping[str, Any] | None
    waiting: tuple[Mapping[str, Any], ...]
    next: NextCall

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Decision:
        """The answer of `decide_plan`."""
        return cls(answer["plan"], tuple(answer["waiting"]), NextCall.of(answer["next"]))


@dataclass(frozen=True, slots=True)
class DegradedPart:
    """A part of the server that does not work as it should, and how to mend it."""

    part: str
    code: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Health:
    """The state of every part of the server.

    Attributes:
        status: `healthy` or `degraded`.
        degraded: What does not work.
        versions: What runs, and which version of it.
        facts: Everything that was said, by name.
    """

    status: str
    degraded: tuple[DegradedPart, ...]
    versions: Mapping[str, str]
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Health:
        """The answer of `health`."""
        degraded = tuple(
            DegradedPart(part["part"], part["code"], part["message"], part["fix"]) for part in answer["degraded"]
        )
        return cls(answer["mcp_server_status"], degraded, answer["versions"], dict(answer))


_TOTAL = {"currency": "text", "payees": "int4", "earned": "numeric", "to_pay": "numeric", "carried": "numeric"}
_PAYOUT = {
    "payee": "text",
    "currency": "text",
    "earned": "numeric",
    "before": "numeric",
    "amount": "numeric",
    "carried": "numeric",
}
_DELTA = {
    "payee": "text",
    "plan": "text",
    "currency": "text",
    "posted": "numeric",
    "now": "numeric",
    "amount": "numeric",
}


@dataclass(frozen=True, slots=True)
class CommissionRun:
    """What became of a run over a period.

    Attributes:
        outcome: `calculated`, `unchanged` (the same inputs were calculated before) or `adjusted`.
        period: The period.
        run_id: The run that counts now.
        complete: False when something could not be calculated, see `problems`.
        totals: For each currency, what was earned, is to be paid and is carried.
        payouts: For each payee.
        deltas: Of an adjusted period: what was posted, what it is now, and the difference.
        problems: What is wrong or remarkable.
        facts: Everything that was said, by name.
    """

    outcome: str
    period: str
    run_id: str | None
    complete: bool | None
    totals: Rows
    payouts: Rows
    deltas: Rows
    problems: tuple[Problem, ...]
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> CommissionRun:
        """The answer of `run_commissions`."""
        return cls(
            outcome=answer["outcome"],
            period=answer["period"],
            run_id=answer["run_id"],
            complete=answer["complete"],
            totals=Rows.of_records(_TOTAL, answer["totals"]),
            payouts=Rows.of_records(_PAYOUT, answer["payouts"]),
            deltas=Rows.of_records(_DELTA, answer["deltas"]),
            problems=problems_of(answer["problems"]),
            facts=dict(answer),
        )


_PAYMENT = {
    "payee": "text",
    "currency": "text",
    "amount": "numeric",
    "carried": "numeric",
    "status": "text",
    "run_id": "uuid",
    "run_kind": "text",
    "paid_on": "date",
    "reference": "text",
    "left_on": "date",
}


@dataclass(frozen=True, slots=True)
class Payments:
    """How the payouts of a period stand.

    Attributes:
        period: The period.
        period_status: `calculated`, `approved` or `paid`.
        changed: How many payouts the call moved.
        by_status: How many payouts have each status.
        payments: For each payout: payee, amount, status, run, and when and how it was paid.
        facts: Everything that was said, by name.
    """

    period: str
    period_status: str | None
    changed: int
    by_status: Mapping[str, int]
    payments: Rows
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Payments:
        """The answer of `run_commissions` for payouts."""
        return cls(
            period=answer["period"],
            period_status=answer["period_status"],
            changed=answer["changed"],
            by_status=dict(answer["by_status"]),
            payments=Rows.of_records(_PAYMENT, answer["payments"]),
            facts=dict(answer),
        )


_CURRENCY_TOTAL = {"currency": "text", "earned": "numeric", "to_pay": "numeric", "payees": "int4"}
_RANKED = {"payee": "text", "name": "text", "currency": "text", "earned": "numeric"}
_TREND = {"period": "text", **_CURRENCY_TOTAL}
_PLAN = {
    "plan_id": "text",
    "name": "text",
    "version": "int4",
    "valid_from": "date",
    "valid_to": "date",
    "status": "text",
}


@dataclass(frozen=True, slots=True)
class Overview:
    """A client at a glance.

    Attributes:
        client_id: The client.
        documents: Documents that may be read.
        plans: Its plans.
        context: Its name, region, currency and the like.
        period: Whose figures follow.
        totals: For each currency.
        top: Who earned most.
        bottom: Who earned least.
        trend: The periods, the oldest first.
        facts: Everything that was said, by name.
    """

    client_id: str
    documents: tuple[str, ...]
    plans: Rows
    context: Mapping[str, Any]
    period: str | None
    totals: Rows
    top: Rows
    bottom: Rows
    trend: Rows
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Overview:
        """The answer of `client_overview`."""
        return cls(
            client_id=answer["client_id"],
            documents=tuple(answer["accessible_documents"]),
            plans=Rows.of_records(_PLAN, answer["commission_plans"]),
            context=answer["client_context"],
            period=answer["period"],
            totals=Rows.of_records(_CURRENCY_TOTAL, answer["totals"]),
            top=Rows.of_records(_RANKED, answer["top"]),
            bottom=Rows.of_records(_RANKED, answer["bottom"]),
            trend=Rows.of_records(_TREND, answer["trend"]),
            facts=dict(answer),
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two plans pay on the same sales.

    Attributes:
        currency: ISO 4217.
        totals: `plan`, `other`, `difference` and `percent`.
        payees: For each payee, the greatest gain first.
        gain: Payees who earn more under the other plan.
        lose: Payees who earn less.
        same: Payees who earn the same.
        problems: What is wrong or remarkable.
        facts: Everything that was said, by name.
    """

    currency: str
    totals: Mapping[str, Decimal]
    payees: Rows
    gain: int
    lose: int
    same: int
    problems: tuple[Problem, ...]
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Comparison:
        """The answer of `compare_plans`."""
        types = {"payee": "text", "plan": "numeric", "other": "numeric", "difference": "numeric"}
        return cls(
            currency=answer["currency"],
            totals={name: Decimal(amount) for name, amount in answer["totals"].items() if amount},
            payees=Rows.of_records(types, answer["payees"]),
            gain=answer["gain"],
            lose=answer["lose"],
            same=answer["same"],
            problems=problems_of(answer["problems"]),
            facts=dict(answer),
        )


_EXPLAINED = {
    "sale_id": "text",
    "sold_on": "date",
    "customer": "text",
    "gross": "numeric",
    "credit_percent": "numeric",
    "plan": "text",
    "rule": "text",
    "kind": "text",
    "base": "numeric",
    "rate": "text",
    "amount": "numeric",
    "currency": "text",
    "text": "text",
}
_PAID = {"currency": "text", "earned": "numeric", "before": "numeric", "to_pay": "numeric", "carried": "numeric"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a payout is what it is.

    Attributes:
        payee: The payee.
        name: The payee's name.
        period: The period.
        status: Of the payout.
        complete: False when something could not be calculated.
        totals: For each currency.
        lines: From each sale to the amount.
        steps: The arithmetic of each rule as a whole.
        compared: Against the period before.
        facts: Everything that was said, by name.
    """

    payee: str
    name: str
    period: str
    status: str
    complete: bool
    totals: Rows
    lines: Rows
    steps: tuple[str, ...]
    compared: Mapping[str, Any] | None
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Explanation:
        """The answer of `explain_payout`."""
        return cls(
            payee=answer["payee"],
            name=answer["name"],
            period=answer["period"],
            status=answer["status"],
            complete=answer["complete"],
            totals=Rows.of_records(_PAID, answer["totals"]),
            lines=Rows.of_records(_EXPLAINED, answer["lines"]),
            steps=tuple(answer["steps"]),
            compared=answer["compared"],
            facts=dict(answer),
        )


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a document; cite `document` and `location`."""

    uri: str
    document: str
    location: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages, best first.

    Attributes:
        passages: What was found.
        sources: The documents of the passages, each once.
        mode: `hybrid` (by words and meaning) or `lexical` (by words only; `notes` say why).
        notes: What is to be known.
    """

    passages: tuple[Passage, ...]
    sources: tuple[str, ...]
    mode: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> SearchResult:
        """The answer of `rag_search`."""
        passages = tuple(
            Passage(each["uri"], each["document"], each["location"], each["text"], each["score"])
            for each in answer["results"]
        )
        return cls(passages, tuple(answer["sources"]), answer["mode"], tuple(answer.get("notes", ())))


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The text of a document, or of a part of it; `next_cursor` leads to what follows."""

    uri: str
    document: str
    title: str
    media_type: str
    pages: int
    text: str
    truncated: bool
    next_cursor: str | None
    sections: tuple[str, ...]
    notes: tuple[str, ...]
    masked: bool

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> DocumentText:
        """The answer of `read_document`."""
        return cls(
            uri=answer["uri"],
            document=answer["document"],
            title=answer["title"],
            media_type=answer["media_type"],
            pages=answer["pages"],
            text=answer["text"],
            truncated=answer["truncated"],
            next_cursor=answer["next_cursor"],
            sections=tuple(answer["sections"]),
            notes=tuple(answer["notes"]),
            masked=answer["masked"],
        )


@dataclass(frozen=True, slots=True)
class DocumentIndex:
    """The state of the indexes.

    Attributes:
        collections: The client's documents and the shared ones, with their last indexing.
        rows: Documents, or files that could not be read, under the names in `columns`.
        message: What was done.
        next_offset: Where further rows begin.
    """

    collections: tuple[Mapping[str, Any], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    message: str
    next_offset: int | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> DocumentIndex:
        """The answer of `index_documents`."""
        return cls(
            tuple(answer["collections"]),
            tuple(answer["columns"]),
            tuple(tuple(row) for row in answer["rows"]),
            answer["message"],
            answer["next_offset"],
        )


@dataclass(frozen=True, slots=True)
class Document:
    """A document that may be read; pass `uri` to `read`."""

    uri: str
    name: str
    title: str | None
    mime_type: str | None


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """A message of a prompt, for a model of your own."""

    role: str
    text: str


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
