-- Old entries of the audit trail can be removed, so far as a sealed checkpoint stands for them: it keeps the hash that the rest
-- of the chain goes on from. Nobody but the owner of the tables removes any, and row security shows it only what is cut off.

ALTER TABLE cm.client_profile ADD COLUMN audit_retention_days int CHECK (audit_retention_days BETWEEN 1 AND 36525);

CREATE TABLE cm_priv.audit_cut (
  client_id text NOT NULL,
  first_seq bigint NOT NULL CHECK (first_seq > 0),
  seq bigint NOT NULL CHECK (seq >= first_seq),
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  at timestamptz NOT NULL,
  seal bytea NOT NULL CHECK (octet_length(seal) = 32),
  PRIMARY KEY (client_id, seq)
);
COMMENT ON TABLE cm_priv.audit_cut IS 'Up to where a trail was removed: the last number, its hash, and a seal under the master secret.';

CREATE POLICY pruning ON cm.audit_entry FOR ALL TO cm_owner
  USING (EXISTS (SELECT FROM cm_priv.audit_cut c
                 WHERE c.client_id = audit_entry.client_id AND c.seq >= audit_entry.seq))
  WITH CHECK (false);

CREATE OR REPLACE FUNCTION cm_priv.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- The policy above bounds what the owner removes, in audit_prune.
  IF TG_OP = 'DELETE' AND current_user = 'cm_owner' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

-- Removes the entries of a client up to one whose hash is given, and keeps the checkpoint. The head stays locked until the
-- transaction ends, in which the caller says on the chain what was removed.
CREATE FUNCTION cm_priv.audit_prune(
  of_client text, from_seq bigint, to_seq bigint, to_sha256 bytea, moment timestamptz, sealed bytea)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  removed bigint;
BEGIN
  PERFORM FROM cm_priv.audit_head h WHERE h.client_id = of_client FOR UPDATE;
  IF from_seq <> (SELECT coalesce(max(c.seq), 0) + 1 FROM cm_priv.audit_cut c WHERE c.client_id = of_client) THEN
    RAISE EXCEPTION 'the trail was cut meanwhile' USING ERRCODE = 'serialization_failure';
  END IF;
  INSERT INTO cm_priv.audit_cut VALUES (of_client, from_seq, to_seq, to_sha256, moment, sealed);
  IF NOT EXISTS (SELECT FROM cm.audit_entry a
                 WHERE a.client_id = of_client AND a.seq = to_seq AND a.sha256 = to_sha256) THEN
    RAISE EXCEPTION 'there is no such entry' USING ERRCODE = 'no_data_found';
  END IF;
  DELETE FROM cm.audit_entry a WHERE a.client_id = of_client AND a.seq <= to_seq;
  GET DIAGNOSTICS removed = ROW_COUNT;
  IF removed <> to_seq - from_seq + 1 THEN
    RAISE EXCEPTION 'entries are missing' USING ERRCODE = 'no_data_found';
  END IF;
  RETURN removed;
END $$;

REVOKE ALL ON FUNCTION cm_priv.audit_prune(text, bigint, bigint, bytea, timestamptz, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cm_priv.audit_prune(text, bigint, bigint, bytea, timestamptz, bytea) TO cm_ops;
GRANT SELECT ON cm_priv.audit_cut TO cm_ops;
