"""Statements that mostly run: every expression is made for the type that its place needs."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .conftest import Witness

LITERALS: dict[str, tuple[str, ...]] = {
    "text": ("'x'", "'client-a'", "'%'", "''", "'2025-01-01'", "'Customer 1 of client-a'", "'cm.sale'", "NULL::text"),
    "integer": ("0", "1", "-1", "7", "NULL::int"),
    "bigint": ("1::int8", "-5::int8", "100::int8"),
    "numeric": ("1.5", "0.0", "-2.25", "100::numeric", "NULL::numeric"),
    "double precision": ("0.5::float8", "'NaN'::float8", "2::float8"),
    "boolean": ("true", "false", "NULL::bool"),
    "date": ("date '2025-02-01'", "current_date", "date '2024-02-29'", "'infinity'::date"),
    "timestamp with time zone": ("now()", "timestamptz '2025-01-01 10:00+00'"),
    "timestamp without time zone": ("timestamp '2025-01-01 10:00'", "localtimestamp"),
    "interval": ("interval '1 day'", "interval '2 months'", "interval '0'"),
    "jsonb": ("'{}'::jsonb", "'[1]'::jsonb", '\'{"a": [1, "x"]}\'::jsonb', "to_jsonb(t)"),
    "json": ("'{}'::json", "'{\"a\": 1}'::json", "to_json(t)"),
    "text[]": ("ARRAY['a', 'client-a']", "'{}'::text[]", "ARRAY[t::text]"),
    "uuid": ("'00000000-0000-7000-8000-000000000000'::uuid",),
    "bytea": ("'\\x00ff'::bytea", "''::bytea"),
    "daterange": ("daterange('2025-01-01', '2025-02-01')", "'empty'::daterange"),
    "int4range": ("int4range(1, 3)",),
    "inet": ("'10.0.0.1/8'::inet",),
    "tsvector": ("'a:1 b:2'::tsvector", "to_tsvector('simple', 'a b')"),
    "tsquery": ("'a & b'::tsquery",),
}
"""Values of the types that expressions are made of."""

# What fails for most arguments of the right type; the untyped statements call these too.
_DELICATE = re.compile(
    r"(to_(date|timestamp|number|ascii)|convert.*|decode|make_.*|set_(bit|byte)|get_(bit|byte)|normalize|is_normalized|unistr|"
    r"parse_ident|date_(bin|trunc|part)|timezone|.*_in|.*recv|.*out|json_(?!typeof).*|jsonb_(array|set|insert).*|"
    r"generate_subscripts|range_.*|factorial|ts_lexize|int4|int8|numeric|date|bool|float8)\Z"
)


class Signature(NamedTuple):
    """A function or an operator: what it is called, takes and gives."""

    name: str
    takes: tuple[str, ...]
    gives: str


class Catalog(NamedTuple):
    """What typed statements are made of."""

    views: dict[str, list[tuple[str, str]]]
    functions: dict[str, list[Signature]]
    aggregates: dict[str, list[Signature]]
    operators: dict[str, list[Signature]]


def read_catalog(witness: Witness) -> Catalog:
    """The views of readers, and the functions and operators that they may use on the types of `LITERALS`."""
    views: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for view, column, type_ in witness.connection.execute(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL) FROM pg_class c "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.relnamespace = 'commission'::regnamespace "
        "ORDER BY 1, a.attnum"
    ):
        views[view].append((column, type_))
    called = witness.connection.execute(
        "SELECT p.proname::text, p.prokind::text, format_type(p.prorettype, NULL), "
        "ARRAY(SELECT format_type(t, NULL) FROM unnest(string_to_array(p.proargtypes::text, ' ')::oid[]) t) "
        "FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND NOT p.proretset AND p.provariadic = 0 "
        "AND p.prokind IN ('f', 'a') AND p.pronargs BETWEEN 1 AND 3 AND p.proname !~ '^(percentile|mode|rank|"
        "dense_rank|cume_dist|percent_rank)' AND has_function_privilege('cm_reader', p.oid, 'EXECUTE') ORDER BY p.oid"
    ).fetchall()
    written = witness.connection.execute(
        "SELECT oprname::text, format_type(oprresult, NULL), format_type(oprleft, NULL), format_type(oprright, NULL) "
        "FROM pg_operator o WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprkind = 'b' AND oprcode <> 0 "
        "AND oprname !~ '[/%^]|<<|>>|~|\\|\\|' AND has_function_privilege('cm_reader', oprcode, 'EXECUTE') "
        "ORDER BY o.oid"
    ).fetchall()
    kinds = {
        kind: [Signature(f'"{name}"', tuple(takes), gives) for name, each, gives, takes in called if each == kind]
        for kind in "fa"
    }
    operators = [Signature(name, (left, right), gives) for name, gives, left, right in written]
    return Catalog(dict(views), _by_result(kinds["f"]), _by_result(kinds["a"]), _by_result(operators))


def _by_result(signatures: Sequence[Signature]) -> dict[str, list[Signature]]:
    by_result: dict[str, list[Signature]] = defaultdict(list)
    for signature in signatures:
        plain = {*signature.takes, signature.gives} <= LITERALS.keys()
        if plain and not _DELICATE.match(signature.name.strip('"')):
            by_result[signature.gives].append(signature)
    return dict(by_result)


class TypedGrammar:
    """Writes typed statements, all of them from one seed."""

    def __init__(self, catalog: Catalog, hostile: Sequence[str], seed: int) -> None:
        self._catalog = catalog
        self._hostile = hostile
        self._chance = random.Random(seed)  # noqa: S311 - repeatable statements, no secret
        self._columns: list[tuple[str, str]] = []

    def statement(self) -> str:
        """One statement."""
        forms: tuple[Callable[[], str], ...] = (
            self._plain,
            self._grouped,
            self._windowed,
            self._united,
            self._with,
            self._lateral,
            self._recursive,
        )
        (form,) = self._chance.choices(forms, (40, 20, 12, 10, 8, 7, 3))
        return form()

    def _type(self) -> str:
        return self._chance.choice(tuple(LITERALS))

    def _source(self, depth: int) -> str:
        """A source called t, whose columns are in sight from here on."""
        kind = self._chance.random()
        if kind < 0.12 and depth > 0:
            types = [self._type() for _ in range(3)]
            inner = self._select(types, depth - 1)
            self._columns = [(f"c{n}", type_) for n, type_ in enumerate(types)]
            return f"({inner}) t"
        view = self._chance.choice(tuple(self._catalog.views))
        self._columns = self._catalog.views[view]
        if kind < 0.3:
            other = self._chance.choice(tuple(self._catalog.views))
            join = self._chance.choice(
                ("CROSS JOIN {} o", "LEFT JOIN {} o USING (client_id)", "LEFT JOIN {} o ON true")
            )
            ambiguous = {"client_id"} if "USING" in join else set[str]()
            self._columns = [column for column in self._columns if column[0] not in ambiguous]
            return f"commission.{view} t {join.format(f'commission.{other}')}"
        return f"commission.{view} t"

    def _select(self, types: Sequence[str], depth: int) -> str:
        outer = self._columns
        source = self._source(depth)
        selected = ", ".join(f"{self._expression(type_, depth)} AS c{n}" for n, type_ in enumerate(types))
        where = f" WHERE {self._condition(depth)}" if self._chance.random() < 0.5 else ""
        self._columns = outer
        return f"SELECT {selected} FROM {source}{where} LIMIT {self._chance.randint(1, 50)}"

    def _plain(self) -> str:
        return self._select([self._type() for _ in range(self._chance.randint(1, 4))], 3)

    def _grouped(self) -> str:
        source = self._source(1)
        key = f"t.{self._chance.choice(self._columns)[0]}" if self._columns else "1 + 1"
        aggregates = [self._aggregate() for _ in range(self._chance.randint(1, 3))]
        how = self._chance.choice(("{}", "ROLLUP ({})", "CUBE ({})", "GROUPING SETS (({}), ())")).format(key)
        having = f" HAVING {self._chance.choice(('count(*) > 1', 'bool_or(true)', 'max(t::text) IS NOT NULL'))}"
        key = f"({key})::text"
        return f"SELECT {key}, {', '.join(aggregates)} FROM {source} GROUP BY {how}{having} LIMIT 50"

    def _windowed(self) -> str:
        source = self._source(1)
        over = f"OVER (PARTITION BY {self._expression('text', 1)} ORDER BY {self._expression('numeric', 1)})"
        window = self._chance.choice(("row_number()", "lag(t::text)", "first_value(t::text)", "count(*)", "ntile(3)"))
        return f"SELECT {window} {over}, {self._expression(self._type(), 1)} FROM {source} LIMIT 50"

    def _united(self) -> str:
        types = [self._chance.choice(("text", "integer", "numeric", "date", "boolean")) for _ in range(2)]
        join = self._chance.choice(("UNION", "UNION ALL", "EXCEPT", "INTERSECT"))
        return f"({self._select(types, 2)}) {join} ({self._select(types, 2)})"

    def _with(self) -> str:
        types = [self._type(), "text"]
        once = self._chance.choice(("", "MATERIALIZED ", "NOT MATERIALIZED "))
        return f"WITH w AS {once}({self._select(types, 2)}) SELECT w, w.c0, o.* FROM w, ({self._select(['text'], 1)}) o"

    def _lateral(self) -> str:
        source = self._source(0)
        inner = self._expression("text", 2)
        return f"SELECT t, l.v FROM {source}, LATERAL (SELECT {inner} AS v) l LIMIT 20"

    def _recursive(self) -> str:
        return (
            f"WITH RECURSIVE r AS (SELECT 1 AS n, {self._literal('text').replace('t::', '1::')}::text AS v UNION ALL "
            f"SELECT n + 1, s.c0 FROM r, LATERAL ({self._select(['text'], 1)}) s WHERE n < 3) SELECT * FROM r LIMIT 99"
        )

    def _condition(self, depth: int) -> str:
        kind = self._chance.random()
        if kind < 0.2:
            return f"(t::text LIKE '%client-b%' OR {self._expression('boolean', depth - 1)})"
        if kind < 0.35 and depth > 0:
            return f"EXISTS ({self._select(['text'], depth - 1)})"
        if kind < 0.45 and depth > 0:
            return f"{self._expression('text', depth - 1)} IN (SELECT c0 FROM ({self._select(['text'], depth - 1)}) x)"
        return self._expression("boolean", depth)

    def _aggregate(self) -> str:
        signatures = self._catalog.aggregates[self._chance.choice(tuple(self._catalog.aggregates))]
        signature = self._chance.choice(signatures)
        called = f"{signature.name}({', '.join(self._expression(each, 1) for each in signature.takes)})"
        return called + self._chance.choice(("", "", f" FILTER (WHERE {self._expression('boolean', 1)})"))

    def _expression(self, type_: str, depth: int) -> str:
        kind = self._chance.random()
        if depth <= 0 or kind < 0.35:
            return self._leaf(type_)
        if kind < 0.6 and type_ in self._catalog.functions:
            signature = self._chance.choice(self._catalog.functions[type_])
            return f"{signature.name}({', '.join(self._expression(each, depth - 1) for each in signature.takes)})"
        if kind < 0.8 and type_ in self._catalog.operators:
            signature = self._chance.choice(self._catalog.operators[type_])
            left, right = (self._expression(each, depth - 1) for each in signature.takes)
            return f"({left} {signature.name} {right})"
        if kind < 0.88:
            return f"CASE WHEN {self._condition(depth - 1)} THEN {self._leaf(type_)} ELSE {self._leaf(type_)} END"
        if kind < 0.94:
            return f"(SELECT c0 FROM ({self._select([type_], depth - 1)}) x LIMIT 1)"
        return f"({self._expression(self._type(), depth - 1)})::text" if type_ == "text" else self._leaf(type_)

    def _leaf(self, type_: str) -> str:
        fitting = [name for name, each in self._columns if each == type_]
        if fitting and self._chance.random() < 0.75:
            return f"t.{self._chance.choice(fitting)}"
        if type_ == "text" and self._chance.random() < 0.01:
            return f"({self._chance.choice(self._hostile)})::text"
        if type_ == "text" and self._columns and self._chance.random() < 0.3:
            return self._chance.choice(("t::text", "row_to_json(t)::text"))
        return self._literal(type_)

    def _literal(self, type_: str) -> str:
        literal = self._chance.choice(LITERALS[type_])
        return literal if self._columns or "(t)" not in literal else LITERALS[type_][0]
