"""Someone who holds a client's own database login and sends what they like: still one client, still reading."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest

from commission_mcp.domain.caller import MaskingClass

if TYPE_CHECKING:
    from .conftest import Attacker, Steal, Witness

pytestmark = pytest.mark.anyio

FOREIGN = re.compile(r"client-b|Beta GmbH", re.IGNORECASE)
EVERYTHING = "SELECT * FROM commission.sales; SELECT * FROM commission.payees; SELECT * FROM commission.clients"

# Each is sent by the simple protocol, several statements in one text, and then everything is read.
TEXTS = {
    "settings that policies often trust": (
        "SET app.client_id = 'client-b'; SET cm.client = 'client-b'; SET app.tenant = 'client-b'"
    ),
    "settings after COMMIT": "SELECT 1; COMMIT; SET statement_timeout = 0; SET default_transaction_read_only = off",
    "row security switched off": "SET row_security = off",
    "a search path to the base tables": "SET search_path = cm, cm_priv, commission; TABLE sale",
    "the reader role": "SET ROLE cm_reader",
    "the owner's role": "SET ROLE cm_owner",
    "the operators' role": "SET ROLE cm_ops",
    "the operators' role in a transaction": "BEGIN; SET LOCAL ROLE cm_ops; TABLE cm.sale",
    "another session user": "SET SESSION AUTHORIZATION cm_ops",
    "a default session user": "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE",
    "COPY of a base table": "COPY cm.sale TO STDOUT",
    "COPY of a view's rows": "COPY (SELECT * FROM commission.sales) TO STDOUT",
    "COPY to a program": "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY to a file": "COPY (SELECT 1) TO '/tmp/cm-hostile'",
    "COPY from a file": "SET default_transaction_read_only = off; COPY commission.uoms FROM '/etc/passwd'",
    "COPY into a view": "SET transaction_read_only = off; COPY commission.uoms FROM STDIN",
    "a plan of a query": "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM commission.sales WHERE customer LIKE 'x%'",
    "a plan of a base table": "EXPLAIN SELECT * FROM cm.sale",
    "a prepared statement": "PREPARE p AS SELECT * FROM commission.sales; EXECUTE p; TABLE pg_prepared_statements",
    "a cursor that outlives its transaction": (
        "BEGIN; DECLARE c CURSOR WITH HOLD FOR TABLE commission.sales; COMMIT; FETCH ALL c; CLOSE c"
    ),
    "savepoints": "BEGIN; SAVEPOINT a; SELECT 1/0; ROLLBACK TO a; SET TRANSACTION READ WRITE; TABLE commission.users",
    "a prepared transaction": "BEGIN; PREPARE TRANSACTION 'x'",
    "an anonymous block": "DO $$ BEGIN RAISE NOTICE '%', (SELECT max(name) FROM cm.payee); END $$",
    "an SQL block": "DO LANGUAGE sql $$ SELECT 1 $$",
    "settings of the server": "SHOW data_directory; SHOW hba_file; SHOW ALL",
    "a library": "LOAD 'auto_explain'",
    "a checkpoint": "CHECKPOINT",
    "VACUUM and ANALYZE": "SET default_transaction_read_only = off; VACUUM; ANALYZE; CLUSTER",
    "DISCARD": "DISCARD ALL",
    "a lock on a view": "BEGIN; LOCK TABLE commission.sales IN ACCESS EXCLUSIVE MODE",
    "a share lock on a base table": "BEGIN; LOCK TABLE cm.sale IN ACCESS SHARE MODE",
    "two-phase and replication": "START_REPLICATION 0/0; IDENTIFY_SYSTEM",
    "a function by name in another schema": "SELECT cm_priv.client(), cm.check_bands()",
    "an advisory lock": "SELECT pg_advisory_lock(1); SELECT pg_advisory_lock_shared(1)",
    "a large object": "BEGIN READ WRITE; SELECT lo_create(4711); COMMIT",
    "statistics that leak": "TABLE pg_stats; SELECT reltuples FROM pg_class; TABLE pg_stat_activity",
}

# Writes, each in a transaction that may write: none of them is possible.
WRITES = (
    "CREATE TABLE commission.x (a int)",
    "CREATE TABLE cm.x (a int)",
    "CREATE TABLE public.x (a int)",
    "CREATE TEMP TABLE x (a int)",
    "CREATE TEMP VIEW x AS SELECT 1",
    "CREATE SCHEMA x",
    "CREATE FUNCTION commission.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION pg_temp.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OPERATOR commission.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)",
    "CREATE AGGREGATE commission.x (int) (SFUNC = int4pl, STYPE = int)",
    "CREATE TYPE commission.x AS (a int)",
    "CREATE CAST (int AS text) WITH INOUT",
    "CREATE EXTENSION pg_trgm",
    "CREATE ROLE x",
    "CREATE DATABASE x",
    "CREATE TABLESPACE x LOCATION '/tmp'",
    "CREATE SERVER x FOREIGN DATA WRAPPER postgres_fdw",
    "CREATE PUBLICATION x FOR ALL TABLES",
    "CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION cm.refuse_change()",
    "CREATE RULE x AS ON SELECT TO commission.uoms DO INSTEAD SELECT 1",
    "CREATE POLICY x ON cm.sale USING (true)",
    "CREATE TRIGGER x INSTEAD OF INSERT ON commission.uoms FOR EACH ROW EXECUTE FUNCTION cm.refuse_change()",
    "SELECT 1 INTO x",
    "SELECT 1 INTO TEMP x",
    "INSERT INTO commission.uoms VALUES ('client-a', 'X', 'X')",
    "INSERT INTO commission.uoms VALUES ('client-b', 'X', 'X')",
    "UPDATE commission.sales SET net = 0",
    "DELETE FROM commission.credits",
    "TRUNCATE cm.sale",
    "INSERT INTO cm.uom VALUES ('client-b', 'X', 'X')",
    "UPDATE cm_priv.login SET client_id = 'client-b'",
    "SELECT * FROM commission.sales FOR UPDATE",
    "SELECT * FROM commission.sales FOR KEY SHARE",
    "ALTER VIEW commission.sales SET (security_invoker = false)",
    "ALTER TABLE cm.sale NO FORCE ROW LEVEL SECURITY",
    "ALTER ROLE CURRENT_USER BYPASSRLS",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
    "ALTER ROLE CURRENT_USER SET temp_file_limit = -1",
    "ALTER ROLE cm_reader SET search_path = cm",
    "ALTER ROLE cm_gate PASSWORD 'x'",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "ALTER DATABASE postgres SET search_path = cm",
    "GRANT cm_ops TO CURRENT_USER",
    "GRANT cm_reader TO cm_gate",
    "GRANT SELECT ON cm.sale TO PUBLIC",
    "GRANT SELECT ON commission.sales TO PUBLIC",
    "REVOKE SELECT ON commission.sales FROM cm_reader",
    "DROP OWNED BY cm_reader",
    "DROP OWNED BY CURRENT_USER",
    "REASSIGN OWNED BY cm_reader TO CURRENT_USER",
    "DROP VIEW commission.sales",
    "DROP ROLE cm_gate",
    "COMMENT ON VIEW commission.sales IS 'x'",
    "SECURITY LABEL ON ROLE cm_reader IS 'x'",
    "REINDEX TABLE cm.sale",
    "REFRESH MATERIALIZED VIEW cm.x",
    "SELECT nextval('cm.a_sequence')",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT pg_logical_emit_message(true, 'x', 'y')",
)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_whatever_the_session_is_told_it_shows_one_client(attacker: Attacker, steal: Steal, text: str) -> None:
    with steal() as intruder:
        said = intruder.say(text) + intruder.say("ROLLBACK") + intruder.say(EVERYTHING)
        own = intruder.say("SELECT client_id FROM commission.clients")

    assert not FOREIGN.search(said)
    assert "client-a" in own or "does not exist" in own or "permission denied" in own or "row-level" in own
    await attacker.check_nothing_left()


@pytest.mark.parametrize("statement", WRITES)
async def test_a_transaction_that_may_write_changes_nothing(
    attacker: Attacker, steal: Steal, witness: Witness, statement: str
) -> None:
    before = witness.meaning()
    with steal() as intruder:
        said = "\n".join(map(intruder.say, ("BEGIN READ WRITE", statement, "COMMIT")))
        said += intruder.say("SET default_transaction_read_only = off") + intruder.say(statement)

    assert not FOREIGN.search(said.replace(statement, ""))
    assert witness.meaning() == before
    assert witness.locks(attacker.login) == []
    await attacker.remember()  # an idle GRANT writes a new version of the same row


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM commission.sales", "SELECT cm_priv.client()", "TABLE cm_priv.login"]
)
async def test_the_reader_role_itself_is_nobodys_client(steal: Steal, witness: Witness, statement: str) -> None:
    with steal() as intruder:
        as_reader = intruder.say("SET ROLE cm_reader; SELECT count(*), min(client_id) FROM commission.sales")
        said = intruder.say(statement)

    assert "client-a" in as_reader
    assert not FOREIGN.search(said)
    assert witness.values("SELECT count(*) FROM pg_roles WHERE rolname = 'cm_reader' AND rolcanlogin") == [0]


@pytest.mark.parametrize("login", ["cm_owner", "cm_ops", "cm_internal", "cm_reader"])
async def test_the_roles_behind_the_views_cannot_log_in(steal: Steal, login: str) -> None:
    with pytest.raises(psycopg.OperationalError), steal(user=login):
        pass


async def test_a_fast_path_call_by_number_is_refused(steal: Steal, witness: Witness) -> None:
    wanted = ("pg_sleep(double precision)", "lo_creat(integer)", "pg_notify(text,text)", "cm_priv.bump_version()")
    numbers = [witness.values("SELECT %s::regprocedure::oid", name)[0] for name in wanted]
    with steal() as intruder:
        said = [intruder.say(f"SELECT has_function_privilege({number}, 'EXECUTE')") for number in numbers]

    granted = witness.values(
        "SELECT count(*) FROM unnest(%s::oid[]) f WHERE has_function_privilege('cm_reader', f, 'EXECUTE')", numbers
    )
    assert all("permission denied" in each for each in said)
    assert granted == [0]


async def test_both_classes_of_a_client_see_the_same_rows_and_other_masks(steal: Steal) -> None:
    with steal(masking=MaskingClass.CLEAR) as clear, steal() as masked:
        wide, narrow = (login.say("SELECT email, bank_account FROM commission.payees") for login in (clear, masked))
        rows = [login.say("SELECT count(*) FROM commission.sales") for login in (clear, masked)]

    assert "@client-a.example.com" in wide
    assert "@" not in narrow
    assert rows[0] == rows[1]
    assert not FOREIGN.search(wide)
