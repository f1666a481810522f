"""What client A can send through `Reading.fetch` when the guard is switched off: one test for each way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from commission_mcp.errors import Code

if TYPE_CHECKING:
    from .conftest import Attacker

pytestmark = pytest.mark.anyio

_B = "client-b"

# The server refuses these.
REFUSED = {
    # Settings, in every place where one SELECT can hide them.
    "set_config in a CTE": f"WITH s AS (SELECT set_config('app.client_id', '{_B}', false)) SELECT * FROM s, sales",
    "set_config in a materialized CTE": (
        f"WITH s AS MATERIALIZED (SELECT set_config('cm.client', '{_B}', false)) SELECT * FROM s, sales"
    ),
    "set_config in LATERAL": f"SELECT * FROM (SELECT set_config('cm.client', '{_B}', true)) s, LATERAL (TABLE sales) t",
    "set_config of the role": "SELECT set_config('role', 'cm_owner', false)",
    "set_config of the session's user": "SELECT set_config('session_authorization', 'cm_ops', false)",
    "set_config of the search path": "SELECT set_config('search_path', 'cm', false)",
    "set_config of row_security": "SELECT set_config('row_security', 'off', false)",
    "set_config of the time limit": "SELECT set_config('statement_timeout', '0', false)",
    "set_config through pg_settings": "UPDATE pg_settings SET setting = 'off' WHERE name = 'row_security'",
    "set_config in query_to_xml": f"SELECT query_to_xml('SELECT set_config(''role'', ''{_B}'', true)', true, true, '')",
    "current_setting": "SELECT current_setting('data_directory')",
    "setseed": "SELECT setseed(0.5)",
    # SQL in a text.
    "query_to_xml": "SELECT query_to_xml('SELECT * FROM cm.sale', true, true, '')",
    "query_to_xml_and_xmlschema": "SELECT query_to_xml_and_xmlschema('SELECT * FROM cm.sale', true, true, '')",
    "table_to_xml": "SELECT table_to_xml('cm.sale', true, true, '')",
    "schema_to_xml": "SELECT schema_to_xml('cm', true, true, '')",
    "database_to_xml": "SELECT database_to_xml(true, true, '')",
    "database_to_xmlschema": "SELECT database_to_xmlschema(true, true, '')",
    "cursor_to_xml": "SELECT cursor_to_xml('c', 1, true, true, '')",
    "ts_stat": "SELECT ts_stat('SELECT to_tsvector(customer) FROM cm.sale')",
    "ts_rewrite": "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, customer::tsquery FROM cm.sale')",
    # Large objects and files.
    "lo_from_bytea": "SELECT lo_from_bytea(0, 'x')",
    "lo_create": "SELECT lo_create(0)",
    "lo_creat": "SELECT lo_creat(-1)",
    "lo_put": "SELECT lo_put(1, 0, 'x')",
    "lo_get": "SELECT lo_get(1)",
    "lo_import": "SELECT lo_import('/etc/passwd')",
    "lo_export": "SELECT lo_export(1, '/tmp/hostile')",
    "lo_unlink": "SELECT lo_unlink(1)",
    "pg_largeobject": "TABLE pg_largeobject",
    "pg_read_file": "SELECT pg_read_file('/etc/passwd')",
    "pg_read_binary_file": "SELECT pg_read_binary_file('PG_VERSION')",
    "pg_ls_dir": "SELECT pg_ls_dir('/')",
    "pg_stat_file": "SELECT pg_stat_file('PG_VERSION')",
    "pg_current_logfile": "SELECT pg_current_logfile()",
    "dblink": "SELECT * FROM dblink('', 'SELECT 1') AS t (a int)",
    # Locks, messages, waiting.
    "a session's advisory lock": "SELECT pg_advisory_lock(1)",
    "a session's shared advisory lock": "SELECT pg_try_advisory_lock_shared(1)",
    "a transaction's advisory lock": "SELECT pg_advisory_xact_lock(1)",
    "pg_notify": "SELECT pg_notify('x', 'y')",
    "pg_listening_channels": "SELECT pg_listening_channels()",
    "a logical message": "SELECT pg_logical_emit_message(false, 'x', 'y')",
    "pg_sleep": "SELECT pg_sleep(10)",
    "pg_cancel_backend": "SELECT pg_cancel_backend(1)",
    "pg_terminate_backend": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    "pg_switch_wal": "SELECT pg_switch_wal()",
    "pg_export_snapshot": "SELECT pg_export_snapshot()",
    "pg_current_xact_id": "SELECT pg_current_xact_id()",
    "txid_current": "SELECT txid_current()",
    "pg_reload_conf": "SELECT pg_reload_conf()",
    # What others do, how much they have, what they are called.
    "pg_stat_activity": "TABLE pg_stat_activity",
    "pg_stat_get_activity": "SELECT pg_stat_get_activity(NULL)",
    "pg_stat_user_tables": "TABLE pg_stat_user_tables",
    "pg_stat_get_live_tuples": "SELECT pg_stat_get_live_tuples(16500)",
    "pg_stat_database": "TABLE pg_stat_database",
    "pg_stats": "TABLE pg_stats",
    "pg_statistic": "TABLE pg_statistic",
    "pg_stat_statements": "TABLE pg_stat_statements",
    "pg_locks": "TABLE pg_locks",
    "pg_lock_status": "SELECT pg_lock_status()",
    "pg_cursors": "TABLE pg_cursors",
    "pg_prepared_statements": "TABLE pg_prepared_statements",
    "reltuples": "SELECT reltuples FROM pg_class",
    "pg_relation_size": "SELECT pg_relation_size('commission.sales')",
    "pg_database_size": "SELECT pg_database_size(current_database())",
    "pg_roles": "TABLE pg_roles",
    "pg_user": "TABLE pg_user",
    "pg_authid": "TABLE pg_authid",
    "pg_auth_members": "TABLE pg_auth_members",
    "pg_db_role_setting": "TABLE pg_db_role_setting",
    "pg_database": "TABLE pg_database",
    "pg_settings": "TABLE pg_settings",
    "pg_hba_file_rules": "TABLE pg_hba_file_rules",
    "pg_get_userbyid": "SELECT pg_get_userbyid(10)",
    "pg_proc": "SELECT prosrc FROM pg_proc",
    "pg_get_functiondef": "SELECT pg_get_functiondef('now'::regproc)",
    "pg_get_viewdef": "SELECT pg_get_viewdef('commission.sales'::regclass)",
    "pg_views": "TABLE pg_views",
    "pg_policies": "TABLE pg_policies",
    "pg_attribute": "TABLE pg_attribute",
    "pg_description": "TABLE pg_description",
    "obj_description": "SELECT obj_description('commission.sales'::regclass)",
    "information_schema.tables": "TABLE information_schema.tables",
    "information_schema.enabled_roles": "TABLE information_schema.enabled_roles",
    "information_schema.sql_features": "TABLE information_schema.sql_features",
    "to_regclass": "SELECT to_regclass('cm.sale')",
    "has_table_privilege": "SELECT has_table_privilege('cm_reader', 'cm.sale', 'SELECT')",
    "pg_has_role": "SELECT pg_has_role('cm_owner', 'MEMBER')",
    "inet_client_addr": "SELECT inet_client_addr()",
    "pg_postmaster_start_time": "SELECT pg_postmaster_start_time()",
    "version": "SELECT version()",
    # Names of roles and relations by way of conversions that take a type's number, or that only ask.
    "array_in of roles": "SELECT array_in('{postgres}', 4096, -1)",
    "record_in": "SELECT record_in('(1)', 16384, -1)",
    "regrolein": "SELECT regrolein('cm_owner')",
    "regclassin": "SELECT regclassin('cm.sale')",
    "pg_input_is_valid": "SELECT pg_input_is_valid('cm_owner', 'regrole')",
    "pg_input_error_info": "SELECT pg_input_error_info('cm_owner', 'regrole')",
    "pg_describe_object": "SELECT pg_describe_object(1259, 16384, 0)",
    "pg_identify_object": "SELECT pg_identify_object(1259, 16384, 0)",
    "pg_get_object_address": "SELECT pg_get_object_address('table', '{cm,sale}', '{}')",
    "currtid2": "SELECT currtid2('cm.sale', '(0,1)')",
    "pg_get_sequence_data": "SELECT pg_get_sequence_data('cm.a_sequence')",
    "pg_partition_tree": "SELECT pg_partition_tree('cm.sale')",
    "pg_options_to_table": "SELECT pg_options_to_table(ARRAY['a=b'])",
    "ts_debug": "SELECT ts_debug('a')",
    "XMLTABLE over a query": (
        "SELECT * FROM XMLTABLE('/x' PASSING query_to_xml('SELECT 1', true, true, '') COLUMNS a text PATH '.')"
    ),
    "JSON from a catalog": "SELECT jsonb_agg(to_jsonb(c)) FROM pg_class c",
    "a catalog in a scalar subquery": "SELECT customer, (SELECT count(*) FROM pg_stat_activity) FROM sales",
    # Work that nothing stops, withheld because no text shows it.
    "a list of keys removed": "SELECT '[\"a\"]'::jsonb - ARRAY['a']",
    # Sequences.
    "nextval": "SELECT nextval('cm.a_sequence')",
    "currval": "SELECT currval('cm.a_sequence')",
    "a sequence as a table": "SELECT last_value FROM cm.a_sequence",
    "pg_sequence_last_value": "SELECT pg_sequence_last_value('cm.a_sequence'::regclass)",
    "pg_sequences": "TABLE pg_sequences",
    # The tables beneath the views, and the functions that row security stands on.
    "a base table": "TABLE cm.sale",
    "a base table of payees": "SELECT email, salary FROM cm.payee",
    "a base table in a subquery": "SELECT (SELECT max(customer) FROM cm.sale)",
    "a base table's row type": "SELECT (json_populate_record(NULL::cm.payee, '{}')).*",
    "the table of logins": "TABLE cm_priv.login",
    "the table of mask rules": "TABLE cm_priv.mask_visible",
    "the installation's record": "TABLE cm_priv.installation",
    "cm_priv.client": "SELECT cm_priv.client()",
    "cm_priv.sees": "SELECT cm_priv.sees('payees.email')",
    "cm_priv.admit": f"SELECT * FROM cm_priv.admit('{_B}', 'local', 'local')",
    "cm_priv.bump_version": "SELECT cm_priv.bump_version()",
    "gist functions of the extension": "SELECT cm_extensions.int4_dist(1, 2)",
    # More than one statement, or not a SELECT.
    "a second statement": "SELECT 1; COMMIT",
    "COMMIT and settings": "SELECT 1; COMMIT; SET statement_timeout = 0; DECLARE c CURSOR FOR SELECT 1",
    "COMMIT": "COMMIT",
    "ROLLBACK": "ROLLBACK",
    "SAVEPOINT": "SAVEPOINT s",
    "SET ROLE": "SET ROLE cm_reader",
    "SET SESSION AUTHORIZATION": "SET SESSION AUTHORIZATION cm_owner",
    "SET TRANSACTION READ WRITE": "SET TRANSACTION READ WRITE",
    "EXPLAIN": "EXPLAIN SELECT * FROM sales",
    "EXPLAIN ANALYZE": "EXPLAIN (ANALYZE) SELECT * FROM sales",
    "SHOW": "SHOW ALL",
    "DO": "DO $$ BEGIN RAISE '%', (SELECT max(customer) FROM cm.sale); END $$",
    "COPY": "COPY (SELECT 1) TO PROGRAM 'id'",
    "LISTEN": "LISTEN x",
    "CREATE": "CREATE TEMP TABLE t AS SELECT 1",
    "INSERT": "INSERT INTO uoms VALUES ('client-a', 'X', 'X') RETURNING *",
    "SELECT INTO": "SELECT 1 INTO t",
    "a writing CTE": "WITH w AS (DELETE FROM sales RETURNING *) SELECT * FROM w",
    "a writing CTE that inserts": "WITH w AS (INSERT INTO uoms VALUES ('x', 'X', 'X') RETURNING *) TABLE w",
    "FOR UPDATE": "SELECT * FROM sales FOR UPDATE",
    "FOR KEY SHARE": "SELECT * FROM sales FOR KEY SHARE",
    "TABLESAMPLE": "SELECT * FROM sales TABLESAMPLE SYSTEM (100)",
    "system columns": "SELECT ctid, xmin, tableoid FROM sales",
    "an attribute that is a function": "SELECT (0.05::float8).pg_sleep",
    "a currency's symbol": "SELECT 1 FROM sales WHERE CURRENT OF c",
    # Errors that would quote a value.
    "a cast that fails on a customer": "SELECT customer::int FROM sales",
    "a division by zero": "SELECT 1 / (CASE WHEN customer > '' THEN 0 ELSE 1 END) FROM sales",
}

# The server answers these, with nothing but A's own rows.
ANSWERED = {
    "a predicate": f"SELECT * FROM sales WHERE client_id = '{_B}'",
    "a predicate that is always true": f"SELECT * FROM sales WHERE client_id = '{_B}' OR true",
    "a predicate with a negation": "SELECT * FROM sales WHERE client_id <> 'client-a'",
    "every view": "SELECT * FROM clients, users, periods, territories, products, uoms",
    "UNION": f"SELECT name FROM payees UNION ALL SELECT name FROM payees WHERE client_id = '{_B}'",
    "EXCEPT": "TABLE sales EXCEPT TABLE sales",
    "a subquery": "SELECT (SELECT max(customer) FROM sales s WHERE s.client_id <> c.client_id) FROM clients c",
    "an outer join": "SELECT * FROM clients a LEFT JOIN commission.sales b ON a.client_id <> b.client_id",
    "a self-join": "SELECT DISTINCT a.client_id, b.client_id FROM sales a JOIN sales b ON a.client_id <> b.client_id",
    "a lateral join": "SELECT * FROM clients c, LATERAL (SELECT * FROM payees p WHERE p.client_id > c.client_id) l",
    "a recursive CTE": (
        "WITH RECURSIVE r AS (SELECT name, 1 AS n FROM territories UNION ALL "
        "SELECT p.name, n + 1 FROM r, products p WHERE n < 4) SELECT * FROM r"
    ),
    "a window": "SELECT first_value(customer) OVER (ORDER BY customer DESC), lead(customer, 400) OVER () FROM sales",
    "grouping sets": "SELECT client_id, customer, count(*) FROM sales GROUP BY CUBE (client_id, customer)",
    "whole rows": "SELECT sales, row_to_json(sales), to_jsonb(sales), sales::text FROM sales",
    "min and max": "SELECT min(client_id), max(client_id), min(customer), max(customer) FROM sales",
    "an anti-join": f"SELECT 1 WHERE EXISTS (SELECT FROM sales WHERE customer LIKE '%{_B[-1]}')",
    "a leaky operator": f"SELECT count(*) FROM sales WHERE 1 / nullif(strpos(customer, 'of {_B}'), 0) > 0",
    "a leaky cast": "SELECT count(*) FROM sales WHERE CASE client_id WHEN 'client-a' THEN 1 ELSE customer::int END = 1",
    "a leaky cast with a division": (
        "SELECT count(*) FROM sales WHERE 1 / (CASE client_id WHEN 'client-a' THEN 1 ELSE 0 END) = 1 "
        "AND (CASE client_id WHEN 'client-a' THEN '1' ELSE customer END)::int = 1"
    ),
    "a leaky pattern": (
        "SELECT count(*) FROM sales WHERE customer ~ (CASE client_id WHEN 'client-a' THEN '.' ELSE '(' || customer END)"
    ),
    "names of roles": ("SELECT string_agg(i::oid::regrole::text, ' ') FROM generate_series(16384, 17500) i"),
    "names of relations": (
        "SELECT string_agg(i::oid::regclass::text, ' ') FROM generate_series(1, 17500) i "
        "WHERE i::oid::regclass::text !~ '^[0-9]+$'"
    ),
    "names of functions": "SELECT string_agg(i::oid::regprocedure::text, ' ') FROM generate_series(16384, 17500) i",
    "names of types and schemas": "SELECT i::oid::regtype::text, i::oid::regnamespace FROM generate_series(1, 17500) i",
    "who I am": "SELECT current_user, session_user, current_catalog, current_schema",
    "the clock": "SELECT now(), clock_timestamp(), timeofday()",
    "a comment": "SELECT 1 -- ",
}

# The values that a masked reader of client A must not learn anything about.
SENSITIVE = re.compile(r"@client-a|BANK-|TAX-|50[1-6]00")
MASKED = {
    "columns": "SELECT email, salary, bank_account, tax_id FROM payees",
    "WHERE on an e-mail address": "SELECT name FROM payees WHERE email LIKE 'p%'",
    "WHERE on a salary": "SELECT name FROM payees WHERE salary > 0 OR salary <= 0",
    "WHERE on a bank account": "SELECT name FROM payees WHERE bank_account > 'A'",
    "max and min": "SELECT max(email), min(bank_account), max(salary), max(tax_id) FROM payees",
    "sums": "SELECT sum(salary), avg(salary), stddev(salary), count(salary) FROM payees",
    "lengths": "SELECT max(length(email)), max(length(tax_id)) FROM payees",
    "distinct values": "SELECT DISTINCT email, salary FROM payees",
    "groups": "SELECT email, bank_account, count(*) FROM payees GROUP BY GROUPING SETS ((email), (bank_account))",
    "a rank": "SELECT name, rank() OVER (ORDER BY salary DESC, email) FROM payees",
    "a join": "SELECT a.name FROM payees a JOIN payees b ON a.email = 'p1@' || b.client_id || '.example.com'",
    "a join on salaries": "SELECT p.name, i FROM payees p JOIN generate_series(50100, 50600, 100) i ON p.salary = i",
    "a cast": "SELECT name FROM payees WHERE tax_id::int > 0",
    "a failing cast": "SELECT (tax_id || 'x')::date FROM payees",
    "a division that fails on a value": "SELECT 1 / (CASE WHEN salary > 50300 THEN 0 ELSE 1 END) FROM payees",
    "a pattern": "SELECT regexp_replace(email, '(.)', '\\1', 'g') FROM payees",
    "whole rows": "SELECT payees, payees::text, row_to_json(payees), to_jsonb(payees) FROM payees",
    "a row comparison": "SELECT name FROM payees p WHERE p > ROW('client-a', 'client-a-p3', NULL, 'x', 'p')",
    "hashes": "SELECT md5(email), hashtext(bank_account), sha256(tax_id::bytea) FROM payees",
    "arrays": "SELECT array_agg(email ORDER BY salary), string_agg(bank_account, ',') FROM payees",
    "statistics": "SELECT pg_column_size(email), pg_column_size(tax_id) FROM payees",
    "USING": "SELECT * FROM payees a JOIN payees b USING (email) LIMIT 3",
    "a base column of the same name": "SELECT (SELECT email) FROM payees",
}


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED.keys())
async def test_a_way_out_is_refused_by_the_server_and_leaves_nothing_behind(attacker: Attacker, sql: str) -> None:
    outcome = await attacker.attempt(sql)

    assert outcome.codes
    assert outcome.codes <= {
        Code.SQL_DENIED,
        Code.SQL_FORM,
        Code.SQL_MEANING,
        Code.SQL_RELATION,
        Code.SQL_COLUMN,
        Code.SQL_NOT_SELECT,
        Code.SQL_VALUE,
    }


@pytest.mark.parametrize("sql", ANSWERED.values(), ids=ANSWERED.keys())
async def test_a_way_round_shows_own_rows_only_and_leaves_nothing_behind(attacker: Attacker, sql: str) -> None:
    assert not (await attacker.attempt(sql)).codes


@pytest.mark.parametrize("sql", MASKED.values(), ids=MASKED.keys())
async def test_masked_columns_show_only_masks_however_they_are_used(attacker: Attacker, sql: str) -> None:
    outcome = await attacker.attempt(sql)

    assert not SENSITIVE.search(outcome.text)


async def test_comparing_sorting_and_counting_see_masks(attacker: Attacker) -> None:
    conditions = ["email <> '***'", "bank_account <> '***'", "tax_id <> '***'", "salary IS NOT NULL", "email IS NULL"]
    counts = [(await attacker.attempt(f"SELECT count(*) FROM payees WHERE {each}")).rows for each in conditions]
    ranks = await attacker.attempt("SELECT DISTINCT rank() OVER (ORDER BY salary, email, tax_id) FROM payees")

    assert counts == [[(0,)]] * len(conditions)
    assert ranks.rows == [(1,)]


@pytest.mark.parametrize("place", ["file:///etc/passwd", "http://127.0.0.1:1/x"])
async def test_an_external_entity_is_not_read(attacker: Attacker, place: str) -> None:
    document = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{place}">]><a>&e;</a>'
    outcome = await attacker.attempt(f"SELECT xmlparse(DOCUMENT '{document}')::text")

    assert "root:" not in outcome.text
