-- Who reads and writes which rows. A reader is known by its login (session_user), which no statement can change;
-- settings such as search_path, role or a custom variable decide nothing about what it sees.

CREATE TABLE cm_priv.login (
  role_name name PRIMARY KEY,
  client_id text NOT NULL REFERENCES cm.client,
  masking_class text NOT NULL CHECK (masking_class IN ('masked', 'clear')),
  enabled boolean NOT NULL DEFAULT true,
  UNIQUE (client_id, masking_class)
);

CREATE TABLE cm_priv.permission_epoch (
  client_id text PRIMARY KEY REFERENCES cm.client,
  epoch bigint NOT NULL DEFAULT 1
);

CREATE FUNCTION cm_priv.client() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT l.client_id FROM cm_priv.login l WHERE l.role_name = session_user AND l.enabled);
END $$;

-- Whether the reader sees a column as it is: the client's own rule, else only the class 'clear' does.
CREATE FUNCTION cm_priv.sees(column_asked text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (
    SELECT coalesce(r.visible, l.masking_class = 'clear')
    FROM cm_priv.login l
    LEFT JOIN cm_priv.mask_visible r
      ON r.client_id = l.client_id AND r.masking_class = l.masking_class AND r.column_name = column_asked
    WHERE l.role_name = session_user AND l.enabled);
END $$;

-- Row security binds the owner of the tables too, so what the functions above read lies in tables without it.
CREATE TABLE cm_priv.mask_visible (
  client_id text NOT NULL,
  column_name text NOT NULL,
  masking_class text NOT NULL,
  visible boolean NOT NULL,
  PRIMARY KEY (client_id, column_name, masking_class)
);

CREATE FUNCTION cm_priv.copy_mask_rules() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP IN ('UPDATE', 'DELETE') THEN
    DELETE FROM cm_priv.mask_visible m
    WHERE (m.client_id, m.column_name, m.masking_class) = (OLD.client_id, OLD.column_name, OLD.masking_class);
  END IF;
  IF TG_OP IN ('INSERT', 'UPDATE') THEN
    INSERT INTO cm_priv.mask_visible VALUES (NEW.client_id, NEW.column_name, NEW.masking_class, NEW.visible);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER mask_rules AFTER INSERT OR UPDATE OR DELETE ON cm.mask_rule
  FOR EACH ROW EXECUTE FUNCTION cm_priv.copy_mask_rules();

-- Versions: every statement that changes rows of a client says so, in the transaction that changes them.
CREATE FUNCTION cm_priv.bump_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO cm.data_version (client_id, relation)
  SELECT DISTINCT c.client_id, TG_TABLE_NAME::text FROM changed c ORDER BY 1
  ON CONFLICT (client_id, relation) DO UPDATE SET version = data_version.version + 1, changed_at = now();
  RETURN NULL;
END $$;

CREATE FUNCTION cm_priv.bump_epoch() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO cm_priv.permission_epoch (client_id)
  SELECT DISTINCT c.client_id FROM changed c ORDER BY 1
  ON CONFLICT (client_id) DO UPDATE SET epoch = permission_epoch.epoch + 1;
  RETURN NULL;
END $$;

-- What a caller may do, asked before every call.
CREATE FUNCTION cm_priv.admit(
  client_asked text, issuer_asked text, subject_asked text,
  OUT client_active boolean, OUT user_active boolean, OUT roles text[], OUT epoch bigint,
  OUT login_masked text, OUT login_clear text, OUT visible jsonb, OUT time_zone text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT c.active, u.active, u.roles, e.epoch, m.role_name, k.role_name, c.time_zone,
    (SELECT coalesce(jsonb_object_agg(r.masking_class, r.columns), '{}')
     FROM (SELECT v.masking_class, jsonb_object_agg(v.column_name, v.visible) AS columns
           FROM cm_priv.mask_visible v WHERE v.client_id = client_asked GROUP BY v.masking_class) r)
  INTO client_active, user_active, roles, epoch, login_masked, login_clear, time_zone, visible
  FROM cm.client c
  LEFT JOIN cm.app_user u
    ON u.client_id = c.client_id AND u.issuer = issuer_asked AND u.subject = subject_asked
  LEFT JOIN cm_priv.permission_epoch e ON e.client_id = c.client_id
  LEFT JOIN cm_priv.login m ON m.client_id = c.client_id AND m.masking_class = 'masked'
  LEFT JOIN cm_priv.login k ON k.client_id = c.client_id AND k.masking_class = 'clear'
  WHERE c.client_id = client_asked;
END $$;

-- Policies for every table that carries a client.
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT c.oid::regclass AS relation, c.relname
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'client_id'
    WHERE c.relnamespace = 'cm'::regnamespace AND c.relkind = 'r' ORDER BY c.relname
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t.relation);
    EXECUTE format('CREATE POLICY reading ON %s FOR SELECT TO cm_owner USING (client_id = (SELECT cm_priv.client()))',
                   t.relation);
    EXECUTE format('CREATE POLICY writing ON %s FOR ALL TO cm_writer '
                   'USING (client_id = (SELECT current_setting(''cm.client'', true))) '
                   'WITH CHECK (client_id = (SELECT current_setting(''cm.client'', true)))', t.relation);
    IF t.relname <> 'data_version' THEN
      EXECUTE format('CREATE TRIGGER version_on_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS changed '
                     'FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.bump_version()', t.relation);
      EXECUTE format('CREATE TRIGGER version_on_update AFTER UPDATE ON %s REFERENCING NEW TABLE AS changed '
                     'FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.bump_version()', t.relation);
      EXECUTE format('CREATE TRIGGER version_on_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS changed '
                     'FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.bump_version()', t.relation);
    END IF;
  END LOOP;
  FOR t IN SELECT unnest(ARRAY['cm.client', 'cm.app_user', 'cm.mask_rule'])::regclass AS relation LOOP
    EXECUTE format('CREATE TRIGGER epoch_on_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS changed '
                   'FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.bump_epoch()', t.relation);
    EXECUTE format('CREATE TRIGGER epoch_on_update AFTER UPDATE ON %s REFERENCING NEW TABLE AS changed '
                   'FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.bump_epoch()', t.relation);
    EXECUTE format('CREATE TRIGGER epoch_on_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS changed '
                   'FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.bump_epoch()', t.relation);
  END LOOP;
END $$;

-- Rights. Readers get views (0003) and nothing else; nobody truncates.
GRANT USAGE ON SCHEMA cm TO cm_writer, cm_ops;
GRANT USAGE ON SCHEMA cm_priv TO cm_gate, cm_ops;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cm TO cm_writer, cm_ops;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cm_priv TO cm_ops;
REVOKE INSERT, UPDATE, DELETE ON cm.client, cm.currency, cm.region_default, cm.data_version FROM cm_writer;
REVOKE UPDATE, DELETE ON cm.result_line, cm.calc_run FROM cm_writer;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cm, cm_priv FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cm_priv.client(), cm_priv.sees(text) TO cm_reader;
GRANT EXECUTE ON FUNCTION cm_priv.admit(text, text, text) TO cm_gate;

-- These write or read past the owner's row security, each for one narrow purpose.
RESET ROLE;
ALTER FUNCTION cm_priv.bump_version() OWNER TO cm_ops;
ALTER FUNCTION cm_priv.bump_epoch() OWNER TO cm_ops;
ALTER FUNCTION cm_priv.copy_mask_rules() OWNER TO cm_ops;
ALTER FUNCTION cm_priv.admit(text, text, text) OWNER TO cm_ops;
SET LOCAL ROLE cm_owner;
