-- Prepares a dedicated database for commission-mcp; run by a superuser, as often as you like.
-- It creates the roles below, takes from PUBLIC what PostgreSQL grants to everybody in this database, and gives readers
-- the functions on the list. It changes nothing outside this database but those roles.
--
--   cm_owner     owns tables and views; row security is forced on it          (no login)
--   cm_internal  may call what PUBLIC could call before                       (no login)
--   cm_reader    what every client's login inherits: views, listed functions  (no login)
--   cm_ops       migrates, loads and backs up, past row security              (no login, by SET ROLE from a superuser)
--   cm_gate      asks what a caller may do                                    (login)
--   cm_audit     adds to the audit trail, and reads it for auditors            (login)
--   cm_writer    writes as one client, never runs a caller's SQL              (login)

DO $$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN
    SELECT * FROM (VALUES
      ('cm_owner', 'NOLOGIN NOBYPASSRLS'), ('cm_internal', 'NOLOGIN NOBYPASSRLS'), ('cm_reader', 'NOLOGIN NOBYPASSRLS'),
      ('cm_ops', 'NOLOGIN BYPASSRLS'), ('cm_gate', 'LOGIN NOBYPASSRLS'), ('cm_writer', 'LOGIN NOBYPASSRLS'),
      ('cm_audit', 'LOGIN NOBYPASSRLS')
    ) AS roles (name, attributes)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) THEN
      EXECUTE format('CREATE ROLE %I', wanted.name);
    END IF;
    EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT %s', wanted.name, wanted.attributes);
  END LOOP;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO cm_reader, cm_gate, cm_writer, cm_audit', current_database());
  EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO cm_ops', current_database());
END $$;

CREATE SCHEMA IF NOT EXISTS cm AUTHORIZATION cm_owner;
CREATE SCHEMA IF NOT EXISTS cm_priv AUTHORIZATION cm_owner;
CREATE SCHEMA IF NOT EXISTS commission AUTHORIZATION cm_owner;
CREATE SCHEMA IF NOT EXISTS cm_extensions;
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA cm_extensions;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- What was applied here, and what the objects that isolation stands on looked like when they were made.
CREATE TABLE IF NOT EXISTS cm_priv.migration (
  number int PRIMARY KEY,
  name text NOT NULL,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS cm_priv.installation (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  fingerprint text NOT NULL,
  objects jsonb NOT NULL
);
ALTER TABLE cm_priv.migration OWNER TO cm_owner;
ALTER TABLE cm_priv.installation OWNER TO cm_owner;
GRANT USAGE ON SCHEMA cm_priv TO cm_gate;
GRANT SELECT ON cm_priv.installation TO cm_gate;

REVOKE USAGE ON LANGUAGE plpgsql, sql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO cm_owner, cm_ops;

-- Functions and tables of the system: what PUBLIC had goes to cm_internal, then away from PUBLIC. A function that PUBLIC
-- may call again (a new minor release, an extension) is treated so the next time.
DO $$
DECLARE
  signatures text;
  relations text;
BEGIN
  SELECT string_agg(p.oid::regprocedure::text, ', ') INTO signatures
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname IN ('pg_catalog', 'information_schema', 'cm_extensions')
    AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0);
  IF signatures IS NOT NULL THEN
    EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO cm_internal', signatures);
    EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', signatures);
  END IF;
  SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') INTO relations
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('pg_catalog', 'information_schema', 'cm_extensions') AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
    AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0);
  IF relations IS NOT NULL THEN
    EXECUTE format('GRANT SELECT ON %s TO cm_internal', relations);
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', relations);
  END IF;
  -- Columns granted one by one, as in pg_subscription.
  FOR relations IN
    SELECT DISTINCT format('REVOKE ALL (%I) ON %I.%I FROM PUBLIC', t.attname, n.nspname, c.relname)
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
      aclexplode(t.attacl) a
    WHERE n.nspname IN ('pg_catalog', 'information_schema') AND a.grantee = 0
  LOOP
    EXECUTE relations;
  END LOOP;
END $$;
GRANT USAGE ON SCHEMA cm_extensions TO cm_owner, cm_writer, cm_ops;
GRANT cm_internal TO cm_owner, cm_ops, cm_gate, cm_writer, cm_audit;

-- Readers may call the functions of the list, see storage/reader_functions.py.
DO $$
DECLARE
  signatures text;
BEGIN
  -- From scratch, so that a function taken off the list is taken from readers.
  SELECT string_agg(p.oid::regprocedure::text, ', ') INTO signatures
  FROM pg_proc p
  WHERE p.pronamespace = 'pg_catalog'::regnamespace
    AND EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 'cm_reader'::regrole);
  IF signatures IS NOT NULL THEN
    EXECUTE format('REVOKE ALL ON ROUTINE %s FROM cm_reader', signatures);
  END IF;
  SELECT string_agg(p.oid::regprocedure::text, ', ') INTO signatures FROM pg_proc p WHERE {{reader_functions}};
  EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO cm_reader', signatures);
END $$;
