-- The audit trail: what each caller asked for and how it ended, one chain of hashes for each client. Entries are added by one
-- function, for one login that can do nothing else; nobody changes or removes one.

CREATE TABLE cm.audit_entry (
  client_id text NOT NULL,
  seq bigint NOT NULL CHECK (seq > 0),
  at timestamptz NOT NULL,
  entry_id uuid NOT NULL,
  call_id uuid NOT NULL,
  issuer text NOT NULL,
  subject text NOT NULL,
  assurance text NOT NULL CHECK (assurance IN ('verified', 'asserted')),
  action text NOT NULL,
  object text NOT NULL,
  phase text NOT NULL CHECK (phase IN ('intent', 'outcome')),
  outcome text NOT NULL,
  facts text NOT NULL,
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  PRIMARY KEY (client_id, seq),
  UNIQUE (client_id, entry_id)
);
COMMENT ON TABLE cm.audit_entry IS 'Append-only; sha256 covers the entry and the sha256 of the one before it.';
CREATE INDEX audit_entry_by_time ON cm.audit_entry (client_id, at);

-- No policy: under forced row security nobody reads or writes rows but a role that bypasses it.
ALTER TABLE cm.audit_entry ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE TABLE cm_priv.audit_head (
  client_id text PRIMARY KEY,
  seq bigint NOT NULL,
  sha256 bytea NOT NULL
);

CREATE FUNCTION cm_priv.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cm.audit_entry
  FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.refuse_change();

-- The text that is hashed: every field with its length in bytes before it, so that no two entries have the same text.
CREATE FUNCTION cm_priv.audit_text(VARIADIC fields text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT string_agg(octet_length(f.value)::text || ':' || f.value || ',', '' ORDER BY f.number)
          FROM unnest(fields) WITH ORDINALITY f (value, number));
END $$;

-- Adds entries in their order, all or none. An entry that is there already, because an answer was lost on its way, is
-- passed over. Clients are taken in one order, so that two calls never wait for each other.
CREATE FUNCTION cm_priv.audit_append(entries jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  of_client text;
  e record;
  n bigint;
  hash bytea;
  moment timestamptz;
BEGIN
  FOR of_client IN SELECT DISTINCT x ->> 'client_id' FROM jsonb_array_elements(entries) x ORDER BY 1 LOOP
    INSERT INTO cm_priv.audit_head VALUES (of_client, 0, '') ON CONFLICT DO NOTHING;
    SELECT h.seq, h.sha256 INTO n, hash FROM cm_priv.audit_head h WHERE h.client_id = of_client FOR UPDATE;
    FOR e IN
      SELECT r.* FROM jsonb_array_elements(entries) WITH ORDINALITY x (entry, number),
        jsonb_to_record(x.entry) r (client_id text, entry_id uuid, call_id uuid, issuer text, subject text,
          assurance text, action text, object text, phase text, outcome text, facts text)
      WHERE r.client_id = of_client
        AND NOT EXISTS (SELECT FROM cm.audit_entry a WHERE a.client_id = of_client AND a.entry_id = r.entry_id)
      ORDER BY x.number
    LOOP
      n := n + 1;
      moment := clock_timestamp();
      hash := sha256(hash || convert_to(cm_priv.audit_text(
        of_client, n::text, to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), e.entry_id::text,
        e.call_id::text, e.issuer, e.subject, e.assurance, e.action, e.object, e.phase, e.outcome, e.facts), 'UTF8'));
      INSERT INTO cm.audit_entry VALUES (of_client, n, moment, e.entry_id, e.call_id, e.issuer, e.subject, e.assurance,
        e.action, e.object, e.phase, e.outcome, e.facts, hash);
    END LOOP;
    UPDATE cm_priv.audit_head h SET seq = n, sha256 = hash WHERE h.client_id = of_client;
  END LOOP;
END $$;

-- The newest entries of one client before a number, of those that fit.
CREATE FUNCTION cm_priv.audit_read(
  of_client text, before_seq bigint, since timestamptz, until timestamptz, of_subject text, of_object text,
  of_outcome text, entries_max int)
RETURNS SETOF cm.audit_entry
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
  SELECT a.* FROM cm.audit_entry a
  WHERE a.client_id = of_client
    AND (before_seq IS NULL OR a.seq < before_seq)
    AND (since IS NULL OR a.at >= since)
    AND (until IS NULL OR a.at < until)
    AND (of_subject IS NULL OR a.subject = of_subject)
    AND (of_object IS NULL OR a.object = of_object)
    AND (of_outcome IS NULL OR a.outcome = of_outcome OR of_outcome = ANY (string_to_array(a.outcome, ','))
         OR (of_outcome = 'refused' AND a.outcome LIKE 'E\_%'))
  ORDER BY a.seq DESC
  LIMIT entries_max;
END $$;

REVOKE ALL ON FUNCTION cm_priv.refuse_change(), cm_priv.audit_text(text[]), cm_priv.audit_append(jsonb),
  cm_priv.audit_read(text, bigint, timestamptz, timestamptz, text, text, text, int) FROM PUBLIC;
GRANT SELECT, INSERT ON cm.audit_entry TO cm_ops;
GRANT SELECT, INSERT, UPDATE ON cm_priv.audit_head TO cm_ops;
GRANT EXECUTE ON FUNCTION cm_priv.audit_text(text[]) TO cm_ops;
GRANT USAGE ON SCHEMA cm_priv TO cm_audit;
GRANT EXECUTE ON FUNCTION cm_priv.audit_append(jsonb),
  cm_priv.audit_read(text, bigint, timestamptz, timestamptz, text, text, text, int) TO cm_audit;
RESET ROLE;
ALTER FUNCTION cm_priv.audit_append(jsonb) OWNER TO cm_ops;
ALTER FUNCTION cm_priv.audit_read(text, bigint, timestamptz, timestamptz, text, text, text, int) OWNER TO cm_ops;
SET LOCAL ROLE cm_owner;
