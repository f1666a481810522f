-- What a call needs to know before it starts, in one answer: who calls, what is granted, and how the client's data stands.

-- A version comes with the time of its change, so that a database restored from a backup never shows the same one for
-- other rows.
RESET ROLE;
DROP FUNCTION cm_priv.admit(text, text, text);
SET LOCAL ROLE cm_owner;

CREATE FUNCTION cm_priv.admit(
  client_asked text, issuer_asked text, subject_asked text,
  OUT client_active boolean, OUT user_active boolean, OUT user_id text, OUT roles text[], OUT epoch bigint,
  OUT login_masked text, OUT login_clear text, OUT visible jsonb, OUT time_zone text, OUT versions jsonb, OUT today date)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT c.active, u.active, u.user_id, u.roles, e.epoch, m.role_name, k.role_name, c.time_zone,
    (SELECT coalesce(jsonb_object_agg(r.masking_class, r.columns), '{}')
     FROM (SELECT v.masking_class, jsonb_object_agg(v.column_name, v.visible) AS columns
           FROM cm_priv.mask_visible v WHERE v.client_id = client_asked GROUP BY v.masking_class) r),
    (SELECT coalesce(jsonb_object_agg(d.relation, d.version || '@' || extract(epoch FROM d.changed_at)), '{}')
     FROM cm.data_version d WHERE d.client_id = client_asked),
    (now() AT TIME ZONE 'UTC')::date
  INTO client_active, user_active, user_id, roles, epoch, login_masked, login_clear, time_zone, visible, versions, today
  FROM cm.client c
  LEFT JOIN cm.app_user u
    ON u.client_id = c.client_id AND u.issuer = issuer_asked AND u.subject = subject_asked
  LEFT JOIN cm_priv.permission_epoch e ON e.client_id = c.client_id
  LEFT JOIN cm_priv.login m ON m.client_id = c.client_id AND m.masking_class = 'masked'
  LEFT JOIN cm_priv.login k ON k.client_id = c.client_id AND k.masking_class = 'clear'
  WHERE c.client_id = client_asked;
END $$;

-- Puts a table that carries a client under the same policies and version triggers as those of 0002; for migrations.
CREATE PROCEDURE cm_priv.protect(relation regclass) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
  EXECUTE format('CREATE POLICY reading ON %s FOR SELECT TO cm_owner USING (client_id = (SELECT cm_priv.client()))',
                 relation);
  EXECUTE format('CREATE POLICY writing ON %s FOR ALL TO cm_writer '
                 'USING (client_id = (SELECT current_setting(''cm.client'', true))) '
                 'WITH CHECK (client_id = (SELECT current_setting(''cm.client'', true)))', relation);
  EXECUTE format('CREATE TRIGGER version_on_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS changed '
                 'FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.bump_version()', relation);
  EXECUTE format('CREATE TRIGGER version_on_update AFTER UPDATE ON %s REFERENCING NEW TABLE AS changed '
                 'FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.bump_version()', relation);
  EXECUTE format('CREATE TRIGGER version_on_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS changed '
                 'FOR EACH STATEMENT EXECUTE FUNCTION cm_priv.bump_version()', relation);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO cm_writer, cm_ops', relation);
END $$;

REVOKE ALL ON FUNCTION cm_priv.admit(text, text, text) FROM PUBLIC;
REVOKE ALL ON PROCEDURE cm_priv.protect(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cm_priv.admit(text, text, text) TO cm_gate;
RESET ROLE;
ALTER FUNCTION cm_priv.admit(text, text, text) OWNER TO cm_ops;
SET LOCAL ROLE cm_owner;
