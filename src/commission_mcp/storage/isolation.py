"""Is the isolation whole? Looked up in the database's own catalogs at every start, and by `doctor`.

Nothing here trusts that a GRANT or REVOKE succeeded once: what counts is what the catalogs say now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

import psycopg

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.reader_functions import reader_functions

# Definitions of views, of functions that policies and views stand on, and of policies; recorded when they are made.
OBJECT_DIGESTS: LiteralString = """
  SELECT 'view ' || c.relname AS name, md5(pg_get_viewdef(c.oid)) AS digest
  FROM pg_class c WHERE c.relnamespace = 'commission'::regnamespace
  UNION ALL
  SELECT 'function ' || p.oid::regprocedure::text, md5(pg_get_functiondef(p.oid))
  FROM pg_proc p WHERE p.pronamespace IN ('cm'::regnamespace, 'cm_priv'::regnamespace) AND p.prokind = 'f'
  UNION ALL
  SELECT 'policy ' || q.polname || ' on ' || c.relname,
    md5(concat_ws('|', q.polcmd, q.polpermissive, q.polroles::regrole[]::text,
      pg_get_expr(q.polqual, q.polrelid), pg_get_expr(q.polwithcheck, q.polrelid)))
  FROM pg_policy q JOIN pg_class c ON c.oid = q.polrelid WHERE c.relnamespace = 'cm'::regnamespace
"""

# Whoever runs a caller's SQL: the reader role, the logins that inherit it, and PUBLIC (0).
_READERS: LiteralString = """
  WITH reader AS (
    SELECT 'cm_reader'::regrole::oid AS oid
    UNION SELECT m.member FROM pg_auth_members m WHERE m.roleid = 'cm_reader'::regrole
    UNION SELECT 0
  )
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One property of the isolation: a query that lists whatever breaks it."""

    name: str
    breach: str
    query: str


CHECKS: tuple[Check, ...] = (
    Check(
        "roles",
        "a role that serves callers can get past row security or change roles",
        _READERS
        + """
        SELECT rolname::text FROM pg_roles
        WHERE (rolname IN ('cm_owner', 'cm_internal', 'cm_gate', 'cm_writer', 'cm_audit', 'cm_ops')
               OR oid IN (SELECT oid FROM reader))
          AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication
               OR (rolbypassrls AND rolname <> 'cm_ops')
               OR (rolcanlogin AND rolname IN ('cm_owner', 'cm_internal', 'cm_reader', 'cm_ops')))
        """,
    ),
    Check(
        "memberships",
        "a serving role is a member of a role that it should not be in",
        _READERS
        + """
        SELECT format('%s in %s', m.member::regrole, m.roleid::regrole) FROM pg_auth_members m
        WHERE (m.member IN (SELECT oid FROM reader) AND m.roleid <> 'cm_reader'::regrole)
           OR (m.roleid IN ('cm_owner'::regrole, 'cm_ops'::regrole, 'cm_gate'::regrole, 'cm_writer'::regrole,
               'cm_audit'::regrole)
               AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = m.member))
           OR (m.roleid = 'cm_internal'::regrole
               AND m.member NOT IN ('cm_owner'::regrole, 'cm_ops'::regrole, 'cm_gate'::regrole, 'cm_writer'::regrole,
               'cm_audit'::regrole)
               AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = m.member))
           OR (m.member IN ('cm_owner'::regrole, 'cm_ops'::regrole, 'cm_gate'::regrole, 'cm_writer'::regrole,
               'cm_audit'::regrole)
               AND m.roleid <> 'cm_internal'::regrole)
        """,
    ),
    Check(
        "relations",
        "a reader has rights on something other than SELECT on our own views",
        _READERS
        + """
        SELECT DISTINCT c.oid::regclass::text
        FROM pg_class c
        CROSS JOIN LATERAL (
          SELECT grantee, privilege_type FROM aclexplode(c.relacl)
          UNION ALL
          SELECT e.grantee, e.privilege_type FROM pg_attribute t, aclexplode(t.attacl) e WHERE t.attrelid = c.oid
          UNION ALL
          SELECT c.relowner, 'OWNER'
        ) a
        WHERE a.grantee IN (SELECT oid FROM reader)
          AND NOT (c.relnamespace = 'commission'::regnamespace AND c.relkind = 'v'
                   AND c.relowner = 'cm_owner'::regrole AND a.privilege_type = 'SELECT')
        """,
    ),
    Check(
        "definitions",
        "a view, function or policy is not the one that was installed",
        f"""
        SELECT coalesce(found.name, installed.key)
        FROM ({OBJECT_DIGESTS}) AS found
        FULL JOIN (SELECT o.key, o.value FROM cm_priv.installation i, jsonb_each_text(i.objects) o) AS installed
          ON installed.key = found.name
        WHERE found.digest IS DISTINCT FROM installed.value
        """,
    ),
    Check(
        "row security",
        "a table of clients is not under forced row security, or not owned by cm_owner",
        """
        SELECT c.oid::regclass::text
        FROM pg_class c
        WHERE c.relnamespace = 'cm'::regnamespace AND c.relkind IN ('r', 'p')
          AND (c.relowner <> 'cm_owner'::regrole
               OR (EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'client_id')
                   AND NOT (c.relrowsecurity AND c.relforcerowsecurity)))
        """,
    ),
    Check(
        "functions",
        "a reader may call a function that is not on the list",
        _READERS
        + """
        SELECT p.oid::regprocedure::text
        FROM pg_proc p
        WHERE EXISTS (
            SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
            WHERE a.grantee IN (SELECT oid FROM reader))
          AND p.oid NOT IN ('cm_priv.client()'::regprocedure, 'cm_priv.sees(text)'::regprocedure)
          AND NOT (
        """
        + reader_functions()
        + ")",
    ),
    Check(
        "schemas",
        "a reader may create objects, or look into a schema that is not for readers",
        _READERS
        + """
        SELECT format('schema %s', n.nspname)
        FROM pg_namespace n CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
        WHERE a.grantee IN (SELECT oid FROM reader)
          AND NOT (a.privilege_type = 'USAGE' AND n.nspname IN ('pg_catalog', 'information_schema', 'commission'))
          AND n.nspname !~ '^pg_(toast|temp)'
        UNION ALL
        SELECT format('database right %s', a.privilege_type)
        FROM pg_database d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        WHERE d.datname = current_database() AND a.grantee IN (SELECT oid FROM reader) AND a.privilege_type <> 'CONNECT'
        UNION ALL
        SELECT format('language %s', l.lanname)
        FROM pg_language l CROSS JOIN LATERAL aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) a
        WHERE a.grantee IN (SELECT oid FROM reader) AND l.lanname NOT IN ('internal', 'c')
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class Breach:
    """A check that failed, and the objects that fail it."""

    check: Check
    objects: tuple[str, ...]


async def find_breaches(connection: psycopg.AsyncConnection) -> tuple[Breach, ...]:
    """Run every check over a connection that may read the catalogs; empty when the isolation is whole."""
    breaches: list[Breach] = []
    for check in CHECKS:
        rows = await (await connection.execute(check.query.encode())).fetchall()
        if rows:
            breaches.append(Breach(check, tuple(sorted(str(row[0]) for row in rows))))
    return tuple(breaches)


async def refuse_changed_definitions(connection: psycopg.AsyncConnection) -> None:
    """Refuse to build on views, functions or policies that are not the recorded ones.

    Raises:
        Refused: with `E_ISOLATION`, naming them.
    """
    (definitions,) = (check for check in CHECKS if check.name == "definitions")
    rows = await (await connection.execute(definitions.query.encode())).fetchall()
    if rows:
        raise Refused(as_problem(Breach(definitions, tuple(sorted(str(row[0]) for row in rows)))))


async def databases_beside(connection: psycopg.AsyncConnection) -> tuple[str, ...]:
    """Other databases of the cluster that every login may connect to, and there read the catalogs."""
    cursor = await connection.execute(
        "SELECT d.datname FROM pg_database d WHERE d.datallowconn AND d.datname <> current_database() AND EXISTS ("
        "SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a "
        "WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT') ORDER BY 1"
    )
    return tuple(str(row[0]) for row in await cursor.fetchall())


async def refuse_breaches(connection: psycopg.AsyncConnection) -> None:
    """Refuse to serve from a database whose isolation is broken.

    Raises:
        Refused: with `E_ISOLATION`, naming what breaks it.
    """
    breaches = await find_breaches(connection)
    if breaches:
        raise Refused(*(as_problem(breach) for breach in breaches))


def as_problem(breach: Breach) -> Problem:
    """A breach in the words of an operator."""
    shown = ", ".join(breach.objects[:5]) + (f" and {len(breach.objects) - 5} more" if len(breach.objects) > 5 else "")  # noqa: PLR2004 - as many as a line holds
    return Problem(
        Code.ISOLATION,
        f"Clients are not isolated: {breach.check.breach}: {shown}.",
        "Undo the change that did this, then run `commission-mcp setup` and `commission-mcp doctor`.",
        breach.check.name,
    )
