"""Each way to break the isolation on purpose: the server refuses to start and names it, until it is undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from commission_mcp.domain.caller import MaskingClass
from commission_mcp.errors import Code, Refused
from commission_mcp.storage import administration
from commission_mcp.storage.isolation import find_breaches

if TYPE_CHECKING:
    from .conftest import Broken, Guarded, Witness

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Break:
    """What breaks it and what undoes that, and the check that must fail and name it; `$LOGIN` is a client's login."""

    how: str
    undo: str
    check: str
    names: str


def _grant(right: str, to: str) -> tuple[str, str]:
    return f"GRANT {right} TO {to}", f"REVOKE {right} FROM {to}"


BREAKS = {
    # Relations
    "a leaky view of a superuser": Break(
        "CREATE VIEW commission.leak AS SELECT * FROM cm.sale; GRANT SELECT ON commission.leak TO cm_reader",
        "DROP VIEW commission.leak",
        "relations",
        "leak",
    ),
    "a leaky view in another schema": Break(
        "CREATE VIEW public.leak AS SELECT * FROM cm.sale; GRANT SELECT ON public.leak TO PUBLIC",
        "DROP VIEW public.leak",
        "relations",
        "leak",
    ),
    "a view that is not ours, though its owner is": Break(
        "CREATE VIEW commission.leak AS SELECT * FROM cm.sale; ALTER VIEW commission.leak OWNER TO cm_owner",
        "DROP VIEW commission.leak",
        "definitions",
        "leak",
    ),
    "a materialized view": Break(
        "CREATE MATERIALIZED VIEW commission.leak AS TABLE cm.sale; GRANT SELECT ON commission.leak TO cm_reader",
        "DROP MATERIALIZED VIEW commission.leak",
        "relations",
        "leak",
    ),
    "a view given to a superuser": Break(
        "ALTER VIEW commission.sales OWNER TO CURRENT_USER",
        "ALTER VIEW commission.sales OWNER TO cm_owner",
        "relations",
        "sales",
    ),
    "a view that may be written": Break(*_grant("INSERT ON commission.uoms", "cm_reader"), "relations", "uoms"),
    "a base table for readers": Break(*_grant("SELECT ON cm.sale", "cm_reader"), "relations", "cm.sale"),
    "a base table for everybody": Break(*_grant("SELECT ON cm.sale", "PUBLIC"), "relations", "cm.sale"),
    "a base table for one login": Break(*_grant("SELECT ON cm.payee", "$LOGIN"), "relations", "cm.payee"),
    "a column of a base table": Break(*_grant("SELECT (email) ON cm.payee", "cm_reader"), "relations", "cm.payee"),
    "a base table owned by a login": Break(
        "ALTER TABLE cm.uom OWNER TO $LOGIN", "ALTER TABLE cm.uom OWNER TO cm_owner", "row security", "cm.uom"
    ),
    "the table of logins": Break(*_grant("SELECT ON cm_priv.login", "cm_reader"), "relations", "cm_priv.login"),
    "a catalog": Break(*_grant("SELECT ON pg_catalog.pg_roles", "PUBLIC"), "relations", "pg_roles"),
    "a sequence": Break(
        "CREATE SEQUENCE cm.numbers; GRANT SELECT ON SEQUENCE cm.numbers TO cm_reader",
        "DROP SEQUENCE cm.numbers",
        "relations",
        "cm.numbers",
    ),
    # Roles
    "a login past row security": Break(
        "ALTER ROLE $LOGIN BYPASSRLS", "ALTER ROLE $LOGIN NOBYPASSRLS", "roles", "cm_r_"
    ),
    "a superuser's login": Break("ALTER ROLE $LOGIN SUPERUSER", "ALTER ROLE $LOGIN NOSUPERUSER", "roles", "cm_r_"),
    "a login that makes roles": Break(
        "ALTER ROLE $LOGIN CREATEROLE", "ALTER ROLE $LOGIN NOCREATEROLE", "roles", "cm_r_"
    ),
    "a login that replicates": Break(
        "ALTER ROLE $LOGIN REPLICATION", "ALTER ROLE $LOGIN NOREPLICATION", "roles", "cm_r_"
    ),
    "an owner past row security": Break(
        "ALTER ROLE cm_owner BYPASSRLS", "ALTER ROLE cm_owner NOBYPASSRLS", "roles", "cm_owner"
    ),
    "an owner who is a superuser": Break(
        "ALTER ROLE cm_owner SUPERUSER", "ALTER ROLE cm_owner NOSUPERUSER", "roles", "cm_owner"
    ),
    "an owner who logs in": Break("ALTER ROLE cm_owner LOGIN", "ALTER ROLE cm_owner NOLOGIN", "roles", "cm_owner"),
    "a gate past row security": Break(
        "ALTER ROLE cm_gate BYPASSRLS", "ALTER ROLE cm_gate NOBYPASSRLS", "roles", "cm_gate"
    ),
    "a gate that is a superuser": Break(
        "ALTER ROLE cm_gate SUPERUSER", "ALTER ROLE cm_gate NOSUPERUSER", "roles", "cm_gate"
    ),
    "a reader role past row security": Break(
        "ALTER ROLE cm_reader BYPASSRLS", "ALTER ROLE cm_reader NOBYPASSRLS", "roles", "cm_reader"
    ),
    # Memberships
    "a login in the operators": Break(*_grant("cm_ops", "$LOGIN"), "memberships", "cm_ops"),
    "a login in the owner": Break(*_grant("cm_owner", "$LOGIN"), "memberships", "cm_owner"),
    "a login in the gate": Break(*_grant("cm_gate", "$LOGIN"), "memberships", "cm_gate"),
    "a login in the internal role": Break(*_grant("cm_internal", "$LOGIN"), "memberships", "cm_internal"),
    "a login in pg_read_all_data": Break(*_grant("pg_read_all_data", "$LOGIN"), "memberships", "pg_read_all_data"),
    "readers in pg_monitor": Break(*_grant("pg_monitor", "cm_reader"), "memberships", "pg_monitor"),
    "a gate in the operators": Break(*_grant("cm_ops", "cm_gate"), "memberships", "cm_ops"),
    "a login in another client's": Break(*_grant("$OTHER", "$LOGIN"), "memberships", "cm_r_"),
    # Row security
    "row security not forced": Break(
        "ALTER TABLE cm.sale NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE cm.sale FORCE ROW LEVEL SECURITY",
        "row security",
        "sale",
    ),
    "row security switched off": Break(
        "ALTER TABLE cm.sale DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE cm.sale ENABLE ROW LEVEL SECURITY",
        "row security",
        "sale",
    ),
    "a table without row security": Break(
        "CREATE TABLE cm.leak (client_id text); ALTER TABLE cm.leak OWNER TO cm_owner",
        "DROP TABLE cm.leak",
        "row security",
        "leak",
    ),
    "an extra policy": Break(
        "CREATE POLICY extra ON cm.sale FOR SELECT TO cm_owner USING (true)",
        "DROP POLICY extra ON cm.sale",
        "definitions",
        "extra",
    ),
    "a changed policy": Break(
        "ALTER POLICY reading ON cm.sale USING (true)",
        "ALTER POLICY reading ON cm.sale USING (client_id = (SELECT cm_priv.client()))",
        "definitions",
        "policy reading on sale",
    ),
    "a policy for everybody": Break(
        "ALTER POLICY writing ON cm.sale TO PUBLIC",
        "ALTER POLICY writing ON cm.sale TO cm_writer",
        "definitions",
        "on sale",
    ),
    "a missing policy": Break(
        "ALTER POLICY reading ON cm.uom RENAME TO gone",
        "ALTER POLICY gone ON cm.uom RENAME TO reading",
        "definitions",
        "on uom",
    ),
    # Functions
    "pg_sleep for readers": Break(
        *_grant("EXECUTE ON FUNCTION pg_sleep(float8)", "cm_reader"), "functions", "pg_sleep"
    ),
    "set_config for everybody": Break(
        *_grant("EXECUTE ON FUNCTION set_config(text, text, bool)", "PUBLIC"), "functions", "set_config"
    ),
    "query_to_xml for one login": Break(
        *_grant("EXECUTE ON FUNCTION query_to_xml(text, bool, bool, text)", "$LOGIN"), "functions", "query_to_xml"
    ),
    "a stable function that shows other sessions": Break(
        *_grant("EXECUTE ON FUNCTION pg_stat_get_activity(int)", "cm_reader"), "functions", "pg_stat_get_activity"
    ),
    "a stable function that shows settings": Break(
        *_grant("EXECUTE ON FUNCTION current_setting(text)", "PUBLIC"), "functions", "current_setting"
    ),
    "a stable function that dumps the database": Break(
        *_grant("EXECUTE ON FUNCTION database_to_xml(bool, bool, text)", "cm_reader"), "functions", "database_to_xml"
    ),
    "a function that runs as its owner": Break(
        "CREATE FUNCTION commission.leak() RETURNS SETOF cm.sale LANGUAGE sql SECURITY DEFINER AS 'TABLE cm.sale'",
        "DROP FUNCTION commission.leak()",
        "functions",
        "leak",
    ),
    "a function that shadows one of the system": Break(
        "CREATE FUNCTION commission.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
        "DROP FUNCTION commission.lower(text)",
        "functions",
        "lower",
    ),
    "the gate's question for readers": Break(
        *_grant("EXECUTE ON FUNCTION cm_priv.admit(text, text, text)", "cm_reader"), "functions", "admit"
    ),
    # Schemas, the database, languages
    "making objects in the readers' schema": Break(
        *_grant("CREATE ON SCHEMA commission", "cm_reader"), "schemas", "commission"
    ),
    "making objects in public": Break(*_grant("CREATE ON SCHEMA public", "PUBLIC"), "schemas", "public"),
    "looking into the tables' schema": Break(*_grant("USAGE ON SCHEMA cm", "$LOGIN"), "schemas", "cm"),
    "temporary tables": Break(*_grant("TEMP ON DATABASE $DATABASE", "PUBLIC"), "schemas", "TEMP"),
    "making schemas": Break(*_grant("CREATE ON DATABASE $DATABASE", "cm_reader"), "schemas", "CREATE"),
    "a language": Break(*_grant("USAGE ON LANGUAGE plpgsql", "PUBLIC"), "schemas", "plpgsql"),
}


def _run(superuser: Witness, broken: Broken, statements: str) -> None:
    logins = [broken.credentials.reader_login(client, MaskingClass.MASKED) for client in ("client-a", "client-b")]
    for name, value in (("$LOGIN", logins[0]), ("$OTHER", logins[1]), ("$DATABASE", superuser.connection.info.dbname)):
        statements = statements.replace(name, value)
    superuser.connection.execute(statements.encode())


async def _refusal(broken: Broken, open_guarded: Guarded) -> str:
    """How the server refuses to start, nothing if it starts."""
    refusals: list[Refused] = []
    try:
        async with open_guarded(broken):
            pass
    except Refused as refused:
        refusals.append(refused)
    assert all(problem.code == Code.ISOLATION for refused in refusals for problem in refused.problems)
    return "".join(map(str, refusals))


async def _found(broken: Broken) -> dict[str, str]:
    async with administration(broken.address) as connection:
        return {breach.check.name: " ".join(breach.objects) for breach in await find_breaches(connection)}


async def _check(broken: Broken, superuser: Witness, open_guarded: Guarded, breaking: Break) -> None:
    _run(superuser, broken, breaking.how)
    try:
        refusal, found = await _refusal(broken, open_guarded), await _found(broken)
    finally:
        _run(superuser, broken, breaking.undo)

    assert breaking.names in found.get(breaking.check, "")
    assert breaking.names in refusal or "more" in refusal
    assert await _refusal(broken, open_guarded) == ""


@pytest.mark.parametrize("breaking", BREAKS.values(), ids=BREAKS.keys())
async def test_a_broken_isolation_is_named_and_refused_until_it_is_undone(
    broken: Broken, superuser: Witness, open_guarded: Guarded, breaking: Break
) -> None:
    await _check(broken, superuser, open_guarded, breaking)


async def test_a_replaced_view_is_named_and_refused(broken: Broken, superuser: Witness, open_guarded: Guarded) -> None:
    query = "SELECT pg_get_viewdef('commission.payees'::regclass)"
    installed = str(superuser.values(query)[0])
    leaky = installed.replace("'***'::text", "payee.email")
    replace = "CREATE OR REPLACE VIEW commission.payees AS "
    assert leaky != installed

    await _check(
        broken, superuser, open_guarded, Break(replace + leaky, replace + installed, "definitions", "view payees")
    )


@pytest.mark.parametrize("function", ["cm_priv.client()", "cm_priv.sees(text)", "cm_priv.bump_version()"])
async def test_a_replaced_function_is_named_and_refused(
    broken: Broken, superuser: Witness, open_guarded: Guarded, function: str
) -> None:
    installed = str(superuser.values("SELECT pg_get_functiondef(%s::regprocedure)", function)[0])
    changed = installed.replace("BEGIN", "BEGIN\n  -- changed", 1)
    assert changed != installed

    await _check(broken, superuser, open_guarded, Break(changed, installed, "definitions", function))


async def test_a_function_that_lost_its_search_path_is_named_and_refused(
    broken: Broken, superuser: Witness, open_guarded: Guarded
) -> None:
    breaking = Break(
        "ALTER FUNCTION cm_priv.client() RESET search_path",
        "ALTER FUNCTION cm_priv.client() SET search_path = pg_catalog, pg_temp",
        "definitions",
        "cm_priv.client()",
    )

    await _check(broken, superuser, open_guarded, breaking)
