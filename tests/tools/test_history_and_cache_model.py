"""Conversations and cached answers beside a model of both: two clients with three users each, in any order.

All goes through MCP to the real servers. The model knows the rows, the versions of the data, who may see what, and
which answers are kept. So it says what each call answers, whether `cache` is hit, miss or bypass, and after each step
which keys Redis holds.
"""

from __future__ import annotations

import itertools
import json
import os
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from commission_mcp.domain.caller import MaskingClass
from commission_mcp.embedded import open_servers
from commission_mcp.storage import Client, LoginLimits, add_client, administration, operations, set_active

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from mcp.client import Client as McpClient

    from conftest import Ask, Connect, Installation

FULL = os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full"
ROUNDS, STEPS = (220, 50) if FULL else (10, 30)

SUBJECTS = ("ann", "ben", "cyd")
EVERY_ROLE = frozenset({"analyst", "finance", "auditor", "admin"})
MAY_QUERY = frozenset({"analyst", "finance", "admin"})
READS_OTHERS = frozenset({"auditor", "admin"})
MASKABLE = ("email", "tax_id")
USUAL_TTL_S = 3_600
CACHE_TTL_S = 86_400
BYTES_MAX = 64 * 2**20
NOWHERE: MultipleResults[Any] = MultipleResults(())

RESET = """
DELETE FROM cm.mask_rule WHERE client_id = '{client}';
DELETE FROM cm.uom WHERE client_id = '{client}';
DELETE FROM cm.payee WHERE client_id = '{client}';
DELETE FROM cm.app_user WHERE client_id = '{client}' AND user_id <> 'local';
UPDATE cm.client_profile SET history_ttl_s = NULL WHERE client_id = '{client}';
INSERT INTO cm.uom VALUES ('{client}', 'BOX', 'Box of ' || '{client}'), ('{client}', 'EA', 'Each of ' || '{client}');
INSERT INTO cm.payee (client_id, payee_id, name, email, tax_id, currency, hired_on)
  SELECT '{client}', p, p, p || '@' || '{client}', 'TAX-' || p || '{client}', 'USD', '2020-01-01'
  FROM unnest(ARRAY['p1', 'p2']) p;
INSERT INTO cm.app_user (client_id, user_id, issuer, subject, roles)
  SELECT '{client}', s, 'local', s, '{analyst,finance,auditor,admin}' FROM unnest(ARRAY['ann', 'ben', 'cyd']) s
"""


class Person(NamedTuple):
    """A user of a client."""

    client: str
    subject: str


class Question(NamedTuple):
    """What is asked of `query`, the tables that its answer depends on, and whether it may be kept."""

    sql: str
    params: tuple[Any, ...] = ()
    tables: tuple[str, ...] = ()
    cacheable: bool = True


class Bounds(NamedTuple):
    """How much of an answer is wanted."""

    max_rows: int
    max_chars: int


UNITS = "SELECT uom, name FROM uoms WHERE uom >= $1 ORDER BY uom"
UNITS_AGAIN = "SELECT  uom, name FROM uoms WHERE uom >= $1 ORDER BY uom"  # one blank more: other text, same rows
PEOPLE = "SELECT payee_id, email, tax_id FROM payees ORDER BY payee_id"
BOTH = "SELECT u.name, p.email FROM uoms u, payees p WHERE p.payee_id = $1 ORDER BY u.uom"
COUNT = "SELECT count(*), string_agg(name, ', ' ORDER BY uom) FROM uoms"
ECHO = "SELECT $1::text"
PRESENT = "SELECT uom, name FROM uoms WHERE now() > $1 ORDER BY uom"
UNCOUNTED = "SELECT u.uom FROM uoms u JOIN currencies c ON c.code = $1 ORDER BY u.uom"
FAILING = "SELECT 1 / (count(*) - $1::int) FROM uoms"

ALL = ("uom", "payee", "client_profile")  # what changes here; of the currencies no change is counted

# Each line is asked in one go: questions that differ in a little.
FAMILIES = (
    tuple(Question(sql, (first,), ("uom",)) for sql in (UNITS, UNITS_AGAIN) for first in ("A", "C")),
    (Question(PEOPLE, (), ("payee",)),),
    tuple(Question(BOTH, (payee,), ("uom", "payee")) for payee in ("p1", "p2")),
    (Question(COUNT, (), ("uom",)),),
    tuple(Question(ECHO, (value,)) for value in (1, 1.0, "1", True, None)),
    (
        Question(PRESENT, ("2020-01-01",), ("uom",), cacheable=False),
        Question(UNCOUNTED, ("USD",), ALL, cacheable=False),
    ),
    tuple(Question(FAILING, (number,), ("uom",)) for number in (1, 2, 3)),
)

people = st.builds(Person, st.sampled_from("ab"), st.sampled_from(SUBJECTS))
clients = st.sampled_from("ab")
families = st.sampled_from(FAMILIES)
questions = families.flatmap(st.sampled_from)
bounds = st.sampled_from([Bounds(100, 20_000), Bounds(1, 20_000), Bounds(100, 100)])
roles = st.frozensets(st.sampled_from(sorted(EVERY_ROLE)), min_size=1)
units = st.sampled_from(["BOX", "EA", "HOUR"])
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
maskings = st.sampled_from(MaskingClass)
session_ids = st.sampled_from(["one", "two", "3_-"])
messages = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system", "tool"]),
        "content": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
            lambda text: bool(text.strip())
        ),
    },
    optional={
        "sources": st.lists(st.text("ab/.", min_size=1, max_size=20), max_size=2),
        "context": st.dictionaries(st.text("xy", max_size=2), st.integers(-9, 9) | st.booleans(), max_size=2),
    },
)


# The model ----------------------------------------------------------------------------------------------------------


@dataclass
class Conversation:
    """A session as it should be."""

    owner: str
    ttl_s: int
    said: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    latest_at_s: float = 0.0


@dataclass
class Company:
    """A client as it should be."""

    client_id: str
    active: bool = True
    epoch: int = 0
    versions: dict[str, int] = field(default_factory=dict[str, int])
    units: dict[str, str] = field(default_factory=dict[str, str])
    payees: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    rules: dict[tuple[str, MaskingClass], bool] = field(default_factory=dict[tuple[str, MaskingClass], bool])
    users: dict[str, tuple[frozenset[str], bool]] = field(default_factory=dict[str, tuple[frozenset[str], bool]])
    history_ttl_s: int | None = None
    conversations: dict[str, Conversation] = field(default_factory=dict[str, Conversation])
    order: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  # of each subject, the latest first

    @classmethod
    def fresh(cls, client_id: str) -> Company:
        """As `RESET` makes it."""
        company = cls(client_id, units={"BOX": f"Box of {client_id}", "EA": f"Each of {client_id}"})
        for payee in ("p1", "p2"):
            company.payees[payee] = {"email": f"{payee}@{client_id}", "tax_id": f"TAX-{payee}{client_id}"}
        company.users = dict.fromkeys(SUBJECTS, (EVERY_ROLE, True))
        company.order = {subject: [] for subject in SUBJECTS}
        return company

    def changed(self, *tables: str) -> None:
        """Count a committed change."""
        for table in tables:
            self.versions[table] = self.versions.get(table, 0) + 1

    def shown(self, payee: str, column: str, masking: MaskingClass) -> str:
        """A personal value, as somebody sees it."""
        return self.payees[payee][column] if self.rules.get((column, masking), masking is MaskingClass.CLEAR) else "***"

    def touch(self, subject: str, session_id: str) -> None:
        """Put a session first among its owner's."""
        order = self.order[subject]
        order[:] = [session_id, *(other for other in order if other != session_id)]

    def forget(self, session_id: str) -> None:
        """Forget a session, if it is there."""
        conversation = self.conversations.pop(session_id, None)
        if conversation is not None:
            self.order[conversation.owner].remove(session_id)


def _units_from(company: Company, params: tuple[Any, ...], _: MaskingClass) -> list[list[Any]]:
    return [[unit, name] for unit, name in sorted(company.units.items()) if unit >= params[0]]


def _units(company: Company, _: tuple[Any, ...], __: MaskingClass) -> list[list[Any]]:
    return [[unit, name] for unit, name in sorted(company.units.items())]


def _codes(company: Company, _: tuple[Any, ...], __: MaskingClass) -> list[list[Any]]:
    return [[unit] for unit in sorted(company.units)]


def _payees(company: Company, _: tuple[Any, ...], masking: MaskingClass) -> list[list[Any]]:
    return [[payee, *(company.shown(payee, column, masking) for column in MASKABLE)] for payee in company.payees]


def _units_and_payee(company: Company, params: tuple[Any, ...], masking: MaskingClass) -> list[list[Any]]:
    email = company.shown(params[0], "email", masking)
    return [[name, email] for _, name in sorted(company.units.items())]


def _count(company: Company, _: tuple[Any, ...], __: MaskingClass) -> list[list[Any]]:
    return [[len(company.units), ", ".join(name for _, name in sorted(company.units.items())) or None]]


def _echo(_: Company, params: tuple[Any, ...], __: MaskingClass) -> list[list[Any]]:
    (value,) = params
    return [[value if value is None or isinstance(value, str) else json.dumps(value)]]


def _quotient(company: Company, params: tuple[Any, ...], _: MaskingClass) -> list[list[Any]] | None:
    divisor = len(company.units) - params[0]
    return [[int(1 / divisor)]] if divisor else None


# The rows of each question's answer, for a reader of that masking class; None where it fails.
ROWS: dict[str, Callable[[Company, tuple[Any, ...], MaskingClass], list[list[Any]] | None]] = {
    UNITS: _units_from,
    UNITS_AGAIN: _units_from,
    PEOPLE: _payees,
    BOTH: _units_and_payee,
    COUNT: _count,
    ECHO: _echo,
    PRESENT: _units,
    UNCOUNTED: _codes,
    FAILING: _quotient,
}


def fitting(rows: list[list[Any]], wanted: Bounds) -> list[list[Any]]:
    """The rows of one page."""
    lengths = itertools.accumulate(len(json.dumps(row, separators=(",", ":"), ensure_ascii=False)) + 1 for row in rows)
    return [row for row, length in zip(rows[: wanted.max_rows], lengths, strict=False) if length <= wanted.max_chars]


class Kept(NamedTuple):
    """An answer in the cache: the name that it has there, and when its rows were read."""

    name: str
    as_of: str


class QueryPlace(NamedTuple):
    """A cursor of `query`, and what it should lead to."""

    token: str
    person: Person
    question: Question
    offset: int
    asked: tuple[object, ...]
    versions: tuple[int, ...]


class HistoryPlace(NamedTuple):
    """A cursor of `chat_history`, and what it should lead to."""

    token: str
    person: Person
    session_id: str
    conversation: Conversation
    before: int


# The servers --------------------------------------------------------------------------------------------------------


class Host(NamedTuple):
    """A running host of somebody, and its settings."""

    client: McpClient
    stack: ExitStack
    claimed: frozenset[str]
    bytes_max: int


@dataclass
class Bed:
    """The servers, called from the machine's thread."""

    portal: BlockingPortal
    connect: Connect
    installation: Installation
    client_ids: dict[str, str]
    operations: psycopg.AsyncConnection
    administration: psycopg.AsyncConnection
    history: Ask
    cache: Ask
    hosts: dict[Person, Host] = field(default_factory=dict[Person, "Host"])

    def call(self, person: Person, tool: str, arguments: dict[str, Any]) -> dict[str, Any] | str:
        """What a tool answers somebody, or the code of its refusal."""
        result = self.portal.call(self.hosts[person].client.call_tool, tool, arguments)
        if result.is_error:
            (problem,) = (result.meta or {})["commission-mcp/problems"]
            return str(problem["code"])
        assert result.structured_content is not None
        return result.structured_content

    def open_host(self, person: Person, claimed: frozenset[str] = EVERY_ROLE, bytes_max: int = BYTES_MAX) -> None:
        """Let somebody begin anew, in a host with these settings."""
        self.close_host(person)
        stack = ExitStack()
        opened: AbstractContextManager[McpClient] = self.portal.wrap_async_context_manager(
            self.connect(
                self.installation,
                self.client_ids[person.client],
                subject=person.subject,
                query_cache_ttl_s=CACHE_TTL_S,
                query_cache_wait_ms=10_000,
                roles=",".join(sorted(claimed)),
                result_bytes_max=bytes_max,
            )
        )
        self.hosts[person] = Host(stack.enter_context(opened), stack, claimed, bytes_max)

    def close_host(self, person: Person) -> None:
        """End somebody's host, if there is one."""
        if person in self.hosts:
            self.hosts.pop(person).stack.close()

    def close(self) -> None:
        """End all hosts."""
        for person in tuple(self.hosts):
            self.close_host(person)

    def change(self, statement: str, *params: object) -> None:
        """Commit a change of data."""
        self.portal.call(self.operations.execute, statement.encode(), params)

    def change_in_vain(self, statement: str, *params: object) -> None:
        """Make a change of data, and roll it back."""

        async def roll_back() -> None:
            with suppress(ZeroDivisionError):
                async with self.operations.transaction():
                    await self.operations.execute(statement.encode(), params)
                    raise ZeroDivisionError

        self.portal.call(roll_back)

    def set_active(self, client: str, *, active: bool) -> None:
        """Enable or disable a client."""
        self.portal.call(partial(set_active, self.administration, self.client_ids[client], active=active))

    def names(self, server: Ask, prefix: str) -> set[str]:
        """The names that begin so."""
        found: list[bytes] = self.portal.call(server, "KEYS", f"{prefix}*")
        return {name.decode() for name in found}

    def expire(self, server: Ask, *names: str) -> None:
        """Let the time of keys be over."""
        for name in names:
            assert self.portal.call(server, "PEXPIREAT", name, 1) == 1

    def reset(self) -> None:
        """Make everything as it was in the beginning."""
        for client, client_id in self.client_ids.items():
            self.set_active(client, active=True)
            self._remove(self.cache, f"cm:1:q:{{{client_id}}}:")
            self._remove(self.history, f"cm:1:{{{client_id}:")
            for statement in RESET.split(";\n"):
                self.change(statement.replace("{client}", client_id))
        for person in itertools.starmap(Person, itertools.product(self.client_ids, SUBJECTS)):
            host = self.hosts.get(person)
            if host is None or (host.claimed, host.bytes_max) != (EVERY_ROLE, BYTES_MAX):
                self.open_host(person)

    def _remove(self, server: Ask, prefix: str) -> None:
        names = self.names(server, prefix)
        if names:
            self.portal.call(server, "UNLINK", *names)


# The machine --------------------------------------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """Does the same to the server and to the model."""

    query_places = Bundle[QueryPlace]("query_places")
    history_places = Bundle[HistoryPlace]("history_places")

    def __init__(self, bed: Bed) -> None:
        super().__init__()
        self._bed = bed
        bed.reset()
        self._companies = {client: Company.fresh(client_id) for client, client_id in bed.client_ids.items()}
        self._kept: dict[str, dict[tuple[object, ...], Kept]] = {client: {} for client in self._companies}
        self._last: tuple[Question, Bounds] | None = None
        self._turns = itertools.cycle(Person(client, subject) for subject in SUBJECTS for client in self._companies)

    # Questions

    @rule(target=query_places, person=people, family=families, wanted=bounds)
    def ask(self, person: Person, family: tuple[Question, ...], wanted: Bounds) -> MultipleResults[QueryPlace]:
        """Ask for the first page of a few answers."""
        return self._places(self._ask(person, question, wanted, 0) for question in family)

    @rule(target=query_places, question=questions, wanted=bounds, times=st.integers(1, 2))
    def everybody_asks(self, question: Question, wanted: Bounds, times: int) -> MultipleResults[QueryPlace]:
        """Ask the same thing as everybody, and perhaps again."""
        return self._places(self._ask(person, question, wanted, 0) for person in [*self._bed.hosts] * times)

    @rule(target=query_places, place=query_places, wanted=bounds)
    def ask_on(self, place: QueryPlace, wanted: Bounds) -> MultipleResults[QueryPlace]:
        """Ask for the next page, whatever happened since."""
        return self._places([self._ask(place.person, place.question, wanted, place.offset, place)])

    @rule(place=query_places, person=people, wanted=bounds)
    def ask_on_as_somebody_else(self, place: QueryPlace, person: Person, wanted: Bounds) -> None:
        """Ask for the next page with somebody else's cursor."""
        if person != place.person:
            refused = self._refusal(person, MAY_QUERY) or "E_CURSOR_INVALID"
            assert self._query(person, place.question, wanted, cursor=place.token) == refused

    def _ask(
        self, person: Person, question: Question, wanted: Bounds, offset: int, place: QueryPlace | None = None
    ) -> QueryPlace | None:
        self._last = (question, wanted)
        company, kept = self._companies[person.client], self._kept[person.client]
        masking = MaskingClass.CLEAR if "finance" in self._roles(person) else MaskingClass.MASKED
        rows = ROWS[question.sql](company, question.params, masking)
        asked = (company.client_id, masking, company.epoch, question.sql, json.dumps(question.params))
        versions = tuple(company.versions.get(table, 0) for table in (*question.tables, "mask_rule"))
        key = (*asked, *wanted, offset, self._bed.hosts[person].bytes_max, *versions)
        today, names = datetime.now(UTC).date(), self._cache_names(person.client)
        answer = self._query(person, question, wanted, cursor=None if place is None else place.token)

        if (refused := self._refusal(person, MAY_QUERY)) is not None:
            assert answer == refused
            return None
        if place is not None and place.asked != asked:
            assert answer == "E_CURSOR_INVALID"
            return None
        if rows is None:
            assert answer == "E_SQL_VALUE"
            return None
        self._note_kept(question, kept, key, answer, self._cache_names(person.client) - names, today)
        if place is not None and place.versions != versions:
            assert answer == "E_CURSOR_STALE"
            return None
        assert isinstance(answer, dict)
        page = fitting(rows[offset:], wanted)
        end = offset + len(page)
        assert (answer["rows"], answer["truncated"]) == (page, end < len(rows))
        if answer["next_cursor"] is None:
            assert end == len(rows)
            return None
        return QueryPlace(answer["next_cursor"], person, question, end, asked, versions)

    def _places(self, places: Iterable[QueryPlace | None]) -> MultipleResults[QueryPlace]:
        return MultipleResults(tuple(place for place in places if place is not None))

    def _note_kept(
        self,
        question: Question,
        kept: dict[tuple[object, ...], Kept],
        key: tuple[object, ...],
        answer: dict[str, Any] | str,
        new_names: set[str],
        today: object,
    ) -> None:
        """Check how the answer came about, and keep what was kept. The answer may be a refusal to page on."""
        if today != datetime.now(UTC).date():  # at midnight every answer is another one
            kept[today, key] = Kept(new_names.pop(), "") if new_names else Kept("", "")
            return
        outcome = "bypass" if not question.cacheable else "hit" if key in kept else "miss"
        if isinstance(answer, dict):
            assert (answer["cache"], answer["cache_hit"]) == (outcome, outcome == "hit")
        if outcome == "hit" and isinstance(answer, dict):
            assert answer["as_of"] == kept[key].as_of
        assert len(new_names) == (outcome == "miss")
        if outcome == "miss":
            kept[key] = Kept(new_names.pop(), answer["as_of"] if isinstance(answer, dict) else "")

    def _query(self, person: Person, question: Question, wanted: Bounds, cursor: str | None) -> dict[str, Any] | str:
        return self._bed.call(
            person,
            "query",
            {"sql": question.sql, "params": list(question.params), **wanted._asdict(), "cursor": cursor},
        )

    # Changes of the data

    @rule(client=clients, unit=units, name=names)
    def write_unit(self, client: str, unit: str, name: str) -> None:
        """Add a unit, or give it another name (or the same one: that is a change too)."""
        company = self._companies[client]
        self._bed.change(
            "INSERT INTO cm.uom VALUES (%s, %s, %s) ON CONFLICT (client_id, uom) DO UPDATE SET name = excluded.name",
            *(company.client_id, unit, name),
        )
        company.units[unit] = name
        company.changed("uom")

    @rule(client=clients, unit=units)
    def remove_unit(self, client: str, unit: str) -> None:
        """Remove a unit; nothing changes where there is none."""
        company = self._companies[client]
        self._bed.change("DELETE FROM cm.uom WHERE client_id = %s AND uom = %s", company.client_id, unit)
        if company.units.pop(unit, None) is not None:
            company.changed("uom")

    @rule(name=names)
    def rename_everywhere(self, name: str) -> None:
        """Change rows of both clients in one statement."""
        client_ids = [company.client_id for company in self._companies.values()]
        self._bed.change("UPDATE cm.uom SET name = %s WHERE client_id = ANY (%s)", name, client_ids)
        for company in self._companies.values():
            if company.units:
                company.units = dict.fromkeys(company.units, name)
                company.changed("uom")

    @rule(client=clients, payee=st.sampled_from(["p1", "p2"]), column=st.sampled_from(MASKABLE), value=names)
    def write_personal_data(self, client: str, payee: str, column: str, value: str) -> None:
        """Change what some may see and some may not."""
        company = self._companies[client]
        statement = f"UPDATE cm.payee SET {column} = %s WHERE client_id = %s AND payee_id = %s"
        self._bed.change(statement, value, company.client_id, payee)
        company.payees[payee][column] = value
        company.changed("payee")

    @rule(client=clients, name=names)
    def roll_back(self, client: str, name: str) -> None:
        """Change rows, and think better of it."""
        statement = "UPDATE cm.uom SET name = %s WHERE client_id = %s"
        self._bed.change_in_vain(statement, name, self._companies[client].client_id)

    # Changes of permissions, masks and limits

    @rule(person=people, granted=roles, active=st.sampled_from([True, True, False]))
    def set_user(self, person: Person, granted: frozenset[str], active: bool) -> None:  # noqa: FBT001 - hypothesis names it
        """Give somebody other roles, or let nobody be known by that name."""
        company = self._companies[person.client]
        self._bed.change(
            "UPDATE cm.app_user SET roles = %s, active = %s WHERE client_id = %s AND user_id = %s",
            *(sorted(granted), active, company.client_id, person.subject),
        )
        company.users[person.subject] = (granted, active)
        company.epoch += 1

    @rule(
        client=clients, column=st.sampled_from(MASKABLE), masking=maskings, visible=st.sampled_from([True, False, None])
    )
    def set_mask(self, client: str, column: str, masking: MaskingClass, visible: bool | None) -> None:  # noqa: FBT001 - as above
        """Show or hide a column, or leave it to the rule for all."""
        company = self._companies[client]
        rule = (company.client_id, f"payees.{column}", str(masking))
        if visible is not None:
            self._bed.change(
                "INSERT INTO cm.mask_rule VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (client_id, column_name, masking_class) DO UPDATE SET visible = excluded.visible",
                *(*rule, visible),
            )
            company.rules[column, masking] = visible
        else:
            statement = "DELETE FROM cm.mask_rule WHERE client_id = %s AND column_name = %s AND masking_class = %s"
            self._bed.change(statement, *rule)
            if company.rules.pop((column, masking), None) is None:
                return
        company.changed("mask_rule")
        company.epoch += 1

    @rule(client=clients)
    def disable_or_enable(self, client: str) -> None:
        """Disable a client, or enable it again; what is kept of it stays."""
        company = self._companies[client]
        company.active = not company.active
        self._bed.set_active(client, active=company.active)
        company.epoch += 1

    @rule(person=people, claimed=roles | st.just(EVERY_ROLE), bytes_max=st.sampled_from([BYTES_MAX, 2**20]))
    def begin_anew(self, person: Person, claimed: frozenset[str], bytes_max: int) -> None:
        """Begin anew in a host with other settings, and find everything there."""
        self._bed.open_host(person, claimed, bytes_max)

    # Clearing, and the passing of time

    @rule(person=people, scope=st.sampled_from(["client", "global"]))
    def clear_answers(self, person: Person, scope: str) -> None:
        """Forget the answers of one's client, or of all clients."""
        mine = [*self._kept] if scope == "global" else [person.client]
        others = self._bed.names(self._bed.cache, "cm:1:q:") - set().union(*map(self._cache_names, self._kept))
        answer = self._bed.call(person, "cache_clear", {"scope": scope})
        if (refused := self._refusal(person, frozenset({"admin"}) if scope == "global" else EVERY_ROLE)) is not None:
            assert answer == refused
            return
        removed = sum(len(self._kept[client]) for client in mine) + (len(others) if scope == "global" else 0)
        assert answer == {"scope": scope, "keys_removed": removed}
        for client in mine:
            self._kept[client].clear()

    @rule(client=clients, number=st.integers(0, 2**16))
    def answer_runs_out(self, client: str, number: int) -> None:
        """Let the time of an answer be over."""
        kept = self._kept[client]
        if kept:
            key = sorted(kept, key=repr)[number % len(kept)]
            self._bed.expire(self._bed.cache, kept.pop(key).name)

    @rule(client=clients, session_id=session_ids)
    def conversation_runs_out(self, client: str, session_id: str) -> None:
        """Let the time of a session be over."""
        company = self._companies[client]
        if session_id in company.conversations:
            self._bed.expire(self._bed.history, *self._session_names(company, session_id))
            company.forget(session_id)

    @rule(person=people, session_id=session_ids, tool=st.sampled_from(["chat_history", "cache_clear"]))
    def clear_session(self, person: Person, session_id: str, tool: str) -> None:
        """Clear a session by either tool, or in vain somebody else's."""
        company = self._companies[person.client]
        arguments = {"action": "clear"} if tool == "chat_history" else {"scope": "session"}
        answer = self._bed.call(person, tool, {**arguments, "session_id": session_id})
        if (refused := self._refusal(person, EVERY_ROLE)) is not None:
            assert answer == refused
        elif not self._owns(person, session_id):
            assert answer == "E_NOT_FOUND"
        else:
            assert isinstance(answer, dict)
            assert answer.get("keys_removed", 2) == 2
            company.forget(session_id)

    # Conversations

    @rule(client=clients, ttl_s=st.none() | st.sampled_from([90, 7_200]))
    def set_usual_time(self, client: str, ttl_s: int | None) -> None:
        """Give a client's conversations that begin from now on another time."""
        company = self._companies[client]
        statement = "UPDATE cm.client_profile SET history_ttl_s = %s WHERE client_id = %s"
        self._bed.change(statement, ttl_s, company.client_id)
        company.history_ttl_s = ttl_s
        company.changed("client_profile")

    @rule(
        person=people,
        session_id=st.none() | session_ids,
        message=messages,
        ttl_s=st.none() | st.sampled_from([60, 120]),
    )
    def append(self, person: Person, session_id: str | None, message: dict[str, Any], ttl_s: int | None) -> None:
        """Append to a session of one's own, to a new one, or in vain to somebody else's."""
        company = self._companies[person.client]
        arguments = {"action": "append", **message, "session_id": session_id, "ttl_s": ttl_s}
        answer = self._bed.call(person, "chat_history", arguments)
        if (refused := self._refusal(person, EVERY_ROLE)) is not None:
            assert answer == refused
            return
        if session_id in company.conversations and not self._owns(person, session_id):
            assert answer == "E_NOT_FOUND"
            return
        assert isinstance(answer, dict)
        begun: str = answer["session_id"]
        assert begun == session_id if session_id else begun not in company.conversations
        usual = Conversation(person.subject, company.history_ttl_s or USUAL_TTL_S)
        conversation = company.conversations.setdefault(begun, usual)
        conversation.ttl_s = ttl_s or conversation.ttl_s
        conversation.latest_at_s = time.monotonic()
        told = {**message, "sources": message.get("sources", [])}
        told["client_context"] = told.pop("context", company.client_id)
        conversation.said.append(told)
        company.touch(person.subject, begun)
        assert (answer["total_messages"], answer["ttl_remaining"]) == (len(conversation.said), conversation.ttl_s)

    @rule(target=history_places, person=people, session_id=st.none() | session_ids, limit=st.integers(1, 4))
    def read(self, person: Person, session_id: str | None, limit: int) -> HistoryPlace | MultipleResults[HistoryPlace]:
        """Read a session by its id, or one's latest."""
        company = self._companies[person.client]
        answer = self._bed.call(person, "chat_history", {"session_id": session_id, "limit": limit})
        if (refused := self._refusal(person, EVERY_ROLE)) is not None:
            assert answer == refused
            return NOWHERE
        latest = company.order[person.subject][:1]
        if session_id is None and not latest:
            assert isinstance(answer, dict)
            assert (answer["session_id"], answer["messages"]) == (None, [])
            return NOWHERE
        return self._check_page(person, session_id or latest[0], answer, 2**53, limit)

    @rule(target=history_places, place=history_places, limit=st.integers(1, 4))
    def read_on(self, place: HistoryPlace, limit: int) -> HistoryPlace | MultipleResults[HistoryPlace]:
        """Read on where a page ended, whatever happened since."""
        answer = self._bed.call(place.person, "chat_history", {"cursor": place.token, "limit": limit})
        if (refused := self._refusal(place.person, EVERY_ROLE)) is not None:
            assert answer == refused
            return NOWHERE
        found = self._companies[place.person.client].conversations.get(place.session_id)
        if found is not None and found is not place.conversation and self._reads(place.person, place.session_id):
            assert answer == "E_CURSOR_STALE"
            return NOWHERE
        return self._check_page(place.person, place.session_id, answer, place.before, limit)

    @rule(place=history_places, person=people)
    def read_on_as_somebody_else(self, place: HistoryPlace, person: Person) -> None:
        """Read on with somebody else's cursor."""
        if person != place.person:
            refused = self._refusal(person, EVERY_ROLE) or "E_CURSOR_INVALID"
            assert self._bed.call(person, "chat_history", {"cursor": place.token}) == refused

    @rule(person=people, limit=st.integers(1, 3))
    def list_sessions(self, person: Person, limit: int) -> None:
        """List all sessions of one's own, page by page."""
        company = self._companies[person.client]
        seen: list[tuple[str, int]] = []
        cursor: str | None = None
        while True:
            listed = self._bed.call(person, "chat_history", {"action": "sessions", "limit": limit, "cursor": cursor})
            if (refused := self._refusal(person, EVERY_ROLE)) is not None:
                assert listed == refused
                return
            assert isinstance(listed, dict)
            seen += [(session["session_id"], session["total_messages"]) for session in listed["sessions"]]
            cursor = listed["next_cursor"]
            if cursor is None:
                break
        mine = company.order[person.subject]
        assert seen == [(session_id, len(company.conversations[session_id].said)) for session_id in mine]

    def _check_page(
        self, person: Person, session_id: str, answer: dict[str, Any] | str, before: int, limit: int
    ) -> HistoryPlace | MultipleResults[HistoryPlace]:
        company = self._companies[person.client]
        if not self._reads(person, session_id):
            assert answer == "E_NOT_FOUND"
            return NOWHERE
        conversation = company.conversations[session_id]
        stop = min(before, len(conversation.said))
        start = max(0, stop - limit)
        assert isinstance(answer, dict)
        told = [{name: message[name] for name in conversation.said[0]} for message in answer["messages"]]
        assert (answer["session_id"], told) == (session_id, conversation.said[start:stop])
        assert answer["total_messages"] == len(conversation.said)
        passed_s = time.monotonic() - conversation.latest_at_s
        assert conversation.ttl_s - passed_s - 1 <= answer["ttl_remaining"] <= conversation.ttl_s
        if answer["next_cursor"] is None:
            assert start == 0
            return NOWHERE
        assert start > 0
        return HistoryPlace(answer["next_cursor"], person, session_id, conversation, start)

    # What must be so at any time

    @invariant()
    def the_last_question_has_the_right_answer_still(self) -> None:
        """Whatever happened since: what is kept is given, what has changed is read, by one user after the other."""
        if self._last is not None:
            self._ask(next(self._turns), *self._last, offset=0)

    @invariant()
    def nothing_is_kept_but_what_the_model_keeps(self) -> None:
        """No call touches an answer or a conversation that it has nothing to do with."""
        for client, company in self._companies.items():
            assert self._cache_names(client) == {kept.name for kept in self._kept[client].values()}
            names = self._bed.names(self._bed.history, f"cm:1:{{{company.client_id}:")
            sessions = {name for name in names if not name.endswith(":s")}
            expected = [self._session_names(company, session_id) for session_id in company.conversations]
            assert sessions == set(itertools.chain.from_iterable(expected))

    def teardown(self) -> None:
        """Every conversation is whole, once everybody may look at it again."""
        for person in (Person(client, SUBJECTS[0]) for client in self._companies):
            company = self._companies[person.client]
            if not company.active:
                self.disable_or_enable(person.client)
            self.set_user(person, EVERY_ROLE, active=True)
            self.begin_anew(person, EVERY_ROLE, BYTES_MAX)
            for session_id, conversation in company.conversations.items():
                answer = self._bed.call(person, "chat_history", {"session_id": session_id, "limit": 200})
                self._check_page(person, session_id, answer, 2**53, 200)
                assert len(conversation.said) <= 200

    def _roles(self, person: Person) -> frozenset[str]:
        granted, _ = self._companies[person.client].users[person.subject]
        return granted & self._bed.hosts[person].claimed

    def _refusal(self, person: Person, any_of: frozenset[str]) -> str | None:
        """Why somebody may not, if so."""
        company = self._companies[person.client]
        if not company.active:
            return "E_CLIENT_DISABLED"
        if not company.users[person.subject][1]:
            return "E_USER_UNKNOWN"
        return None if self._roles(person) & any_of else "E_ROLE_REQUIRED"

    def _owns(self, person: Person, session_id: str) -> bool:
        conversation = self._companies[person.client].conversations.get(session_id)
        return conversation is not None and conversation.owner == person.subject

    def _reads(self, person: Person, session_id: str) -> bool:
        there = session_id in self._companies[person.client].conversations
        return there and (self._owns(person, session_id) or bool(self._roles(person) & READS_OTHERS))

    def _cache_names(self, client: str) -> set[str]:
        return self._bed.names(self._bed.cache, f"cm:1:q:{{{self._companies[client].client_id}}}:")

    def _session_names(self, company: Company, session_id: str) -> list[str]:
        return [f"cm:1:{{{company.client_id}:{session_id}}}:{part}" for part in "mi"]


@asynccontextmanager
async def made_bed(installation: Installation, data_directory: Path) -> AsyncGenerator[dict[str, Any]]:
    """What a `Bed` is made of, with two clients of its own."""
    run = uuid.uuid4().hex[:12]
    client_ids = {client: f"both-{run}-{client}" for client in "ab"}
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(open_servers(data_directory, postgres=False, grace_s=0.1))
        administrating = await stack.enter_async_context(administration(installation.address))
        for client_id in client_ids.values():
            await add_client(administrating, Client(client_id, client_id), installation.credentials, LoginLimits())
        yield {
            "client_ids": client_ids,
            "administration": administrating,
            "operations": await stack.enter_async_context(operations(installation.address)),
            "history": _commands(await stack.enter_async_context(_redis(servers.history_url))),
            "cache": _commands(await stack.enter_async_context(_redis(servers.cache_url))),
        }


def _redis(url: str) -> Redis:
    return Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped


def _commands(client: Redis) -> Ask:
    return client.execute_command  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - as above


@pytest.fixture
def bed(connect: Connect, postgres_18: Installation, data_directory: Path) -> Iterator[Bed]:
    """Servers with two clients and six hosts."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal("asyncio"))
        made = stack.enter_context(portal.wrap_async_context_manager(made_bed(postgres_18, data_directory)))
        bed = Bed(portal, connect, postgres_18, **made)
        stack.callback(bed.close)
        yield bed


@pytest.mark.campaign
@pytest.mark.usefixtures("anyio_backend")
def test_conversations_and_cached_answers_are_what_the_model_says(bed: Bed) -> None:
    """300 steps; 10,000 with COMMISSION_TEST_CAMPAIGN=full. A failure prints the steps that repeat it."""
    run_state_machine_as_test(
        partial(Machine, bed),  # pyright: ignore[reportArgumentType] - any factory does, by its documentation
        settings=settings(
            max_examples=ROUNDS,
            stateful_step_count=STEPS,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
